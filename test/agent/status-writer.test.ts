/** Pod statuses on their way to the API: only changes, only the newest, never over another pod. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { StatusWriter } from '../../src/agent/pods/status-writer.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLogger } from '../../src/lib/logger.ts';
import { pods } from '../../src/machinery/resources.ts';
import type { Pod, PodStatus } from '../../src/machinery/types.ts';
import { FakeApi } from './support/fake-api.ts';

async function setting() {
  const api = new FakeApi();
  const conditions = [{ type: 'PodScheduled', status: 'True' }];
  const pod = await api.create<Pod>(pods, {
    metadata: { name: 'p', namespace: 'd' },
    spec: { containers: [] },
    status: { phase: 'Pending', conditions },
  });
  const stop = new AbortController();
  const writer = new StatusWriter({ client: api, clock: systemClock, logger: silentLogger, pod, signal: stop.signal });
  const stored = async () => (await api.get(pods, 'p', { namespace: 'd' })).status;
  return { api, pod, writer, stop, stored };
}
const status = (phase: string, more: Partial<PodStatus> = {}): PodStatus => ({
  phase,
  conditions: [{ type: 'Ready', status: 'False' }],
  ...more,
});
const soon = () => AbortSignal.timeout(10_000);

test('the same status is written once, and conditions of others stay', async () => {
  const { api, writer, stored, stop } = await setting();
  for (let time = 0; time < 3; time++) {
    writer.set(status('Running', { podIP: '10.0.0.2', podIPs: [{ ip: '10.0.0.2' }] }));
    await writer.flushed(soon());
  }
  assert.is(api.statusWrites.length, 1);
  assert.equal((await stored())?.conditions?.map(({ type }) => type).sort(), ['PodScheduled', 'Ready']);
  stop.abort();
});

test('statuses that say only that containers are being made are not written when the next follows at once', async () => {
  const { api, writer, stop } = await setting();
  const waiting = { name: 'c', ready: false, restartCount: 0, image: '', imageID: '' };
  const making = (reason: string) => ({ containerStatuses: [{ ...waiting, state: { waiting: { reason } } }] });
  writer.set(status('Pending', making('ContainerCreating')));
  writer.set(status('Pending', { ...making('ContainerCreating'), podIP: '10.0.0.2', podIPs: [{ ip: '10.0.0.2' }] }));
  writer.set(status('Running', { podIP: '10.0.0.2', podIPs: [{ ip: '10.0.0.2' }] }));
  await writer.flushed(soon());
  assert.equal(
    api.statusWrites.map((pod) => (pod as Pod).status?.phase),
    ['Running'],
  );
  stop.abort();
});

test('a status that containers are being made is written when nothing follows; another kind of waiting at once', async () => {
  const { writer, stored, stop } = await setting();
  const making = (reason: string) => ({
    containerStatuses: [{ name: 'c', ready: false, restartCount: 0, image: '', imageID: '', state: { waiting: { reason } } }],
  });
  for (const reason of ['ContainerCreating', 'ErrImagePull']) {
    writer.set(status('Pending', making(reason)));
    await writer.flushed(soon());
    assert.is((await stored())?.containerStatuses?.[0]?.state?.waiting?.reason, reason);
  }
  stop.abort();
});

test('what became old while the API was away is never sent', async () => {
  const { api, writer, stored, stop } = await setting();
  api.setAway(true);
  for (const phase of ['Running', 'Failed', 'Succeeded']) writer.set(status(phase));
  api.setAway(false);
  await writer.flushed(soon());
  assert.is(api.statusWrites.length, 1);
  assert.is((await stored())?.phase, 'Succeeded');
  stop.abort();
});

test('fields and addresses that went are taken away', async () => {
  const { writer, stored, stop } = await setting();
  writer.set(status('Running', { reason: 'x', podIP: '10.0.0.2', podIPs: [{ ip: '10.0.0.2' }] }));
  await writer.flushed(soon());
  writer.set(status('Running', { podIP: '10.0.0.3', podIPs: [{ ip: '10.0.0.3' }] }));
  await writer.flushed(soon());
  assert.is((await stored())?.reason, undefined);
  assert.equal((await stored())?.podIPs, [{ ip: '10.0.0.3' }]);
  stop.abort();
});

test('a change by somebody else is written over', async () => {
  const { api, writer, stored, stop } = await setting();
  writer.set(status('Running'));
  await writer.flushed(soon());
  const changed = await api.patch(pods, 'p', 'merge', { status: { phase: 'Unknown' } }, { namespace: 'd' });
  writer.observe(changed);
  await writer.flushed(soon());
  assert.is((await stored())?.phase, 'Running');
  stop.abort();
});

test('the condition DisruptionTarget is written by whoever makes the pod go, and never fought over', async () => {
  const { api, writer, stored, stop } = await setting();
  const ready = { type: 'Ready', status: 'False' };
  const target = (reason: string) => ({ type: 'DisruptionTarget', status: 'True', reason, message: 'why' });
  const reasonStored = async () => (await stored())?.conditions?.find(({ type }) => type === 'DisruptionTarget')?.reason;
  writer.set(status('Running'));
  await writer.flushed(soon());
  const conditions = [...((await stored())?.conditions ?? []), target('DeletionByTaintManager')];
  writer.observe(await api.patch(pods, 'p', 'merge', { status: { conditions } }, { namespace: 'd' }));
  await writer.flushed(soon());
  writer.set(status('Running', { conditions: [ready, target('EvictionByEvictionAPI')] }));
  await writer.flushed(soon());
  assert.is(await reasonStored(), 'DeletionByTaintManager');
  writer.set(status('Failed', { conditions: [ready, target('TerminationByKubelet')] }));
  await writer.flushed(soon());
  assert.is(await reasonStored(), 'TerminationByKubelet');
  stop.abort();
});

test('a pod made anew under the name is left alone', async () => {
  const { api, writer, stored, stop } = await setting();
  await api.delete(pods, 'p', { namespace: 'd', gracePeriodSeconds: 0 });
  await api.create(pods, { metadata: { name: 'p', namespace: 'd' }, spec: { containers: [] }, status: { phase: 'Pending' } });
  writer.set(status('Failed'));
  await writer.flushed(soon());
  assert.is((await stored())?.phase, 'Pending');
  stop.abort();
});

test.run();
