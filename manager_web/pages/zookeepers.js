// ZooKeeper clusters: where nodes agree.

import { editing, listing } from '../collection.js';
import { t } from '../i18n.js';
import { live } from '../live.js';
import { h, link } from '../ui.js';
import { badge, said } from '../words.js';

function connection(row) {
  const words = live.status?.zookeeper?.[row.name];
  if (words === undefined) return badge('idle', '◌', t('zookeeper.unknown'));
  return words ? [badge('bad', '✕', t('zookeeper.lost')), ' ', said(words, { class: 'muted' })] : badge('good', '●', t('zookeeper.connected'));
}

export const open = listing({
  path: 'zookeepers', title: 'nav.zookeepers', lead: 'zookeeper.lead', consequence: 'zookeeper.delete', identity: (row) => row.name,
  columns: () => [
    { head: t('field.name'), cell: (row) => h('strong', null, row.name) },
    { head: t('field.servers'), kind: 'mono', cell: (row) => row.servers.join(', ') },
    { head: t('col.state'), cell: connection },
    { head: t('field.description'), cell: (row) => row.description },
  ],
  empty: () => [t('zookeeper.empty'), ' ', link('#/zookeepers/+new', t('zookeeper.add'))],
});

export const edit = editing({
  path: 'zookeepers', title: 'nav.zookeepers', add: 'zookeeper.add',
  blank: () => ({ name: '', servers: [], description: '' }),
  sections: ({ isNew }) => [{ fields: [
    { name: 'name', label: t('field.name'), required: true, fixed: !isNew, help: t('help.name') },
    { name: 'servers', label: t('field.servers'), kind: 'lines', required: true, help: t('help.servers'), placeholder: '10.0.0.1:2181' },
    { name: 'description', label: t('field.description') },
  ] }],
});
