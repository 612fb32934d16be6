/** The pod status as a pure function of what is known. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ContainerRecord, PodRecord } from '../../src/agent/pods/record.ts';
import { computePodStatus } from '../../src/agent/pods/status.ts';
import type { Pod, PodSpec } from '../../src/machinery/types.ts';

const base = {
  id: 'abc',
  attempt: 0,
  image: 'img:1',
  imageId: 'sha256:1',
  wantedImage: 'img',
  stopSignal: 'SIGTERM',
  startedAtMs: 1_000,
};
const running: ContainerRecord = { current: { ...base, state: 'running' } };
const exited = (code: number): ContainerRecord => ({
  current: { ...base, state: 'exited', exit: { code, reason: code ? 'Error' : 'Completed', finishedAtMs: 2_000 } },
});

function statusOf(
  spec: Partial<PodSpec>,
  record: Partial<PodRecord>,
  more: { ready?: boolean; waiting?: Record<string, { reason: string }>; pod?: Partial<Pod> } = {},
) {
  const pod = {
    metadata: { name: 'p', uid: 'u' },
    spec: { containers: [{ name: 'app', image: 'img' }], ...spec },
    ...more.pod,
  } as Pod;
  const full: PodRecord = {
    version: 1,
    pod,
    startTime: '1970-01-01T00:00:00Z',
    hadSandbox: true,
    ip: '10.0.0.2',
    containers: {},
    ended: false,
    ...record,
  };
  return computePodStatus({
    pod,
    record: full,
    hostIp: '1.1.1.1',
    nowMs: 60_000,
    sandboxReady: true,
    waiting: more.waiting ?? {},
    ready: () => more.ready ?? true,
    started: () => true,
  });
}
const condition = (status: ReturnType<typeof statusOf>, type: string) => status.conditions?.find((one) => one.type === type);

test('a pod is Pending until each container has run once', () => {
  const two = { containers: [{ name: 'app' }, { name: 'b' }] };
  assert.is(statusOf({}, {}).phase, 'Pending');
  assert.is(statusOf({}, {}).containerStatuses?.[0]?.state?.waiting?.reason, 'ContainerCreating');
  assert.is(statusOf(two, { containers: { app: running } }).phase, 'Pending');
  assert.is(statusOf(two, { containers: { app: running, b: running } }).phase, 'Running');
});

test('with init containers the others wait for their end', () => {
  const status = statusOf({ initContainers: [{ name: 'init' }] }, { containers: { init: running } });
  assert.is(status.containerStatuses?.[0]?.state?.waiting?.reason, 'PodInitializing');
  assert.is(condition(status, 'Initialized')?.message, 'containers with incomplete status: [init]');
  const later = statusOf({ initContainers: [{ name: 'init' }] }, { containers: { init: exited(0), app: running } });
  assert.is(condition(later, 'Initialized')?.status, 'True');
});

test('a finished pod has succeeded or failed by its exit codes', () => {
  assert.is(statusOf({ restartPolicy: 'Never' }, { containers: { app: exited(0) } }).phase, 'Succeeded');
  assert.is(statusOf({ restartPolicy: 'Never' }, { containers: { app: exited(2) } }).phase, 'Failed');
  assert.is(statusOf({ restartPolicy: 'OnFailure' }, { containers: { app: exited(2) } }).phase, 'Running');
  assert.is(statusOf({ restartPolicy: 'Always' }, { containers: { app: exited(0) } }).phase, 'Running');
  assert.is(condition(statusOf({ restartPolicy: 'Never' }, { containers: { app: exited(0) } }), 'Ready')?.reason, 'PodCompleted');
});

test('a container that waits for its restart shows how it ended', () => {
  const status = statusOf({}, { containers: { app: exited(3) } }, { waiting: { app: { reason: 'CrashLoopBackOff' } } });
  const container = status.containerStatuses?.[0];
  assert.is(container?.state?.waiting?.reason, 'CrashLoopBackOff');
  assert.is(container?.lastState?.terminated?.exitCode, 3);
  assert.is(container?.lastState?.terminated?.startedAt, '1970-01-01T00:00:01Z');
  assert.is(container?.containerID, 'kontiki://abc');
});

test('an unready container makes the pod unready', () => {
  const status = statusOf({}, { containers: { app: running } }, { ready: false });
  assert.is(status.phase, 'Running');
  assert.is(condition(status, 'Ready')?.message, 'containers with unready status: [app]');
  assert.is(condition(status, 'PodReadyToStartContainers')?.status, 'True');
});

test('transition times stay while the status stays; conditions of others are kept', () => {
  const first = statusOf({}, { containers: { app: running } });
  assert.is(condition(first, 'Ready')?.lastTransitionTime, '1970-01-01T00:01:00Z');
  const old = { ...first, conditions: first.conditions?.map((one) => ({ ...one, lastTransitionTime: 'earlier' })) };
  const pod = { status: { conditions: [{ type: 'PodScheduled', status: 'True' }] } };
  const second = statusOf({}, { containers: { app: running }, status: old }, { pod });
  assert.is(condition(second, 'Ready')?.lastTransitionTime, 'earlier');
  assert.is(condition(second, 'PodScheduled')?.status, 'True');
  const third = statusOf({}, { containers: { app: running }, status: old }, { ready: false });
  assert.is(condition(third, 'Ready')?.lastTransitionTime, '1970-01-01T00:01:00Z');
});

test('a refused pod says why, and nothing of containers that never were', () => {
  const status = statusOf({}, { failed: { reason: 'OutOfcpu', message: 'no' }, ended: true, hadSandbox: false });
  assert.is(status.phase, 'Failed');
  assert.is(status.reason, 'OutOfcpu');
  assert.is(status.containerStatuses, undefined);
});

test('a readiness gate must be met by somebody', () => {
  const status = statusOf({ readinessGates: [{ conditionType: 'x/ok' }] }, { containers: { app: running } });
  assert.is(condition(status, 'ContainersReady')?.status, 'True');
  assert.is(condition(status, 'Ready')?.reason, 'ReadinessGatesNotReady');
});

test.run();
