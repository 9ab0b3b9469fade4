// Checks of doctor and of "test connection": what was looked at, whether it is fine, and the mend. What fails comes first.

import { t } from './i18n.js';
import { h, table } from './ui.js';
import { badge, said } from './words.js';

export function checks(rows, subject = true) {
  const sorted = rows.map((row, i) => ({ ...row, i })).sort((a, b) => a.ok - b.ok || a.i - b.i);
  const columns = [
    { head: t('check.result'), cell: (row) => (row.ok ? badge('good', '✓', t('check.ok')) : badge('bad', '✕', t('check.wrong'))) },
    subject && { head: t('check.subject'), cell: (row) => said(row.subject) },
    { head: t('check.name'), kind: 'mono', cell: (row) => said(row.name) },
    { head: t('check.words'), cell: (row) => [said(row.words), row.hint && h('div', { class: 'hint' }, `${t('check.hint')} `, said(row.hint))] },
  ];
  return [h('p', { class: 'summary' }, summary(rows)), table({
    caption: t('check.caption'), columns: columns.filter(Boolean), rows: sorted, key: (row) => row.i, empty: t('check.none'),
  })];
}

function summary(rows) {
  const wrong = rows.filter((row) => !row.ok).length;
  return wrong ? `✕ ${t('check.some_wrong', { wrong, all: rows.length })}` : `✓ ${t('check.all_ok', { all: rows.length })}`;
}
