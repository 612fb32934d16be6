/**
 * `npm run bench:api`: the Kubernetes API of one peer, through TLS, beside nothing else. Prints Markdown rows.
 * `--tool FILE`: also runs that load tool (it must know `latency`, `throughput` and `watch` with `--kubeconfig`) and prints what
 * it says, for figures that were taken of other servers with the same tool. `--objects N` (50,000) and `--pods N` (10,000).
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import http2 from 'node:http2';
import { parseArgs } from 'node:util';
import { pidOf } from '../src/cli/lab/state.ts';
import { createHttpClient } from '../src/machinery/http-client.ts';
import { configMaps, pods } from '../src/machinery/resources.ts';
import { Lab } from '../test/support/lab.ts';
import { closedLoop, percentile, type Summary } from './measure.ts';

const { values: asked } = parseArgs({
  options: {
    tool: { type: 'string' },
    objects: { type: 'string', default: '50000' },
    pods: { type: 'string', default: '10000' },
    watchers: { type: 'string', default: '1000' },
  },
});
const [objectCount, podCount, watcherCount] = [asked.objects, asked.pods, asked.watchers].map(Number) as [number, number, number];
const namespace = 'default';
const value = 'x'.repeat(1024);
const typed = { apiVersion: 'v1', kind: 'ConfigMap' };
const lab = new Lab();
const row = (what: string, figure: string) => console.log(`| ${what} | ${figure} |`);
const ms = (figure: number) => `${figure.toFixed(figure < 10 ? 2 : 0)} ms`;
const latency = ({ p50, p99 }: Summary) => `p50 ${ms(p50)}, p99 ${ms(p99)}`;

await lab.up(1);
try {
  const kubeconfig = readFileSync(`${lab.dir}/kubeconfig`, 'utf8');
  const field = (name: string) => Buffer.from(new RegExp(`${name}: (\\S+)`).exec(kubeconfig)?.[1] ?? '', 'base64').toString();
  const url = `https://127.0.0.1:${lab.state.peers[0]?.localPort}`;
  const tls = { ca: field('certificate-authority-data'), cert: field('client-certificate-data'), key: field('client-key-data') };
  const client = createHttpClient({ url, ...tls });
  // Windows as Go's client has them, which kubectl and operators use; with Node's own, a long list waits for one after the other.
  const sessions = [0, 1, 2, 3].map(() => http2.connect(url, { ...tls, settings: { initialWindowSize: 4 << 20 } }));
  for (const session of sessions) {
    session.setMaxListeners(0);
    session.once('connect', () => session.setLocalWindowSize(1 << 30));
  }

  /** The whole answer as text. */
  const ask = (path: string, accept = 'application/json') =>
    new Promise<string>((resolve, reject) => {
      const stream = (sessions[0] as http2.ClientHttp2Session).request({ ':path': path, accept });
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('error', reject);
      stream.on('end', () => resolve(Buffer.concat(chunks).toString()));
    });
  /** The longest stall of the daemon's main thread since the last call, in milliseconds. */
  const stallMs = async () => 1000 * Number(/^kontiki_event_loop_stall_seconds (\S+)$/m.exec(await ask('/metrics'))?.[1]);
  const memoryMb = () => {
    const pid = pidOf(lab.state.peers[0] as NonNullable<(typeof lab.state.peers)[0]>) as number;
    return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
  };
  const createMap = (prefix: string) => async (number: number) => {
    await client.create(configMaps, { metadata: { name: `${prefix}-${number}` }, data: { value } }, { namespace });
  };

  console.log('| what | figure |\n|---|---|');
  await closedLoop(16, 4_000, createMap('warm'));
  await stallMs();
  row('create of a 1 KiB ConfigMap, one client', latency(await closedLoop(1, 3_000, createMap('one'))));
  const get = async () => void (await client.get(configMaps, 'one-0', { namespace }));
  row('get, one client', latency(await closedLoop(1, 3_000, get)));
  const update = async (number: number) => {
    const data = { value, number: String(number) };
    await client.update(configMaps, { ...typed, metadata: { name: 'one-1' }, data }, { namespace });
  };
  row('update, one client', latency(await closedLoop(1, 3_000, update)));
  row('list of 100, one client', latency(await closedLoop(1, 2_000, async () => void (await ask(pathOf('configmaps', 100))))));
  const rate = ({ ratePerSecond, p50, p99 }: Summary) => `${ratePerSecond.toFixed(0)} per s (p50 ${ms(p50)}, p99 ${ms(p99)})`;
  row('creates, 32 clients', rate(await closedLoop(32, 5_000, createMap('many'))));
  row('gets, 32 clients', rate(await closedLoop(32, 3_000, get)));
  row('longest stall of the event loop in all that', ms(await stallMs()));

  const latencies: number[] = [];
  let arrived: () => void = () => undefined;
  let left = 0;
  await Promise.all(
    Array.from({ length: watcherCount }, (_, index) => {
      const stream = (sessions[index % sessions.length] as http2.ClientHttp2Session).request({
        ':path': `/api/v1/namespaces/${namespace}/configmaps?watch=1&fieldSelector=metadata.name%3Dfan`,
      });
      stream.on('error', () => undefined); // They end with the sessions.
      stream.on('data', () => {
        if (--left === 0) arrived();
      });
      return new Promise((resolve) => stream.on('response', resolve));
    }),
  );
  for (let number = 0; number < 50; number++) {
    left = watcherCount;
    const all = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const object = { ...typed, metadata: { name: 'fan' }, data: { value, number: String(number) } };
    const startedMs = performance.now();
    if (number === 0) await client.create(configMaps, object, { namespace });
    else await client.update(configMaps, object, { namespace });
    await all;
    latencies.push(performance.now() - startedMs);
  }
  latencies.sort((a, b) => a - b);
  row(
    `write to the last of ${watcherCount} watchers`,
    `p50 ${ms(percentile(latencies, 0.5))}, most ${ms(latencies.at(-1) ?? 0)}`,
  );
  row('longest stall of the event loop meanwhile', ms(await stallMs()));
  for (const session of sessions.slice(1)) session.destroy();

  const spec = { nodeSelector: { 'bench/none': 'true' }, containers: [{ name: 'a', image: 'busybox:1' }] };
  await filled(podCount, async (number) => {
    await client.create(pods, { metadata: { name: `pod-${number}`, labels: { app: 'bench' } }, spec }, { namespace });
  });
  await stallMs();
  const table = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';
  for (const [name, accept] of [
    ['JSON', 'application/json'],
    ['Table', table],
  ] as const) {
    const bytes = (await ask(pathOf('pods'), accept)).length;
    const list = await closedLoop(1, 3_000, async () => void (await ask(pathOf('pods'), accept)));
    row(`list of ${podCount} pods as ${name}, ${(bytes / 1e6).toFixed(1)} MB`, latency(list));
    row('longest stall of the event loop meanwhile', ms(await stallMs()));
  }
  await filled(Math.max(0, objectCount - podCount), createMap('fill'));
  row(`memory of the daemon with ${objectCount} objects of 1 KiB and more`, `${memoryMb().toFixed(0)} MB resident`);
  row('longest stall of the event loop while they were created', ms(await stallMs()));
  client.close();
  for (const session of sessions) session.destroy();
  if (asked.tool) runTool(asked.tool);
} finally {
  await lab.down();
}

function pathOf(resource: string, limit?: number): string {
  return `/api/v1/namespaces/${namespace}/${resource}${limit === undefined ? '' : `?limit=${limit}`}`;
}

/** So many calls by 32 clients. */
async function filled(count: number, create: (number: number) => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: 32 }, async () => {
      while (next < count) await create(next++);
    }),
  );
}

function runTool(tool: string): void {
  const kubeconfig = ['--kubeconfig', `${lab.dir}/kubeconfig`];
  for (const words of [
    ['latency'],
    ['throughput', '--clients', '32', '--n', '3000'],
    ['watch', '--watchers', '20', '--n', '200'],
  ]) {
    const { stdout, stderr } = spawnSync(process.execPath, [tool, ...words, ...kubeconfig], { encoding: 'utf8' });
    console.log(`\n${words.join(' ')}:\n${stdout}${stderr}`);
  }
}
