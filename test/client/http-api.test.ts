/** The HTTP client against the real API endpoint: over TLS with a client certificate, and over a Unix socket. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createApi } from '../../src/api/index.ts';
import { kinds } from '../../src/api/kinds/index.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLogger } from '../../src/lib/logger.ts';
import { seededRandom, systemRandom } from '../../src/lib/random.ts';
import type { Client } from '../../src/machinery/client.ts';
import { createHttpClient } from '../../src/machinery/http-client.ts';
import { Informer } from '../../src/machinery/informer.ts';
import { configMaps } from '../../src/machinery/resources.ts';
import { isReason, serviceUnavailable } from '../../src/machinery/status.ts';
import { testAuthority } from '../api/certificates.ts';
import { MemoryCluster } from '../api/memory-cluster.ts';
import { FakeHealth } from '../controllers/cluster.ts';

type HttpClient = Client & { close(): void };

async function withClients(run: (clients: { tls: HttpClient; socket: HttpClient; stranger: HttpClient }) => Promise<void>) {
  const folder = await mkdtemp(join(tmpdir(), 'kontiki-http-api-'));
  const api = createApi({
    store: await MemoryCluster.open(),
    kinds,
    agents: { connect: () => Promise.reject(serviceUnavailable('no agents here')) },
    nodeHealth: new FakeHealth(),
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    serviceCidr: '10.43.0.0/16',
    nodePortRange: { from: 30_000, to: 32_767 },
  });
  const authority = await testAuthority();
  const server = await authority.issue('CN=server');
  const admin = await authority.issue('CN=admin, O=system:masters');
  const nobody = await authority.issue('CN=nobody');
  const socketPath = join(folder, 'api.sock');
  await api.bootstrap(new AbortController().signal);
  const port = await api.listen({ host: '127.0.0.1', port: 0, tls: { ca: authority.ca, ...server } });
  await api.listenSocket(socketPath, { name: 'admin', groups: ['system:masters'] });
  const url = `https://127.0.0.1:${port}`;
  const tls = createHttpClient({ url, ca: authority.ca, ...admin });
  const socket = createHttpClient({ socketPath });
  const stranger = createHttpClient({ url, ca: authority.ca, ...nobody });
  try {
    await run({ tls, socket, stranger });
  } finally {
    for (const client of [tls, socket, stranger]) client.close();
    await api.close();
    await rm(folder, { recursive: true });
  }
}

test('what is written over one is read and watched over the other', () =>
  withClients(async ({ tls, socket, stranger }) => {
    const namespace = 'default';
    const informer = new Informer({
      client: socket,
      resource: configMaps,
      namespace,
      clock: systemClock,
      random: seededRandom(1),
      logger: silentLogger,
    });
    const abort = new AbortController();
    const changes: string[] = [];
    const gone = new Promise<void>((resolve) => {
      informer.onChange(({ type, object }) => {
        changes.push(`${type} ${object.metadata.name}`);
        if (type === 'deleted') resolve();
      });
    });
    const ended = informer.start(abort.signal);
    await informer.synced();
    const created = await tls.create(configMaps, { metadata: { name: 'a' }, data: { k: '1' } }, { namespace });
    const updated = await tls.update(configMaps, { ...created, data: { k: '2' } });
    let conflict: unknown;
    await tls.update(configMaps, { ...created, data: { k: '3' } }).catch((error: unknown) => {
      conflict = error;
    });
    assert.ok(isReason(conflict, 'Conflict'));
    assert.is(updated.data?.k, '2');
    assert.is((await socket.get(configMaps, 'a', { namespace })).data?.k, '2');
    await tls.patch(configMaps, 'a', 'merge', { data: { k: '4' } }, { namespace });
    await tls.delete(configMaps, 'a', { namespace });
    await gone;
    assert.equal(changes, ['added a', 'updated a', 'updated a', 'deleted a']);
    abort.abort();
    await ended;
    let refused: unknown;
    await stranger.list(configMaps, { namespace }).catch((error: unknown) => {
      refused = error;
    });
    assert.ok(isReason(refused, 'Forbidden'));
  }));

test.run();
