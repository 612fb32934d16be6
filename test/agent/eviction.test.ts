/** Which pod has to go, when, and what is said of it: tables over the pure parts, and the loop with played measurements. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isRelieved, judge, noPressure, type PressureState } from '../../src/agent/eviction/decide.ts';
import { parseCounts } from '../../src/agent/eviction/disk-meter.ts';
import { diskFolders } from '../../src/agent/eviction/pod-meter.ts';
import { type EvictablePod, type Eviction, PressureRelief } from '../../src/agent/eviction/pressure-relief.ts';
import { evictionMessage, isCritical, type PodUsage, rankPods } from '../../src/agent/eviction/rank.ts';
import { diskSignals, memoryOf, pidsOf, readSignals } from '../../src/agent/eviction/signals.ts';
import { exceededLimit, storageLimits } from '../../src/agent/eviction/storage-limits.ts';
import type { EvictionSettings, Observations, Threshold } from '../../src/agent/eviction/types.ts';
import { admit } from '../../src/agent/pods/admission.ts';
import { HostPorts } from '../../src/agent/pods/host-ports.ts';
import { Ledger } from '../../src/agent/pods/ledger.ts';
import { silentLogger } from '../../src/lib/logger.ts';
import type { Pod, PodSpec } from '../../src/machinery/types.ts';
import { parseConfig } from '../../src/node/config.ts';
import { evictionProblems, evictionSettings } from '../../src/node/eviction-settings.ts';
import { ManualClock } from '../client/manual-clock.ts';

const mi = 1024 ** 2;
const memory = (available: number): Observations => ({ 'memory.available': { available: available * mi, capacity: 1000 * mi } });
const hard: Threshold = { signal: 'memory.available', hard: true, graceMs: 0, value: { units: 100 * mi } };
const soft: Threshold = { signal: 'memory.available', hard: false, graceMs: 30_000, value: { share: 0.3 } };
const disk: Threshold = { signal: 'nodefs.available', hard: true, graceMs: 0, value: { share: 0.1 }, reclaim: { share: 0.05 } };
const settings = (...thresholds: Threshold[]): EvictionSettings => ({
  thresholds,
  transitionMs: 60_000,
  maxPodGraceSeconds: 5,
  lookIntervalMs: 10_000,
});

/** What is due and which conditions hold at each time. */
function play(of: EvictionSettings, ...steps: [atSeconds: number, seen: Observations][]): string[] {
  let state: PressureState = noPressure;
  return steps.map(([at, seen]) => {
    const verdict = judge(state, of, seen, at * 1_000);
    state = verdict.state;
    const due = verdict.due ? `${verdict.due.hard ? 'hard' : 'soft'} ${verdict.due.signal}` : '-';
    return [due, ...verdict.conditions].join(' ');
  });
}

test('a hard threshold is due at once, and its condition outlasts it by the transition period', () => {
  const seen = play(settings(hard), [0, memory(101)], [10, memory(99)], [20, memory(500)], [69, memory(500)], [70, memory(500)]);
  assert.equal(seen, ['-', 'hard memory.available MemoryPressure', '- MemoryPressure', '- MemoryPressure', '-']);
});

test('a soft threshold is due when it was met for its grace period without a break', () => {
  const seen = play(settings(soft), [0, memory(299)], [20, memory(299)], [25, memory(300)], [29, memory(1)], [58, memory(1)], [59, memory(1)]); // biome-ignore format: a table
  assert.equal(seen, [
    '- MemoryPressure',
    '- MemoryPressure',
    '- MemoryPressure',
    '- MemoryPressure',
    '- MemoryPressure',
    'soft memory.available MemoryPressure',
  ]);
});

test('a threshold that was met stays so until what it wants reclaimed is free too', () => {
  const free = (available: number): Observations => ({ 'nodefs.available': { available, capacity: 100 } });
  const seen = play(settings(disk), [0, free(12)], [1, free(9)], [2, free(12)], [3, free(15)]);
  assert.equal(seen, ['-', 'hard nodefs.available DiskPressure', 'hard nodefs.available DiskPressure', '- DiskPressure']);
  assert.not(isRelieved('nodefs.available', settings(disk), free(12)));
  assert.ok(isRelieved('nodefs.available', settings(disk), free(15)));
});

test('memory comes first; what cannot be measured makes nobody go', () => {
  const both = { ...memory(1), 'nodefs.available': { available: 0, capacity: 100 } };
  const seen = play(settings(disk, soft, hard), [0, both], [1, {}]);
  assert.equal(seen, ['hard memory.available DiskPressure MemoryPressure', '- DiskPressure MemoryPressure']);
});

const podOf = (name: string, requests: Record<string, string>, more: Partial<PodSpec> = {}, annotations = {}) =>
  ({
    metadata: { name, namespace: 'n', uid: name, annotations },
    spec: { containers: [{ name: 'app', resources: { requests } }], ...more },
  }) as unknown as Pod;
const usage = (of: Partial<Omit<PodUsage, 'containers'>>): PodUsage => {
  const all = { memory: 0, 'ephemeral-storage': 0, inodes: 0, pids: 0, ...of };
  return { ...all, containers: new Map([['app', all]]) };
};

test('those above their requests go first, then the lower priority, then the larger excess', () => {
  const table = [
    { pod: podOf('within', { memory: '500Mi' }, { priority: -10 }), usage: usage({ memory: 400 * mi }) },
    { pod: podOf('above', { memory: '10Mi' }, { priority: 5 }), usage: usage({ memory: 11 * mi }) },
    { pod: podOf('far-above', { memory: '10Mi' }, { priority: 5 }), usage: usage({ memory: 200 * mi }) },
    { pod: podOf('important', {}, { priority: 1000 }), usage: usage({ memory: 900 * mi }) },
    { pod: podOf('humble', { memory: '1Mi' }), usage: usage({ memory: 2 * mi }) },
    { pod: podOf('critical', {}, { priority: 2_000_000_000 }), usage: usage({ memory: 999 * mi }) },
    { pod: podOf('static', {}, {}, { 'kubernetes.io/config.source': 'file' }), usage: usage({ memory: 999 * mi }) },
    { pod: podOf('unknown', { memory: '1Gi' }), usage: undefined },
  ];
  const names = (resource: 'memory' | 'pids') => rankPods(table, resource).map(({ pod }) => pod.metadata.name);
  assert.equal(names('memory'), ['unknown', 'humble', 'far-above', 'above', 'important', 'within']);
  assert.equal(names('pids'), ['within', 'unknown', 'humble', 'above', 'far-above', 'important'], 'nobody asks for processes');
  assert.ok(isCritical(podOf('named', {}, { priorityClassName: 'system-node-critical' })));
  assert.not(isCritical(podOf('api', {}, {}, { 'kubernetes.io/config.source': 'api' })));
});

test('disk and inodes have an order of their own', () => {
  const table = [
    { pod: podOf('asked', { 'ephemeral-storage': '1Gi' }), usage: usage({ 'ephemeral-storage': 900 * mi, inodes: 10 }) },
    { pod: podOf('not-asked', {}), usage: usage({ 'ephemeral-storage': mi, inodes: 3 }) },
  ];
  assert.equal(
    (['ephemeral-storage', 'inodes'] as const).map((resource) => rankPods(table, resource)[0]?.pod.metadata.name),
    ['not-asked', 'asked'],
  );
});

test('the message says what ran short, by how much, and which containers used more than they asked for', () => {
  const candidate = { pod: podOf('p', { memory: '100Mi' }), usage: usage({ memory: 200 * mi }) };
  const seen = { available: 50 * mi, capacity: 1000 * mi };
  assert.is(
    evictionMessage(candidate, hard, seen),
    'The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. Container app was using 200Mi, request is 100Mi, has larger consumption of memory. ',
  );
  const modest = { pod: podOf('p', { memory: '1Gi' }), usage: usage({ memory: 200 * mi }) };
  assert.match(
    evictionMessage(modest, soft, seen),
    /^The node was low on resource: memory\. Threshold quantity: 300Mi, .*50Mi\. $/,
  );
  const pids: Threshold = { signal: 'pid.available', hard: true, graceMs: 0, value: { units: 500 } };
  assert.is(
    evictionMessage(candidate, pids, { available: 7, capacity: 1000 }),
    'The node was low on resource: pids. Threshold quantity: 500, available: 7. ',
  );
});

test('limits on the disk: of a volume, of the pod, of a container', () => {
  const spec = {
    volumes: [{ name: 'data', emptyDir: { sizeLimit: '1Mi' } }],
    containers: [
      { name: 'a', resources: { limits: { 'ephemeral-storage': '10Mi' } } },
      { name: 'b', resources: { limits: { 'ephemeral-storage': '1Gi' } } },
      { name: 'c' },
    ],
  } as unknown as PodSpec;
  const limits = storageLimits(spec);
  const check = (data: number, a: number, b = 0, c = 0) =>
    exceededLimit(limits, {
      volumes: new Map([['data', data * mi]]),
      containers: Object.entries({ a, b, c }).reduce((map, [name, used]) => map.set(name, used * mi), new Map()),
    });
  assert.is(check(1, 10), undefined);
  assert.is(check(2, 10), 'Usage of EmptyDir volume "data" exceeds the limit "1Mi". ');
  assert.is(check(1, 11), 'Container a exceeded its local ephemeral storage limit "10Mi". ');
  assert.is(check(1, 10, 1000, 24), 'Pod ephemeral local storage usage exceeds the total limit of containers 1034Mi. ');
  assert.is(
    exceededLimit(storageLimits({ containers: [] }), { volumes: new Map(), containers: new Map([['a', mi]]) }),
    undefined,
  );
});

test('what the machine says of itself is read as it is written', async () => {
  assert.equal(memoryOf('MemTotal:  2048 kB\nMemFree: 1 kB\nMemAvailable:   1024 kB\n'), { available: mi, capacity: 2 * mi });
  assert.is(memoryOf('MemTotal: 1 kB\n'), undefined);
  assert.equal(pidsOf('4194304\n', '1000\n', '0.1 0.2 0.3 2/300 4711\n'), { available: 700, capacity: 1000 });
  assert.equal([...parseCounts('4096\t/a b\n12\t/c\n')], [['/a b', 4096], ['/c', 12]]); // biome-ignore format: a table
  const seen = await readSignals('/proc/self');
  for (const signal of ['memory.available', 'pid.available'] as const) {
    assert.ok(seen[signal]!.available > 0 && seen[signal]!.capacity >= seen[signal]!.available, signal);
  }
});

test('a disk tells its room and its inodes, if it has a number of them', () => {
  const disk = { bavail: 10, blocks: 40, bsize: 4096, ffree: 5, files: 100 };
  assert.equal(diskSignals('imagefs', disk), {
    'imagefs.available': { available: 40_960, capacity: 163_840 },
    'imagefs.inodesFree': { available: 5, capacity: 100 },
  });
  assert.equal(Object.keys(diskSignals('nodefs', { ...disk, files: 0 })), ['nodefs.available']);
});

test('images that leave no inodes are disk pressure, and inodes are what has to come back', () => {
  const { agent } = parseConfig('agent: {eviction: {hard: {imagefs.inodesFree: 10%}}}', 'test');
  const threshold = evictionSettings(agent.eviction).thresholds.find(({ signal }) => signal === 'imagefs.inodesFree')!;
  assert.equal([threshold.hard, threshold.value], [true, { share: 0.1 }]);
  const verdict = judge(noPressure, settings(threshold), { 'imagefs.inodesFree': { available: 9, capacity: 100 } }, 0);
  assert.equal([[...verdict.conditions], verdict.due], [['DiskPressure'], threshold]);
  const message = evictionMessage({ pod: podOf('p', {}), usage: undefined }, threshold, { available: 9, capacity: 100 });
  assert.match(message, /^The node was low on resource: inodes\. Threshold quantity: 10, available: 9\. /);
  assert.is(parseConfig('', 'test').agent.eviction.hard['imagefs.inodesFree'], '5%');
});

test('a pod’s data lies in its emptyDirs, its logs and the layers of what runs', () => {
  const pod = podOf('p', {}, {
    volumes: [
      { name: 'disk', emptyDir: {} },
      { name: 'ram', emptyDir: { medium: 'Memory' } },
      { name: 'host', hostPath: { path: '/x' } },
    ],
  } as Partial<PodSpec>);
  const record = { containers: { app: { current: { id: 'id', state: 'running' } } } } as never;
  const found = diskFolders({ pod: () => pod, record, paths: { dir: '/p', volumes: '/p/_v' } }, (id) => `/layers/${id}`);
  assert.equal([...found.volumes], [['disk', '/p/_v/disk']]);
  assert.equal([...found.containers], [['app', ['/p/app', '/layers/id']]]);
});

test('new pods are refused while the machine runs short: of memory the careless, of anything else all but the critical', () => {
  const take = (pod: Pod, ...pressure: ('MemoryPressure' | 'DiskPressure' | 'PIDPressure')[]) => {
    const ledger = new Ledger({ cpuMilli: 1000, memoryBytes: 10_000 * mi, ephemeralStorageBytes: 100, pods: 10 });
    const hostPorts = new HostPorts({ setHostPorts: async () => {} });
    return admit(pod, { metadata: { name: 'n' } }, ledger, hostPorts, new Set(pressure))?.message;
  };
  const careless = podOf('a', {});
  const burstable = podOf('b', { memory: '1Mi' });
  const tolerant = podOf('c', {}, { tolerations: [{ key: 'node.kubernetes.io/memory-pressure', operator: 'Exists' }] } as never);
  const critical = podOf('d', {}, { priority: 2_000_001_000 });
  assert.is(take(careless), undefined);
  assert.is(take(careless, 'MemoryPressure'), 'Pod was rejected: The node had condition: [MemoryPressure]. ');
  for (const pod of [burstable, tolerant, critical]) assert.is(take(pod, 'MemoryPressure'), undefined, pod.metadata.name);
  for (const pod of [careless, burstable, tolerant]) {
    assert.is(take(pod, 'DiskPressure'), 'Pod was rejected: The node had condition: [DiskPressure]. ', pod.metadata.name);
  }
  assert.is(
    take(burstable, 'PIDPressure', 'MemoryPressure'),
    'Pod was rejected: The node had condition: [MemoryPressure PIDPressure]. ',
  );
  assert.is(take(critical, 'DiskPressure', 'PIDPressure'), undefined);
});

/** The loop on a clock that stands still, with pods that end when told. */
function machine(of: EvictionSettings, pods: EvictablePod[], reclaimDisk?: () => Promise<void>) {
  const clock = new ManualClock();
  const events: string[] = [];
  const seen: { now: Observations } = { now: {} };
  const manager = new PressureRelief({
    settings: of,
    readSignals: async () => seen.now,
    pods: () => pods,
    usage: async () => usage({ memory: mi, 'ephemeral-storage': mi }),
    ...(reclaimDisk ? { reclaimDisk } : {}),
    events: { record: (_about, type, reason, message) => void events.push(`${type} ${reason} ${message}`) },
    node: () => ({ metadata: { name: 'one', uid: 'u' } }) as never,
    clock,
    logger: silentLogger,
    onChange: () => void events.push('changed'),
  });
  return { clock, events, seen, manager };
}

function victim(name: string, willing = true) {
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  const evictions: Eviction[] = [];
  let evictable = true;
  const pod: EvictablePod = {
    uid: name,
    record: { containers: {} },
    paths: { dir: '', volumes: '' },
    pod: () => podOf(name, {}, { terminationGracePeriodSeconds: 3 }),
    get evictable() {
      return evictable;
    },
    evict: async (eviction) => {
      evictable = false;
      if (willing) evictions.push(eviction);
      return willing;
    },
    ended,
  };
  return { pod, evictions, end };
}

test('one pod goes at a time, and the next only when it is gone and the machine is still short', async () => {
  const [a, b] = [victim('a'), victim('b')];
  const { clock, events, seen, manager } = machine(settings(hard), [a.pod, b.pod]);
  seen.now = memory(50);
  manager.start();
  await clock.advance(10);
  assert.equal(events, [
    'Normal NodeHasInsufficientMemory Node one status is now: NodeHasInsufficientMemory',
    'changed',
    'Warning EvictionThresholdMet Attempting to reclaim memory',
  ]);
  assert.equal([...manager.conditions], ['MemoryPressure']);
  assert.equal(
    a.evictions.map(({ graceSeconds, disruption }) => [graceSeconds, disruption]),
    [[1, true]],
  );
  await clock.advance(25_000);
  assert.is(b.evictions.length, 0, 'the first has not given its memory back yet');
  a.end();
  await clock.advance(10_000);
  assert.is(b.evictions.length, 1);
  b.end();
  seen.now = memory(500);
  await clock.advance(90_000);
  assert.is(events.at(-2), 'Normal NodeHasSufficientMemory Node one status is now: NodeHasSufficientMemory');
  await manager.stop();
});

test('a pod that went meanwhile is passed over; a soft threshold gives the smaller of two grace periods', async () => {
  const [gone, next] = [victim('a', false), victim('b')];
  const { clock, seen, manager } = machine(settings(soft), [gone.pod, next.pod]);
  seen.now = memory(200);
  manager.start();
  await clock.advance(20_000);
  assert.is(next.evictions.length, 0);
  await clock.advance(20_000);
  assert.equal(
    next.evictions.map(({ graceSeconds }) => graceSeconds),
    [3],
  );
  next.end();
  await manager.stop();
});

test('what can be given back without a pod is given back first', async () => {
  const a = victim('a');
  const { clock, seen, manager } = machine(settings(disk), [a.pod], async () => {
    seen.now = { 'nodefs.available': { available: 50, capacity: 100 } };
  });
  seen.now = { 'nodefs.available': { available: 5, capacity: 100 } };
  manager.start();
  await clock.advance(10);
  assert.equal([...manager.conditions], ['DiskPressure']);
  assert.is(a.evictions.length, 0);
  await manager.stop();
});

test('the configuration becomes thresholds; nothing and everything switch one off', () => {
  const config = {
    hard: { 'memory.available': '100Mi', 'nodefs.available': '0%', 'imagefs.available': '100%', 'pid.available': '0' },
    soft: { 'memory.available': '30%' },
    softGracePeriodSeconds: { 'memory.available': 30 },
    minimumReclaim: {},
    pressureTransitionSeconds: 60,
    maxPodGracePeriodSeconds: 5,
  };
  assert.equal(evictionProblems(config), []);
  assert.equal(evictionSettings(config), settings(hard, soft));
  assert.equal(evictionProblems({ ...config, softGracePeriodSeconds: {}, hard: { 'pid.available': '101%' } }), [
    'agent.eviction.softGracePeriodSeconds.memory.available is needed for the soft threshold',
    'agent.eviction.hard.pid.available must not be above 100%; it is "101%"',
  ]);
});

test.run();
