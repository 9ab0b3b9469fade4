// The own password: forced after the first login (`params.forced`), later by choice.

import { Problem, call } from '../api.js';
import { form } from '../form.js';
import { t } from '../i18n.js';
import { h, toast } from '../ui.js';

export async function open(params, ctx) {
  const sheet = form({
    sections: [{ fields: [
      { name: 'old', label: t('password.old'), kind: 'password', autocomplete: 'current-password' },
      { name: 'new', label: t('password.new'), kind: 'password', required: true, autocomplete: 'new-password', help: t('password.help') },
      { name: 'again', label: t('password.again'), kind: 'password', required: true, autocomplete: 'new-password' },
    ] }],
    values: { old: '', new: '', again: '' },
    saveLabel: t('password.set'),
    redraw: ctx.redraw,
    save: async (values) => {
      if (values.new !== values.again) throw new Problem({ status: 422, field: 'again', detail: t('password.differ') });
      await call('POST', ['password'], { body: { old: values.old, new: values.new } });
      toast(t('password.done'));
      if (!params.forced) ctx.go('#/channels');
      await ctx.signedIn();
    },
  });
  return {
    title: params.forced ? t('password.first') : t('nav.password'),
    lead: params.forced ? t('password.why') : t('password.lead'),
    view: () => h('section', { class: 'panel narrow' }, sheet.view()),
  };
}
