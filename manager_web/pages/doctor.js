// Doctor: looks at everything that replication needs and says what is wrong, and the mend.

import { call } from '../api.js';
import { checks } from '../checks.js';
import { t } from '../i18n.js';
import { button, h } from '../ui.js';
import { equivalent, problem, shell } from '../words.js';

const DEADLINE = 120_000; // ms; it asks every database and every node

export async function open(params, ctx) {
  const channels = await call('GET', ['channels']);
  const state = { busy: false, checks: null, error: null };
  const run = async () => {
    const channel = ctx.query.get('channel') ?? '';
    Object.assign(state, { busy: true, error: null });
    ctx.redraw();
    try {
      state.checks = await call('GET', ['doctor'], { query: channel ? { channel } : {}, deadline: DEADLINE });
    } catch (error) {
      state.error = error;
    }
    state.busy = false;
    ctx.redraw();
  };
  const choice = () => h('label', { class: 'inline' }, `${t('doctor.channel')} `,
    h('select', { value: ctx.query.get('channel') ?? '', onchange: (event) => { ctx.setQuery('channel', event.target.value); run(); } },
      h('option', { value: '' }, t('doctor.all')), channels.map((row) => h('option', { value: row.name }, row.name))));
  const body = () => {
    if (state.busy) return h('p', { class: 'muted', role: 'status' }, t('doctor.busy'));
    if (state.error) return problem(state.error);
    return state.checks && checks(state.checks);
  };
  run();
  return {
    title: t('nav.doctor'),
    lead: t('doctor.lead'),
    actions: () => [choice(), button(t('do.again'), run, { disabled: state.busy })],
    view: () => [h('section', { class: 'panel' }, body()), h('section', { class: 'panel' }, equivalent(command(ctx)))],
  };
}

const command = (ctx) => `otter doctor${ctx.query.get('channel') ? ` --channel ${shell(ctx.query.get('channel'))}` : ''}`;
