/** gRPC probes against a server that speaks the health protocol. */
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeAnswer, encodeRequest, grpcProbe } from '../../src/agent/pods/grpc-probe.ts';
import { image, Lab } from './support/lab.ts';

const statuses: Record<string, number> = { '': 1, up: 1, down: 2 };
const asked: string[] = [];
const server = http2.createServer();
server.on('stream', (stream, headers) => {
  const chunks: Buffer[] = [];
  stream.on('error', () => {});
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('end', () => {
    const service = Buffer.concat(chunks).subarray(7).toString();
    asked.push(`${headers[':path']} ${service}`);
    if (service === 'silent') return;
    const status = statuses[service];
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => {
      if (service === 'old') stream.sendTrailers({ 'grpc-status': '12', 'grpc-message': 'unknown%20service' });
      else stream.sendTrailers({ 'grpc-status': status === undefined ? '5' : '0', 'grpc-message': status ? '' : 'unknown' });
    });
    // A compressed-flag byte, the length, field 1 as a number; before it a field that nobody knows.
    if (status !== undefined) stream.write(Buffer.from([0, 0, 0, 0, 5, 0x12, 1, 7, 8, status]));
    stream.end();
  });
});
let port: number;
let lab: Lab;
test.before(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
  lab = await Lab.open();
});
test.after(async () => {
  await lab.close();
  server.close();
});

const check = (service: string, timeoutMs = 5_000) =>
  grpcProbe({ host: '127.0.0.1', port, service }, timeoutMs, new AbortController().signal);

test('a service that serves passes, with its name or without', async () => {
  assert.equal(await check(''), { ok: true, message: '' });
  assert.equal(await check('up'), { ok: true, message: '' });
  assert.equal(asked, ['/grpc.health.v1.Health/Check ', '/grpc.health.v1.Health/Check up']);
});

test('every other answer fails, and says why', async () => {
  assert.is((await check('down')).message, 'service unhealthy (responded with "NOT_SERVING")');
  assert.is((await check('none')).message, 'error: health rpc probe failed: code 5: unknown');
  assert.match((await check('old')).message, /does not implement the grpc health protocol .*: unknown service$/);
  assert.is((await check('silent', 50)).message, 'timeout: health rpc did not complete within 0.05s');
  const refused = await grpcProbe({ host: '127.0.0.1', port: 1, service: '' }, 5_000, new AbortController().signal);
  assert.match(refused.message, /^error: failed to connect to service at "127\.0\.0\.1:1": .*ECONNREFUSED/);
});

test('a probe ends when its container does', async () => {
  const ending = new AbortController();
  const probe = grpcProbe({ host: '127.0.0.1', port, service: 'silent' }, 60_000, ending.signal);
  ending.abort(new Error('ended'));
  assert.is(await probe.catch((error: Error) => error.message), 'ended');
});

test('the messages are those of the protocol', () => {
  assert.equal([...encodeRequest('')], [0, 0, 0, 0, 0]);
  assert.equal([...encodeRequest('ab')], [0, 0, 0, 0, 4, 0x0a, 2, 97, 98]);
  assert.equal([...encodeRequest('x'.repeat(300)).subarray(0, 8)], [0, 0, 0, 1, 47, 0x0a, 0xac, 2]);
  assert.is(decodeAnswer(Buffer.from([0, 0, 0, 0, 0])), 0);
  assert.is(decodeAnswer(Buffer.from([0, 0, 0, 0, 2, 8, 1])), 1);
  for (const bad of [[], [1, 0, 0, 0, 0], [0, 0, 0, 0, 9, 8, 1], [0, 0, 0, 0, 1, 8], [0, 0, 0, 0, 2, 0x12, 9]])
    assert.is(decodeAnswer(Buffer.from(bad)), undefined);
});

test('a container is ready when its service serves', async () => {
  const probe = (service: string) => ({ grpc: { port, service }, periodSeconds: 1, failureThreshold: 1 });
  const container = { name: 'main', image, command: ['sleep', '1000'] };
  const hostNetwork = true;
  await lab.createPod('serving', { hostNetwork, containers: [{ ...container, readinessProbe: probe('up') }] });
  await lab.createPod('refusing', { hostNetwork, containers: [{ ...container, readinessProbe: probe('down') }] });
  await lab.running('serving');
  await lab.podUntil('refusing', 'is unhealthy', ({ containerStatuses }) => {
    const told = lab.events.some(({ pod, reason }) => pod === 'refusing' && reason === 'Unhealthy');
    return told && containerStatuses?.[0]?.ready === false;
  });
});

test.run();
