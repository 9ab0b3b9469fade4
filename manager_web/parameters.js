// Pipeline parameters under Otter's names, with the defaults and limits of otter/model/config.py (a test compares them).

import { t } from './i18n.js';

export const PARAMETERS = [
  { name: 'parallelism', kind: 'number', default: 5, min: 1, max: 64 },
  { name: 'lbAlgorithm', kind: 'select', default: 'Stick', options: ['Stick', 'RoundRbin', 'Random'] },
  { name: 'pipeChooseType', kind: 'select', default: 'AUTOMATIC', options: ['AUTOMATIC', 'MEMORY', 'RPC', 'HTTP'] },
  { name: 'mainstemBatchsize', kind: 'number', default: 6000, min: 64, max: 32768, unit: 'KiB' },
  { name: 'loadBatchsize', kind: 'number', default: 200, min: 1, max: 5000 },
  { name: 'useExternalIp', kind: 'check', default: false },
  { name: 'inlineLimit', kind: 'number', default: 128, min: 0, max: 1024, unit: 'KiB' },
  { name: 'onRowError', kind: 'select', default: 'PARK', options: ['PARK', 'STOP'] },
  { name: 'conflictPolicy', kind: 'select', default: 'SOURCE', options: ['SOURCE', 'STOP'] },
  { name: 'downloadSplit', kind: 'number', default: 4, min: 1, max: 16 },
];

/** The same as form fields: Otter's name beside the words, the default in the help. */
export const parameterFields = () => PARAMETERS.map((field) => ({
  name: `parameters.${field.name}`, kind: field.kind, min: field.min, max: field.max, unit: field.unit,
  label: t(`parameter.${field.name}`),
  help: `${t(`parameter.${field.name}.help`)} ${t('form.default', { name: field.name, value: field.default })}`,
  options: field.options?.map((option) => [option, `${option} – ${t(`option.${field.name}.${option}`)}`]),
}));

export const parameterDefaults = () => Object.fromEntries(PARAMETERS.map((field) => [field.name, field.default]));

/** now | gtid | file | time, as model.config.StartFrom decides it. */
export function startKind(start) {
  if (start?.gtid) return 'gtid';
  if (start?.file) return 'file';
  return start?.time ? 'time' : 'now';
}

export function startWords(start) {
  const kind = startKind(start);
  const detail = { now: '', gtid: start?.gtid, file: `${start?.file}:${start?.offset}`, time: start?.time }[kind];
  return [t(`start.${kind}`), detail].filter(Boolean).join(' · ');
}
