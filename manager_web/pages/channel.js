// A channel: its commands, and each pipeline drawn with what it is doing right now.

import { call } from '../api.js';
import { remove } from '../collection.js';
import { commands } from '../commands.js';
import { t } from '../i18n.js';
import { live } from '../live.js';
import { drawing, numbers, stageTable, stateLine, viewOf } from '../pipeline_panel.js';
import { button, h, link, path } from '../ui.js';
import { statusBadge } from '../words.js';

export async function open(params, ctx) {
  const channel = await call('GET', ['channels', params.channel]);
  const status = () => live.status?.channels.find((row) => row.name === channel.name)?.status;
  const pipelines = channel.pipelines ?? [];
  return {
    title: channel.name,
    crumbs: [['#/channels', t('nav.channels')]],
    lead: channel.description,
    actions: () => [
      status() && statusBadge(status()), commands(channel.name, status(), ctx),
      link(`#/doctor?channel=${encodeURIComponent(channel.name)}`, t('nav.doctor'), { class: 'button' }),
      pipelines.length < 2 && link(`${path('channels', channel.name)}/+new`, t('pipeline.add'), { class: `button ${pipelines.length ? '' : 'primary'}` }),
    ],
    view: () => (pipelines.length ? pipelines.map((pipeline) => panel(channel.name, pipeline, ctx)) : h('section', { class: 'panel' }, h('div', { class: 'empty' }, t('pipeline.empty'), ' ', link(`${path('channels', channel.name)}/+new`, t('pipeline.add'))))),
  };
}

function panel(channel, pipeline, ctx) {
  const view = viewOf(channel, pipeline.name);
  const here = path('channels', channel, 'pipelines', pipeline.name);
  const drop = () => remove({ parts: ['channels', channel, 'pipelines', pipeline.name], ctx, title: t('ask.delete', { name: pipeline.name }), consequence: t('pipeline.delete') });
  return h('section', { class: 'panel', key: pipeline.name },
    h('header', { class: 'panel-head' },
      h('h2', null, link(here, pipeline.name), h('span', { class: 'muted' }, ` ${pipeline.source} → ${pipeline.target}`)),
      h('div', { class: 'actions' }, link(here, `${t('pair.title')} (${pipeline.pairs?.length ?? 0})`, { class: 'button small' }),
        link(`${here}/+edit`, t('do.edit'), { class: 'button small', 'aria-label': `${t('do.edit')} ${pipeline.name}` }),
        button(t('do.delete'), drop, { class: 'small danger-text', 'data-do': 'delete', 'aria-label': `${t('do.delete')} ${pipeline.name}` }))),
    stateLine(view), drawing(view), numbers(view), stageTable(view));
}

