/** Which pods need the lease of the machine, and when they must not run. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { LeaseGate, needsLease } from '../../src/agent/pods/lease-gate.ts';
import { type PodPlan, withoutStarts } from '../../src/agent/pods/plan.ts';
import { ManualClock } from '../client/manual-clock.ts';

test('pods of StatefulSets need the lease unless they say otherwise, others if they say so', () => {
  const owned = (kind: string, controller = true) => [{ apiVersion: 'apps/v1', kind, name: 'x', uid: 'u', controller }];
  const needs = (ownerReferences: ReturnType<typeof owned> | undefined, wish?: string) =>
    needsLease({ metadata: { name: 'p', ownerReferences, annotations: wish ? { 'kontiki.io/on-lease-loss': wish } : {} } });
  const table: [ReturnType<typeof owned> | undefined, string | undefined, boolean][] = [
    [owned('StatefulSet'), undefined, true],
    [owned('StatefulSet'), 'Keep', false],
    [owned('StatefulSet'), 'nonsense', true],
    [owned('StatefulSet', false), undefined, false],
    [owned('ReplicaSet'), undefined, false],
    [owned('ReplicaSet'), 'Stop', true],
    [undefined, undefined, false],
  ];
  for (const [owner, wish, expected] of table) assert.is(needs(owner, wish), expected, `${owner?.[0]?.kind} ${wish}`);
});

function gate(stopAfterMs: number, watched = true) {
  const clock = new ManualClock();
  const seen: string[] = [];
  const made: LeaseGate = new LeaseGate({
    clock,
    watched,
    stopAfterMs,
    onChange: () => void seen.push(made.over ? 'over' : 'open'),
  });
  made.start();
  return { clock, seen, made };
}

test('a loss closes the gate at once, and ends what runs after the configured time', async () => {
  const { clock, seen, made } = gate(2_000);
  made.regained();
  made.lost();
  assert.not(made.held);
  await clock.advance(1_999);
  assert.not(made.over);
  await clock.advance(1);
  assert.ok(made.over);
  made.regained();
  assert.ok(made.held && !made.over);
  assert.equal(seen, ['open', 'over', 'open']);
  made.lost();
  made.regained();
  await clock.advance(60_000);
  assert.not(made.over, 'it was back in time');
});

test('without time to go on everything ends with the loss', () => {
  const { made } = gate(0);
  made.regained();
  made.lost();
  assert.ok(made.over);
});

test('a new agent gives the first lease its time; one that watches none needs none', async () => {
  const { clock, made } = gate(0);
  assert.not(made.held);
  await clock.advance(14_999);
  assert.not(made.over);
  await clock.advance(1);
  assert.ok(made.over);
  const free = gate(0, false);
  await free.clock.advance(60_000);
  assert.ok(free.made.held && !free.made.over);
});

test('behind a closed gate nothing is started, and stops go on', () => {
  const plan: PodPlan = {
    actions: [
      { type: 'start', container: 'a', attempt: 1 },
      { type: 'stop', container: 'b' },
    ],
    waiting: {},
    finished: false,
  };
  withoutStarts(plan);
  assert.equal(plan.actions, [{ type: 'stop', container: 'b' }]);
  assert.is(plan.waiting.a?.reason, 'LeaseLost');
});

test.run();
