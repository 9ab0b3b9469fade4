// One pipeline, live: the picture, its numbers with sparklines, and the tables that say the same in words.

import { ago, bytes, moment, number, rate, seconds } from './format.js';
import { t } from './i18n.js';
import { live } from './live.js';
import { picture } from './picture.js';
import { spark } from './spark.js';
import { heldAt } from './stages.js';
import { h, table } from './ui.js';
import { badge, said, stateBadge } from './words.js';

export const viewOf = (channel, name) =>
  live.status?.channels.find((row) => row.name === channel)?.pipelines.find((row) => row.name === name);

/** What a pipeline is doing, in the two lines above its picture. */
export function stateLine(view) {
  if (!view) return h('p', { class: 'muted' }, t('pipeline.no_report'));
  const held = heldAt(view);
  return h('p', { class: 'state-line' }, stateBadge(view.state), held && badge('warn', '▲', `${t('picture.held')}: ${t(`stage.${held}`)}`), said(view.words),
    view.lastError && h('span', { class: 'last-error' }, `${t('field.last_error')} (${ago(view.lastErrorAt, live.status.at)}): `, said(view.lastError)));
}

export function drawing(view) {
  return view && h('figure', { class: 'figure' }, picture(view, live.status.at));
}

export function numbers(view) {
  if (!view) return null;
  const samples = live.history.get(view.id) ?? [];
  return h('div', { class: 'tiles' },
    tile(t('field.delay'), seconds(view.delay), spark(t('field.delay'), samples.map((s) => s.delay), seconds)),
    tile(t('field.rows_per_second'), number(view.rowsPerSecond, 1), spark(t('field.rows_per_second'), samples.map((s) => s.rows), rate)),
    tile(t('field.delay_p50_p99'), `${seconds(view.delayP50)} / ${seconds(view.delayP99)}`),
    tile(t('field.rows'), number(view.rows)),
    tile(t('field.batches'), h('span', { class: 'tile-text' }, t('pipeline.batches', { memory: number(view.batchesMemory), inline: number(view.batchesInline), file: number(view.batchesFile) }))),
    tile(t('field.conflicts_parked'), `${number(view.conflicts)} / ${number(view.parked)}`, view.parked ? badge('warn', '▲', t('pipeline.parked')) : null));
}

const tile = (name, value, below) => h('div', { class: 'tile' }, h('div', { class: 'tile-name' }, name), h('div', { class: 'tile-value' }, value), below);

const STAGES = [['source', 'head'], ['select', 'selected'], ['extract', 'extracted'], ['pipe', 'shipped'], ['load', 'loaded'], ['target', 'acked']];

export function stageTable(view) {
  if (!view) return null;
  const held = heldAt(view);
  return table({
    caption: t('pipeline.stages'), rows: STAGES.map(([station, report]) => ({ station, report, ...view[report] })), key: (row) => row.station,
    rowClass: (row) => (row.station === held ? 'held' : ''),
    columns: [
      { head: t('col.stage'), cell: (row) => [t(`report.${row.report}`), row.station === held && [' ', badge('warn', '▲', t('picture.held'))]] },
      { head: t('col.batch'), kind: 'num', cell: (row) => (row.report === 'head' ? '–' : `#${row.number}`) },
      { head: t('col.position'), kind: 'mono', cell: (row) => row.position || '–' },
      { head: t('col.moved'), cell: (row) => (row.at ? [ago(row.at, live.status.at), ' · ', moment(row.at)] : '–') },
    ],
  });
}

export function batchTable(view) {
  if (!view) return null;
  return table({
    caption: t('pipeline.in_flight'), rows: view.inFlight, key: (row) => row.number, empty: t('pipeline.nothing_in_flight'),
    columns: [
      { head: t('col.batch'), kind: 'num', cell: (row) => `#${row.number}` },
      { head: t('col.stage'), cell: (row) => t(`report.${row.stage}`) },
      { head: t('col.pipe'), cell: (row) => h('span', { class: `kind ${row.pipe}` }, t(`pipe.${row.pipe || 'none'}`)) },
      { head: t('field.rows'), kind: 'num', cell: (row) => number(row.rows) },
      { head: t('col.size'), kind: 'num', cell: (row) => bytes(row.size) },
      { head: t('col.to_node'), cell: (row) => nodeName(row.nid) },
      { head: t('col.age'), kind: 'num', cell: (row) => seconds(row.age) },
    ],
  });
}

const nodeName = (nid) => (nid ? live.status.nodes.find((node) => node.nid === nid)?.name ?? `nid ${nid}` : '–');

/** The processes of a pipeline or of a node. `named`: adds the pipeline's name to each. */
export function sideTable(sides, named) {
  const columns = [
    named && { head: 'Pipeline', cell: (row) => named(row.pipelineId) },
    { head: t('col.side'), cell: (row) => t(`side.${row.side}`) },
    !named && { head: t('col.node'), cell: (row) => nodeName(row.nid) },
    { head: t('col.state'), cell: (row) => [stateBadge(row.state), ' ', said(row.words, { class: 'muted' })] },
    { head: 'pid', kind: 'num', cell: (row) => row.pid },
    { head: t('col.memory'), kind: 'num', cell: (row) => bytes(row.rss) },
    { head: 'epoch', kind: 'num', cell: (row) => row.epoch },
    { head: t('field.last_error'), cell: (row) => (row.lastError ? [said(row.lastError), ' ', h('span', { class: 'muted' }, ago(row.lastErrorAt, live.status.at))] : '–') },
  ];
  return table({ caption: t('pipeline.sides'), columns: columns.filter(Boolean), rows: sides, key: (row) => `${row.nid} ${row.pipelineId} ${row.side}`, empty: t('pipeline.no_sides') });
}
