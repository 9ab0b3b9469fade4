// The shell: login state, router, navigation, the live badge. Pages are opened by address and redrawn when the feed speaks.
//
// A page module exports `open(params, ctx)` -> {title, view(), lead, crumbs, actions(), close()}. `ctx`: {query, setQuery, go, redraw, reload}.

import { call, session } from './api.js';
import { LANGUAGES, language, mark, t, use } from './i18n.js';
import { live, pipelines } from './live.js';
import { announce, button, h, link, patch } from './ui.js';
import { problem, said, stateName } from './words.js';
import { seconds } from './format.js';
import { ROUTES, match } from './routes.js';
import * as login from './pages/login.js';
import * as password from './pages/password.js';

const root = document.getElementById('app');
const ANNOUNCE_EVERY = 5000; // ms, so that a screen reader can finish a sentence

const state = { who: null, page: null, error: null, hash: '', drawn: [], turn: 0, scheduled: false };

const MENU = [
  ['nav.sync', [['#/channels', 'nav.channels']]],
  ['nav.machines', [['#/nodes', 'nav.nodes'], ['#/zookeepers', 'nav.zookeepers']]],
  ['nav.configuration', [['#/data-sources', 'nav.data_sources'], ['#/tables', 'nav.tables']]],
  ['nav.monitor', [['#/files', 'nav.files'], ['#/doctor', 'nav.doctor']]],
  ['nav.system', [['#/export', 'nav.export'], ['#/password', 'nav.password']]],
];

const context = (query) => ({
  query,
  setQuery(name, value) {
    if (value) query.set(name, value);
    else query.delete(name);
    const hash = location.hash.split('?')[0] + (query.size ? `?${query}` : '');
    state.hash = hash;
    history.replaceState(null, '', hash);
    draw();
  },
  go: (hash) => { if (location.hash === hash) navigate(); else location.hash = hash; },
  redraw: draw,
  reload: () => navigate({ keep: true }),
  signedIn,
});

/** Opens the page of the address. `keep`: the same page again with fresh data, focus where it was. */
async function navigate({ keep = false } = {}) {
  state.turn += 1;
  const turn = state.turn;
  const [route, query] = (location.hash || '#/channels').slice(1).split('?');
  const found = choose(route);
  let page = null;
  let error = null;
  try {
    page = found ? await found.open(found.params, context(new URLSearchParams(query))) : missing();
  } catch (trouble) {
    if (trouble.status === 401) { signedOut(); return; }
    error = trouble;
  }
  if (turn !== state.turn) return; // the user has gone on meanwhile
  state.page?.close?.();
  Object.assign(state, { page, error, hash: location.hash });
  if (!keep) state.drawn = wipe();
  paint();
  if (!keep) arrive();
}

/** What may be seen: login first, then the forced password, then everything. */
function choose(route) {
  if (!state.who) return { open: login.open, params: {} };
  if (state.who.mustChangePassword) return { open: password.open, params: { forced: true } };
  return match(ROUTES, route);
}

const missing = () => ({ title: t('problem.404'), view: () => h('p', null, link('#/channels', t('nav.channels'))) });

function wipe() {
  root.replaceChildren();
  return [];
}

function arrive() {
  document.title = `${state.page?.title ?? t('problem.page')} · Otter`;
  const target = root.querySelector('[data-focus]') ?? root.querySelector('h1');
  target?.focus({ preventScroll: true });
  window.scrollTo(0, 0);
}

/** Soon, once for all who ask in the same breath. */
function draw() {
  if (state.scheduled) return;
  state.scheduled = true;
  queueMicrotask(paint);
}

function paint() {
  state.scheduled = false;
  const fresh = [state.who && !state.who.mustChangePassword ? shell() : gate()];
  patch(root, state.drawn, fresh);
  state.drawn = fresh;
}

const gate = () => h('div', { class: 'gate', key: 'gate' },
  h('div', { class: 'gate-bar' }, h('span', { class: 'brand' }, 'Otter'), languages()),
  h('main', { id: 'main' }, body()));

function shell() {
  return h('div', { class: 'shell', key: 'shell' },
    button(t('nav.skip'), () => document.getElementById('main').focus(), { class: 'skip' }),
    h('header', { class: 'top' },
      h('a', { class: 'brand', href: '#/channels' }, 'Otter'), feed(), h('div', { class: 'spring' }), languages(),
      h('span', { class: 'who' }, state.who.user), button(t('nav.logout'), logout, { class: 'small' })),
    menu(),
    h('main', { id: 'main', tabindex: '-1', 'data-at': state.hash }, trouble(), body()));
}

function body() {
  const { page, error } = state;
  if (error) return [h('h1', { tabindex: '-1', key: 'h1' }, t('problem.page')), problem(error), button(t('do.again'), () => navigate())];
  if (!page) return h('p', { class: 'muted' }, t('page.loading'));
  return [
    h('div', { class: 'page-head', key: 'head' },
      page.crumbs && h('nav', { class: 'crumbs', 'aria-label': t('nav.crumbs') }, page.crumbs.map(([hash, text], i) => [i > 0 && h('span', { 'aria-hidden': 'true' }, '›'), link(hash, text)])),
      h('div', { class: 'title-row' }, h('h1', { tabindex: '-1' }, page.title), h('div', { class: 'actions' }, page.actions?.())),
      page.lead && h('p', { class: 'lead' }, page.lead)),
    h('div', { key: 'view', class: 'view' }, page.view()),
  ];
}

function menu() {
  const here = `#/${state.hash.slice(2).split(/[/?]/)[0] || 'channels'}`;
  const item = ([hash, key]) => h('li', null, link(hash, t(key), hash === here ? { 'aria-current': 'page' } : {}));
  return h('nav', { class: 'menu', 'aria-label': t('nav.main') }, MENU.map(([title, items]) =>
    h('div', { class: 'menu-group' }, h('h2', null, t(title)), h('ul', null, items.map(item)))));
}

function languages() {
  const change = async (event) => { use(event.target.value); await navigate(); };
  return h('label', { class: 'language' }, h('span', { class: 'unseen' }, t('nav.language')),
    h('select', { value: language, onchange: change, 'aria-label': t('nav.language') },
      Object.entries(LANGUAGES).map(([code, name]) => h('option', { value: code, lang: code }, name))));
}

/** The live badge: fresh, or how old what is shown is. */
function feed() {
  if (!live.heard) return h('span', { class: 'feed' }, t('live.connecting'));
  if (live.stale()) return h('span', { class: 'feed stale' }, `▲ ${t('live.stale', { time: seconds(Math.floor(live.age())) })}`);
  return h('span', { class: 'feed fresh' }, `● ${t('live.fresh')}`);
}

/** ZooKeeper clusters the manager cannot reach: everything shown may then be old. */
function trouble() {
  const broken = Object.entries(live.status?.zookeeper ?? {}).filter(([, words]) => words);
  return broken.map(([name, words]) => h('div', { class: 'banner', key: `zk ${name}` }, `▲ ${t('zookeeper.broken', { name })} `, said(words)));
}

async function logout() {
  try {
    await call('POST', ['logout']);
  } finally {
    signedOut();
  }
}

function signedOut() {
  live.stop();
  Object.assign(live, { status: null, heard: 0 });
  state.who = null;
  navigate();
}

async function signedIn() {
  state.who = await session();
  if (state.who && !state.who.mustChangePassword) live.start();
  await navigate();
}

// Words about pipelines whose state changed, collected and said at most every five seconds.
const heardStates = new Map();
let toSay = [];

function listen() {
  for (const pipeline of pipelines()) {
    const before = heardStates.get(pipeline.id);
    if (before !== undefined && before !== pipeline.state) toSay.push(t('live.changed', { name: pipeline.name, state: stateName(pipeline.state) }));
    heardStates.set(pipeline.id, pipeline.state);
  }
}

function say() {
  if (toSay.length) announce(toSay.join(' '));
  toSay = [];
}

live.onupdate = () => { listen(); draw(); };
live.onlost = async () => {
  draw();
  const who = await session().catch(() => state.who); // not reached: keep what we know, the badge says that it is old
  if (!who && state.who) signedOut();
};
window.addEventListener('hashchange', () => { if (location.hash !== state.hash) navigate(); });
setInterval(draw, 1000); // ages and the stale badge move even when the feed does not
setInterval(say, ANNOUNCE_EVERY);
mark();
draw();
signedIn().catch((error) => { state.error = error; draw(); });
