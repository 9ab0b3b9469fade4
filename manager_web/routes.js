// Which page an address opens. Parts that begin with `:` are parameters; a name never begins with `+`, so `+new` is free.

import * as channels from './pages/channels.js';
import * as channel from './pages/channel.js';
import * as dataSources from './pages/data_sources.js';
import * as doctor from './pages/doctor.js';
import * as document from './pages/export.js';
import * as files from './pages/files.js';
import * as nodes from './pages/nodes.js';
import * as pairs from './pages/pairs.js';
import * as password from './pages/password.js';
import * as pipeline from './pages/pipeline.js';
import * as pipelineForm from './pages/pipeline_form.js';
import * as tables from './pages/tables.js';
import * as zookeepers from './pages/zookeepers.js';

export const ROUTES = [
  ['channels', channels.open],
  ['channels/+new', channels.edit],
  ['channels/:name/+edit', channels.edit],
  ['channels/:channel', channel.open],
  ['channels/:channel/+new', pipelineForm.open],
  ['channels/:channel/pipelines/:pipeline', pipeline.open],
  ['channels/:channel/pipelines/:pipeline/+edit', pipelineForm.open],
  ['channels/:channel/pipelines/:pipeline/pairs/+new', pairs.open],
  ['channels/:channel/pipelines/:pipeline/pairs/+batch', pairs.batch],
  ['channels/:channel/pipelines/:pipeline/pairs/:source/+edit', pairs.open],
  ['nodes', nodes.open],
  ['nodes/+new', nodes.edit],
  ['nodes/:name', nodes.detail],
  ['nodes/:name/+edit', nodes.edit],
  ['zookeepers', zookeepers.open],
  ['zookeepers/+new', zookeepers.edit],
  ['zookeepers/:name/+edit', zookeepers.edit],
  ['data-sources', dataSources.open],
  ['data-sources/+new', dataSources.edit],
  ['data-sources/:name/+edit', dataSources.edit],
  ['tables', tables.open],
  ['tables/+new', tables.edit],
  ['tables/:name/+edit', tables.edit],
  ['files', files.open],
  ['files/:node', files.open],
  ['files/:node/:folder/:file', files.content],
  ['doctor', doctor.open],
  ['export', document.open],
  ['password', password.open],
];

/** The first route that fits `/channels/a%20b`, with its parameters decoded; undefined where none fits. */
export function match(routes, route) {
  const parts = route.split('/').filter(Boolean).map(decodeURIComponent);
  for (const [pattern, open] of routes) {
    const wanted = pattern.split('/');
    if (wanted.length !== parts.length) continue;
    const params = {};
    const fits = wanted.every((want, i) => (want.startsWith(':') ? (params[want.slice(1)] = parts[i]) !== undefined : want === parts[i]));
    if (fits) return { open, params };
  }
  return undefined;
}
