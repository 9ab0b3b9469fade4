// The console's DOM: h() describes, patch() changes only what differs, so focus, selection and typed text stay
// while live numbers move. No page touches the DOM in another way.

const SVG = 'http://www.w3.org/2000/svg';

/** A description of an element. Children: descriptions, text, numbers, arrays; null and false leave a gap. */
export function h(tag, attrs, ...children) {
  return { tag, attrs: attrs ?? {}, children: children.flat(Infinity).map(describe) };
}

function describe(child) {
  if (child === null || child === undefined || child === false || child === '') return null;
  return typeof child === 'object' ? child : { text: String(child) };
}

/** Brings the children of `parent` from the descriptions `old` to `fresh`. */
export function patch(parent, old, fresh) {
  const known = new Map();
  old.forEach((node, i) => node && known.set(identity(node, i), node));
  fresh.forEach((node, i) => {
    if (!node) return;
    const id = identity(node, i);
    const before = known.get(id);
    known.delete(id);
    if (before) change(before, node);
    else create(node, parent);
  });
  for (const gone of known.values()) gone.el.remove();
  let place = parent.firstChild;
  for (const node of fresh) {
    if (!node) continue;
    if (node.el === place) place = place.nextSibling;
    else parent.insertBefore(node.el, place);
  }
}

function identity(node, i) {
  return node.attrs?.key === undefined ? `${i} ${node.tag ?? ''}` : `key ${node.tag} ${node.attrs.key}`;
}

function create(node, parent) {
  if (node.text !== undefined) {
    node.el = document.createTextNode(node.text);
    return;
  }
  const inSvg = node.tag === 'svg' || (parent.namespaceURI === SVG && parent.tagName !== 'foreignObject');
  node.el = inSvg ? document.createElementNS(SVG, node.tag) : document.createElement(node.tag);
  patch(node.el, [], node.children); // children first: a <select> takes its value only when its options are there
  for (const [name, value] of Object.entries(node.attrs)) assign(node.el, name, value, undefined);
  node.attrs.ref?.(node.el);
}

function change(old, node) {
  node.el = old.el;
  if (node.text !== undefined) {
    if (old.text !== node.text) node.el.data = node.text;
    return;
  }
  patch(node.el, old.children, node.children);
  for (const name of Object.keys(old.attrs)) if (!(name in node.attrs)) assign(node.el, name, undefined, old.attrs[name]);
  for (const [name, value] of Object.entries(node.attrs)) assign(node.el, name, value, old.attrs[name]);
}

/** What a user typed is only overwritten when the description itself changed. */
function assign(el, name, value, before) {
  if (value === before || name === 'key' || name === 'ref') return;
  if (name.startsWith('on')) el[name] = value ?? null;
  else if (name === 'style') for (const [property, text] of Object.entries(value)) el.style.setProperty(property, text); // CSSOM: allowed by our CSP
  else if (name === 'value' || name === 'checked' || name === 'selected') el[name] = value ?? '';
  else if (value === undefined || value === null || value === false) el.removeAttribute(name);
  else el.setAttribute(name, value === true ? '' : value);
}

// ---- small pieces -------------------------------------------------------------------------------------------------

export const link = (hash, text, attrs) => h('a', { href: hash, ...attrs }, text);

export const button = (text, onclick, attrs) => h('button', { type: 'button', onclick, ...attrs }, text);

/** A hash address from raw parts: `path('channels', name)`. */
export const path = (...parts) => `#/${parts.map(encodeURIComponent).join('/')}`;

export const panel = (title, actions, ...body) =>
  h('section', { class: 'panel' }, h('header', { class: 'panel-head' }, h('h2', null, title), h('div', { class: 'actions' }, actions)), body);

/** Facts as a list of [label, value]. */
export const facts = (rows, attrs) =>
  h('dl', { class: 'facts', ...attrs }, rows.filter(Boolean).map(([name, value]) => h('div', null, h('dt', null, name), h('dd', null, value))));

/**
 * A data table. `columns`: [{head, cell(row), kind}] with kind `num`, `mono`, `actions` or nothing. On a narrow screen each row
 * becomes a card whose cells carry their column's name. `empty` is shown where there is no row.
 */
export function table({ caption, columns, rows, key, empty, rowClass }) {
  if (!rows.length) return h('div', { class: 'empty' }, empty);
  const head = columns.map((c) => h('th', { scope: 'col', role: 'columnheader', class: c.kind }, c.head));
  const body = rows.map((row, i) =>
    h('tr', { key: key ? key(row) : i, role: 'row', class: rowClass?.(row) },
      columns.map((c) => h('td', { role: 'cell', class: c.kind, 'data-label': c.head }, h('div', { class: c.kind === 'actions' ? 'actions' : null }, c.cell(row))))));
  return h('div', { class: 'scroll' },
    h('table', { role: 'table' }, h('caption', { class: 'unseen' }, caption),
      h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, head)), h('tbody', { role: 'rowgroup' }, body)));
}

/** Polite words for a screen reader. */
export function announce(text) {
  document.getElementById('announce').textContent = text;
}

/** A short message that goes by itself; errors stay until they are closed. */
export function toast(text, { bad = false, closeLabel = '×' } = {}) {
  const el = document.createElement('div');
  el.className = bad ? 'toast bad' : 'toast';
  const close = document.createElement('button');
  close.type = 'button';
  close.textContent = '×';
  close.setAttribute('aria-label', closeLabel);
  close.onclick = () => el.remove();
  el.append(text, close);
  document.getElementById('toasts').append(el);
  if (!bad) setTimeout(() => el.remove(), 6000);
}

/**
 * Asks before something is done. `body` are descriptions, `act` does it: the dialog stays open and shows the problem when it
 * throws. Resolves to true when it was done.
 */
export function ask({ title, body, yes, no, danger, act, problem }) {
  return new Promise((resolve) => {
    const dialog = document.createElement('dialog');
    document.body.append(dialog);
    let shown = [];
    let done = false;
    const draw = (error, busy) => {
      const fresh = [
        h('form', { method: 'dialog', onsubmit: (event) => { event.preventDefault(); run(); } },
          h('h2', { id: 'ask-title' }, title), body,
          error ? problem(error) : null,
          h('div', { class: 'actions end' },
            button(no, () => dialog.close(), {}),
            h('button', { type: 'submit', class: danger ? 'danger' : 'primary', disabled: busy, 'aria-busy': busy }, yes))),
      ];
      patch(dialog, shown, fresh);
      shown = fresh;
    };
    const run = async () => {
      draw(null, true);
      try {
        await act();
        done = true;
        dialog.close();
      } catch (error) {
        draw(error, false);
      }
    };
    dialog.setAttribute('aria-labelledby', 'ask-title');
    dialog.onclose = () => { dialog.remove(); resolve(done); };
    draw(null, false);
    dialog.showModal();
  });
}
