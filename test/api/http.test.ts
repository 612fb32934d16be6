/** The endpoint over real TLS: who may, which forms, which errors. */
import { once } from 'node:events';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { gunzipSync } from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createHttpClient } from '../../src/machinery/http-client.ts';
import { configMaps } from '../../src/machinery/resources.ts';
import { testAuthority } from './certificates.ts';
import { type ListeningApi, listeningApi } from './listening.ts';
import { failureOf } from './widgets.ts';

const test = suite<{ it: ListeningApi }>('http');
const path = '/api/v1/namespaces/default/configmaps';
const json = { 'content-type': 'application/json' };
const configMap = (name: string, data: Record<string, string> = {}) => JSON.stringify({ metadata: { name }, data });

test.before.each(async (context) => {
  context.it = await listeningApi();
});
test.after.each(async ({ it }) => it.close());

test('an object goes in and comes out, with its version spliced in', async ({ it }) => {
  const made = await it.request(path, { method: 'POST', headers: json, body: configMap('a', { metadata: '{"metadata":{' }) });
  assert.is(made.code, 201);
  const object = made.json<{ metadata: Record<string, string>; kind: string }>();
  assert.is(object.kind, 'ConfigMap');
  assert.is(object.metadata.resourceVersion, String(it.store.revision));
  const read = await it.request(`${path}/a`);
  assert.is(read.code, 200);
  assert.equal(read.json(), object);
  assert.is(read.headers['content-type'], 'application/json');
});

test('bodies are JSON without a content type, or YAML; other types and big bodies are refused', async ({ it }) => {
  assert.is((await it.request(path, { method: 'POST', body: configMap('plain') })).code, 201);
  const yaml = 'metadata:\n  name: yaml\ndata:\n  a: b\n';
  const fromYaml = await it.request(path, { method: 'POST', headers: { 'content-type': 'application/yaml' }, body: yaml });
  assert.equal(fromYaml.json<{ data: object }>().data, { a: 'b' });
  const xml = await it.request(path, { method: 'POST', headers: { 'content-type': 'text/xml' }, body: '<a/>' });
  assert.is(xml.code, 415);
  const broken = await it.request(path, { method: 'POST', headers: json, body: '{' });
  assert.is(broken.code, 400);
  const big = await it.request(path, { method: 'POST', headers: json, body: Buffer.alloc(3 * 1024 * 1024 + 1, 0x20) });
  assert.is(big.code, 413);
});

test('every error is a Status', async ({ it }) => {
  const missing = await it.request(`${path}/nothing`);
  assert.equal(missing.json(), {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: 'configmaps "nothing" not found',
    reason: 'NotFound',
    details: { name: 'nothing', kind: 'configmaps' },
    code: 404,
  });
  assert.is((await it.request('/nowhere')).code, 404);
  assert.is((await it.request('/apis/none.example/v1/things')).code, 404);
  assert.is((await it.request(`${path}/a/nothing`)).code, 404);
  assert.is((await it.request(path, { method: 'PUT', headers: json, body: '{}' })).code, 405);
  assert.is((await it.request('/api/v1/configmaps', { method: 'POST', headers: json, body: configMap('a') })).code, 405);
  assert.is((await it.request(path, { headers: { accept: 'text/html' } })).code, 406);
  const patch = await it.request(`${path}/a`, { method: 'PATCH', headers: json, body: '{}' });
  assert.is(patch.code, 415);
});

test('unknown fields are refused, told or dropped, as the caller wishes', async ({ it }) => {
  const body = (name: string) => JSON.stringify({ metadata: { name }, dta: {} });
  const post = (name: string, query: string) =>
    it.request(`${path}${query}`, { method: 'POST', headers: json, body: body(name) });
  const strict = await post('a', '?fieldValidation=Strict');
  assert.is(strict.code, 400);
  assert.match(strict.text, /strict decoding error: unknown field \\"dta\\"/);
  const warn = await post('b', '?fieldValidation=Warn');
  assert.is(warn.headers.warning, '299 - "unknown field \\"dta\\""');
  assert.is(warn.json().dta, undefined);
  const ignore = await post('c', '?fieldValidation=Ignore');
  assert.is(ignore.headers.warning, undefined);
});

test('users are told apart by their certificates', async ({ it }) => {
  for (const open of ['/version', '/healthz', '/livez', '/readyz']) {
    assert.is((await it.request(open, {}, it.agents.nobody)).code, 200, open);
  }
  const anonymous = await it.request(path, {}, it.agents.nobody);
  assert.is(anonymous.code, 403);
  assert.is(
    anonymous.json().message,
    'configmaps is forbidden: User "system:anonymous" cannot list resource "configmaps" in API group "" in the namespace "default"',
  );
  assert.is((await it.request('/apis', {}, it.agents.nobody)).code, 403);
  const node = it.as(await it.authority.issue('CN=system:node:n1, O=system:nodes'));
  assert.is((await it.request('/api/v1/pods?fieldSelector=spec.nodeName%3Dn1', {}, node)).code, 200);
  assert.is((await it.request('/api/v1/pods?watch=1', {}, node)).code, 403);
  assert.is((await it.request('/apis/apps/v1/deployments', {}, node)).code, 403);
  const stranger = it.as(await (await testAuthority()).issue('CN=admin, O=system:masters'));
  const refused = await it.request(path, {}, stranger);
  assert.is(refused.code, 401);
});

test('a WebSocket may bring its token as a protocol', async ({ it }) => {
  const accounts = '/api/v1/namespaces/default/serviceaccounts';
  const headers = { 'content-type': 'application/json' };
  await it.request(accounts, { method: 'POST', headers, body: JSON.stringify({ metadata: { name: 'robot' } }) });
  const asked = await it.request(`${accounts}/robot/token`, { method: 'POST', headers, body: '{}' });
  const { token } = asked.json<{ status: { token: string } }>().status;
  const protocols = (secret: string) =>
    `base64url.bearer.authorization.k8s.io.${Buffer.from(secret).toString('base64url')}, v5.channel.k8s.io`;
  const upgrade = (secret: string) => ({
    headers: { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-protocol': protocols(secret) },
  });
  const path = '/api/v1/namespaces/default/pods/a/exec?command=x&stdout=1';
  const known = await it.request(path, upgrade(token), it.agents.nobody);
  assert.is(known.code, 403);
  assert.match(known.text, /User \\"system:serviceaccount:default:robot\\" cannot get resource \\"pods\/exec\\"/);
  assert.is((await it.request(path, upgrade(`${token}x`), it.agents.nobody)).code, 401);
});

test('a client that resumes its TLS session is still known', async ({ it }) => {
  const agent = new https.Agent({ keepAlive: false, ca: it.authority.ca, ...it.admin });
  for (const attempt of [1, 2, 3]) assert.is((await it.request(path, {}, agent)).code, 200, `attempt ${attempt}`);
});

test('lists come as JSON, as a table, and as metadata alone', async ({ it }) => {
  for (const name of ['a', 'b'])
    await it.api.client().create(configMaps, { metadata: { name }, data: { k: 'v' } }, { namespace: 'default' });
  const plain = (await it.request(path)).json<{ kind: string; items: { data: object }[] }>();
  assert.is(plain.kind, 'ConfigMapList');
  assert.equal(
    plain.items.map(({ data }) => data),
    [{ k: 'v' }, { k: 'v' }],
  );

  const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';
  type Table = { kind: string; columnDefinitions: { name: string }[]; rows: { cells: unknown[]; object?: { kind: string } }[] };
  const table = (await it.request(path, { headers: { accept } })).json<Table>();
  assert.is(table.kind, 'Table');
  assert.equal(
    table.columnDefinitions.map(({ name }) => name),
    ['Name', 'Data', 'Age'],
  );
  assert.equal(table.rows[0]?.cells.slice(0, 2), ['a', 1]);
  assert.is(table.rows[0]?.object?.kind, 'PartialObjectMetadata');
  const whole = (await it.request(`${path}?includeObject=Object`, { headers: { accept } })).json<Table>();
  assert.is(whole.rows[1]?.object?.kind, 'ConfigMap');
  const one = (await it.request(`${path}/a?includeObject=None`, { headers: { accept } })).json<Table>();
  assert.equal(
    one.rows.map(({ object }) => object),
    [undefined],
  );

  const partial = await it.request(path, {
    headers: { accept: 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io' },
  });
  assert.match(partial.text, /^\{"kind":"PartialObjectMetadataList"/);
  assert.not.match(partial.text, /"data"/);
  const yaml = await it.request(`${path}/a`, { headers: { accept: 'application/yaml' } });
  assert.match(yaml.text, /^data:\n {2}k: v$/m);
  assert.match((await it.request(`${path}/a?pretty=true`)).text, /^\{\n {2}"/);
});

test('a long list is streamed and may be compressed; it holds everything once', async ({ it }) => {
  const client = it.api.client();
  const value = 'x'.repeat(40_000);
  for (let i = 0; i < 20; i++)
    await client.create(configMaps, { metadata: { name: `c${i}` }, data: { value } }, { namespace: 'default' });
  const plain = (await it.request(path)).json<{ items: unknown[] }>();
  assert.is(plain.items.length, 20);
  const response = await it.open(path, { headers: { 'accept-encoding': 'gzip' } });
  assert.is(response.headers['content-encoding'], 'gzip');
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  assert.equal(JSON.parse(gunzipSync(Buffer.concat(chunks)).toString('utf8')), plain);
});

test('a watch sends its head at once, then a line for each event', async ({ it }) => {
  const response = await it.open(`${path}?watch=true&resourceVersion=${it.store.revision}`);
  assert.is(response.statusCode, 200);
  const lines = createInterface({ input: response })[Symbol.asyncIterator]();
  const next = async () =>
    JSON.parse((await lines.next()).value ?? '') as { type: string; object: { metadata: { name: string } } };
  await it.request(path, { method: 'POST', headers: json, body: configMap('a') });
  await it.request(`${path}/a`, { method: 'DELETE' });
  const added = await next();
  assert.is(`${added.type} ${added.object.metadata.name}`, 'ADDED a');
  assert.is((await next()).type, 'DELETED');
  response.destroy();
});

test('a watch with initial events ends them with a bookmark', async ({ it }) => {
  await it.request(path, { method: 'POST', headers: json, body: configMap('a') });
  const query = 'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=1';
  const { text } = await it.request(`${path}?${query}`);
  const events = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.equal(
    events.map(({ type }) => type),
    ['ADDED', 'BOOKMARK'],
  );
  assert.equal(events[1].object.metadata.annotations, { 'k8s.io/initial-events-end': 'true' });
  assert.is(events[1].object.kind, 'ConfigMap');
});

test('watchers of the same object get the same bytes, tables a table', async ({ it }) => {
  const query = `watch=true&timeoutSeconds=1&resourceVersion=${it.store.revision}`;
  const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io';
  const [one, two, table] = [
    it.request(`${path}?${query}`),
    it.request(`${path}?${query}`),
    it.request(`${path}?${query}`, { headers: { accept } }),
  ];
  await it.request(path, { method: 'POST', headers: json, body: configMap('a') });
  assert.is((await one).text, (await two).text);
  const row = JSON.parse((await table).text.split('\n')[0] ?? '');
  assert.is(row.object.kind, 'Table');
  assert.is(row.object.rows[0].cells[0], 'a');
});

test('HTTP/2 carries watches and requests on one connection', async ({ it }) => {
  const session = http2.connect(`https://127.0.0.1:${it.port}`, { ca: it.authority.ca, ...it.admin });
  const watch = session.request({ ':path': `${path}?watch=true` });
  watch.setEncoding('utf8');
  const [head] = await once(watch, 'response');
  assert.is(head[':status'], 200);
  const post = session.request({ ':path': path, ':method': 'POST', 'content-type': 'application/json' });
  post.end(configMap('a'));
  assert.is((await once(post, 'response'))[0][':status'], 201);
  post.resume();
  let seen = '';
  while (!seen.includes('\n')) seen += (await once(watch, 'data'))[0];
  assert.is(JSON.parse(seen.split('\n')[0] ?? '').object.metadata.name, 'a');
  watch.close();
  session.close();
  await once(session, 'close');
});

test('deletion takes its options from the body and answers with a Status, or the object that waits', async ({ it }) => {
  const body = JSON.stringify({ metadata: { name: 'a', finalizers: ['test.kontiki/wait'] } });
  await it.request(path, { method: 'POST', headers: json, body });
  const dry = await it.request(`${path}/a`, { method: 'DELETE', headers: json, body: '{"dryRun":["All"]}' });
  assert.ok(dry.json<{ metadata: { deletionTimestamp?: string } }>().metadata.deletionTimestamp);
  assert.not.match((await it.request(`${path}/a`)).text, /deletionTimestamp/);
  const wrong = await it.request(`${path}/a`, { method: 'DELETE', headers: json, body: '{"preconditions":{"uid":"x"}}' });
  assert.is(wrong.code, 409);
  await it.request(`${path}/a`, { method: 'DELETE', headers: json, body: '{"propagationPolicy":"Background"}' });
  const patch = {
    method: 'PATCH',
    headers: { 'content-type': 'application/merge-patch+json' },
    body: '{"metadata":{"finalizers":null}}',
  };
  assert.is((await it.request(`${path}/a`, patch)).code, 200);
  assert.is((await it.request(`${path}/a`)).code, 404);
  await it.request(path, { method: 'POST', headers: json, body: configMap('b') });
  const done = (await it.request(`${path}/b`, { method: 'DELETE' })).json<{
    kind: string;
    status: string;
    details: { kind: string };
  }>();
  assert.is(`${done.kind} ${done.status} ${done.details.kind}`, 'Status Success configmaps');
});

test('discovery answers old and new clients', async ({ it }) => {
  const accept =
    'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json';
  const aggregated = await it.request('/apis', { headers: { accept } });
  assert.is(aggregated.headers['content-type'], 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList');
  const core = (await it.request('/api', { headers: { accept } })).json<{
    items: { versions: { resources: { resource: string }[] }[] }[];
  }>();
  assert.ok(core.items[0]?.versions[0]?.resources.some(({ resource }) => resource === 'pods'));
  assert.equal((await it.request('/api')).json().versions, ['v1']);
  assert.is((await it.request('/apis/apps')).json().kind, 'APIGroup');
  type Resources = { resources: { name: string; kind: string; group?: string }[] };
  const { resources } = (await it.request('/api/v1')).json<Resources>();
  assert.equal(resources.find(({ name }) => name === 'pods/eviction')?.group, 'policy');
  assert.ok(resources.some(({ name }) => name === 'bindings'));
  const version = (await it.request('/version')).json();
  assert.is(version.minor, '33');
  assert.match(String(version.gitCommit), /^[0-9a-f]+$/);
});

test('OpenAPI, health in detail and metrics are there', async ({ it }) => {
  const index = (await it.request('/openapi/v3')).json<{ paths: Record<string, { serverRelativeURL: string }> }>();
  const document = await it.request(index.paths['apis/apps/v1']?.serverRelativeURL ?? '');
  assert.is(document.json().openapi, '3.0.0');
  assert.is((await it.request('/openapi/v3/apis/none/v1')).code, 404);
  assert.match((await it.request('/readyz?verbose')).text, /\[\+\]quorum ok\nreadyz check passed\n$/);
  assert.match((await it.request('/metrics')).text, /kontiki_api_requests_total/);
  assert.is((await it.request('/readyz/quorum')).text, 'ok');
  assert.is((await it.request('/livez/quorum')).code, 404);
  assert.is((await it.request('/livez/ping')).text, 'ok');
  const excluding = await it.request('/readyz?verbose&exclude=quorum&exclude=etcd');
  const lines = ['[+]ping ok', '[+]quorum excluded: ok', 'warn: some health checks cannot be excluded: no matches for "etcd"'];
  assert.is(excluding.text, `${lines.join('\n')}\nreadyz check passed\n`);
  assert.is((await it.request('/readyz/quorum', {}, it.agents.nobody)).code, 403);
});

let failing = false;

test('who may not know more is told that a check fails, not why', async () => {
  const it = await listeningApi({
    above: async (store) =>
      new Proxy(store, {
        get(target, name) {
          if (name === 'barrier' && failing) return () => Promise.reject(new Error('two of three are away'));
          const value = Reflect.get(target, name, target);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      }),
  });
  try {
    failing = true;
    const all = await it.request('/readyz', {}, it.agents.nobody);
    assert.equal([all.code, all.text], [500, '[+]ping ok\n[-]quorum failed: reason withheld\nreadyz check failed\n']);
    assert.is((await it.request('/livez', {}, it.agents.nobody)).code, 200);
    assert.is((await it.request('/readyz?exclude=quorum', {}, it.agents.nobody)).code, 200);
    assert.match((await it.request('/readyz/quorum')).text, /two of three are away/);
  } finally {
    failing = false;
    await it.close();
  }
});

test('the Unix socket serves its user alone, and only its owner can open it', async ({ it }) => {
  const folder = await mkdtemp(join(tmpdir(), 'kontiki-api-'));
  try {
    const socketPath = join(folder, 'api.sock');
    await it.api.listenSocket(socketPath, { name: 'system:node:n1', groups: ['system:nodes'] });
    assert.is((await stat(socketPath)).mode & 0o777, 0o600);
    const codeOf = async (at: string) => {
      const outgoing = http.request({ socketPath, path: at }).end();
      const [response] = (await once(outgoing, 'response')) as [http.IncomingMessage];
      response.resume();
      await once(response, 'end');
      return response.statusCode;
    };
    assert.is(await codeOf('/api/v1/nodes'), 200);
    assert.is(await codeOf('/apis/apps/v1/deployments'), 403);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('an upgrade that names no stream of a pod is refused with a Status', async ({ it }) => {
  const upgrade = (at: string) => it.request(at, { headers: { connection: 'Upgrade', upgrade: 'SPDY/3.1' }, method: 'POST' });
  const missing = await upgrade('/api/v1/namespaces/default/pods/nope/exec?command=ls');
  assert.is(missing.code, 404);
  assert.is(missing.json().message, 'pods "nope" not found');
  await it.request('/api/v1/namespaces/default/pods', {
    method: 'POST',
    headers: json,
    body: JSON.stringify({ metadata: { name: 'p' }, spec: { containers: [{ name: 'c', image: 'x' }] } }),
  });
  const unscheduled = await upgrade('/api/v1/namespaces/default/pods/p/exec?command=ls');
  assert.is(unscheduled.json().message, 'pod p does not have a host assigned');
  assert.is((await upgrade('/api/v1/namespaces/default/pods/p')).code, 404);
});

test('a watcher that does not read is cut off, others go on', async ({ it }) => {
  const stuck = await it.open(`${path}?watch=true`);
  stuck.pause();
  const cut = once(stuck, 'error');
  const client = it.api.client();
  const value = 'x'.repeat(900_000);
  const inDefault = { namespace: 'default' };
  for (let i = 0; i < 60; i++) await client.create(configMaps, { metadata: { name: `c${i}` }, data: { value } }, inDefault);
  stuck.resume();
  assert.is((await cut)[0].code, 'ECONNRESET');
  assert.is((await it.request(`${path}/c59`)).code, 200);
});

test('our own HTTP client sees what the client in the process does', async ({ it }) => {
  const client = createHttpClient({ url: `https://127.0.0.1:${it.port}`, ca: it.authority.ca, ...it.admin });
  try {
    const inDefault = { namespace: 'default' };
    const made = await client.create(configMaps, { metadata: { name: 'a' }, data: { k: 'v' } }, inDefault);
    assert.equal(await it.api.client().get(configMaps, 'a', inDefault), made);
    const { resourceVersion } = await client.list(configMaps, inDefault);
    const abort = new AbortController();
    const events = client.watch(configMaps, { ...inDefault, resourceVersion, signal: abort.signal });
    const first = events[Symbol.asyncIterator]().next();
    await client.patch(configMaps, 'a', 'merge', { data: { k: 'w' } }, inDefault);
    assert.is((await first).value.type, 'MODIFIED');
    abort.abort(new Error('seen'));
    const updated = await client.get(configMaps, 'a', inDefault);
    await client.update(configMaps, { ...updated, data: { k: 'x' } });
    assert.is((await failureOf(client.update(configMaps, { ...updated, data: { k: 'y' } }))).reason, 'Conflict');
    await client.delete(configMaps, 'a', inDefault);
    assert.is((await failureOf(client.get(configMaps, 'a', inDefault))).code, 404);
  } finally {
    client.close();
  }
});

test('closing ends open watches', async ({ it }) => {
  const response = await it.open(`${path}?watch=true`);
  response.resume();
  const ended = once(response, 'end');
  await it.api.close();
  await ended;
});

test.run();
