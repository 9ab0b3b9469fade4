// Tables (Otter's data media): names that mapping pairs may use, addressed as source/schema.table.

import { call } from '../api.js';
import { editing, listing } from '../collection.js';
import { t } from '../i18n.js';
import { h, link } from '../ui.js';

const address = (row) => `${row.source}/${row.schema}.${row.name}`;

export const open = listing({
  path: 'tables', title: 'nav.tables', lead: 'table.lead', consequence: 'table.delete', identity: address,
  columns: () => [
    { head: t('field.table'), kind: 'mono', cell: (row) => h('strong', null, `${row.schema}.${row.name}`) },
    { head: t('field.data_source'), cell: (row) => row.source },
    { head: t('field.description'), cell: (row) => row.description },
  ],
  empty: () => [t('table.empty'), ' ', link('#/tables/+new', t('table.add'))],
});

export const edit = editing({
  path: 'tables', title: 'nav.tables', add: 'table.add',
  blank: () => ({ source: '', schema: '', name: '', description: '' }),
  load: () => call('GET', ['data-sources']),
  sections: ({ isNew, more }) => [{ fields: [
    { name: 'source', label: t('field.data_source'), kind: 'select', required: true, fixed: !isNew, options: [['', t('form.choose')], ...more.map((row) => [row.name, row.name])] },
    { name: 'schema', label: t('field.schema'), required: true, fixed: !isNew, placeholder: 'shop' },
    { name: 'name', label: t('field.table'), required: true, fixed: !isNew, placeholder: 'orders' },
    { name: 'description', label: t('field.description') },
  ] }],
});
