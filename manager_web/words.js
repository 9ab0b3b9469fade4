// What a server sent, said in the user's language where we have words for it: states, problems, equivalents.
// Sentences of the server stay English and are marked so for screen readers.

import { known, t } from './i18n.js';
import { button, h, toast } from './ui.js';

/** How a state looks: its class and a shape, because colour alone says nothing to many. */
const LOOKS = {
  running: ['good', '●'],
  'catching up': ['good', '◐'],
  starting: ['idle', '◌'],
  standby: ['idle', '○'],
  paused: ['idle', '❚❚'],
  stopped: ['idle', '■'],
  'held up': ['warn', '▲'],
  failed: ['bad', '✕'],
};

export function badge(look, shape, words, attrs) {
  return h('span', { class: `badge ${look}`, ...attrs }, h('span', { class: 'shape', 'aria-hidden': 'true' }, shape), words);
}

export const stateName = (state) => known(`state.${state.replaceAll(' ', '_')}`) || state;

export function stateBadge(state) {
  const [look, shape] = LOOKS[state] ?? ['idle', '?'];
  return badge(look, shape, stateName(state));
}

const STATUS_LOOKS = { START: ['good', '▶'], PAUSE: ['idle', '❚❚'], STOP: ['idle', '■'] };

export function statusBadge(status) {
  const [look, shape] = STATUS_LOOKS[status] ?? ['idle', '?'];
  return badge(look, shape, t(`status.${status}`));
}

export const aliveBadge = (alive) => (alive ? badge('good', '●', t('node.alive')) : badge('bad', '✕', t('node.dead')));

/** The server's own sentence. */
export const said = (text, attrs) => text && h('span', { lang: 'en', ...attrs }, text);

/** A Problem: what kind it is in the user's language, then the server's sentence and its advice. */
export function problem(error, attrs) {
  return h('div', { class: 'problem', role: 'alert', ...attrs },
    h('strong', null, known(`problem.${error.status}`) || error.title || String(error)),
    error.detail && h('p', null, said(error.detail)),
    error.hint && h('p', { class: 'hint' }, said(error.hint)));
}

/** Text that is meant to be copied, with its button. */
export function copyable(text) {
  return h('div', { class: 'copyable' }, h('pre', null, h('code', null, text)),
    button(t('do.copy'), () => copy(text), { class: 'small', 'aria-label': `${t('do.copy')}: ${text}` }));
}

/** navigator.clipboard exists only under https and on localhost; consoles are often neither. */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast(t('done.copied'));
  } catch {
    toast(t('done.copy_by_hand'), { bad: true });
  }
}

/** "The same on the command line". */
export const equivalent = (command) => [h('p', { class: 'muted' }, t('ask.equivalent')), copyable(command)];

/** A name as a shell word. */
export const shell = (word) => (/^[\w.@%+=:,/-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);
