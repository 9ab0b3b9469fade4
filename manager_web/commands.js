// Start, pause, stop of a channel: what will happen, the same command in a terminal, and what came of it.

import { call } from './api.js';
import { t } from './i18n.js';
import { ask, button, h, toast } from './ui.js';
import { equivalent, problem, shell } from './words.js';

const run = (name, command) => call('POST', ['channels', name, command]);

async function start(name, ctx) {
  try {
    await run(name, 'start');
    toast(t('done.start', { name }));
  } catch (error) {
    await ask({ title: t('command.failed', { name }), body: [problem(error), equivalent(`otter channel start ${shell(name)}`)], yes: t('do.again'), no: t('do.close'), problem, act: () => run(name, 'start') });
  }
  ctx.redraw();
}

async function question(name, command, ctx) {
  const done = await ask({
    title: t(`ask.${command}`, { name }), body: [h('p', null, t(`will.${command}`)), equivalent(`otter channel ${command} ${shell(name)}`)],
    yes: t(`do.${command}`), no: t('do.cancel'), danger: command === 'stop', problem, act: () => run(name, command),
  });
  if (done) toast(t(`done.${command}`, { name }));
  ctx.redraw();
}

/** The three buttons; the one that would change nothing is off. `status`: START, PAUSE, STOP or undefined. */
export function commands(name, status, ctx, size = '') {
  const label = (command) => ({ 'aria-label': `${t(`do.${command}`)} ${name}`, class: size, 'data-do': command });
  return [
    button(`▶ ${t('do.start')}`, () => start(name, ctx), { ...label('start'), disabled: status === 'START' }),
    button(`❚❚ ${t('do.pause')}`, () => question(name, 'pause', ctx), { ...label('pause'), disabled: status !== 'START' }),
    button(`■ ${t('do.stop')}`, () => question(name, 'stop', ctx), { ...label('stop'), disabled: status === 'STOP' }),
  ];
}
