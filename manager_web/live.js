// The live feed: one EventSource for the whole console, what it said last, how old that is, and a short memory for
// the sparklines. It reconnects by itself and says so while it is down.

import { address } from './api.js';

const STALE = 4; // seconds without a word; the manager speaks every second
const MEMORY = 120; // samples a pipeline keeps for its sparklines (two minutes)
const RETRY = [1000, 2000, 5000, 10_000]; // ms, the last one for ever

export const live = {
  status: null, // the newest ClusterStatus
  heard: 0, // Date.now() when it came
  history: new Map(), // pipeline id -> [{at, delay, rows}]
  onupdate: () => {},
  onlost: () => {}, // the stream was refused: perhaps the login has ended
  start,
  stop,
  age: () => (live.heard ? (Date.now() - live.heard) / 1000 : Infinity),
  stale: () => live.age() > STALE,
};

let source = null;
let retry = null;
let failures = 0;

function start() {
  stop();
  source = new EventSource(address('events'));
  source.addEventListener('status', (event) => hear(JSON.parse(event.data)));
  source.onerror = again;
}

function stop() {
  source?.close();
  clearTimeout(retry);
  source = null;
}

/** The browser's own reconnection gives up after an HTTP error, so ours takes over from the first error. */
function again() {
  stop();
  retry = setTimeout(start, RETRY[Math.min(failures, RETRY.length - 1)]);
  failures += 1;
  live.onlost();
}

function hear(status) {
  failures = 0;
  live.status = status;
  live.heard = Date.now();
  for (const channel of status.channels) channel.pipelines.forEach((pipeline) => remember(status.at, pipeline));
  live.onupdate();
}

function remember(at, pipeline) {
  const samples = live.history.get(pipeline.id) ?? [];
  samples.push({ at, delay: pipeline.delay, rows: pipeline.rowsPerSecond });
  live.history.set(pipeline.id, samples.slice(-MEMORY));
}

/** Every pipeline view of the newest status. */
export const pipelines = () => (live.status?.channels ?? []).flatMap((channel) => channel.pipelines);
