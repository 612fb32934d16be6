import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AgentError } from '../../src/agent/errors.ts';
import { parseHierarchies } from '../../src/agent/host/cgroup-hierarchies.ts';
import { cpuWeight, createCgroups, sharesOf } from '../../src/agent/host/cgroups.ts';
import type { Cgroups } from '../../src/agent/types.ts';

const root = `kontiki-test-${process.pid}/peer-1`;
const hierarchies = parseHierarchies(await readFile('/proc/self/mountinfo', 'utf8'));
const limits = { cpuShares: 512, cpuQuotaMicros: 50_000, memoryLimitBytes: 64 * 1024 * 1024, pidsLimit: 100 };

/** The folder of one controller below which the tree hangs. */
function folder(controller: string): string {
  const hierarchy =
    hierarchies.version === 2 ? hierarchies.used[0] : hierarchies.used.find((h) => h.controllers.includes(controller));
  return `${hierarchy?.mountpoint}/${root}`;
}

const read = async (controller: string, path: string) => (await readFile(`${folder(controller)}/${path}`, 'utf8')).trim();

/** By version, as the files differ. */
const file = (v1: string, v2: string) => (hierarchies.version === 1 ? v1 : v2);

let cgroups: Cgroups;
test.before.each(async () => {
  cgroups = await createCgroups({ root });
});
test.after.each(async () => {
  await cgroups.removeAll();
  for (const { mountpoint } of hierarchies.all) assert.not(existsSync(`${mountpoint}/kontiki-test-${process.pid}`));
});

test('a pod gets its limits and a parent for the runtime, twice as well as once', async () => {
  for (const _ of [1, 2]) {
    assert.is(await cgroups.ensurePod('u1', 'Burstable', limits), `/${root}/pods/burstable/podu1`);
  }
  const pod = 'pods/burstable/podu1';
  assert.is(await read('memory', `${pod}/${file('memory.limit_in_bytes', 'memory.max')}`), '67108864');
  assert.is(await read('pids', `${pod}/pids.max`), '100');
  assert.match(await read('cpu', `${pod}/${file('cpu.cfs_quota_us', 'cpu.max')}`), /^50000/);
  assert.is(await read('cpu', `${pod}/${file('cpu.shares', 'cpu.weight')}`), file('512', String(cpuWeight(512))));
});

test('limits that are left out are lifted', async () => {
  await cgroups.ensurePod('u1', 'Guaranteed', limits);
  await cgroups.ensurePod('u1', 'Guaranteed', { cpuShares: 1024 });
  const pod = 'pods/guaranteed/podu1';
  assert.match(await read('cpu', `${pod}/${file('cpu.cfs_quota_us', 'cpu.max')}`), /^(-1|max)/);
  assert.not(/^67108864$/.test(await read('memory', `${pod}/${file('memory.limit_in_bytes', 'memory.max')}`)));
  assert.is(await read('pids', `${pod}/pids.max`), 'max');
});

test('a class weighs as much as its pods together, also after a restart', async () => {
  const weight = () => read('cpu', `pods/burstable/${file('cpu.shares', 'cpu.weight')}`);
  const expected = (shares: number) => file(String(shares), String(cpuWeight(shares)));
  await cgroups.ensurePod('u1', 'Burstable', { cpuShares: 400 });
  await cgroups.ensurePod('u2', 'Burstable', { cpuShares: 600 });
  assert.is(await weight(), expected(1000));
  cgroups = await createCgroups({ root });
  assert.is(await weight(), expected(1000));
  await cgroups.removePod('u1');
  assert.is(await weight(), expected(600));
  assert.is(await read('cpu', `pods/besteffort/${file('cpu.shares', 'cpu.weight')}`), expected(2));
});

test('list and removal know every pod, also those with leftover container folders', async () => {
  await cgroups.ensurePod('u1', 'Guaranteed', limits);
  await cgroups.ensurePod('u2', 'BestEffort', { cpuShares: 2 });
  assert.equal((await cgroups.list()).sort(), ['u1', 'u2']);
  await cgroups.removePod('u1');
  await cgroups.removePod('u1');
  assert.equal(await cgroups.list(), ['u2']);
});

test('usage counts what ran in the pod; a pod that is not there has none', async () => {
  const parent = await cgroups.ensurePod('u1', 'Burstable', { cpuShares: 100 });
  const folders = hierarchies.used.map(({ mountpoint }) => `${mountpoint}${parent}`);
  const script = `for f in ${folders.join(' ')}; do echo $$ > $f/cgroup.procs; done; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done`;
  if (hierarchies.version === 1) {
    const [code] = await once(spawn('sh', ['-c', script]), 'exit');
    assert.is(code, 0);
    assert.ok(((await cgroups.podUsage('u1'))?.cpuNanos ?? 0) > 0);
  }
  assert.type((await cgroups.podUsage('u1'))?.memory.workingSetBytes, 'number');
  assert.is(await cgroups.podUsage('nobody'), undefined);
});

test('a cgroup with a live process is not removed, and the process is not hurt', async () => {
  const child = spawn('sleep', ['1000']);
  try {
    await cgroups.addMonitor(child.pid as number);
    assert.match(await readFile(`/proc/${child.pid}/cgroup`, 'utf8'), `${cgroups.monitorParent}\n`);
    await cgroups.removeAll().then(
      () => assert.unreachable(),
      (error) => {
        assert.instance(error, AgentError);
        assert.is((error as AgentError).code, 'Cgroup');
      },
    );
    assert.is(child.exitCode, null);
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
});

test('mountinfo of both versions is understood', () => {
  const line = (id: number, path: string, type: string, options: string) =>
    `${id} 1 0:${id} / ${path} rw - ${type} ${type} ${options}`;
  const v1 = [
    line(31, '/sys/fs/cgroup/cpu,cpuacct', 'cgroup', 'rw,cpu,cpuacct'),
    line(32, '/sys/fs/cgroup/memory', 'cgroup', 'rw,memory'),
    line(33, '/sys/fs/cgroup/systemd', 'cgroup', 'rw,xattr,name=systemd'),
    line(34, '/sys/fs/cgroup/unified', 'cgroup2', 'rw'),
  ];
  const hybrid = parseHierarchies(v1.join('\n'));
  assert.is(hybrid.version, 1);
  assert.equal(
    hybrid.used.map((hierarchy) => hierarchy.controllers),
    [['cpu', 'cpuacct'], ['memory'], ['name=systemd']],
  );
  assert.is(hybrid.all.length, 4);
  assert.is(parseHierarchies(line(31, '/sys/fs/cgroup', 'cgroup2', 'rw,nsdelegate')).version, 2);
  assert.throws(() => parseHierarchies(''), /no cgroup hierarchy/);
});

test('weights of version 2 span the range of shares', () => {
  assert.equal([0, 2, 1024, 262_144, 1e9].map(cpuWeight), [1, 1, 39, 10_000, 10_000]);
  for (const weight of [1, 2, 39, 5_000, 9_999, 10_000]) assert.is(cpuWeight(sharesOf(weight)), weight, 'and back');
  assert.is(cpuWeight(sharesOf(cpuWeight(400)) + sharesOf(cpuWeight(600))), cpuWeight(1000), 'sums survive a restart');
});

test.run();
