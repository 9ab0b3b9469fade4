// Nodes: alive or not (已启动/未启动), the number that goes into conf/nid, and what each is doing.

import { call } from '../api.js';
import { editing, listing } from '../collection.js';
import { ago, bytes, moment, number } from '../format.js';
import { t } from '../i18n.js';
import { live, pipelines } from '../live.js';
import { sideTable } from '../pipeline_panel.js';
import { facts, h, link, panel, path } from '../ui.js';
import { aliveBadge, badge, copyable, said } from '../words.js';

const viewOf = (name) => live.status?.nodes.find((node) => node.name === name);

const NODE_PORT = 1099; // the manager's own default; it is not the port of this page

export const open = listing({
  path: 'nodes', title: 'nav.nodes', lead: 'node.lead', consequence: 'node.delete', identity: (row) => row.name,
  columns: () => [
    { head: t('field.nid'), kind: 'num', cell: (row) => row.nid },
    { head: t('field.name'), cell: (row) => link(path('nodes', row.name), row.name, { class: 'strong' }) },
    { head: t('col.state'), cell: (row) => (viewOf(row.name) ? aliveBadge(viewOf(row.name).alive) : badge('idle', '◌', t('zookeeper.unknown'))) },
    { head: t('field.address'), kind: 'mono', cell: (row) => `${row.ip}:${row.port}` },
    { head: t('field.download_port'), kind: 'num', cell: (row) => row.downloadPort },
    { head: t('field.zookeeper'), cell: (row) => row.zookeeper },
    { head: t('field.version'), kind: 'mono', cell: (row) => viewOf(row.name)?.report?.version || '–' },
    { head: 'htdocs / download', cell: (row) => folders(viewOf(row.name)?.report) },
  ],
  empty: () => [t('node.empty'), ' ', link('#/nodes/+new', t('node.add'))],
});

const folders = (report) => (report ? `${number(report.htdocsFiles)} · ${bytes(report.htdocsBytes)} / ${number(report.downloadFiles)} · ${bytes(report.downloadBytes)}` : '–');

export const edit = editing({
  path: 'nodes', title: 'nav.nodes', add: 'node.add',
  blank: () => ({ name: '', nid: 0, ip: '', port: 2088, downloadPort: 9090, externalIp: '', useExternalIp: false, zookeeper: '', description: '' }),
  load: () => call('GET', ['zookeepers']),
  after: (saved) => path('nodes', saved.name),
  sections: ({ isNew, more }) => [{ fields: [
    { name: 'name', label: t('field.name'), required: true, fixed: !isNew, help: t('help.name') },
    { name: 'nid', label: t('field.nid'), kind: 'number', min: 0, fixed: !isNew, help: t('help.nid') },
    { name: 'ip', label: 'IP', required: true, placeholder: '10.0.0.1', help: t('help.ip') },
    { name: 'port', label: t('field.communication_port'), kind: 'number', min: 1, max: 65535, required: true, help: t('help.communication_port') },
    { name: 'downloadPort', label: t('field.download_port'), kind: 'number', min: 1, max: 65535, required: true, help: t('help.download_port') },
    { name: 'zookeeper', label: t('field.zookeeper'), kind: 'select', required: true, options: [['', t('form.choose')], ...more.map((row) => [row.name, row.name])] },
    { name: 'externalIp', label: t('field.external_ip'), help: t('help.external_ip') },
    { name: 'useExternalIp', label: t('field.use_external_ip'), kind: 'check', help: t('help.use_external_ip') },
    { name: 'description', label: t('field.description') },
  ] }],
});

export async function detail({ name }) {
  const node = await call('GET', ['nodes', name]);
  return {
    title: name,
    crumbs: [['#/nodes', t('nav.nodes')]],
    lead: node.description,
    actions: () => [viewOf(name) && aliveBadge(viewOf(name).alive), link(path('files', name), t('nav.files'), { class: 'button' }), link(`${path('nodes', name)}/+edit`, t('do.edit'), { class: 'button' })],
    view: () => {
      const view = viewOf(name);
      return [!view?.alive && setUp(node), about(node, view), panel(t('pipeline.sides'), null, sideTable(view?.report?.sides ?? [], pipelineName)), view?.alive && setUp(node)];
    },
  };
}

const pipelineName = (id) => pipelines().find((view) => view.id === id)?.name ?? `#${id}`;

/** The number, where it goes, and the commands that make a node's folder and start it. */
function setUp(node) {
  const folder = `/srv/otter/node${node.nid}`;
  return panel(t('node.set_up'), null,
    h('div', { class: 'nid' }, h('span', { class: 'nid-number' }, String(node.nid)), h('span', null, t('node.nid_goes'))),
    h('ol', { class: 'plain' },
      h('li', null, h('p', null, t('node.key')), copyable('conf/cluster.key')),
      h('li', null, h('p', null, t('node.init')), copyable(`otter node init ${folder} --nid ${node.nid} --manager ${location.hostname}:${NODE_PORT} --cluster-key-file cluster.key`)),
      h('li', null, h('p', null, t('node.run')), copyable(`${folder}/bin/startup.sh`))));
}

function about(node, view) {
  const report = view?.report;
  return panel(t('node.about'), null, facts([
    [t('field.nid'), String(node.nid)],
    [t('field.address'), `${node.ip}:${node.port}`],
    [t('field.download_port'), String(node.downloadPort)],
    [t('field.zookeeper'), node.zookeeper],
    node.externalIp && [t('field.external_ip'), `${node.externalIp} (${t(node.useExternalIp ? 'form.yes' : 'form.no')})`],
    report && [t('field.version'), report.version],
    report && [t('node.started'), moment(report.started)],
    report && [t('node.heard'), ago(report.at, live.status.at)],
    report && [t('node.config_version'), String(report.configVersion)],
    report && ['aria2', report.aria2 ? badge('bad', '✕', said(report.aria2)) : badge('good', '●', t('node.healthy'))],
    report && ['htdocs / download', folders(report)],
    report && [t('node.disk_free'), bytes(report.diskFree)],
  ]));
}
