// Numbers with their units: sizes, times, ages, rates. Times are shown in the browser's zone, UTC on hover.

import { locale, t } from './i18n.js';
import { h } from './ui.js';

export const number = (value, digits = 0) => new Intl.NumberFormat(locale(), { maximumFractionDigits: digits }).format(value);

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export function bytes(value) {
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${number(value, unit && value < 100 ? 1 : 0)} ${UNITS[unit]}`;
}

/** A length of time given in seconds. */
export function seconds(value) {
  if (value < 0.0005) return '0 ms';
  if (value < 1) return `${number(value * 1000)} ms`;
  if (value < 60) return `${number(value, value < 10 ? 1 : 0)} s`;
  if (value < 3600) return `${Math.floor(value / 60)} min ${Math.floor(value % 60)} s`;
  if (value < 86_400) return `${Math.floor(value / 3600)} h ${Math.floor((value % 3600) / 60)} min`;
  return `${Math.floor(value / 86_400)} d ${Math.floor((value % 86_400) / 3600)} h`;
}

/** How long ago `at` (epoch seconds) was at `now`; clocks of sites differ a little, so never negative. */
export function ago(at, now) {
  if (!at) return '–';
  return now - at < 1 ? t('time.now') : t('time.ago', { time: seconds(Math.floor(now - at)) });
}

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** A moment (epoch seconds) as an element; nothing for 0. */
export function moment(at) {
  if (!at) return '–';
  const date = new Date(at * 1000);
  const text = new Intl.DateTimeFormat(locale(), { dateStyle: 'short', timeStyle: 'medium' }).format(date);
  return h('time', { datetime: date.toISOString(), title: `${zone} · UTC ${date.toISOString()}` }, text);
}

export const rate = (value) => t('unit.rows_per_second', { rows: number(value, value < 10 ? 1 : 0) });
