// Lists and forms that all objects share: search in the address, add, edit, delete with a question.

import { call } from './api.js';
import { form } from './form.js';
import { t } from './i18n.js';
import { ask, h, link, path, table, toast } from './ui.js';
import { equivalent, problem, shell } from './words.js';

/** A search box whose text lives in the address (`?q=`). */
export function search(ctx) {
  return h('div', { class: 'search' }, h('label', { class: 'unseen', for: 'search' }, t('do.search')),
    h('input', { id: 'search', type: 'search', placeholder: t('do.search'), value: ctx.query.get('q') ?? '', oninput: (event) => ctx.setQuery('q', event.target.value) }));
}

/** The rows that hold the searched text anywhere. */
export function found(ctx, rows) {
  const text = (ctx.query.get('q') ?? '').toLowerCase();
  return text ? rows.filter((row) => JSON.stringify(row).toLowerCase().includes(text)) : rows;
}

/** What a user without the console would type to delete it. */
export function curlDelete(parts) {
  const url = new URL(`api/v1/${parts.map(encodeURIComponent).join('/')}`, document.baseURI);
  return `curl -X DELETE -H "Authorization: Bearer $OTTER_TOKEN" ${shell(url.href)}`;
}

/** Asks, deletes, and goes to `after` (or reloads the page). */
export async function remove({ parts, title, consequence, ctx, after }) {
  const done = await ask({
    title,
    body: [h('p', null, consequence), equivalent(curlDelete(parts))],
    yes: t('do.delete'), no: t('do.cancel'), danger: true, problem,
    act: () => call('DELETE', parts),
  });
  if (!done) return;
  toast(t('done.deleted'));
  if (after) ctx.go(after);
  else ctx.reload();
}

/**
 * A page that lists one kind of object. `spec`: {path, title, columns(ctx), identity(row), consequence, empty(), lead}.
 */
export const listing = (spec) => async (params, ctx) => {
  const rows = await call('GET', [spec.path]);
  const drop = (row) => remove({
    parts: [spec.path, spec.identity(row)], ctx, title: t('ask.delete', { name: spec.identity(row) }), consequence: t(spec.consequence),
  });
  const actions = {
    head: t('col.actions'), kind: 'actions',
    cell: (row) => [
      link(`${path(spec.path, spec.identity(row))}/+edit`, t('do.edit'), { class: 'button small', 'aria-label': `${t('do.edit')} ${spec.identity(row)}` }),
      h('button', { type: 'button', class: 'small danger-text', 'data-do': 'delete', onclick: () => drop(row), 'aria-label': `${t('do.delete')} ${spec.identity(row)}` }, t('do.delete')),
    ],
  };
  return {
    title: t(spec.title),
    lead: t(spec.lead),
    actions: () => [rows.length > 5 && search(ctx), link(`#/${spec.path}/+new`, t('do.add'), { class: 'button primary' })],
    view: () => h('section', { class: 'panel' }, table({
      caption: t(spec.title), columns: [...spec.columns(ctx), actions], rows: found(ctx, rows), key: spec.identity,
      empty: rows.length ? t('empty.search') : spec.empty(),
    })),
  };
};

/**
 * A page that adds or edits one object. `spec`: {path, title, add, blank(), sections({object, isNew, more}), load() -> more, after(object),
 * body(values, isNew), extra(read, ctx), below()}. `params.name` is the object's address, missing for a new one.
 */
export const editing = (spec) => async (params, ctx) => {
  const isNew = params.name === undefined;
  const [object, more] = await Promise.all([isNew ? spec.blank(ctx) : call('GET', [spec.path, params.name]), spec.load?.()]);
  const save = async (values) => {
    const body = spec.body?.(values, isNew) ?? values;
    const saved = await (isNew ? call('POST', [spec.path], { body }) : call('PUT', [spec.path, params.name], { body }));
    toast(t('done.saved'));
    ctx.go(spec.after?.(saved ?? values) ?? `#/${spec.path}`);
  };
  const sheet = form({
    sections: spec.sections({ object, isNew, more }), values: object, save, cancel: `#/${spec.path}`, redraw: ctx.redraw,
    extra: (read) => spec.extra?.(read, ctx),
  });
  return {
    title: isNew ? t(spec.add) : params.name,
    crumbs: [[`#/${spec.path}`, t(spec.title)]],
    view: () => [h('section', { class: 'panel' }, sheet.view()), spec.below?.()],
  };
};
