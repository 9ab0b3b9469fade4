// Words: t(key, values) in the user's language. Catalogues hold the same keys (a test checks it).

import en from './i18n/en.js';
import zh from './i18n/zh.js';

const CATALOGUES = { en, zh };
export const LANGUAGES = { zh: '中文', en: 'English' };
const KEPT = 'otter.language';

export let language = choose();

/** `?lang=` wins, then the user's earlier choice, then what the browser asks for. */
function choose() {
  const wished = [new URLSearchParams(location.search).get('lang'), localStorage.getItem(KEPT), ...navigator.languages];
  for (const wish of wished) {
    const code = (wish ?? '').slice(0, 2).toLowerCase();
    if (code in CATALOGUES) return code;
  }
  return 'en';
}

export function use(code) {
  language = code;
  localStorage.setItem(KEPT, code);
  mark();
}

export function mark() {
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
}

/** The words of `key`; `{name}` in them is replaced by `values.name`. */
export function t(key, values = {}) {
  const words = CATALOGUES[language][key];
  if (words === undefined) {
    console.error(`no words for ${key}`);
    return key;
  }
  return words.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? '');
}

/** The same, or nothing where the catalogue has no such key: for words that follow from what a server sent. */
export const known = (key) => CATALOGUES[language][key] ?? '';

export const locale = () => (language === 'zh' ? 'zh-CN' : 'en-GB');
