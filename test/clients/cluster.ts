/** An API that can go away and come back over the same store, behind an address that stays, and the official client's configuration for it. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';
import type { AgentConnector } from '../../src/api/types.ts';
import { testAuthority } from '../api/certificates.ts';
import { listeningApi } from '../api/listening.ts';
import { MemoryCluster } from '../api/memory-cluster.ts';

export async function startCluster(options: { agents?: AgentConnector; historyRevisionsMax?: number } = {}) {
  const store = await MemoryCluster.open(options.historyRevisionsMax ? { historyRevisionsMax: options.historyRevisionsMax } : {});
  const authority = await testAuthority();
  const open = () => listeningApi({ store, authority, ...(options.agents ? { agents: options.agents } : {}) });
  let running: Awaited<ReturnType<typeof open>> | undefined = await open();
  const sockets = new Set<Socket>();
  const front = createServer((socket) => {
    const { port } = running ?? {};
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    if (port === undefined) return void socket.destroy();
    const behind = connect(port, '127.0.0.1');
    behind.on('error', () => socket.destroy());
    behind.on('close', () => socket.destroy());
    socket.on('close', () => behind.destroy());
    socket.pipe(behind).pipe(socket);
  });
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
  const { port } = front.address() as AddressInfo;
  const { admin } = running;
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const config = new KubeConfig();
  config.loadFromOptions({
    clusters: [{ name: 'test', server: `https://127.0.0.1:${port}`, caData: base64(authority.ca), skipTLSVerify: false }],
    users: [{ name: 'admin', certData: base64(admin.cert), keyData: base64(admin.key) }],
    contexts: [{ name: 'test', cluster: 'test', user: 'admin' }],
    currentContext: 'test',
  });
  return {
    config,
    store,
    authority,
    admin,
    port,
    /** No answers from now on; connections end. */
    async stop() {
      const closing = running;
      running = undefined;
      await closing?.close();
      for (const socket of sockets) socket.destroy();
    },
    /** A new server over the same store. `before` runs when it is there, but not yet reachable. */
    async start(before: (api: Awaited<ReturnType<typeof open>>['api']) => Promise<void> = async () => {}) {
      const next = await open();
      await before(next.api);
      running = next;
    },
    async close() {
      await this.stop();
      await new Promise((resolve) => front.close(resolve));
    },
  };
}

export type TestCluster = Awaited<ReturnType<typeof startCluster>>;

/** Resolves when `met` is true; fails after a minute. */
export async function until(what: string, met: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 60_000;
  while (!(await met())) {
    if (performance.now() > end) throw new Error(`not within a minute: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
