/** In-place resize with real containers: live, by restart, not now, never, and across a restart of the agent. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { pods } from '../../src/machinery/resources.ts';
import type { Pod, PodSpec } from '../../src/machinery/types.ts';
import { image, Lab, until } from './support/lab.ts';

let lab: Lab;
test.before(async () => {
  lab = await Lab.open();
});
test.after(() => lab.close());

const amounts = (cpu: string, memory: string) => ({ cpu, memory });
const container = (resources: object, more: object = {}) => ({
  name: 'main',
  image,
  command: ['sh', '-c', 'trap "exit 0" TERM; while true; do sleep 0.1; done'],
  resources,
  ...more,
});
const resize = (pod: string, resources: object) =>
  lab.api.patch(pods, pod, 'strategic', { spec: { containers: [{ name: 'main', resources }] } }, { namespace: 'default' });
const mainOf = (pod: Pod) => pod.status!.containerStatuses![0]!;
const conditionOf = (pod: Pod, type: string) => pod.status?.conditions?.find((condition) => condition.type === type);

const files = {
  1: { quota: 'cpu/cpu.cfs_quota_us', memory: 'memory/memory.limit_in_bytes' },
  2: { quota: 'cpu.max', memory: 'memory.max' },
};

/** Of the pod's cgroup, or of its container's: the quota in microseconds and the memory limit in bytes. */
function limits(pod: Pod, inside = ''): [string, string] {
  const below = ['pods', pod.status!.qosClass!.toLowerCase(), `pod${pod.metadata.uid}`, inside];
  const read = (kind: 'quota' | 'memory') => {
    const [first, second] = files[lab.cgroups.version][kind].split('/') as [string, string?];
    const root = second ? [first, lab.options.cgroupRoot] : [lab.options.cgroupRoot];
    return readFileSync(join('/sys/fs/cgroup', ...root, ...below, second ?? first), 'utf8')
      .trim()
      .split(' ')[0]!;
  };
  return [read('quota'), read('memory')];
}
const idOf = (pod: Pod) => mainOf(pod).containerID!.slice('kontiki://'.length);
const mebi = (count: number) => String(count * 2 ** 20);

test('a container gets more and less while it runs', async () => {
  const first = { requests: amounts('100m', '32Mi'), limits: amounts('200m', '64Mi') };
  await lab.createPod('live', { containers: [container(first)] });
  const before = await lab.running('live');
  assert.equal(mainOf(before).resources, first);
  assert.equal(mainOf(before).allocatedResources, first.requests);
  assert.equal(limits(before, idOf(before)), ['20000', mebi(64)]);
  for (const [cpu, memory, quota, bytes] of [
    ['500m', '128Mi', '50000', mebi(128)],
    ['300m', '128Mi', '30000', mebi(128)],
  ] as const) {
    const next = { requests: amounts(cpu, '48Mi'), limits: amounts(cpu, memory) };
    await resize('live', next);
    const pod = await lab.podUntil('live', `has ${cpu}`, ({ containerStatuses, conditions }) => {
      const done = containerStatuses?.[0]?.resources?.limits?.cpu === cpu;
      return done && !conditions?.some(({ type }) => type.startsWith('PodResize'));
    });
    assert.equal(mainOf(pod).resources, next);
    assert.is(mainOf(pod).restartCount, 0);
    assert.is(mainOf(pod).containerID, mainOf(before).containerID);
    assert.equal(limits(pod, idOf(pod)), [quota, bytes]);
    assert.equal(limits(pod), [quota, bytes], 'the pod as a whole follows');
  }
});

test('a memory limit below what is in use is refused, and nobody is killed for it', async () => {
  const script = 'dd if=/dev/zero of=/dev/shm/held bs=1048576 count=24 2>/dev/null; exec sleep 1000';
  const both = (memory: string) => ({ requests: amounts('100m', memory), limits: amounts('100m', memory) });
  const command = ['sh', '-c', script];
  const readinessProbe = { exec: { command: ['test', '-s', '/dev/shm/held'] }, periodSeconds: 1 };
  await lab.createPod('full', { containers: [container(both('64Mi'), { command, readinessProbe })] });
  const before = await lab.running('full');
  const id = idOf(before);
  await until('it holds memory', async () => ((await lab.cgroups.containerMemory(before.metadata.uid!, id)) ?? 0) > 20 * 2 ** 20);
  await resize('full', both('16Mi'));
  const inProgress = (pod: Pod) => conditionOf(pod, 'PodResizeInProgress');
  const refused = await lab.podUntil('full', 'is refused', (_status, pod) => inProgress(pod)?.reason === 'Error');
  assert.match(
    inProgress(refused)!.message!,
    /^cannot decrease memory limits: \[attempting to set pod memory limit \(16777216\) below current usage \(\d+\), attempting to set container "main" memory limit \(16777216\) below current usage \(\d+\)\]$/,
  );
  assert.equal(limits(refused, id)[1], mebi(64));
  await resize('full', both('96Mi'));
  const pod = await lab.podUntil('full', 'has more', (_status, now) => {
    return mainOf(now).resources?.limits?.memory === '96Mi' && !inProgress(now);
  });
  assert.equal([mainOf(pod).restartCount, idOf(pod), limits(pod, id)[1]], [0, id, mebi(96)]);
  await lab.deletePod('full');
});

test('a container that wants a restart for it gets one, whatever its exit code and the policy', async () => {
  const spec: Partial<PodSpec> = { restartPolicy: 'OnFailure' };
  const resizePolicy = [{ resourceName: 'memory', restartPolicy: 'RestartContainer' }];
  const first = { requests: amounts('100m', '32Mi'), limits: amounts('200m', '128Mi') };
  await lab.createPod('anew', { ...spec, containers: [container(first, { resizePolicy })] });
  await lab.running('anew');
  await resize('anew', { limits: { memory: '64Mi' } });
  const pod = await lab.podUntil(
    'anew',
    'runs again',
    ({ containerStatuses }) => containerStatuses?.[0]?.restartCount === 1 && containerStatuses[0].state?.running,
  );
  assert.equal(limits(pod, idOf(pod)), ['20000', mebi(64)]);
  assert.is(mainOf(pod).lastState?.terminated?.exitCode, 0);
  assert.ok(lab.events.some(({ message }) => message === 'Container main resize requires restart'));
  assert.not.ok(
    lab.api.statusWrites.some(({ metadata, ...rest }) => metadata.name === 'anew' && (rest as Pod).status?.phase === 'Succeeded'),
  );
});

test('what the machine never has, and what it has not now, is said; a new agent goes on with it', async () => {
  await lab.createPod('grows', { containers: [container({ requests: { cpu: '1' } })] });
  await lab.createPod('other', { containers: [container({ requests: { cpu: '2' } })] });
  await lab.running('grows');
  await lab.running('other');
  await resize('grows', { requests: { cpu: '5' } });
  const never = await lab.podUntil('grows', 'is told', (_status, pod) => conditionOf(pod, 'PodResizePending'));
  const condition = conditionOf(never, 'PodResizePending')!;
  assert.is(condition.reason, 'Infeasible');
  assert.is(condition.message, "Node didn't have enough capacity: cpu, requested: 5000, capacity: 4000");
  assert.equal(mainOf(never).allocatedResources, { cpu: '1' });
  await resize('grows', { requests: { cpu: '3' } });
  const deferred = (_: unknown, pod: Pod) => conditionOf(pod, 'PodResizePending')?.reason === 'Deferred';
  const later = await lab.podUntil('grows', 'is put off', deferred);
  assert.match(
    conditionOf(later, 'PodResizePending')!.message!,
    /^Node didn't have enough resource: cpu, requested: 3000, used: /,
  );
  await lab.stopAgent();
  await lab.deletePod('other');
  await lab.startAgent();
  const pod = await lab.podUntil(
    'grows',
    'has it',
    (_status, pod) => mainOf(pod).resources?.requests?.cpu === '3' && !conditionOf(pod, 'PodResizeInProgress'),
  );
  assert.equal(mainOf(pod).allocatedResources, { cpu: '3' });
  assert.is(conditionOf(pod, 'PodResizePending'), undefined);
  assert.is(mainOf(pod).restartCount, 0);
});

test.run();
