/**
 * `node_modules/.bin/node bench/floor.ts [--seconds N]`: puts through three Node processes that do nothing but what no replicated log in
 * Node can do without (floor-peer.ts: HTTP/2 in, a thread of its own for the network, TLS between the three, two fdatasyncs of three),
 * beside etcd in the same run. What is above 1 here is no matter of how consensus is written. Prints Markdown rows.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { systemClock } from '../src/lib/clock.ts';
import { createAuthority, issueCertificate } from '../src/node/pki.ts';
import { type Contestant, daemonFlags, leaderOf, ready } from './contestant.ts';
import { EtcdCluster } from './etcd.ts';
import type { FloorOptions } from './floor-peer.ts';
import { KvClient } from './kv-client.ts';
import { closedLoop } from './measure.ts';

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '3' } } });
const durationMs = Number(values.seconds) * 1000;
const clientPort = 23_931;
const peerPort = (index: number) => 23_941 + index;

class Floor implements Contestant {
  readonly name = 'floor';
  readonly ports = [clientPort, clientPort, clientPort];
  readonly #dir = mkdtempSync(join(tmpdir(), 'ktk-floor-'));
  readonly #peers: ChildProcess[] = [];

  static async start(): Promise<Floor> {
    const floor = new Floor();
    const authority = await createAuthority(systemClock, 'floor');
    const issue = (usage: 'server' | 'client') =>
      issueCertificate(authority, { commonName: `floor ${usage}`, organizations: [], usage, days: 1 }, systemClock);
    const [client, server] = [await issue('client'), await issue('server')];
    // The first one connects to the others.
    for (const index of [2, 1, 0]) {
      const own = { peerPort: peerPort(index), peerPorts: [peerPort(1), peerPort(2)], file: join(floor.#dir, `log-${index}`) };
      const keys = { ...(index === 0 ? client : server), ca: authority.cert };
      const options: FloorOptions = { ...own, keys, ...(index === 0 && { clientPort }) };
      const peer = fork(fileURLToPath(new URL('./floor-peer.ts', import.meta.url)), [JSON.stringify(options)], {
        execArgv: daemonFlags,
      });
      floor.#peers[index] = peer;
      await new Promise((resolve, reject) => {
        peer.once('message', resolve);
        peer.once('exit', () => reject(new Error('a process of the floor ended')));
      });
    }
    return floor;
  }

  pid(index: number): number {
    return this.#peers[index]?.pid as number;
  }

  kill(index: number): void {
    this.#peers[index]?.kill('SIGKILL');
  }

  restart(): Promise<void> {
    throw new Error('the floor survives nothing');
  }

  close(): void {
    for (const peer of this.#peers) peer.kill('SIGKILL');
    rmSync(this.#dir, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** One client at the leader; then 64 and 256, spread over the members. */
async function figures(contestant: Contestant): Promise<number[]> {
  try {
    await ready(contestant);
    const leader = await leaderOf(contestant);
    const clients = [...contestant.ports, ...contestant.ports].map((port) => new KvClient(port));
    const value = Buffer.alloc(1024, 'x');
    const put = (name: string) => (number: number) =>
      (clients[number % clients.length] as KvClient).put(`/${name}/${number % 5_000}`, value);
    await closedLoop(64, 4_000, put('warm'));
    const alone = await closedLoop(1, durationMs, (number) => (clients[leader] as KvClient).put(`/one/${number % 5_000}`, value));
    const many = [await closedLoop(64, durationMs, put('w64')), await closedLoop(256, durationMs, put('w256'))];
    for (const client of clients) client.close();
    return [alone.p50, alone.p99, ...many.map(({ ratePerSecond }) => ratePerSecond)];
  } finally {
    contestant.close();
  }
}

const floor = await figures(await Floor.start());
const etcd = EtcdCluster.available() ? await figures(await EtcdCluster.start()) : undefined;
console.log('| what | floor | etcd | ratio |\n|---|---|---|---|');
const rows = [
  'one client at the leader, p50 ms',
  'the same, p99 ms',
  'puts per second, 64 clients',
  'puts per second, 256 clients',
];
for (const [at, what] of rows.entries()) {
  const [own, other] = [floor[at] as number, etcd?.[at]];
  const text = (figure: number) => figure.toFixed(figure < 100 ? 2 : 0);
  console.log(
    `| ${what} | ${text(own)} | ${other === undefined ? '–' : text(other)} | ${other ? (own / other).toFixed(2) : '–'} |`,
  );
}
