// Forms from a table of fields. A problem is shown beside the field it names, else above the form.
//
// A field: {name, label, help, kind, required, min, max, options, when, fixed, unit}. `name` may be dotted (`parameters.parallelism`).
// Kinds: text, password, number, select, check, checks (several of `options`), lines (one value a line).

import { t } from './i18n.js';
import { h } from './ui.js';
import { problem, said } from './words.js';

export const get = (object, name) => name.split('.').reduce((part, key) => part?.[key], object);

export function set(object, name, value) {
  const keys = name.split('.');
  const last = keys.pop();
  let part = object;
  for (const key of keys) part = part[key] ??= {};
  part[last] = value;
}

/**
 * `sections`: [{title, fields, folded}]; `values`: what is there already; `save(values)` may throw a Problem.
 * Returns {view(), read()}; `read` gives the values as typed, laid over `values`.
 */
export function form({ sections, values, save, saveLabel, cancel, extra, redraw }) {
  const all = sections.flatMap((section) => section.fields);
  const state = { error: null, busy: false, root: null };
  const read = () => all.reduce((object, field) => take(object, field, state.root), structuredClone(values));
  const fail = (error) => {
    state.error = error;
    redraw();
    queueMicrotask(() => { // drawing is a microtask, too, and was queued first
      const target = state.root.querySelector('[aria-invalid]') ?? state.root.querySelector('.problem');
      target?.closest('details')?.setAttribute('open', '');
      target?.focus();
    });
  };
  const submit = async (event) => {
    event.preventDefault();
    if (state.busy) return;
    Object.assign(state, { busy: true, error: null });
    redraw();
    try {
      await save(read());
    } catch (error) {
      state.busy = false;
      fail(error);
      return;
    }
    state.busy = false;
    redraw();
  };
  const view = () => {
    const now = state.root ? read() : values;
    const shown = all.filter((field) => !field.when || field.when(now));
    const guilty = state.error && shown.find((field) => names(state.error.field, field.name));
    return h('form', { class: 'form', novalidate: true, onsubmit: submit, onchange: redraw, ref: (el) => { state.root = el; } },
      state.error && !guilty ? problem(state.error, { tabindex: '-1' }) : null,
      sections.map((section) => part(section, section.fields.filter((field) => shown.includes(field)), values, guilty && { field: guilty, error: state.error })),
      h('div', { class: 'actions' },
        h('button', { type: 'submit', class: 'primary', disabled: state.busy, 'aria-busy': state.busy }, saveLabel ?? t('do.save')),
        extra?.(read), cancel && h('a', { class: 'button', href: cancel }, t('do.cancel'))));
  };
  return { view, read, fail };
}

/** Does the problem's field (`port`, `parameters.parallelism`, `$.pairs[0].source`) mean this one? */
function names(said, name) {
  const field = (said ?? '').replace(/^\$\.?/, '').replace(/\[\d*\.*\]/g, '');
  const camel = field.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());
  return camel !== '' && (camel === name || name.endsWith(`.${camel}`) || camel.endsWith(`.${name}`));
}

function part(section, fields, values, guilty) {
  const body = fields.map((field) => row(field, get(values, field.name), guilty?.field === field ? guilty.error : null));
  if (section.folded) return h('details', { class: 'section', key: section.title }, h('summary', null, section.title), body);
  return h('div', { class: 'section', key: section.title ?? '' }, section.title && h('h2', null, section.title), body);
}

function row(field, value, error) {
  const id = `field-${field.name.replaceAll('.', '-')}`;
  const told = [field.help && `${id}-help`, error && `${id}-error`].filter(Boolean).join(' ');
  const attrs = { id, name: field.name, 'aria-describedby': told || null, 'aria-invalid': error ? 'true' : null };
  const group = field.kind === 'checks';
  return h(group ? 'fieldset' : 'div', { class: `field ${field.kind ?? 'text'}`, key: field.name },
    h(group ? 'legend' : 'label', group ? null : { for: id }, field.label, field.required && h('span', { class: 'required', title: t('form.required') }, ' *')),
    h('div', { class: 'control' }, input(field, value, attrs), field.unit && h('span', { class: 'unit' }, field.unit)),
    field.help && h('p', { class: 'help', id: `${id}-help` }, field.help),
    error && h('p', { class: 'field-error', id: `${id}-error` }, said(error.detail || error.title), ' ', said(error.hint, { class: 'hint' })));
}

function input(field, value, attrs) {
  const common = { ...attrs, readonly: field.fixed, 'aria-required': field.required ? 'true' : null, autocomplete: field.autocomplete ?? 'off' };
  switch (field.kind) {
    case 'select':
      return h('select', { ...attrs, value: value ?? '', disabled: field.fixed },
        field.options.map(([option, label]) => h('option', { value: option, key: option }, label)));
    case 'check':
      return h('input', { ...attrs, type: 'checkbox', checked: Boolean(value) });
    case 'checks':
      return field.options.length ? field.options.map(([option, label]) => h('label', { class: 'choice', key: option },
        h('input', { ...attrs, id: null, type: 'checkbox', value: option, checked: (value ?? []).includes(option) }), ' ', label)) : h('p', { class: 'muted' }, field.none);
    case 'lines':
      return h('textarea', { ...common, rows: field.rows ?? 3, value: (value ?? []).join('\n'), spellcheck: 'false', placeholder: field.placeholder });
    case 'number':
      return h('input', { ...common, type: 'number', inputmode: 'numeric', min: field.min, max: field.max, value: value ?? '' });
    default:
      return h('input', { ...common, type: field.kind ?? 'text', value: value ?? '', spellcheck: 'false', placeholder: field.placeholder });
  }
}

/** Lays what is typed in one field over `object`. Hidden fields keep what was there. */
function take(object, field, root) {
  const inputs = [...root.elements].filter((el) => el.name === field.name);
  if (!inputs.length) return object;
  const [first] = inputs;
  if (field.kind === 'checks') set(object, field.name, inputs.filter((el) => el.checked).map((el) => el.value));
  else if (field.kind === 'check') set(object, field.name, first.checked);
  else if (field.kind === 'lines') set(object, field.name, first.value.split('\n').map((line) => line.trim()).filter(Boolean));
  else if (field.kind === 'number') set(object, field.name, first.value === '' ? undefined : Number(first.value));
  else set(object, field.name, field.kind === 'password' ? first.value : first.value.trim());
  return object;
}

