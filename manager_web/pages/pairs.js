// Mapping pairs: one by a form, many by lines of `schema,table`.

import { Problem, call } from '../api.js';
import { form } from '../form.js';
import { t } from '../i18n.js';
import { h, path, toast } from '../ui.js';
import { said } from '../words.js';

const crumbs = (channel, pipeline) => [['#/channels', t('nav.channels')], [path('channels', channel), channel], [path('channels', channel, 'pipelines', pipeline), pipeline]];

const parts = (channel, pipeline, ...more) => ['channels', channel, 'pipelines', pipeline, 'pairs', ...more];

export async function open({ channel, pipeline, source }, ctx) {
  const isNew = source === undefined;
  const stored = isNew ? [] : await call('GET', parts(channel, pipeline));
  const values = stored.find((pair) => pair.source === source) ?? { source: source ?? '', target: '', pushWeight: 5 };
  const back = path('channels', channel, 'pipelines', pipeline);
  const save = async (body) => {
    if (isNew) await call('POST', parts(channel, pipeline), { body });
    else await call('PUT', parts(channel, pipeline, source), { body });
    toast(t('done.saved'));
    ctx.go(back);
  };
  const sheet = form({ values, save, cancel: back, redraw: ctx.redraw, sections: [{ fields: [
    { name: 'source', label: t('pair.source'), required: true, fixed: !isNew, placeholder: 'shop.orders', help: t('help.pair_source') },
    { name: 'target', label: t('pair.target'), placeholder: 'shop.orders', help: t('help.pair_target') },
    { name: 'pushWeight', label: t('pair.weight'), kind: 'number', min: 0, help: t('help.push_weight') },
  ] }] });
  return { title: isNew ? t('pair.add') : source, crumbs: crumbs(channel, pipeline), view: () => h('section', { class: 'panel' }, sheet.view()) };
}

export async function batch({ channel, pipeline }, ctx) {
  const back = path('channels', channel, 'pipelines', pipeline);
  let refused = [];
  const save = async ({ lines, pushWeight }) => {
    const pairs = lines.map((line) => pairOf(line, pushWeight));
    refused = [];
    for (const pair of pairs) await call('POST', parts(channel, pipeline), { body: pair }).catch((error) => refused.push([pair, error]));
    toast(t('pair.added', { count: pairs.length - refused.length }));
    if (refused.length) ctx.redraw();
    else ctx.go(back);
  };
  const sheet = form({ values: { lines: [], pushWeight: 5 }, save, saveLabel: t('pair.batch'), cancel: back, redraw: ctx.redraw, sections: [{ fields: [
    { name: 'lines', label: t('pair.lines'), kind: 'lines', rows: 10, required: true, placeholder: 'shop,orders\nshop,customers', help: t('help.pair_lines') },
    { name: 'pushWeight', label: t('pair.weight'), kind: 'number', min: 0, help: t('help.push_weight') },
  ] }] });
  return {
    title: t('pair.batch'), crumbs: crumbs(channel, pipeline),
    view: () => [h('section', { class: 'panel' }, sheet.view()), refused.length > 0 && refusals(refused)],
  };
}

const refusals = (refused) => h('section', { class: 'panel', role: 'alert' }, h('h2', null, t('pair.refused')),
  h('ul', null, refused.map(([pair, error]) => h('li', null, h('code', null, pair.source), ' – ', said(error.detail || error.title), ' ', said(error.hint)))));

/** `schema,table`, `schema.table`, or four parts with the target's schema and table. Throws a Problem that names the line. */
function pairOf(line, pushWeight) {
  const words = line.split(/[,，.\t ]+/).filter(Boolean);
  if (words.length !== 2 && words.length !== 4) throw new Problem({ status: 422, field: 'lines', detail: t('pair.bad_line', { line }) });
  const [schema, table, targetSchema, targetTable] = words;
  return { source: `${schema}.${table}`, target: targetSchema ? `${targetSchema}.${targetTable}` : '', pushWeight };
}
