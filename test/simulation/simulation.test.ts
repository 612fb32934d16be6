import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { contradiction, type RegisterOperation } from './linearizability.ts';
import { minimized } from './minimize.ts';
import type { Counts } from './peer.ts';
import { simulate } from './simulation.ts';

const ticks = 1500;
const seeds = Array.from({ length: 500 }, (_, n) => n + 1);

test('under 500 seeds of faults nothing promised is broken, and healed clusters go on', async () => {
  const sum: Partial<Counts> = {};
  for (const seed of seeds) {
    const { failure, tick, counts } = await simulate({ seed, ticks });
    if (failure) throw new Error(`seed ${seed} at tick ${tick}: ${failure.message}\n${await minimized({ seed, ticks })}`);
    for (const [what, count] of Object.entries(counts) as [keyof Counts, number][]) sum[what] = (sum[what] ?? 0) + count;
  }
  // Runs in which these did not happen would prove nothing.
  for (const [what, count] of Object.entries(sum)) assert.ok(count > 300, `${what} happened only ${count} times`);
});

test('the same seed gives the same run; another seed another', async () => {
  const run = async (seed: number) => (await simulate({ seed, ticks: 400 })).hash;
  assert.is(await run(7), await run(7));
  assert.is.not(await run(7), await run(8));
});

test('a cluster of one survives its crashes', async () => {
  for (const seed of [1, 2, 3]) assert.is((await simulate({ seed, ticks: 800, peers: 1 })).failure, undefined);
});

test('disks that lose confirmed writes are found out, and the failing run is made small', async () => {
  const failing: number[] = [];
  for (const seed of seeds.slice(0, 20)) {
    if ((await simulate({ seed, ticks: 600, diskLies: true })).failure) failing.push(seed);
  }
  assert.ok(failing.length > 0);
  const text = await minimized({ seed: failing[0]!, ticks: 600, diskLies: true });
  assert.match(text, /smallest failing run: seed/);
  assert.match(text, /FAIL/);
});

test('peers that come back under their old name after rot are found out: the new identity is needed', async () => {
  const promises = /voted for|lacks committed entry|was committed|both led/;
  for (const seed of seeds.slice(20, 60)) {
    const { failure } = await simulate({ seed, ticks, forgets: true });
    if (failure && promises.test(failure.message)) return;
  }
  assert.unreachable('no promise was broken');
});

const operation = (client: number, [calledAt, answeredAt]: [number, number], effect: RegisterOperation['effect']) => {
  return { client, calledAt, answeredAt, effect, text: '' };
};
const put = (value: string) => () => value;
const read = (value: string) => (now: string) => (now === value ? now : undefined);

test('the checker of histories accepts what one register could have done, and nothing else', () => {
  const write = operation(1, [1, 10], put('x'));
  assert.is(contradiction([write, operation(2, [2, 3], read('')), operation(2, [4, 5], read('x'))]), undefined);
  assert.ok(contradiction([write, operation(2, [2, 3], read('x')), operation(2, [4, 5], read(''))]), 'goes back');
  assert.ok(contradiction([write, operation(2, [11, 12], read(''))]), 'stale');
  assert.ok(contradiction([write, operation(2, [2, 3], read('y'))]), 'never written');
  const lost = operation(3, [4, Number.POSITIVE_INFINITY], put('z'));
  assert.is(contradiction([write, lost, operation(2, [20, 21], read('x')), operation(2, [22, 23], read('z'))]), undefined);
  assert.is(contradiction([write, lost, operation(2, [20, 21], read('x'))]), undefined, 'it may never take effect');
  assert.ok(contradiction([lost, operation(2, [2, 3], read('z'))]), 'nor before it was called');
  const seen = (value: string, at: [number, number]) => ({ ...operation(2, at, read(value)), idle: true });
  assert.is(contradiction([write, seen('', [2, 3]), seen('x', [4, 5])]), undefined);
  assert.ok(contradiction([write, seen('x', [2, 3]), seen('', [4, 5])]), 'goes back');
});

test.run();
