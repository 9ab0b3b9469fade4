// Login. The first password is set on the password page, to which a fresh account is sent.

import { call } from '../api.js';
import { form } from '../form.js';
import { t } from '../i18n.js';
import { h } from '../ui.js';

export async function open(params, ctx) {
  const sheet = form({
    sections: [{ fields: [
      { name: 'username', label: t('login.user'), required: true, autocomplete: 'username' },
      { name: 'password', label: t('login.password'), kind: 'password', autocomplete: 'current-password' },
    ] }],
    values: { username: 'admin', password: '' },
    saveLabel: t('login.enter'),
    redraw: ctx.redraw,
    save: async (values) => {
      await call('POST', ['login'], { body: values });
      await ctx.signedIn();
    },
  });
  return { title: t('login.title'), lead: t('login.lead'), view: () => h('section', { class: 'panel narrow' }, sheet.view()) };
}
