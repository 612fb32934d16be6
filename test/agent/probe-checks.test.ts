/** One try of an HTTP or TCP probe against real servers. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { httpProbe, portNumber, tcpProbe } from '../../src/agent/pods/probe-checks.ts';
import type { Container } from '../../src/machinery/types.ts';

const codes: Record<string, number> = { '/ok': 200, '/moved': 302, '/bad': 500 };
const server = createServer((request, response) => {
  if (request.url === '/silent') return;
  response.writeHead(codes[request.url ?? ''] ?? 404).end(request.headers['x-mine'] ?? '');
});
let port: number;
test.before(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});
test.after(() => {
  server.closeAllConnections();
  server.close();
});

const container = () => ({ name: 'c', ports: [{ name: 'web', containerPort: port }] }) as Container;
const http = (path: string, timeoutMs = 5_000) =>
  httpProbe({ path, port: 'web' as never }, container(), '127.0.0.1', timeoutMs, new AbortController().signal);

test('answers from 200 to 399 are success', async () => {
  assert.ok((await http('/ok')).ok);
  assert.ok((await http('/moved')).ok);
  assert.equal(await http('/bad'), { ok: false, message: 'HTTP probe failed with statuscode: 500' });
});

test('no answer in time is a failure', async () => {
  assert.match((await http('/silent', 20)).message, /context deadline exceeded/);
});

test('a connection that is accepted is success, one that is refused is not', async () => {
  const { signal } = new AbortController();
  assert.ok((await tcpProbe('127.0.0.1', port, 5_000, signal)).ok);
  assert.is((await tcpProbe('127.0.0.1', 1, 5_000, signal)).message, 'dial tcp 127.0.0.1:1: connect: connection refused');
  assert.not.ok((await tcpProbe(undefined, port, 5_000, signal)).ok);
});

test('ports are found by name or number', () => {
  assert.equal([portNumber('web', container()), portNumber(80, container()), portNumber('81', container())], [port, 80, 81]);
  assert.ok(Number.isNaN(portNumber('none', container())));
});

test.run();
