/** The order and restart rules of containers, as pure decisions. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { backOffRemainingMs, backOffText, raiseBackOff } from '../../src/agent/pods/back-off.ts';
import { planPod } from '../../src/agent/pods/plan.ts';
import type { ContainerRecord, ContainerRun } from '../../src/agent/pods/record.ts';
import type { PodSpec } from '../../src/machinery/types.ts';

const nowMs = 1_000_000;
const run = (state: ContainerRun['state'], code?: number): ContainerRun => ({
  id: 'id',
  attempt: 0,
  image: 'i',
  imageId: 'i',
  wantedImage: 'i',
  stopSignal: 'SIGTERM',
  state,
  startedAtMs: 0,
  ...(code === undefined ? {} : { exit: { code, reason: 'x', finishedAtMs: nowMs } }),
});
const running = { current: run('running') };
const exited = (code: number): ContainerRecord => ({ current: run('exited', code) });

function plan(spec: Partial<PodSpec>, containers: Record<string, ContainerRecord>, failed?: { reason: string; message: string }) {
  return planPod({ containers: [{ name: 'app' }], ...spec } as PodSpec, {
    record: { containers, ...(failed ? { failed } : {}) },
    podLabel: 'pod_ns(uid)',
    nowMs,
    started: () => true,
  });
}
const starts = (of: ReturnType<typeof plan>) => of.actions.map(({ type, container }) => `${type} ${container}`);

test('init containers run one by one, then all the others together', () => {
  const spec = { initContainers: [{ name: 'one' }, { name: 'two' }], containers: [{ name: 'a' }, { name: 'b' }] };
  assert.equal(starts(plan(spec, {})), ['start one']);
  assert.equal(starts(plan(spec, { one: running })), []);
  assert.equal(starts(plan(spec, { one: exited(0) })), ['start two']);
  assert.equal(starts(plan(spec, { one: exited(0), two: exited(0) })), ['start a', 'start b']);
});

test('init containers do not run again once an app container has begun', () => {
  const spec = { initContainers: [{ name: 'one' }] };
  assert.equal(starts(plan(spec, { app: exited(1) })), ['start app']);
});

test('a failed init container is tried again, or fails the pod when nothing is restarted', () => {
  const spec = { initContainers: [{ name: 'one' }] };
  assert.equal(starts(plan(spec, { one: exited(1) })), ['start one']);
  assert.ok(plan({ ...spec, restartPolicy: 'Never' }, { one: exited(1) }).finished);
});

test('restart policies decide who runs again', () => {
  for (const [restartPolicy, code, restarted] of [
    ['Always', 0, true],
    ['Always', 1, true],
    ['OnFailure', 0, false],
    ['OnFailure', 1, true],
    ['Never', 1, false],
  ] as const) {
    const next = plan({ restartPolicy }, { app: exited(code) });
    assert.is(next.actions.length === 1, restarted, `${restartPolicy} ${code}`);
    assert.is(next.finished, !restarted, `${restartPolicy} ${code}`);
  }
});

test('a pod ends only when its last container has ended', () => {
  const spec = { restartPolicy: 'Never', containers: [{ name: 'a' }, { name: 'b' }] };
  assert.not.ok(plan(spec, { a: exited(0), b: running }).finished);
  assert.ok(plan(spec, { a: exited(0), b: exited(1) }).finished);
});

test('a sidecar starts before the others, is restarted with them, and stops after them', () => {
  const spec = { restartPolicy: 'Never', initContainers: [{ name: 'side', restartPolicy: 'Always' }, { name: 'init' }] };
  assert.equal(starts(plan(spec, {})), ['start side']);
  assert.equal(starts(plan(spec, { side: running })), ['start init']);
  assert.equal(starts(plan(spec, { side: exited(1), init: exited(0), app: running })), ['start side']);
  const end = plan(spec, { side: running, init: exited(0), app: exited(0) });
  assert.equal(starts(end), ['stop side']);
  assert.not.ok(end.finished);
});

test('a pod that has failed stops what runs and starts nothing', () => {
  const failed = { reason: 'DeadlineExceeded', message: '' };
  assert.equal(starts(plan({ containers: [{ name: 'a' }, { name: 'b' }] }, { a: running }, failed)), ['stop a']);
  assert.ok(plan({}, {}, failed).finished);
});

test('an attempt that broke off is made again, not counted', () => {
  assert.equal(plan({}, { app: { current: { ...run('creating'), attempt: 3 } } }).actions, [
    { type: 'start', container: 'app', attempt: 3 },
  ]);
});

test('restarts back off: at once, 10 s, 20 s, …, 5 min, and anew after ten quiet minutes', () => {
  let state: { backOffMs?: number; backOffRaisedAtMs?: number } = {};
  let at = 0;
  const waits: number[] = [];
  for (let restart = 0; restart < 8; restart++) {
    const waitMs = backOffRemainingMs(state, at, at);
    waits.push(waitMs / 1000);
    state = raiseBackOff(state, at, at + waitMs);
    at += waitMs;
  }
  assert.equal(waits, [0, 10, 20, 40, 80, 160, 300, 300]);
  assert.is(backOffRemainingMs(state, at + 600_001, at + 600_001), 0);
  assert.is(raiseBackOff(state, at + 600_001, at + 600_001).backOffMs, 10_000);
  assert.equal([10_000, 80_000, 300_000].map(backOffText), ['10s', '1m20s', '5m0s']);
});

test('a container in back-off waits and says so, and the plan tells when to look again', () => {
  const next = plan({}, { app: { ...exited(1), backOffMs: 20_000, backOffRaisedAtMs: nowMs - 5_000 } });
  assert.equal(next.actions, []);
  assert.equal(next.waiting.app, {
    reason: 'CrashLoopBackOff',
    message: 'back-off 20s restarting failed container=app pod=pod_ns(uid)',
  });
  assert.is(next.wakeAtMs, nowMs + 20_000);
});

test.run();
