// The whole configuration as one document: for backup, review, and `otter apply`.

import { call } from '../api.js';
import { t } from '../i18n.js';
import { button, facts, h, panel } from '../ui.js';
import { equivalent } from '../words.js';

const KINDS = [['zookeepers', 'nav.zookeepers'], ['nodes', 'nav.nodes'], ['dataSources', 'nav.data_sources'], ['tables', 'nav.tables'], ['channels', 'nav.channels']];

export async function open() {
  const document_ = await call('GET', ['export']);
  const text = JSON.stringify(document_, null, 2);
  return {
    title: t('nav.export'),
    lead: t('export.lead'),
    actions: () => [button(t('export.download'), () => download(text), { class: 'primary' })],
    view: () => [
      panel(t('export.holds'), null, facts(KINDS.map(([kind, title]) => [t(title), String((document_[kind] ?? []).length)])), equivalent('otter export > otter.yaml')),
      panel(t('export.text'), null, h('pre', { class: 'document', tabindex: '0' }, text)),
    ],
  };
}

function download(text) {
  const url = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
  const anchor = document.createElement('a');
  anchor.href = url;
  anchor.download = `otter-${new Date().toISOString().slice(0, 10)}.json`;
  anchor.click();
  URL.revokeObjectURL(url);
}
