// Batch files of each node's htdocs/ and download/, and what is inside one: header, tables, rows by the page.

import { call } from '../api.js';
import { found, search } from '../collection.js';
import { bytes, moment, number } from '../format.js';
import { t } from '../i18n.js';
import { live } from '../live.js';
import { button, facts, h, link, panel, path, table } from '../ui.js';
import { equivalent, problem, shell } from '../words.js';

const PAGE = 100; // rows of a batch on one page

export async function open({ node }, ctx) {
  const nodes = await call('GET', ['nodes']);
  const chosen = node ?? nodes.find((row) => live.status?.nodes.find((view) => view.name === row.name)?.alive)?.name ?? nodes[0]?.name;
  const asked = chosen ? await listOf(chosen) : { files: [] };
  return {
    title: t('nav.files'),
    lead: t('file.lead'),
    actions: () => [asked.files?.length > 5 && search(ctx), button(t('do.refresh'), ctx.reload)],
    view: () => (chosen ? [
      h('nav', { class: 'tabs', 'aria-label': t('nav.nodes') }, nodes.map((row) => link(path('files', row.name), row.name, { key: row.name, 'aria-current': row.name === chosen ? 'page' : null }))),
      asked.error ? problem(asked.error) : ['htdocs', 'download'].map((folder) => folderPanel(ctx, chosen, folder, asked.files)),
    ] : h('div', { class: 'empty' }, t('node.empty'), ' ', link('#/nodes/+new', t('node.add')))),
  };
}

/** A node that does not answer must not take the page away: the other nodes' tabs stay. */
async function listOf(node) {
  try {
    return { files: await call('GET', ['nodes', node, 'files']) };
  } catch (error) {
    if (error.status === 401) throw error;
    return { error };
  }
}

function folderPanel(ctx, node, folder, files) {
  const here = files.filter((file) => file.folder === folder);
  const total = here.reduce((sum, file) => sum + file.size, 0);
  return panel(`${folder}/`, h('span', { class: 'muted' }, t('file.total', { count: number(here.length), size: bytes(total) })), h('p', { class: 'muted' }, t(`file.${folder}`)), table({
    caption: `${folder}/`, rows: found(ctx, here).sort((a, b) => b.at - a.at), key: (file) => file.name, empty: here.length ? t('empty.search') : t('file.none'),
    columns: [
      { head: t('col.file'), kind: 'mono', cell: (file) => link(path('files', node, folder, file.name), file.name) },
      { head: t('col.size'), kind: 'num', cell: (file) => bytes(file.size) },
      { head: t('field.time'), cell: (file) => moment(file.at) },
    ],
  }));
}

export async function content({ node, folder, file }, ctx) {
  const offset = Number(ctx.query.get('offset') ?? 0);
  const batch = await call('GET', ['nodes', node, 'files', folder, file], { query: { offset, limit: PAGE } });
  const rows = batch.rows ?? [];
  const total = batch.header?.rows ?? offset + rows.length;
  return {
    title: file,
    crumbs: [[path('files'), t('nav.files')], [path('files', node), node]],
    lead: `${folder}/`,
    view: () => [
      panel(t('file.header'), null, facts(Object.entries(batch.header ?? {}).map(([name, value]) => [name, headerValue(name, value)]), { lang: 'en' }), equivalent(`otter inspect ${shell(`${folder}/${file}`)} --json --offset ${offset} --rows ${PAGE}`)),
      panel(t('file.tables'), null, tablesOf(batch.tables ?? [])),
      panel(t('file.rows'), pager(path('files', node, folder, file), offset, rows.length, total), rowsOf(rows)),
    ],
  };
}

/** A value of a row: NULL, text, a number, bytes as {hex}, or what was cut off as {text|hex, length, cut}. */
function plain(value) {
  if (value === null || value === undefined) return 'NULL';
  if (typeof value !== 'object') return String(value);
  const text = value.text ?? (value.hex === undefined ? JSON.stringify(value) : `0x${value.hex}`);
  return value.cut ? `${text}… (${number(value.length)})` : text;
}

const MOMENTS = ['committed', 'made'];
const SIZES = ['size', 'packed', 'raw'];

function headerValue(name, value) {
  if (MOMENTS.includes(name)) return moment(value);
  return SIZES.includes(name) ? bytes(value) : plain(value);
}

const tablesOf = (tables) => table({
  caption: t('file.tables'), rows: tables, key: (row) => row.table, empty: t('file.no_tables'),
  columns: [
    { head: t('field.table'), kind: 'mono', cell: (row) => row.table },
    { head: t('file.columns'), kind: 'mono', cell: (row) => row.columns.map((column, i) => [i ? ', ' : '', column.key ? h('strong', { title: t('file.key') }, `${column.name}*`) : column.name]) },
    { head: t('kind.insert'), kind: 'num', cell: (row) => number(row.inserts) },
    { head: t('kind.update'), kind: 'num', cell: (row) => number(row.updates) },
    { head: t('kind.delete'), kind: 'num', cell: (row) => number(row.deletes) },
  ],
});

const rowsOf = (rows) => table({
  caption: t('file.rows'), rows, empty: t('file.no_rows'),
  columns: [
    { head: t('file.transaction'), kind: 'mono', cell: (row) => row.gtid || row.transaction },
    { head: t('file.change'), cell: (row) => h('span', { class: `change ${row.kind}` }, kindWord(row.kind)) },
    { head: t('field.table'), kind: 'mono', cell: (row) => row.table },
    { head: t('file.before'), kind: 'mono wide', cell: (row) => image(row.before, row.after) },
    { head: t('file.after'), kind: 'mono wide', cell: (row) => image(row.after, row.before) },
  ],
});

const KINDS = { insert: 'kind.insert', update: 'kind.update', delete: 'kind.delete' };
const kindWord = (kind) => { const key = KINDS[String(kind).toLowerCase()]; return key ? t(key) : plain(kind); };

/** A row image; what differs from the other image is marked by weight and underline, not by colour alone. */
function image(values, other) {
  if (!values || !Object.keys(values).length) return '–';
  return Object.entries(values).map(([name, value], i) => {
    const differs = other && Object.keys(other).length > 0 && JSON.stringify(other[name]) !== JSON.stringify(value);
    const text = Array.isArray(values) ? plain(value) : `${name}=${plain(value)}`;
    return [i ? ', ' : '', h('span', { class: differs ? 'differs' : '' }, text)];
  });
}

function pager(here, offset, shown, total) {
  const to = (place) => `${here}?offset=${place}`;
  return h('nav', { class: 'pager', 'aria-label': t('file.pages') },
    h('span', null, t('file.range', { from: number(shown ? offset + 1 : 0), to: number(offset + shown), all: number(total) })),
    offset > 0 && link(to(Math.max(0, offset - PAGE)), t('file.earlier'), { class: 'button small' }),
    offset + shown < total && link(to(offset + PAGE), t('file.later'), { class: 'button small' }));
}
