/**
 * `npm run bench:pods`: pods of one machine (a cluster of one peer), in turns with the same bundle run by `runc run` and
 * `crun run` after the same overlay, namespaces and network: what the orchestrator adds. Prints Markdown rows.
 * `--samples N` (20) pods one after the other, `--at-once N` (50), `--idle N` (100) pods with probes.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { busyboxImage, writeImageArchive } from '../scripts/image-archive.ts';
import { LabNetwork } from '../src/cli/lab/network.ts';
import { commandOf, pidOf } from '../src/cli/lab/state.ts';
import { delay, systemClock } from '../src/lib/clock.ts';
import { pods } from '../src/machinery/resources.ts';
import type { Container, Pod } from '../src/machinery/types.ts';
import { Session } from '../test/agent/support/agent-client.ts';
import { processes } from '../test/agent/support/host-contents.ts';
import { Lab } from '../test/support/lab.ts';
import { BarePods } from './bare-pods.ts';
import { FirstAnswer } from './first-answer.ts';
import { percentile } from './measure.ts';

const { values: asked } = parseArgs({
  options: {
    samples: { type: 'string', default: '20' },
    'at-once': { type: 'string', default: '50' },
    idle: { type: 'string', default: '100' },
  },
});
const [sampleCount, atOnce, idleCount] = [asked.samples, asked['at-once'], asked.idle].map(Number) as [number, number, number];
const idleWatchMs = 20_000;
const namespace = 'default';
const runtimes = ['runc', 'crun'] as const;
const lab = new Lab();
const now = () => performance.timeOrigin + performance.now();
const row = (what: string, ...figures: string[]) => console.log(`| ${[what, ...figures].join(' | ')} |`);
const ms = (figure: number | undefined) => (figure === undefined ? '–' : `${figure.toFixed(figure < 10 ? 1 : 0)} ms`);

function spread(samples: number[]): string {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted.length ? `${ms(percentile(sorted, 0.5))} (p99 ${ms(percentile(sorted, 0.99))})` : '–';
}

const server: Container = {
  name: 'main',
  image: 'busybox:1',
  // The first process of a container ignores SIGTERM unless it says what to do.
  command: ['sh', '-c', 'trap "exit 0" TERM; httpd -f -p 8080 -h /etc & wait'],
};

await lab.up(1);
const peer = lab.state.peers[0]!;
const { netnsFile } = new LabNetwork(lab.state.id).peer(1);
const agentDir = join(peer.dataDir, 'agent');
const client = lab.client();
const answers = new FirstAnswer(netnsFile);
let bare: BarePods | undefined;

const create = (name: string, container = server) =>
  client.create(pods, { metadata: { name }, spec: { containers: [container] } }, { namespace });

/** The first state after `from` for which `test` holds; undefined is the pod's end. */
async function waitFor(from: Pod, test: (pod: Pod | undefined) => unknown): Promise<Pod> {
  const options = {
    namespace,
    fieldSelector: `metadata.name=${from.metadata.name}`,
    resourceVersion: from.metadata.resourceVersion,
    signal: AbortSignal.timeout(180_000),
  };
  for await (const { type, object } of client.watch(pods, options)) {
    if (type !== 'BOOKMARK' && test(type === 'DELETED' ? undefined : object)) return object;
  }
  throw new Error(`the watch of ${from.metadata.name} ended`);
}

const runs = (pod: Pod | undefined) => pod?.status?.phase === 'Running' && pod.status.podIP;

async function start(name: string): Promise<{ pod: Pod; runningMs: number; answerMs: number }> {
  const startedMs = now();
  const pod = await waitFor(await create(name), runs);
  const runningMs = now() - startedMs;
  return { pod, runningMs, answerMs: (await answers.ask(pod.status!.podIP!)) - startedMs };
}

async function stop(pod: Pod): Promise<number> {
  const startedMs = now();
  const deleted = waitFor(pod, (found) => found === undefined);
  await client.delete(pods, pod.metadata.name, { namespace });
  await deleted;
  return now() - startedMs;
}

async function startBare(runtime: 'runc' | 'crun'): Promise<{ runningMs: number; answerMs: number }> {
  const startedMs = now();
  const ip = await bare!.run(runtime);
  const runningMs = now() - startedMs;
  return { runningMs, answerMs: (await answers.ask(ip)) - startedMs };
}

/** Proportional set size, in MB: shared pages count by the number of those that share them. */
function pssMb(pid: number): number {
  return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? Number.NaN) / 1024;
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}

const daemonPid = () => pidOf(peer)!;
const agentPid = () => childrenOf(daemonPid()).find((pid) => commandOf(pid).some((word) => word.endsWith('agent.js')))!;
const executorPid = () => childrenOf(agentPid()).find((pid) => commandOf(pid).some((word) => word.endsWith('executor.js')))!;

/** Seconds of processor that a process has had, and the children it has waited for. */
function cpuSeconds(pid: number | 'self'): { own: number; children: number; all: number } {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const ticks = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 15)
    .map(Number) as [number, number, number, number];
  const [own, children] = [(ticks[0] + ticks[1]) / 100, (ticks[2] + ticks[3]) / 100];
  return { own, children, all: own + children };
}

const monitors = () => processes(agentDir).filter(({ command }) => command[0]?.endsWith('conmon'));

/** Seconds so far, by who had them. The monitors' are those of the runtime's `create`. */
function cpuOfParts(): Record<string, number> {
  const executor = cpuSeconds(executorPid());
  return {
    daemon: cpuSeconds(daemonPid()).own,
    agent: cpuSeconds(agentPid()).own,
    executor: executor.own,
    commands: executor.children,
    monitors: monitors().reduce((sum, { pid }) => sum + cpuSeconds(pid).all, 0),
  };
}

function cpuPerPod(from: Record<string, number>, to: Record<string, number>, count: number): string {
  const parts = Object.keys(from).map((name) => ({ name, spent: (1000 * (to[name]! - from[name]!)) / count }));
  const all = parts.reduce((sum, { spent }) => sum + spent, 0);
  return `${ms(all)} (${parts.map(({ name, spent }) => `${name} ${spent.toFixed(0)}`).join(', ')})`;
}

async function measureSequential(keep: Pod): Promise<void> {
  const samples: Record<string, { runningMs: number[]; answerMs: number[] }> = {};
  const stops: number[] = [];
  const note = (who: string, { runningMs, answerMs }: { runningMs: number; answerMs: number }) => {
    samples[who] ??= { runningMs: [], answerMs: [] };
    samples[who].runningMs.push(runningMs);
    samples[who].answerMs.push(answerMs);
  };
  for (let number = 0; number < sampleCount; number++) {
    const started = await start(`one-${number}`);
    note('kontiki', started);
    stops.push(await stop(started.pod));
    for (const runtime of runtimes) note(runtime, await startBare(runtime));
  }
  const execs = await measureExec(keep);
  const figures = (part: 'runningMs' | 'answerMs') => ['kontiki', ...runtimes].map((who) => spread(samples[who]?.[part] ?? []));
  row(`start, one after the other, ${sampleCount} each, in turns`, ...figures('runningMs'));
  row('the same to the first HTTP answer', ...figures('answerMs'));
  row('exec of `true`', ...execs);
  row('delete to gone, a container that ends on SIGTERM', spread(stops), '–', '–');
  bare!.clear();
}

async function measureExec({ metadata }: Pod): Promise<string[]> {
  const own: number[] = [];
  const path = `/exec/${namespace}/${metadata.name}/main?stdout=true&command=true`;
  for (let number = 0; number < sampleCount; number++) {
    const startedMs = now();
    const session = await Session.open(`${peer.dataDir}/run/agent.sock`, path);
    await session.ended;
    own.push(now() - startedMs);
  }
  return [own, ...runtimes.map((runtime) => Array.from({ length: sampleCount }, () => bare!.execMs(runtime, ['true'])))].map(
    spread,
  );
}

async function measureAtOnce(): Promise<void> {
  const names = Array.from({ length: atOnce }, (_, number) => number);
  const startedMs = now();
  const before = cpuOfParts();
  const started = await Promise.all(names.map((number) => start(`many-${number}`)));
  const spent = [cpuPerPod(before, cpuOfParts(), atOnce)];
  const figures = [
    `${spread(started.map(({ runningMs }) => runningMs))}, all in ${(Math.max(...started.map(({ runningMs }) => runningMs)) / 1000).toFixed(1)} s`,
  ];
  const answered = [`${spread(started.map(({ answerMs }) => answerMs))}, all in ${((now() - startedMs) / 1000).toFixed(1)} s`];
  await Promise.all(started.map(({ pod }) => stop(pod)));
  for (const runtime of runtimes) {
    const children = cpuSeconds('self').children;
    const all = await Promise.all(names.map(() => startBare(runtime)));
    spent.push(ms((1000 * (cpuSeconds('self').children - children)) / atOnce));
    figures.push(
      `${spread(all.map(({ runningMs }) => runningMs))}, all in ${(Math.max(...all.map(({ runningMs }) => runningMs)) / 1000).toFixed(1)} s`,
    );
    answered.push(spread(all.map(({ answerMs }) => answerMs)));
    bare!.clear();
  }
  row(`start, ${atOnce} at once`, ...figures);
  row('the same to the first HTTP answer', ...answered);
  row('processor time for each of them', ...spent);
}

async function measureIdle(): Promise<void> {
  const before = pssMb(agentPid());
  const probe = { periodSeconds: 10, timeoutSeconds: 10 };
  const all = await Promise.all(
    Array.from({ length: idleCount }, async (_, number) => {
      const readinessProbe =
        number % 2 ? { ...probe, exec: { command: ['true'] } } : { ...probe, httpGet: { path: '/hosts', port: 8080 } };
      const pod = await create(`idle-${number}`, { ...server, readinessProbe });
      return waitFor(pod, (found) =>
        found?.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True'),
      );
    }),
  );
  const parts = { agent: agentPid(), executor: executorPid(), daemon: daemonPid() };
  const cpu = () => Object.fromEntries(Object.entries(parts).map(([name, pid]) => [name, cpuSeconds(pid).all]));
  const [from, startedMs] = [cpu(), now()];
  await delay(systemClock, idleWatchMs);
  const [to, seconds] = [cpu(), (now() - startedMs) / 1000];
  const share = Object.keys(parts).map((name) => `${name} ${((100 * (to[name]! - from[name]!)) / seconds).toFixed(1)} %`);
  const live = monitors();
  const monitorMb = live.reduce((sum, { pid }) => sum + pssMb(pid), 0) / live.length;
  const after = pssMb(parts.agent);
  row(`processor with ${idleCount} idle pods, half exec and half HTTP probes each 10 s, of one core`, share.join(', '), '–', '–');
  row(`agent with ${idleCount} pods, PSS (with none: ${before.toFixed(0)} MB)`, `${after.toFixed(0)} MB`, '–', '–');
  row(
    'memory of one more pod, PSS of its monitor and growth of the agent',
    idleCount === 0 ? 'not measured' : `${monitorMb.toFixed(2)} + ${((after - before) / idleCount).toFixed(2)} MB`,
    '–',
    '–',
  );
  await Promise.all(all.map((pod) => client.delete(pods, pod.metadata.name, { namespace, gracePeriodSeconds: 0 })));
}

try {
  const archive = `${lab.dir}/image.tar`;
  writeImageArchive(archive, busyboxImage('busybox:1'));
  await lab.kontiki('dev', 'image', 'import', archive);
  const { pod: keep } = await start('template');
  const ip = keep.status!.podIP!;
  const layersOf = join(agentDir, 'images', 'l');
  const mount = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .find((line) => line.includes('lowerdir=') && line.includes(agentDir))!;
  bare = new BarePods({
    folder: `${lab.dir}/bare`,
    template: join(agentDir, 'pods', keep.metadata.uid!, '_run', 'main-0', 'config.json'),
    layers: /lowerdir=([^, ]+)/
      .exec(mount)![1]!
      .split(':')
      .toReversed()
      .map((name) => join(layersOf, '..', name)),
    netnsFile,
    prefix: ip.split('.').slice(0, 3).join('.'),
    firstFree: 180,
  });
  console.log('| what | kontiki | runc and network | crun and network |\n|---|---|---|---|');
  await measureSequential(keep);
  await measureAtOnce();
  await measureIdle();
} finally {
  answers.close();
  bare?.clear();
  client.close();
  await lab.down();
}
