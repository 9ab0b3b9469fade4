// What a PipelineView says about its stages, as plain data. No DOM here: the picture and the tables both draw from it.

/** Which report moves which station of the picture; transform has no counter of its own, it works right before load. */
export const STATIONS = ['source', 'select', 'extract', 'pipe', 'transform', 'load', 'target'];
const REPORT = { source: 'head', select: 'selected', extract: 'extracted', pipe: 'shipped', load: 'loaded', target: 'acked' };
const ORDER = ['selected', 'extracted', 'shipped', 'loaded', 'acked'];
const KINDS = ['memory', 'inline', 'file'];

/** Words in the server's sentence that name a station; the first that fits wins. */
const NAMED = [
  [/\bselect/i, 'select'], [/\bextract/i, 'extract'], [/\b(ship|pipe|link|download|fetch|aria2|htdocs|transfer)/i, 'pipe'],
  [/\btransform/i, 'transform'], [/\b(load|apply)/i, 'load'], [/\b(target|ack)/i, 'target'], [/\b(source|binlog)/i, 'source'],
];

/** {station: {number, position, at}} for every station that reports. */
export function progress(view) {
  return Object.fromEntries(Object.entries(REPORT).map(([station, report]) => [station, view[report] ?? { number: 0, position: '', at: 0 }]));
}

/** The station that holds the pipeline up, '' when none does. What the server names wins over what the numbers show. */
export function heldAt(view) {
  if ((view.state !== 'held up' && view.state !== 'failed') || /^unknown/i.test(view.words)) return '';
  const place = /\bby (?:the )?(\w+)/i.exec(view.words ?? '')?.[1] ?? '';
  for (const text of [place, view.words ?? '', view.lastError ?? '']) {
    const hit = NAMED.find(([pattern]) => pattern.test(text));
    if (hit) return hit[1];
  }
  return behind(view);
}

/** The first stage that has not yet done what the one before it has. */
function behind(view) {
  const at = ORDER.findIndex((stage, i) => i > 0 && (view[stage]?.number ?? 0) < (view[ORDER[i - 1]]?.number ?? 0));
  if (at < 0) return 'source';
  return Object.entries(REPORT).find(([, report]) => report === ORDER[at])[0];
}

/** Batches on their way by where they are: select, extract, load, or a lane of the pipe. */
export function queues(view) {
  const places = { select: [], extract: [], memory: [], inline: [], file: [], load: [] };
  for (const batch of view.inFlight ?? []) places[place(batch)].push(batch);
  return places;
}

function place(batch) {
  if (batch.stage === 'selected') return 'select';
  if (batch.stage === 'extracted') return 'extract';
  if (batch.stage === 'loaded') return 'load';
  return KINDS.includes(batch.pipe) ? batch.pipe : 'memory';
}
