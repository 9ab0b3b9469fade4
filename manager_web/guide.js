// The way from nothing to rows that flow, as steps: what is done is ticked, the next one is a link. Empty pages show it.

import { call } from './api.js';
import { t } from './i18n.js';
import { h, link, path } from './ui.js';

/** Reads what exists. `channels` is given where the page has it already. */
export async function survey(channels) {
  const [zookeepers, nodes, sources] = await Promise.all(['zookeepers', 'nodes', 'data-sources'].map((kind) => call('GET', [kind])));
  return { zookeepers, nodes, sources, channels };
}

/** [{key, done, hash}] in the order in which a newcomer goes. */
export function steps({ zookeepers, nodes, sources, channels }, status) {
  const channel = channels[0];
  const pipeline = channels.flatMap((row) => row.pipelines ?? [])[0];
  const owner = channels.find((row) => row.pipelines?.length) ?? channel;
  return [
    { key: 'zookeeper', done: zookeepers.length > 0, hash: '#/zookeepers/+new' },
    { key: 'node', done: nodes.length > 0, hash: '#/nodes/+new' },
    { key: 'node_up', done: Boolean(status?.nodes.some((node) => node.alive)), hash: nodes[0] ? path('nodes', nodes[0].name) : '#/nodes' },
    { key: 'sources', done: sources.length > 1, hash: '#/data-sources/+new' },
    { key: 'channel', done: channels.length > 0, hash: '#/channels/+new' },
    { key: 'pipeline', done: Boolean(pipeline), hash: channel ? `${path('channels', channel.name)}/+new` : '#/channels' },
    { key: 'pairs', done: Boolean(pipeline?.pairs?.length), hash: pipeline ? `${path('channels', owner.name, 'pipelines', pipeline.name)}/pairs/+batch` : '#/channels' },
    { key: 'start', done: Boolean(status?.channels.some((row) => row.status === 'START')), hash: owner ? path('channels', owner.name) : '#/channels' },
  ];
}

/** The list, or nothing when every step is done. */
export function guide(all) {
  const next = all.find((step) => !step.done);
  if (!next) return null;
  return h('section', { class: 'panel guide' }, h('h2', null, t('guide.title')), h('ol', null, all.map((step) =>
    h('li', { class: step.done ? 'done' : step === next ? 'next' : '', 'aria-current': step === next ? 'step' : null },
      h('span', { 'aria-hidden': 'true', class: 'tick' }, step.done ? '✓' : step === next ? '➜' : '·'),
      step.done ? [t(`guide.${step.key}`), h('span', { class: 'unseen' }, ` (${t('guide.done')})`)] : link(step.hash, t(`guide.${step.key}`)),
      step === next && h('p', { class: 'muted' }, t(`guide.${step.key}.why`))))));
}
