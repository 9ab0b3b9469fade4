// A pipeline drawn: source -> select -> extract -> pipe (three lanes) -> transform -> load -> target, with its batches as blocks that
// glide from place to place. The table below the picture holds the same facts in words.

import { ago } from './format.js';
import { t } from './i18n.js';
import { STATIONS, heldAt, progress, queues } from './stages.js';
import { h } from './ui.js';

const LETTERS = { memory: 'M', inline: 'I', file: 'F' };

/** Where things stand. `box`: x, y, width, height of a station; `lanes` and `queue` are drawn relative to theirs. */
const WIDE = {
  view: [1180, 204], lane: { height: 30, block: 58, room: 3, label: 66 }, queueRoom: 2,
  box: {
    source: [8, 38, 120, 74], select: [168, 38, 110, 74], extract: [318, 38, 110, 74], pipe: [468, 26, 258, 98],
    transform: [766, 38, 110, 74], load: [916, 38, 110, 74], target: [1052, 38, 120, 74],
  },
  info: ([x, y, width, height]) => [x + width / 2, y + height + 20, 'middle'],
  queue: ([x, y, width, height], i) => [x + width / 2 - 29, y + height + 40 + i * 24],
  more: ([x, y, width, height]) => [x + width / 2 + 36, y + height + 78],
};
const NARROW = {
  view: [340, 620], lane: { height: 28, block: 58, room: 3, label: 66 }, queueRoom: 3,
  box: {
    source: [4, 14, 112, 56], select: [4, 96, 112, 56], extract: [4, 178, 112, 56], pipe: [4, 260, 332, 92],
    transform: [4, 380, 112, 56], load: [4, 462, 112, 56], target: [4, 544, 112, 56],
  },
  info: ([x, y, width]) => [x + width + 10, y + 24, 'start'],
  queue: ([x, y, width], i) => [x + width + 10 + i * 62, y + 34],
  more: ([x, y, width]) => [x + width + 10 + 3 * 62, y + 48],
};

export function picture(view, now) {
  const plan = window.innerWidth < 760 ? NARROW : WIDE;
  const held = heldAt(view);
  const [width, height] = plan.view;
  return h('svg', { class: 'picture', viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': inWords(view, held), key: plan === WIDE ? 'wide' : 'narrow' },
    arrows(plan),
    STATIONS.map((station) => drawStation(plan, station, view, held, now)),
    lanes(plan, view), blocks(plan, view));
}

function inWords(view, held) {
  const at = progress(view);
  const parts = STATIONS.filter((station) => at[station]).map((station) => `${t(`stage.${station}`)} #${at[station].number}`);
  const ways = t('picture.in_flight', { count: (view.inFlight ?? []).length });
  return [t('picture.label', { source: view.source, target: view.target }), parts.join(', '), ways, held && `${t('picture.held')}: ${t(`stage.${held}`)}`].filter(Boolean).join('. ');
}

const arrows = (plan) => STATIONS.slice(1).map((station, i) => {
  const from = plan.box[STATIONS[i]];
  const to = plan.box[station];
  if (plan === WIDE) return arrow(from[0] + from[2], 75, to[0], 75, station);
  return arrow(60, from[1] + from[3], 60, to[1], station);
});

function arrow(x1, y1, x2, y2, key) {
  const head = x1 === x2 ? `M${x2 - 5} ${y2 - 7}l5 6 5-6` : `M${x2 - 7} ${y2 - 5}l6 5-6 5`;
  return h('path', { class: 'arrow', d: `M${x1} ${y1}L${x2} ${y2}${head}`, key: `arrow ${key}` });
}

function drawStation(plan, name, view, held, now) {
  const box = plan.box[name];
  const [x, y, width, height] = box;
  const database = name === 'source' || name === 'target';
  const [infoX, infoY, anchor] = plan.info(box);
  const at = progress(view)[name];
  const text = (dx, dy, kind, ...words) => h('text', { x: dx, y: dy, class: kind, 'text-anchor': anchor }, words);
  return h('g', { class: `station ${held === name ? 'held' : ''}`, key: name },
    database ? cylinder(box) : h('rect', { x, y, width, height, rx: 6, class: 'box' }),
    name === 'pipe' ? null : h('text', { x: x + width / 2, y: y + height / 2 - 4, class: 'name', 'text-anchor': 'middle' }, t(`stage.${name}`)),
    name === 'pipe' ? null : h('text', { x: x + width / 2, y: y + height / 2 + 14, class: 'who', 'text-anchor': 'middle' }, clip(owner(name, view), 16)),
    held === name ? heldMark(plan, box) : null,
    at && (name !== 'pipe' || plan === WIDE) ? text(infoX, infoY, 'info', mark(name, at), at.at ? ` · ${ago(at.at, now)}` : '') : null);
}

/** The source has a position, not a batch. */
const mark = (name, at) => (name === 'source' ? clip(at.position, 18) : `#${at.number}`);

function owner(name, view) {
  if (name === 'source' || name === 'target') return view[name];
  return (name === 'select' || name === 'extract' ? view.mainstem : view.loader) || '–';
}

const clip = (text, length) => (text.length > length ? `…${text.slice(1 - length)}` : text);

function cylinder([x, y, width, height]) {
  const right = x + width;
  const low = y + height - 9;
  return [
    h('path', { class: 'box', d: `M${x} ${y + 9}V${low}A${width / 2} 9 0 0 0 ${right} ${low}V${y + 9}A${width / 2} 9 0 0 0 ${x} ${y + 9}Z` }),
    h('ellipse', { class: 'box', cx: x + width / 2, cy: y + 9, rx: width / 2, ry: 9 }),
  ];
}

const heldMark = (plan, [x, y, width]) => h('text', { class: 'held-mark', x: plan === WIDE ? x + width / 2 : x + width + 10, y: plan === WIDE ? y - 10 : y + 8, 'text-anchor': plan === WIDE ? 'middle' : 'start' }, `▲ ${t('picture.held')}`);

function lanes(plan, view) {
  const [x, y, width] = plan.box.pipe;
  const { height, label, room } = plan.lane;
  const waiting = queues(view);
  return Object.keys(LETTERS).map((kind, i) => {
    const top = y + 4 + i * height;
    const over = waiting[kind].length - room;
    return h('g', { key: kind, class: `lane ${kind}` },
      h('rect', { x: x + 4, y: top, width: width - 8, height: height - 2, rx: 3, class: 'lane-box' }),
      h('text', { x: x + 10, y: top + height / 2 + 3, class: 'lane-name' }, `${LETTERS[kind]} ${t(`pipe.${kind}`)}`),
      over > 0 ? h('text', { x: x + label - 2, y: top + height / 2 + 3, class: 'info', 'text-anchor': 'end' }, `+${over}`) : null);
  });
}

/** All blocks in one group, keyed by batch, so that a batch that moves on glides instead of appearing anew. */
function blocks(plan, view) {
  const waiting = queues(view);
  const placed = Object.entries(waiting).flatMap(([place, batches]) => {
    const room = place in LETTERS ? plan.lane.room : plan.queueRoom;
    return batches.slice(0, room).map((batch, i) => [batch, spot(plan, place, i)]);
  });
  const more = ['select', 'extract', 'load'].filter((place) => waiting[place].length > plan.queueRoom).map((place) => {
    const [x, y] = plan.more(plan.box[place]);
    return h('text', { class: 'info', x, y, key: `more ${place}` }, `+${waiting[place].length - plan.queueRoom}`);
  });
  return h('g', { key: 'blocks' }, placed.sort((a, b) => a[0].number - b[0].number).map(([batch, [x, y]]) => block(batch, x, y)), more);
}

function spot(plan, place, i) {
  if (!(place in LETTERS)) return plan.queue(plan.box[place], i);
  const [x, y] = plan.box.pipe;
  const lane = Object.keys(LETTERS).indexOf(place);
  const { label, block: wide, height } = plan.lane;
  // oldest nearest to the target: it leaves the pipe first
  return [x + label + (plan.lane.room - 1 - i) * (wide + 4), y + 4 + lane * height + (height - 22) / 2];
}

function block(batch, x, y) {
  const kind = batch.pipe in LETTERS ? batch.pipe : 'none';
  return h('g', { class: `block ${kind}`, key: batch.number, style: { transform: `translate(${x}px, ${y}px)` } },
    h('title', null, t('picture.batch', { number: batch.number, rows: batch.rows, pipe: t(`pipe.${kind}`) })),
    h('rect', { width: 58, height: 20, rx: 4 }),
    h('text', { x: 29, y: 14, 'text-anchor': 'middle' }, `${LETTERS[kind] ?? ''} ${clip(String(batch.number), 6)}`));
}
