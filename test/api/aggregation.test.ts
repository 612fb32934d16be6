/** Groups that other servers of the cluster serve: whether they can be used, who they are told asks, what clients are told of them. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import https from 'node:https';
import type { TLSSocket } from 'node:tls';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { apiServices, localServices } from '../../src/api/aggregation/local-services.ts';
import { configMaps, endpointSlices, services } from '../../src/machinery/resources.ts';
import { testAuthority } from './certificates.ts';
import { type FakeAgents, fakeAgents } from './fake-agent.ts';
import { type ListeningApi, listeningApi } from './listening.ts';
import { httpsServer, inBase64 } from './webhook-servers.ts';
import { failureOf } from './widgets.ts';

const test = suite('aggregation');
const namespace = 'default';
const name = 'v1.metrics.example.com';
const root = '/apis/metrics.example.com/v1';
const resource = {
  name: 'meters',
  singularName: 'meter',
  namespaced: true,
  kind: 'Meter',
  verbs: ['get', 'list', 'watch'],
  shortNames: ['mt'],
};
const status = { name: 'meters/status', singularName: '', namespaced: true, kind: 'Meter', verbs: ['get'] };

let agents: FakeAgents;
let world: ListeningApi;
let extension: Awaited<ReturnType<typeof httpsServer>>;
let asked: { url: string; client: string | undefined; headers: IncomingMessage['headers'] }[] = [];
let watcher: ServerResponse | undefined;
let stop = new AbortController();
let running = Promise.resolve();

/** Availability is found out while it runs; a machine under load may be too slow for a check, so it does not run all the time. */
function runAggregator(): void {
  const { signal } = stop;
  running = world.api.runAggregator(signal).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}

async function stopAggregator(): Promise<void> {
  stop.abort();
  await running;
  stop = new AbortController();
}

function serve(request: IncomingMessage, response: ServerResponse): void {
  const { url = '', headers } = request;
  const socket = request.socket as TLSSocket;
  const certificate = socket.authorized ? socket.getPeerCertificate() : undefined;
  asked.push({ url, client: certificate?.subject?.CN as string | undefined, headers });
  const send = (body: object) => response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
  if (url === root) send({ kind: 'APIResourceList', groupVersion: 'metrics.example.com/v1', resources: [resource, status] });
  else if (url === '/openapi/v3') {
    const path = 'apis/metrics.example.com/v1';
    send({ paths: { [path]: { serverRelativeURL: `/openapi/v3/${path}?hash=1` } } });
  } else if (url.includes('watch=true')) {
    watcher = response;
    response.write('{"type":"ADDED"}\n');
  } else send({ kind: 'MeterList', url });
}

test.before(async () => {
  agents = await fakeAgents();
  const authority = await testAuthority();
  const frontProxy = { ca: authority.ca, ...(await authority.issue('CN=front-proxy-client')) };
  world = await listeningApi({ agents: agents.connector, frontProxy });
  extension = await httpsServer(serve, { authority, names: ['ext.default.svc'] });
  extension.server.on('upgrade', (_, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
    socket.pipe(socket);
  });
  agents.ports.set('node-2 default/ext-0:6443', extension.port);
  runAggregator();
});

test.after(async () => {
  await stopAggregator();
  await world.close();
  agents.close();
  extension.close();
});

const client = () => world.api.client();

/** Waits until the condition of the APIService has this reason. */
async function available(reason: string): Promise<{ status: string; message?: string }> {
  for await (const { object } of client().watch(apiServices, { resourceVersion: '0', signal: AbortSignal.timeout(60_000) })) {
    const { metadata, status: is } = object as unknown as {
      metadata: { name?: string };
      status?: { conditions?: { reason?: string }[] };
    };
    const condition = is?.conditions?.find((candidate) => candidate.reason === reason);
    if (metadata.name === name && condition) return condition as { status: string; message?: string };
  }
  throw new Error('the watch ended');
}

test('the groups of this server are listed as local and always available', async () => {
  const signal = AbortSignal.timeout(60_000);
  for await (const { object } of client().watch(apiServices, { resourceVersion: '0', signal })) {
    if ((object as { metadata: { name?: string } }).metadata.name === 'v1.apps') break;
  }
  const table = await world.request('/apis/apiregistration.k8s.io/v1/apiservices/v1.apps', {
    headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' },
  });
  assert.equal((table.json() as { rows: { cells: unknown[] }[] }).rows[0]?.cells.slice(0, 3), ['v1.apps', 'Local', 'True']);
  assert.equal(
    localServices({ group: '', versions: ['v1'] }, false).map(({ metadata, spec }) => [metadata.name, spec.groupPriorityMinimum]),
    [['v1.', 18_000]],
  );
});

test('an APIService becomes available step by step, and says what is missing', async () => {
  const spec = {
    group: 'metrics.example.com',
    version: 'v1',
    groupPriorityMinimum: 17_850,
    versionPriority: 10,
    service: { namespace, name: 'ext', port: 443 },
    caBundle: extension.caBundle,
  };
  await client().create(apiServices, { metadata: { name }, spec });
  assert.is((await available('ServiceNotFound')).message, 'service/ext in "default" is not present');
  assert.is((await world.request(`${root}/meters`)).code, 503);
  const port = { name: 'https', port: 443, targetPort: 6443 };
  await client().create(services, { metadata: { name: 'ext' }, spec: { ports: [port] } }, { namespace });
  assert.is((await available('EndpointsNotFound')).message, 'cannot find endpoints for service/ext in "default"');
  const targetRef = { kind: 'Pod', name: 'ext-0', namespace };
  const metadata = { name: 'ext-1', labels: { 'kubernetes.io/service-name': 'ext' } };
  const slice = { addressType: 'IPv4', ports: [{ name: 'https', port: 6443 }] };
  const endpoints = [{ addresses: ['10.42.0.9'], nodeName: 'node-2', targetRef }];
  await client().create(endpointSlices, { metadata, ...slice, endpoints }, { namespace });
  assert.equal(await available('Passed').then(({ status: is, message }) => [is, message]), ['True', 'all checks passed']);
  await stopAggregator();
});

test('requests go on with the front proxy’s certificate and the caller’s name, and only when the caller may', async () => {
  asked = [];
  const alice = world.as(await world.authority.issue('CN=alice, O=system:masters'));
  const headers = { 'x-remote-user': 'mallory', 'x-remote-group': 'system:masters', authorization: 'Bearer x' };
  const answer = await world.request(`${root}/namespaces/a/meters?limit=5`, { headers }, alice);
  assert.equal(answer.json(), { kind: 'MeterList', url: `${root}/namespaces/a/meters?limit=5` });
  const meters = () => asked.filter(({ url }) => url.includes('/meters'));
  const [first] = meters();
  assert.is(first?.client, 'front-proxy-client');
  assert.is(first?.headers['x-remote-user'], 'alice');
  assert.is(first?.headers['x-remote-group'], 'system:masters, system:authenticated');
  assert.is(first?.headers.authorization, undefined);
  const nobody = await world.request(`${root}/namespaces/a/meters`, {}, world.agents.nobody);
  assert.is(nobody.code, 403);
  assert.match(nobody.json<{ message: string }>().message, /cannot list resource "meters" in API group "metrics\.example\.com"/);
  assert.is(meters().length, 1);
});

test('a watch is handed on event by event, and ends with its client', async () => {
  const response = await world.open(`${root}/meters?watch=true`);
  const next = () => new Promise<string>((resolve) => response.once('data', (chunk) => resolve(String(chunk))));
  assert.is(await next(), '{"type":"ADDED"}\n');
  watcher?.write('{"type":"MODIFIED"}\n');
  assert.is(await next(), '{"type":"MODIFIED"}\n');
  const gone = new Promise((resolve) => watcher?.once('close', resolve));
  response.destroy();
  await gone;
});

test('an upgrade is handed on', async () => {
  const echoed = await new Promise<string>((resolve, reject) => {
    const request = https.request({
      host: '127.0.0.1',
      port: world.port,
      path: `${root}/namespaces/a/meters/b/stream`,
      headers: { connection: 'Upgrade', upgrade: 'echo' },
      agent: world.agents.admin,
    });
    request.on('upgrade', (_, socket) => {
      socket.write('ping');
      socket.once('data', (chunk) => {
        resolve(String(chunk));
        socket.destroy();
      });
    });
    request.on('error', reject);
    request.end();
  });
  assert.is(echoed, 'ping');
});

test('discovery and OpenAPI tell of it, in the order of priorities', async () => {
  const groups = (await world.request('/apis')).json<{ groups: { name: string; preferredVersion: object }[] }>().groups;
  assert.equal(
    groups.slice(0, 2).map((group) => group.name),
    ['metrics.example.com', 'apps'],
  );
  assert.equal(groups[0]?.preferredVersion, { groupVersion: 'metrics.example.com/v1', version: 'v1' });
  assert.is((await world.request('/apis/metrics.example.com')).json<{ kind: string }>().kind, 'APIGroup');
  assert.is((await world.request(root)).json<{ kind: string }>().kind, 'APIResourceList');
  const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
  type Item = { metadata: { name: string }; versions: { freshness: string }[] };
  const firstItem = async () => (await world.request('/apis', { headers: { accept } })).json<{ items: Item[] }>().items[0];
  const untilMs = performance.now() + 60_000;
  let item = await firstItem();
  // A server that was too slow to say what it serves is asked again with the next request.
  while (item?.versions[0]?.freshness !== 'Current' && performance.now() < untilMs) item = await firstItem();
  const responseKind = { group: 'metrics.example.com', version: 'v1', kind: 'Meter' };
  assert.equal(item?.versions, [
    {
      version: 'v1',
      resources: [
        {
          resource: 'meters',
          responseKind,
          scope: 'Namespaced',
          singularResource: 'meter',
          verbs: ['get', 'list', 'watch'],
          shortNames: ['mt'],
          subresources: [{ subresource: 'status', responseKind, verbs: ['get'] }],
        },
      ],
      freshness: 'Current',
    },
  ]);
  const index = (await world.request('/openapi/v3')).json<{ paths: Record<string, { serverRelativeURL: string }> }>();
  assert.is(index.paths['apis/metrics.example.com/v1']?.serverRelativeURL, '/openapi/v3/apis/metrics.example.com/v1?hash=1');
  const document = await world.request('/openapi/v3/apis/metrics.example.com/v1?hash=1');
  assert.equal(document.json(), { kind: 'MeterList', url: '/openapi/v3/apis/metrics.example.com/v1?hash=1' });
});

test('a server that is not to be trusted is not used', async () => {
  const other = await testAuthority();
  const caBundle = inBase64(other.ca);
  await client().patch(apiServices, name, 'merge', { spec: { caBundle } });
  runAggregator();
  const { message = '' } = await available('FailedDiscoveryCheck');
  assert.match(message, /x509: certificate signed by unknown authority$/);
  assert.is((await world.request(`${root}/meters`)).code, 503);
});

test('extension servers find whom to believe', async () => {
  const config = await client().get(configMaps, 'extension-apiserver-authentication', { namespace: 'kube-system' });
  const data = (config as { data?: Record<string, string> }).data ?? {};
  assert.is(data['requestheader-allowed-names'], '["front-proxy-client"]');
  assert.match(data['requestheader-client-ca-file'] ?? '', /^-----BEGIN CERTIFICATE-----/);
});

test('an APIService that contradicts itself is refused', async () => {
  const spec = { group: 'g.example.com', version: 'v1', groupPriorityMinimum: 100, versionPriority: 10, caBundle: 'eA==' };
  const { code, message } = await failureOf(client().create(apiServices, { metadata: { name: 'v2.g.example.com' }, spec }));
  assert.is(code, 422);
  assert.match(
    message,
    /metadata\.name: Invalid value: "v2\.g\.example\.com": must be `spec\.version\+"\."\+spec\.group`: "v1\.g\.example\.com"/,
  );
  assert.match(message, /spec\.caBundle: Invalid value: "eA==": local APIServices may not have a caBundle/);
});

test.run();
