/** Real containers on a machine that, as it is told, runs short; beyond their limits; and out of contact with the others. */
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodes } from '../../src/machinery/resources.ts';
import type { PodSpec } from '../../src/machinery/types.ts';
import { image, Lab, until } from './support/lab.ts';

const mi = 1024 ** 2;
const plenty = { available: 900 * mi, capacity: 1000 * mi };
const tight = { ...plenty, available: 50 * mi };
let short = false;
const leaseMs = 3_000;
/** What the peer thread would answer; undefined: nothing. */
let remainingMs: number | undefined = leaseMs;
let lab: Lab;
let peer: Server;

test.before(async () => {
  lab = await Lab.open();
  await lab.stopAgent();
  const leaseSocket = join(lab.dataDir, 'lease.sock');
  peer = createServer((_, response) => {
    response.statusCode = remainingMs === undefined ? 503 : 200;
    response.end(JSON.stringify({ remainingMs }));
  });
  await new Promise<void>((resolve) => peer.listen(leaseSocket, resolve));
  lab.options.leaseSocket = leaseSocket;
  lab.options.eviction = {
    thresholds: [{ signal: 'memory.available', hard: true, graceMs: 0, value: { units: 100 * mi } }],
    transitionMs: 0,
    maxPodGraceSeconds: 0,
    lookIntervalMs: 100,
  };
  // One pod is enough: from then on the machine has memory again.
  const evicted = () => lab.events.some(({ pod, reason }) => pod === 'greedy' && reason === 'Evicted');
  lab.parts = { readSignals: async () => ({ 'memory.available': short && !evicted() ? tight : plenty }) };
  await lab.startAgent();
});
test.after(async () => {
  await lab.close();
  await new Promise((resolve) => peer.close(resolve));
});

const sleeper = (requests: Record<string, string>, script = 'exec sleep 1000', limits = {}) =>
  ({
    containers: [{ name: 'app', image, command: ['sh', '-c', script], resources: { requests, limits } }],
  }) as unknown as PodSpec;
const conditionOfNode = async (type: string) => {
  const node = await lab.api.get(nodes, lab.options.nodeName);
  return node.status?.conditions?.find((condition) => condition.type === type);
};

test('short of memory, the pod above its request goes, and the node says so until it is over', async () => {
  await lab.createPod('modest', sleeper({ memory: '1Gi' }));
  await lab.createPod('greedy', { ...sleeper({}), priority: 1 });
  await Promise.all([lab.running('modest'), lab.running('greedy')]);
  const enough = await conditionOfNode('MemoryPressure');
  assert.equal([enough?.status, enough?.reason], ['False', 'KubeletHasSufficientMemory']);
  short = true;
  const pod = await lab.podUntil('greedy', 'is evicted', ({ phase }) => phase === 'Failed');
  assert.is(pod.status?.reason, 'Evicted');
  assert.match(
    pod.status?.message ?? '',
    /^The node was low on resource: memory\. Threshold quantity: 100Mi, available: 50Mi\. Container app was using [1-9]\w*, request is 0, has larger consumption of memory\. $/,
  );
  const target = pod.status?.conditions?.find(({ type }) => type === 'DisruptionTarget');
  assert.equal([target?.status, target?.reason, target?.message], ['True', 'TerminationByKubelet', pod.status?.message]);
  await lab.podUntil('greedy', 'has ended', ({ containerStatuses }) => containerStatuses?.[0]?.state?.terminated);
  const reasons = lab.events.map(({ reason }) => reason);
  for (const reason of ['Evicted', 'EvictionThresholdMet', 'NodeHasInsufficientMemory'])
    assert.ok(reasons.includes(reason), reason);
  await until('the pressure is over', async () => (await conditionOfNode('MemoryPressure'))?.status === 'False');
});

test('without the lease a stateful pod stops at once and waits for it, and others run on', async () => {
  const ownerReferences = [{ apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'db', uid: 'set', controller: true }];
  await lab.createPod('db-0', sleeper({ memory: '1Mi' }, 'trap "" TERM; while true; do sleep 1; done'), { ownerReferences });
  const before = (await lab.running('db-0')).status?.containerStatuses?.[0]?.restartCount;
  remainingMs = 0;
  // It runs out by itself: nobody says that it is over.
  await lab.podUntil(
    'db-0',
    'was killed',
    ({ containerStatuses }) => containerStatuses?.[0]?.state?.terminated?.exitCode === 137,
  );
  await lab.createPod('db-1', sleeper({ memory: '1Mi' }), { ownerReferences });
  await lab.createPod('free', sleeper({ memory: '1Mi' }));
  await lab.running('free');
  assert.is((await lab.running('modest')).status?.containerStatuses?.[0]?.restartCount, 0);
  await lab.podUntil('db-1', 'is taken up', ({ conditions }) => conditions?.some(({ type }) => type === 'Ready'));
  assert.not((await lab.api.get(nodes, lab.options.nodeName)).metadata.deletionTimestamp);
  for (const name of ['db-0', 'db-1'])
    await lab.podUntil(name, 'does not run', ({ containerStatuses }) => !containerStatuses?.[0]?.state?.running);
  remainingMs = leaseMs;
  await lab.running('db-1');
  const after = (await lab.running('db-0')).status?.containerStatuses?.[0]?.restartCount ?? 0;
  assert.ok(after > (before ?? 0));
  const reasons = lab.events.map(({ reason }) => reason);
  for (const reason of ['NodeLeaseLost', 'LeaseLost', 'NodeLeaseRegained']) assert.ok(reasons.includes(reason), reason);
});

test('what a container writes beyond its limit, into its own layer or its log, evicts the pod', async () => {
  const limits = { 'ephemeral-storage': '1Mi' };
  await lab.createPod('writer', sleeper({}, 'dd if=/dev/zero of=/big bs=1024 count=2048; exec sleep 1000', limits));
  await lab.createPod('talker', sleeper({}, 'yes | head -c 1500000; exec sleep 1000', limits));
  for (const name of ['writer', 'talker']) {
    const pod = await lab.podUntil(name, 'is evicted', ({ phase }) => phase === 'Failed');
    assert.is(pod.status?.reason, 'Evicted');
    assert.is(pod.status?.message, 'Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. ');
  }
});

test.run();
