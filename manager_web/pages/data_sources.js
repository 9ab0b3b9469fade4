// Data sources, with "test connection": every check in words, and what to do where one fails.

import { call } from '../api.js';
import { checks } from '../checks.js';
import { editing, listing } from '../collection.js';
import { t } from '../i18n.js';
import { button, h, link, panel } from '../ui.js';
import { problem } from '../words.js';

export const open = listing({
  path: 'data-sources', title: 'nav.data_sources', lead: 'source.lead', consequence: 'source.delete', identity: (row) => row.name,
  columns: () => [
    { head: t('field.name'), cell: (row) => h('strong', null, row.name) },
    { head: t('field.address'), kind: 'mono', cell: (row) => `${row.host}:${row.port}` },
    { head: t('field.username'), kind: 'mono', cell: (row) => row.username },
    { head: t('field.encoding'), kind: 'mono', cell: (row) => row.encoding },
    { head: t('field.description'), cell: (row) => row.description },
  ],
  empty: () => [t('source.empty'), ' ', link('#/data-sources/+new', t('source.add'))],
});

const fields = (isNew) => [
  { name: 'name', label: t('field.name'), required: true, fixed: !isNew, help: t('help.name') },
  { name: 'host', label: t('field.host'), required: true, placeholder: '10.0.0.1' },
  { name: 'port', label: t('field.port'), kind: 'number', min: 1, max: 65535, required: true },
  { name: 'username', label: t('field.username'), required: true },
  { name: 'password', label: t('login.password'), kind: 'password', autocomplete: 'new-password', help: isNew ? t('help.password') : t('help.password_kept') },
  { name: 'encoding', label: t('field.encoding'), help: t('help.encoding') },
  { name: 'description', label: t('field.description') },
];

export async function edit(params, ctx) {
  const trial = { busy: false, checks: null, error: null };
  const run = async (read) => {
    Object.assign(trial, { busy: true, checks: null, error: null });
    ctx.redraw();
    try {
      trial.checks = await call('POST', ['data-sources', 'test'], { body: read() });
    } catch (error) {
      trial.error = error;
    }
    trial.busy = false;
    ctx.redraw();
  };
  const outcome = () => {
    if (trial.error) return problem(trial.error);
    return trial.checks && panel(t('source.tested'), null, checks(trial.checks));
  };
  const page = editing({
    path: 'data-sources', title: 'nav.data_sources', add: 'source.add',
    blank: () => ({ name: '', host: '', port: 3306, username: '', password: '', encoding: 'utf8mb4', description: '' }),
    sections: ({ isNew }) => [{ fields: fields(isNew) }],
    extra: (read) => button(trial.busy ? t('source.testing') : t('source.test'), () => run(read), { disabled: trial.busy, 'aria-busy': trial.busy, 'data-do': 'test' }),
    below: outcome,
  });
  return page(params, ctx);
}
