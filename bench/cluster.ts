/**
 * Figures of a real local cluster of three peers: memory, start, pods, writes, failover. Prints Markdown rows.
 * Everything runs on one machine, clients included: compare ratios, not absolute times.
 */
import { readFileSync } from 'node:fs';
import { busyboxImage, writeImageArchive } from '../scripts/image-archive.ts';
import { pidOf } from '../src/cli/lab/state.ts';
import { delay, systemClock } from '../src/lib/clock.ts';
import { createHttpClient } from '../src/machinery/http-client.ts';
import { configMaps, pods } from '../src/machinery/resources.ts';
import { Lab } from '../test/support/lab.ts';
import { EtcdCluster } from './etcd.ts';
import { KvClient } from './kv-client.ts';
import { closedLoop, percentile, type Summary } from './measure.ts';

const lab = new Lab();
const value = 'x'.repeat(1024);
const row = (what: string, figure: string) => console.log(`| ${what} | ${figure} |`);
const ms = (figure: number) => `${figure.toFixed(figure < 10 ? 2 : 0)} ms`;
const summary = ({ p50, p99, ratePerSecond }: Summary) => `p50 ${ms(p50)}, p99 ${ms(p99)}, ${ratePerSecond.toFixed(0)}/s`;

/** A process's memory in MB as the kernel accounts it: its own pages, and those of files it shares with others. */
function memoryMb(pid: number): { own: number; shared: number } {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? Number.NaN) / 1024;
  return { own: field('Private_Dirty') + field('Private_Clean'), shared: field('Shared_Clean') + field('Shared_Dirty') };
}

function childrenOf(pid: number): number[] {
  const own = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  return own.flatMap((child) => [child, ...childrenOf(child)]);
}

function reportMemory(): void {
  for (const peer of lab.state.peers) {
    const daemon = pidOf(peer) as number;
    const parts = [daemon, ...childrenOf(daemon)].map((pid) => {
      const name = readFileSync(`/proc/${pid}/cmdline`, 'utf8').match(/(main|agent|executor)(?=\.js)/)?.[1] ?? 'child';
      return { name: name === 'main' ? 'daemon' : name, ...memoryMb(pid) };
    });
    const list = parts
      .map(({ name, own, shared }) => `${name} ${(own + shared).toFixed(0)} (${own.toFixed(0)} its own)`)
      .join(', ');
    // What they share is the program itself: on a machine it is there once.
    const once = parts.reduce((sum, part) => sum + part.own, 0) + Math.max(...parts.map((part) => part.shared));
    row(`idle memory of ${peer.name}, MB resident`, `${list}; all, shared pages counted once: ${once.toFixed(0)}`);
  }
}

function clientOf(peer: number): ReturnType<typeof createHttpClient> {
  const text = readFileSync(`${lab.dir}/kubeconfig`, 'utf8');
  const field = (name: string) => Buffer.from(new RegExp(`${name}: (\\S+)`).exec(text)?.[1] ?? '', 'base64').toString();
  return createHttpClient({
    url: `https://127.0.0.1:${lab.state.peers[peer - 1]?.localPort}`,
    ca: field('certificate-authority-data'),
    cert: field('client-certificate-data'),
    key: field('client-key-data'),
  });
}

async function measurePods(): Promise<void> {
  const client = lab.client();
  const samples: number[] = [];
  for (let number = 0; number < 20; number++) {
    const name = `start-${number}`;
    const startedMs = performance.now();
    const created = await client.create(
      pods,
      {
        metadata: { name },
        spec: { terminationGracePeriodSeconds: 0, containers: [{ name: 'a', image: 'busybox:1', command: ['sleep', '1000'] }] },
      },
      { namespace: 'default' },
    );
    const signal = AbortSignal.timeout(60_000);
    const options = {
      namespace: 'default',
      fieldSelector: `metadata.name=${name}`,
      resourceVersion: created.metadata.resourceVersion,
      signal,
    };
    for await (const event of client.watch(pods, options)) {
      if (event.type !== 'BOOKMARK' && event.object.status?.phase === 'Running') break;
    }
    samples.push(performance.now() - startedMs);
    await client.delete(pods, name, { namespace: 'default', gracePeriodSeconds: 0 });
  }
  client.close();
  samples.sort((a, b) => a - b);
  row(
    'pod, create to Running, 20 one after the other',
    `p50 ${ms(percentile(samples, 0.5))}, most ${ms(samples.at(-1) ?? Number.NaN)}`,
  );
}

async function measureWrites(): Promise<void> {
  const leader = await lab.leader();
  const follower = leader === 1 ? 2 : 1;
  const create = (client: ReturnType<typeof createHttpClient>, prefix: string) => async (number: number) => {
    await client.create(configMaps, { metadata: { name: `${prefix}-${number}` }, data: { value } }, { namespace: 'default' });
  };
  for (const [title, peer] of [
    ['the leader', leader],
    ['a follower', follower],
  ] as const) {
    const client = clientOf(peer);
    const name = title.replace(' ', '-');
    row(`ConfigMap of 1 KiB, one client through ${title}`, summary(await closedLoop(1, 5_000, create(client, `${name}-one`))));
    row(`ConfigMap of 1 KiB, 64 clients through ${title}`, summary(await closedLoop(64, 8_000, create(client, `${name}-many`))));
    client.close();
  }
}

async function measureEtcd(): Promise<void> {
  if (!EtcdCluster.available()) return row('etcd', 'not measured: the package etcd-server is not installed');
  const etcd = await EtcdCluster.start();
  const client = new KvClient(etcd.ports[0] as number);
  try {
    const put = (prefix: string) => (number: number) => client.put(`/${prefix}/${number}`, Buffer.from(value));
    row('etcd of three members, put of 1 KiB over gRPC, one client', summary(await closedLoop(1, 5_000, put('one'))));
    row('etcd of three members, the same with 64 clients', summary(await closedLoop(64, 8_000, put('many'))));
  } finally {
    client.close();
    etcd.close();
  }
}

/** From the kill to the first write that another peer acknowledges. */
async function measureFailover(): Promise<void> {
  const samples: number[] = [];
  for (let round = 0; round < 10; round++) {
    const leader = await lab.leader();
    const client = clientOf(leader === 1 ? 2 : 1);
    const peer = lab.state.peers[leader - 1];
    await client.create(configMaps, { metadata: { name: `before-${round}` } }, { namespace: 'default' });
    const startedMs = performance.now();
    process.kill(pidOf(peer as NonNullable<typeof peer>) as number, 'SIGKILL');
    await client.create(configMaps, { metadata: { name: `after-${round}` } }, { namespace: 'default' });
    samples.push(performance.now() - startedMs);
    client.close();
    await lab.kontiki('dev', 'start', String(leader));
    await lab.eventually('three voters that are up to date', async () =>
      (await lab.status()).every((one) => one.alive && one.role) ? true : undefined,
    );
  }
  samples.sort((a, b) => a - b);
  row(
    'no write possible after kill -9 of the leader, 10 runs',
    `p50 ${ms(percentile(samples, 0.5))}, most ${ms(samples.at(-1) ?? Number.NaN)}`,
  );
}

console.log('| what | figure |\n|---|---|');
const startedMs = performance.now();
await lab.up();
try {
  row(
    '`dev up` of three peers to three Ready nodes, build included when needed',
    `${((performance.now() - startedMs) / 1000).toFixed(1)} s`,
  );
  await delay(systemClock, 10_000);
  reportMemory();
  const file = `${lab.dir}/image.tar`;
  writeImageArchive(file, busyboxImage('busybox:1'));
  await lab.kontiki('dev', 'image', 'import', file);
  await measurePods();
  await measureWrites();
  await measureFailover();
  await measureEtcd();
} finally {
  await lab.down();
}
