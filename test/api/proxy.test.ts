/** The `proxy` subresources: requests, bodies and upgrades that go on to pods, services and nodes. */
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { endpointSlices, nodes, pods, services } from '../../src/machinery/resources.ts';
import { type FakeAgents, fakeAgents } from './fake-agent.ts';
import { type ListeningApi, listeningApi } from './listening.ts';
import { httpsServer } from './webhook-servers.ts';

const test = suite('proxy subresources');
const namespace = 'default';
let agents: FakeAgents;
let world: ListeningApi;
let web: http.Server;

test.before(async () => {
  agents = await fakeAgents();
  world = await listeningApi({ agents: agents.connector });
  web = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const { method, url, headers } = request;
      if (url === '/moved') return void response.writeHead(302, { location: '/elsewhere?x=1' }).end();
      const body = Buffer.concat(chunks).toString();
      response.writeHead(url === '/teapot' ? 418 : 200, { 'content-type': 'application/json', 'x-own': 'yes' });
      response.end(JSON.stringify({ method, url, headers, body }));
    });
  });
  web.on('upgrade', (request, socket) => {
    if (request.headers.upgrade !== 'echo') return void socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno');
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
  const { port } = web.address() as AddressInfo;
  agents.ports.set('node-2 default/web:8080', port);
  const client = world.api.client();
  const ports = [{ name: 'http', containerPort: 8080 }];
  const spec = { nodeName: 'node-2', containers: [{ name: 'c', image: 'c:1', ports }] };
  await client.create(pods, { metadata: { name: 'web' }, spec }, { namespace });
  await client.create(services, { metadata: { name: 'front' }, spec: { ports: [{ name: 'www', port: 80 }] } }, { namespace });
  const targetRef = { kind: 'Pod', name: 'web', namespace };
  const endpoints = [{ addresses: ['10.42.0.9'], nodeName: 'node-2', targetRef }];
  const metadata = { name: 'front-1', labels: { 'kubernetes.io/service-name': 'front' } };
  await client.create(
    endpointSlices,
    { metadata, addressType: 'IPv4', ports: [{ name: 'www', port: 8080 }], endpoints },
    { namespace },
  );
  await client.create(nodes, { metadata: { name: 'node-2' } });
});

test.after(async () => {
  await world.close();
  agents.close();
  web.close();
  web.closeAllConnections();
});

const podPath = `/api/v1/namespaces/${namespace}/pods`;

interface Seen {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: string;
}

test('path, query, body and headers reach the pod; who the caller is does not', async () => {
  const path = `${podPath}/web:8080/proxy/a%20b/c?x=1&y=a%2Fb`;
  const headers = { 'content-type': 'text/plain', 'x-remote-user': 'mallory', 'x-mine': 'here' };
  const answer = await world.request(path, { method: 'POST', body: 'hello', headers });
  assert.is(answer.code, 200);
  assert.is(answer.headers['x-own'], 'yes');
  const seen = answer.json() as unknown as Seen;
  assert.equal([seen.method, seen.url, seen.body], ['POST', '/a%20b/c?x=1&y=a%2Fb', 'hello']);
  assert.equal(
    [seen.headers['x-mine'], seen.headers['x-remote-user'], seen.headers.authorization],
    ['here', undefined, undefined],
  );
  assert.is(seen.headers['x-forwarded-uri'], `${podPath}/web:8080/proxy/a%20b/c`);
  assert.is((await world.request(`${podPath}/web/proxy/teapot`)).code, 418, 'the first port of a container is meant');
  assert.is((await world.request(`${podPath}/web:http/proxy/`)).code, 200, 'ports have names');
});

test('a path without its last slash is redirected, and redirects of the pod lead through the proxy', async () => {
  const bare = await world.request(`${podPath}/web/proxy?a=b`);
  assert.equal([bare.code, bare.headers.location], [301, `${podPath}/web/proxy/?a=b`]);
  const moved = await world.request(`${podPath}/web/proxy/moved`);
  assert.equal([moved.code, moved.headers.location], [302, `${podPath}/web/proxy/elsewhere?x=1`]);
});

test('a service is found by number or name of its port', async () => {
  for (const name of ['front', 'front:80', 'front:www', 'http:front:80']) {
    const answer = await world.request(`/api/v1/namespaces/${namespace}/services/${name}/proxy/x`);
    assert.is((answer.json() as unknown as Seen).url, '/x', name);
  }
  const wrong = await world.request(`/api/v1/namespaces/${namespace}/services/front:81/proxy/x`);
  assert.is(wrong.code, 503);
});

test('https: asks with TLS, whatever the certificate', async () => {
  const secure = await httpsServer((_, response) => response.end('secret'));
  agents.ports.set('node-2 default/web:8443', secure.port);
  assert.is((await world.request(`${podPath}/https:web:8443/proxy/`)).text, 'secret');
  secure.close();
});

test('what cannot be reached, is misnamed or not allowed is told as a Status', async () => {
  agents.ports.set('node-2 default/web:9999', 1);
  const closed = await world.request(`${podPath}/web:9999/proxy/`);
  assert.is(closed.code, 503);
  assert.is((await world.request(`${podPath}/missing/proxy/`)).code, 404);
  assert.is((await world.request(`${podPath}/web:none/proxy/`)).code, 400);
  assert.is((await world.request(`${podPath}/ftp:web:80/proxy/`)).code, 400);
  const nobody = await world.request(`${podPath}/web/proxy/`, {}, world.agents.nobody);
  assert.is(nobody.code, 403);
  assert.match(nobody.json<{ message: string }>().message, /cannot get resource "pods\/proxy" in API group ""/);
});

test('a node answers for its agent, which is only read', async () => {
  agents.answers.set('/logs/ns/p/c?tailLines=1', '"a log"');
  const path = '/api/v1/nodes/node-2/proxy/containerLogs/ns/p/c?tailLines=1';
  assert.is((await world.request(path)).text, '"a log"');
  agents.answers.set('/stats/summary?only_cpu_and_memory=true', '{"node":{}}');
  const summary = await world.request('/api/v1/nodes/node-2/proxy/stats/summary?only_cpu_and_memory=true');
  assert.equal([summary.code, summary.text], [200, '{"node":{}}']);
  assert.is((await world.request('/api/v1/nodes/node-2:10250/proxy/nothing')).code, 404);
  assert.is((await world.request('/api/v1/nodes/node-2/proxy/images', { method: 'POST', body: 'x' })).code, 405);
});

test('an upgrade becomes a connection to the pod; a refused one is an ordinary answer', async () => {
  const open = (upgrade: string) =>
    https.request({
      host: '127.0.0.1',
      port: world.port,
      path: `${podPath}/web/proxy/stream`,
      headers: { connection: 'Upgrade', upgrade },
      agent: world.agents.admin,
    });
  const echoed = await new Promise<string>((resolve, reject) => {
    const request = open('echo');
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
  const code = await new Promise<number | undefined>((resolve, reject) => {
    const request = open('other');
    request.on('response', (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode));
    });
    request.on('error', reject);
    request.end();
  });
  assert.is(code, 403);
});

test.run();
