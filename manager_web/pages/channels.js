// Channels: the first page. The health of everything in one strip, each channel's live state, delay and rows/s, and its commands.

import { call } from '../api.js';
import { editing, found, remove, search } from '../collection.js';
import { commands } from '../commands.js';
import { number, seconds } from '../format.js';
import { guide, steps, survey } from '../guide.js';
import { t } from '../i18n.js';
import { live, pipelines } from '../live.js';
import { button, h, link, path, table } from '../ui.js';
import { badge, stateBadge, statusBadge } from '../words.js';

export async function open(params, ctx) {
  const channels = await call('GET', ['channels']);
  const all = await survey(channels);
  const drop = (row) => remove({ parts: ['channels', row.name], ctx, title: t('ask.delete', { name: row.name }), consequence: t('channel.delete') });
  return {
    title: t('nav.channels'),
    lead: t('channel.lead'),
    actions: () => [channels.length > 5 && search(ctx), link('#/channels/+new', t('channel.add'), { class: 'button primary' })],
    view: () => [
      health(),
      guide(steps(all, live.status)),
      h('section', { class: 'panel' }, table({
        caption: t('nav.channels'), rows: found(ctx, channels), key: (row) => row.name, columns: columns(ctx, drop),
        empty: channels.length ? t('empty.search') : t('channel.empty'),
      })),
    ],
  };
}

const viewOf = (name) => live.status?.channels.find((row) => row.name === name);

/** One cell with a line for each pipeline of the channel, aligned across the row. */
const each = (row, line) => h('div', { class: 'stack' }, (row.pipelines ?? []).map((pipeline) => {
  const view = viewOf(row.name)?.pipelines.find((other) => other.name === pipeline.name);
  return h('div', { key: pipeline.name }, line(pipeline, view));
}));

/** A pipeline that stands on purpose has no delay and no rate. */
const moves = (view) => view && !['stopped', 'paused'].includes(view.state);

const columns = (ctx, drop) => [
  { head: 'Channel', cell: (row) => [link(path('channels', row.name), row.name, { class: 'strong' }), row.description && h('div', { class: 'muted' }, row.description)] },
  { head: t('col.status'), cell: (row) => (viewOf(row.name) ? statusBadge(viewOf(row.name).status) : badge('idle', '◌', t('zookeeper.unknown'))) },
  { head: 'Pipeline', cell: (row) => each(row, (pipeline) => [link(path('channels', row.name, 'pipelines', pipeline.name), pipeline.name), h('span', { class: 'muted' }, ` ${pipeline.source} → ${pipeline.target}`)]) },
  { head: t('col.state'), cell: (row) => each(row, (pipeline, view) => (view ? stateBadge(view.state) : '–')) },
  { head: t('field.delay'), kind: 'num', cell: (row) => each(row, (pipeline, view) => (moves(view) ? seconds(view.delay) : '–')) },
  { head: t('field.rows_per_second'), kind: 'num', cell: (row) => each(row, (pipeline, view) => (moves(view) ? number(view.rowsPerSecond, 1) : '–')) },
  {
    head: t('col.actions'), kind: 'actions',
    cell: (row) => [
      commands(row.name, viewOf(row.name)?.status, ctx, 'small'),
      link(`${path('channels', row.name)}/+edit`, t('do.edit'), { class: 'button small', 'aria-label': `${t('do.edit')} ${row.name}` }),
      button(t('do.delete'), () => drop(row), { class: 'small danger-text', 'data-do': 'delete', 'aria-label': `${t('do.delete')} ${row.name}` }),
    ],
  },
];

/** Nodes, ZooKeeper, pipelines and the worst delay, in one line that says what is wrong first. */
function health() {
  const { status } = live;
  if (!status) return null;
  const alive = status.nodes.filter((node) => node.alive).length;
  const keepers = Object.values(status.zookeeper);
  const connected = keepers.filter((words) => !words).length;
  const running = pipelines();
  const moving = running.filter(moves);
  const trouble = running.filter((view) => ['held up', 'failed'].includes(view.state));
  const worst = moving.reduce((most, view) => (view.delay > (most?.delay ?? -1) ? view : most), null);
  return h('div', { class: 'tiles health' },
    tile(t('nav.nodes'), `${alive} / ${status.nodes.length}`, alive < status.nodes.length ? badge('warn', '▲', t('health.nodes_down')) : status.nodes.length > 0 && badge('good', '●', t('health.nodes_up'))),
    tile(t('nav.zookeepers'), `${connected} / ${keepers.length}`, connected < keepers.length ? badge('bad', '✕', t('zookeeper.lost')) : keepers.length > 0 && badge('good', '●', t('zookeeper.connected'))),
    tile('Pipeline', String(running.length), trouble.length ? badge('bad', '▲', t('health.trouble', { names: trouble.map((view) => view.name).join(', ') })) : running.length > 0 && badge('good', '●', t('health.no_trouble'))),
    tile(t('health.worst_delay'), worst ? seconds(worst.delay) : '–', worst && h('span', { class: 'muted' }, worst.name)),
    tile(t('field.rows_per_second'), number(moving.reduce((sum, view) => sum + view.rowsPerSecond, 0), 1)));
}

const tile = (name, value, below) => h('div', { class: 'tile' }, h('div', { class: 'tile-name' }, name), h('div', { class: 'tile-value' }, value), below);

export const edit = editing({
  path: 'channels', title: 'nav.channels', add: 'channel.add',
  blank: () => ({ name: '', description: '' }),
  body: ({ pipelines, ...values }) => values, // those that are not named stay; they have their own form
  after: (saved) => path('channels', saved.name),
  sections: ({ isNew }) => [{ fields: [
    { name: 'name', label: t('field.name'), required: true, fixed: !isNew, help: t('help.name') },
    { name: 'description', label: t('field.description') },
  ] }],
});
