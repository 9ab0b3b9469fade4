// A pipeline in full: the picture, every table of it, its mapping pairs and its parameters.

import { call } from '../api.js';
import { found, remove, search } from '../collection.js';
import { t } from '../i18n.js';
import { PARAMETERS, startWords } from '../parameters.js';
import { batchTable, drawing, numbers, sideTable, stageTable, stateLine, viewOf } from '../pipeline_panel.js';
import { button, facts, h, link, panel, path, table } from '../ui.js';

export async function open({ channel, pipeline: name }, ctx) {
  const pipeline = await call('GET', ['channels', channel, 'pipelines', name]);
  const here = path('channels', channel, 'pipelines', name);
  const live = (title, body) => panel(title, null, body);
  return {
    title: name,
    crumbs: [['#/channels', t('nav.channels')], [path('channels', channel), channel]],
    lead: [pipeline.source, ' → ', pipeline.target, pipeline.description && ` · ${pipeline.description}`].filter(Boolean).join(''),
    actions: () => link(`${here}/+edit`, t('do.edit'), { class: 'button' }),
    view: () => {
      const view = viewOf(channel, name);
      return [
        h('section', { class: 'panel', key: 'live' }, stateLine(view), drawing(view), numbers(view), stageTable(view)),
        view && live(t('pipeline.in_flight'), batchTable(view)),
        pairList({ channel, pipeline, here, ctx }),
        view && live(t('pipeline.sides'), sideTable(view.sides)),
        panel(t('pipeline.configuration'), link(`${here}/+edit`, t('do.edit'), { class: 'button small' }), settings(pipeline)),
      ];
    },
  };
}

function pairList({ channel, pipeline, here, ctx }) {
  const pairs = pipeline.pairs ?? [];
  const parts = (pair) => ['channels', channel, 'pipelines', pipeline.name, 'pairs', pair.source];
  const drop = (pair) => remove({ parts: parts(pair), ctx, title: t('ask.delete', { name: pair.source }), consequence: t('pair.delete') });
  const add = [
    pairs.length > 5 && search(ctx),
    link(`${here}/pairs/+new`, t('pair.add'), { class: 'button small primary' }), link(`${here}/pairs/+batch`, t('pair.batch'), { class: 'button small' }),
  ];
  return panel(`${t('pair.title')} (${pairs.length})`, add, table({
    caption: t('pair.title'), rows: found(ctx, pairs), key: (pair) => pair.source, empty: pairs.length ? t('empty.search') : t('pair.empty'),
    columns: [
      { head: t('pair.source'), kind: 'mono', cell: (pair) => pair.source },
      { head: t('pair.target'), kind: 'mono', cell: (pair) => (pair.target && pair.target !== pair.source ? pair.target : [pair.source, h('span', { class: 'muted' }, ` ${t('pair.same')}`)]) },
      { head: t('pair.weight'), kind: 'num', cell: (pair) => pair.pushWeight },
      { head: t('col.actions'), kind: 'actions', cell: (pair) => [
        link(`${path('channels', channel, 'pipelines', pipeline.name, 'pairs', pair.source)}/+edit`, t('do.edit'), { class: 'button small', 'aria-label': `${t('do.edit')} ${pair.source}` }),
        button(t('do.delete'), () => drop(pair), { class: 'small danger-text', 'data-do': 'delete', 'aria-label': `${t('do.delete')} ${pair.source}` }),
      ] },
    ],
  }));
}

const settings = (pipeline) => facts([
  [t('field.select_nodes'), pipeline.selectNodes.join(', ')],
  [t('field.load_nodes'), pipeline.loadNodes.join(', ')],
  [t('field.start'), startWords(pipeline.start)],
  ...PARAMETERS.map((field) => [`${t(`parameter.${field.name}`)}`, shown(pipeline.parameters?.[field.name] ?? field.default, field)]),
]);

const shown = (value, field) => `${typeof value === 'boolean' ? t(value ? 'form.yes' : 'form.no') : value}${field.unit ? ` ${field.unit}` : ''}`;
