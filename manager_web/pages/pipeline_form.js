// Add or edit a pipeline: from where to where, on which nodes, from which position, and Otter's parameters.

import { call } from '../api.js';
import { form } from '../form.js';
import { t } from '../i18n.js';
import { parameterDefaults, parameterFields, startKind } from '../parameters.js';
import { h, path, toast } from '../ui.js';

const blank = () => ({ name: '', source: '', target: '', selectNodes: [], loadNodes: [], pairs: [], start: {}, parameters: {}, description: '' });

export async function open({ channel, pipeline: name }, ctx) {
  const isNew = name === undefined;
  const [stored, sources, nodes] = await Promise.all([
    isNew ? blank() : call('GET', ['channels', channel, 'pipelines', name]), call('GET', ['data-sources']), call('GET', ['nodes']),
  ]);
  const values = { ...stored, parameters: { ...parameterDefaults(), ...stored.parameters }, startKind: startKind(stored.start) };
  const save = async (typed) => {
    const body = { ...typed, start: startOf(typed) };
    delete body.startKind;
    if (!isNew) delete body.pairs; // they are changed one by one; another user may just be doing it
    if (isNew) await call('POST', ['channels', channel, 'pipelines'], { body });
    else await call('PUT', ['channels', channel, 'pipelines', name], { body });
    toast(t('done.saved'));
    ctx.go(path('channels', channel, 'pipelines', body.name));
  };
  const sheet = form({
    sections: sections(isNew, sources, nodes), values, save, redraw: ctx.redraw,
    cancel: isNew ? path('channels', channel) : path('channels', channel, 'pipelines', name),
  });
  return {
    title: isNew ? t('pipeline.add') : t('pipeline.edit', { name }),
    crumbs: [['#/channels', t('nav.channels')], [path('channels', channel), channel]],
    view: () => h('section', { class: 'panel' }, sheet.view()),
  };
}

/** Only what belongs to the chosen way of starting is sent. */
function startOf({ startKind: kind, start = {} }) {
  if (kind === 'gtid') return { gtid: start.gtid };
  if (kind === 'file') return { file: start.file, offset: start.offset ?? 4 };
  return kind === 'time' ? { time: start.time } : {};
}

function sections(isNew, sources, nodes) {
  const databases = [['', t('form.choose')], ...sources.map((row) => [row.name, `${row.name} (${row.host}:${row.port})`])];
  const workers = nodes.map((row) => [row.name, `${row.name} (nid ${row.nid}, ${row.ip})`]);
  return [
    { title: t('pipeline.way'), fields: [
      { name: 'name', label: t('field.name'), required: true, fixed: !isNew, help: t('help.name') },
      { name: 'source', label: t('field.source'), kind: 'select', required: true, options: databases },
      { name: 'target', label: t('field.target'), kind: 'select', required: true, options: databases },
      { name: 'selectNodes', label: t('field.select_nodes'), kind: 'checks', required: true, options: workers, none: t('node.none'), help: t('help.select_nodes') },
      { name: 'loadNodes', label: t('field.load_nodes'), kind: 'checks', required: true, options: workers, none: t('node.none'), help: t('help.load_nodes') },
      { name: 'description', label: t('field.description') },
    ] },
    { title: t('field.start'), fields: startFields() },
    { title: t('pipeline.parameters'), folded: true, fields: parameterFields() },
  ];
}

const startFields = () => [
  { name: 'startKind', label: t('field.start_kind'), kind: 'select', options: ['now', 'gtid', 'file', 'time'].map((kind) => [kind, t(`start.${kind}`)]), help: t('help.start') },
  { name: 'start.gtid', label: 'GTID', placeholder: '0-1-42', when: (now) => now.startKind === 'gtid', required: true },
  { name: 'start.file', label: t('field.binlog_file'), placeholder: 'binlog.000012', when: (now) => now.startKind === 'file', required: true },
  { name: 'start.offset', label: t('field.binlog_offset'), kind: 'number', min: 4, when: (now) => now.startKind === 'file' },
  { name: 'start.time', label: t('field.time'), placeholder: '2026-11-23T08:00:00+08:00', help: t('help.time'), when: (now) => now.startKind === 'time', required: true },
];
