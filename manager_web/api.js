// The way to the manager: JSON over fetch, the CSRF header on writes, and every error as a Problem.
// Addresses are relative to the page, so the console works behind any path, port or host.

const BASE = new URL('api/v1/', document.baseURI);
const DEADLINE = 30_000; // ms; the manager itself gives up on nodes and databases earlier

let csrf = '';

/** problem+json: `status` (0 = the manager was not reached), `title`, `detail`, `hint`, `field`. */
export class Problem extends Error {
  constructor({ status, title = '', detail = '', hint = '', field = '' }) {
    super(detail || title);
    Object.assign(this, { status, title, detail, hint, field });
  }
}

export const address = (...parts) => new URL(parts.map(encodeURIComponent).join('/'), BASE);

/** Calls the API: `call('GET', ['nodes', name])`. `query` is an object. Returns the decoded JSON (null where there is none). */
export async function call(method, parts, { body, query, deadline = DEADLINE } = {}) {
  const url = address(...parts);
  for (const [name, value] of Object.entries(query ?? {})) url.searchParams.set(name, value);
  const headers = { Accept: 'application/json' };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (method !== 'GET') headers['X-Otter-Csrf'] = csrf;
  const response = await reach(url, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), deadline });
  const text = await response.text();
  if (!response.ok) throw problem(response, text);
  return text ? JSON.parse(text) : null;
}

async function reach(url, { deadline, ...request }) {
  try {
    return await fetch(url, { ...request, credentials: 'same-origin', signal: AbortSignal.timeout(deadline) });
  } catch (error) {
    throw new Problem({ status: 0, title: error.name === 'TimeoutError' ? 'timeout' : 'unreachable', detail: '' });
  }
}

/** A proxy in between may answer with HTML; then the status alone speaks. */
function problem(response, text) {
  try {
    return new Problem({ ...JSON.parse(text), status: response.status });
  } catch {
    return new Problem({ status: response.status, title: response.statusText });
  }
}

/** Who is logged in: `{user, mustChangePassword}`, or null. Keeps the CSRF value for writes. */
export async function session() {
  try {
    const who = await call('GET', ['session']);
    csrf = who.csrf;
    return who;
  } catch (error) {
    if (error.status === 401) return null;
    throw error;
  }
}
