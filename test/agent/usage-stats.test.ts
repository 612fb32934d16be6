/** What a machine tells of its usage: the parts on texts of the kernel's files, and the whole with real containers. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readUsage } from '../../src/agent/host/cgroup-usage.ts';
import { podPaths } from '../../src/agent/pods/record.ts';
import { DiskStats } from '../../src/agent/stats/disk-stats.ts';
import { defaultInterface, interfacesOf, machineSample } from '../../src/agent/stats/machine-stats.ts';
import { resourceMetrics } from '../../src/agent/stats/resource-metrics.ts';
import { ratesBetween, type Sample } from '../../src/agent/stats/sample.ts';
import type { Summary } from '../../src/agent/stats/types.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLogger } from '../../src/lib/logger.ts';
import type { Pod } from '../../src/machinery/types.ts';
import { getText } from './support/agent-client.ts';
import { image, Lab, until } from './support/lab.ts';

const mi = 1024 ** 2;

test('usage is read from the files of both versions of cgroups', () => {
  const v1 = readUsage(1, {
    'cpuacct.usage': '1500000000\n',
    'memory.usage_in_bytes': '8192\n',
    'memory.limit_in_bytes': '9223372036854771712\n',
    'memory.stat': 'inactive_file 1\ntotal_rss 4096\ntotal_inactive_file 2048\ntotal_pgfault 7\ntotal_pgmajfault 2\n',
    'pids.current': '3\n',
  });
  const memory = { usageBytes: 8_192, workingSetBytes: 6_144, rssBytes: 4_096, pageFaults: 7, majorPageFaults: 2 };
  assert.equal(v1, { cpuNanos: 1.5e9, memory, processes: 3 });
  const v2 = readUsage(2, {
    'cpu.stat': 'usage_usec 1500000\nuser_usec 1\n',
    'memory.current': '8192\n',
    'memory.max': '16384\n',
    'memory.stat': 'anon 4096\ninactive_file 2048\npgfault 7\npgmajfault 2\n',
    'memory.swap.current': '512\n',
    'pids.current': '3\n',
  });
  assert.equal(v2, { cpuNanos: 1.5e9, memory: { ...memory, limitBytes: 16_384 }, swapBytes: 512, processes: 3 });
  assert.is(readUsage(2, { 'cpu.stat': 'usage_usec 1\n' }), undefined, 'a cgroup that has gone');
});

test('the machine is read from /proc', () => {
  const dev =
    'Inter-| Receive | Transmit\n face |bytes\n    lo: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0\n  eth0:1000 5 1 0 0 0 0 0 2000 6 2 0 0 0 0 0\n veth1: 7 0 0 0 0 0 0 0 7 0 0 0 0 0 0 0\n';
  const eth0 = { name: 'eth0', rxBytes: 1_000, rxErrors: 1, txBytes: 2_000, txErrors: 2 };
  assert.equal(interfacesOf(dev), [eth0]);
  const row = (...columns: string[]) => columns.join('\t');
  const route = [
    row('Iface', 'Destination', 'Gateway', 'Flags', 'RefCnt', 'Use', 'Metric', 'Mask'),
    row('eth1', '0000000A', '0', '1', '0', '0', '0', '000000FF'),
    row('eth0', '00000000', '010A', '3', '0', '0', '0', '00000000'),
  ].join('\n');
  assert.is(defaultInterface(route), 'eth0');
  assert.is(defaultInterface(''), undefined);
  const texts = {
    stat: 'cpu  100 0 50 900 10 0 0 0\nbtime 1000\n',
    meminfo:
      'MemTotal: 1000 kB\nMemFree: 400 kB\nMemAvailable: 700 kB\nInactive(file): 100 kB\nAnonPages: 200 kB\nSwapTotal: 50 kB\nSwapFree: 20 kB\n',
    vmstat: 'pgfault 70\npgmajfault 3\n',
    load: '0.1 0.2 0.3 2/150 99\n',
    pidMax: '32768\n',
    threadsMax: '1000\n',
  };
  const sample = machineSample(texts, dev, route);
  assert.is(sample.bootedAtMs, 1_000_000);
  assert.is(sample.usage.cpuNanos, 1.5e9);
  assert.equal([sample.usage.memory.usageBytes, sample.usage.memory.workingSetBytes], [600 * 1024, 500 * 1024]);
  assert.equal([sample.usage.swapBytes, sample.memoryBytes], [30 * 1024, 1000 * 1024]);
  assert.equal(sample.pids, { max: 1_000, used: 150 });
});

const usage = (cpuNanos: number) => ({
  cpuNanos,
  memory: { usageBytes: 2 * mi, workingSetBytes: mi, rssBytes: mi, pageFaults: 1, majorPageFaults: 0 },
  processes: 1,
});

function sampleAt(ms: number, podNanos: number, containerNanos: number | undefined): Sample {
  const pod: Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'shop', uid: 'u1' },
    spec: { containers: [] },
  };
  const place = {
    uid: 'u1',
    paths: podPaths('/d', 'u1'),
    record: { containers: {}, startTime: '1970-01-01T00:00:00Z', ended: false },
    pod: () => pod,
  };
  const container = { name: 'app', id: 'c1', startedAtMs: 5_000, usage: usage(containerNanos ?? 0) };
  const containers = containerNanos === undefined ? [] : [container];
  const machine = {
    bootedAtMs: 0,
    usage: usage(8e9),
    memoryBytes: 10 * mi,
    swapBytes: 0,
    pids: undefined,
    interfaces: [],
    defaultInterface: undefined,
  };
  const groups = { pods: undefined, monitor: undefined };
  return {
    wallMs: ms,
    monotonicMs: ms,
    machine,
    groups,
    pods: [{ place, usage: usage(podNanos), containers, interfaces: undefined }],
  };
}

test('a rate is what was used between two looks, or since the start of what is new', () => {
  const rates = ratesBetween(sampleAt(4_000, 1e9, undefined), sampleAt(6_000, 2e9, 5e8));
  assert.is(rates('u1', usage(2e9), 0), 5e8, 'one second of work in two');
  assert.is(rates('c1', usage(5e8), 5_000), 5e8, 'it runs for one second');
  assert.is(rates('u1', usage(5e8), 5_000), 5e8, 'a counter that began anew');
  assert.is(ratesBetween(undefined, sampleAt(6_000, 0, 0))('x', usage(1), 6_000), undefined);
});

test('metrics are told in the text format, with the time in milliseconds', () => {
  const text = resourceMetrics(sampleAt(6_000, 2e9, 5e8));
  const lines = text.split('\n');
  for (const line of [
    '# TYPE container_cpu_usage_seconds_total counter',
    'container_cpu_usage_seconds_total{container="app",namespace="shop",pod="web"} 0.5 6000',
    'container_memory_working_set_bytes{container="app",namespace="shop",pod="web"} 1048576 6000',
    'container_start_time_seconds{container="app",namespace="shop",pod="web"} 5 6000',
    'node_cpu_usage_seconds_total 8 6000',
    'pod_cpu_usage_seconds_total{namespace="shop",pod="web"} 2 6000',
    'resource_scrape_error 0',
  ]) {
    assert.ok(lines.includes(line), `${line}\n${text}`);
  }
});

test('a count of folders that takes long is not waited for, and told when it has ended', async () => {
  const stop = new AbortController();
  const gate = Promise.withResolvers<void>();
  let nowMs = 0;
  const timers: (() => void)[] = [];
  const clock = {
    ...systemClock,
    monotonicMs: () => nowMs,
    setTimer: (_ms: number, callback: () => void) => {
      timers.push(callback);
      return { cancel: () => {} };
    },
  };
  let counts = 0;
  const disk = {
    measure: async (folders: readonly string[], what: 'bytes' | 'inodes') => {
      counts++;
      if (what === 'bytes') await gate.promise;
      return new Map(folders.map((folder) => [folder, what === 'bytes' ? 4_096 : 2]));
    },
  };
  const stats = new DiskStats({ disk, clock, logger: silentLogger, signal: stop.signal });
  const first = stats.counts(['/a']);
  const second = stats.counts(['/a']);
  for (const callback of timers) callback();
  assert.equal([(await first).size, (await second).size], [0, 0]);
  gate.resolve();
  const later = await stats.counts(['/a']);
  assert.equal(later.get('/a'), { usedBytes: 4_096, inodesUsed: 2 });
  nowMs += 14_000;
  await stats.counts(['/a']);
  assert.is(counts, 2, 'what was counted a moment ago is told again');
  await stats.counts(['/a', '/b']);
  assert.is(counts, 4, 'what is new is counted');
});

let lab: Lab | undefined;
test.after(() => lab?.close());

test('the summary tells what each container, pod, volume and the machine use', async () => {
  lab = await Lab.open();
  const { agentSocket } = lab.options;
  const busy =
    'dd if=/dev/zero of=/data/big bs=1048576 count=3; dd if=/dev/zero of=/written bs=1048576 count=2; echo said; while true; do :; done';
  await lab.createPod('busy', {
    containers: [
      {
        name: 'app',
        image,
        command: ['sh', '-c', busy],
        resources: { limits: { cpu: '200m', memory: '64Mi' } },
        volumeMounts: [{ name: 'data', mountPath: '/data' }],
      },
      { name: 'idle', image, command: ['sleep', '1000'] },
    ],
    volumes: [
      { name: 'data', emptyDir: {} },
      { name: 'host', hostPath: { path: '/tmp' } },
    ],
  });
  await lab.running('busy');
  const ask = async (query = '') => JSON.parse((await getText(agentSocket, `/stats/summary${query}`)).text) as Summary;
  await until('the files are written', async () => (await getText(agentSocket, '/logs/default/busy/app')).text.includes('said'));
  const { node, pods } = await ask();
  const [pod] = pods;
  assert.equal([pod?.podRef.name, pod?.podRef.namespace], ['busy', 'default']);
  assert.equal(pod?.containers.map(({ name }) => name).sort(), ['app', 'idle']);
  const app = pod!.containers.find(({ name }) => name === 'app')!;
  assert.ok(app.cpu!.usageCoreNanoSeconds > 0 && app.cpu!.usageNanoCores! > 0);
  assert.ok(app.rootfs!.usedBytes! > 2 * mi && pod!.volume![0]!.usedBytes! > 3 * mi);
  assert.is(app.memory!.availableBytes, 64 * mi - app.memory!.workingSetBytes);
  assert.is(pod?.containers.find(({ name }) => name === 'idle')?.memory?.availableBytes, undefined, 'it has no limit');
  assert.ok(app.logs!.usedBytes! > 0 && app.logs!.inodes! >= app.logs!.inodesFree!);
  assert.equal(
    pod?.volume?.map(({ name }) => name),
    ['data'],
    'not what lies elsewhere on the machine',
  );
  assert.ok(pod!['ephemeral-storage']!.usedBytes! > 5 * mi);
  assert.ok(pod!.process_stats!.process_count >= 2);
  assert.ok(pod!.cpu!.usageCoreNanoSeconds >= app.cpu!.usageCoreNanoSeconds, 'the pod is all its containers');
  assert.is(node.nodeName, 'test-node');
  assert.ok(node.cpu.usageNanoCores! > 0 && node.memory.workingSetBytes > 0 && node.memory.availableBytes! > 0);
  assert.ok(node.fs!.capacityBytes! > node.fs!.availableBytes! && node.runtime!.imageFs.usedBytes! > 0);
  assert.ok(node.rlimit!.maxpid > node.rlimit!.curproc);
  assert.equal(
    node.systemContainers.map(({ name }) => name),
    ['pods', 'runtime'],
  );
  const little = await ask('?only_cpu_and_memory=true');
  assert.equal([little.node.fs, little.pods[0]?.volume, little.pods[0]?.network], [undefined, undefined, undefined]);
  assert.ok(little.pods[0]!.containers[0]!.cpu);
});

test('metrics and pods are told under the paths that clients of a kubelet know', async () => {
  const { agentSocket } = lab!.options;
  const { text } = await getText(agentSocket, '/metrics/resource');
  assert.match(text, /^container_cpu_usage_seconds_total\{container="app",namespace="default",pod="busy"\} [\d.]+ \d{13}$/m);
  const list = JSON.parse((await getText(agentSocket, '/pods')).text) as { kind: string; items: Pod[] };
  assert.equal([list.kind, list.items[0]?.metadata.name, list.items[0]?.status?.phase], ['PodList', 'busy', 'Running']);
  assert.is((await getText(agentSocket, '/stats/other')).code, 404);
});

test.run();
