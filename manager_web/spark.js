// A sparkline: one curve of the live memory, its newest value beside it, its range in words for those who do not see it.

import { t } from './i18n.js';
import { h } from './ui.js';

const WIDTH = 160;
const HEIGHT = 36;

/** `values`: oldest first; `show(value)` puts one into words. */
export function spark(name, values, show) {
  const top = Math.max(...values, 1e-9);
  const step = WIDTH / Math.max(values.length - 1, 1);
  const points = values.map((value, i) => `${(i * step).toFixed(1)},${(HEIGHT - 2 - (value / top) * (HEIGHT - 6)).toFixed(1)}`).join(' ');
  const words = values.length > 1
    ? t('spark.range', { name, seconds: values.length, low: show(Math.min(...values)), high: show(Math.max(...values)), last: show(values.at(-1)) })
    : t('spark.waiting', { name });
  return h('svg', { class: 'spark', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': words },
    h('title', null, words),
    h('polygon', { points: `0,${HEIGHT} ${points} ${WIDTH},${HEIGHT}`, class: 'spark-area' }),
    h('polyline', { points, class: 'spark-line' }));
}
