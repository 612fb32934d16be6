import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fencedAfterMs, LeaseKeeper, leaseMs } from '../../src/node/lease.ts';
import { ManualClock, settle } from '../client/manual-clock.ts';

/** Peers a (leads) and b, with a network and a quorum that the test controls. One clock: the keepers only measure durations. */
function pair() {
  const clock = new ManualClock();
  const world = { term: 5, leader: 'a', quorum: true, network: true, dead: false, confirming: [] as (() => void)[], slow: false };
  const keepers: Record<string, LeaseKeeper> = {};
  const make = (id: string) =>
    new LeaseKeeper({
      id,
      consensus: {
        status: () => ({ role: world.leader === id ? 'leader' : 'follower', term: world.term, leader: world.leader }),
        async readIndex() {
          if (world.slow) await new Promise<void>((resolve) => world.confirming.push(resolve));
          if (!world.quorum) throw new Error('no quorum');
          return 1;
        },
      },
      send: (to, frame) => {
        if (world.network) keepers[to]?.receive(id, frame);
        return world.network;
      },
      isDead: (peer) => peer === 'b' && world.dead,
      clock,
      onError: (error) => {
        throw error;
      },
    });
  const [a, b] = [make('a'), make('b')];
  Object.assign(keepers, { a, b });
  a.start();
  b.start();
  return { clock, world, a, b, end: () => Promise.all([a.stop(), b.stop()]) };
}

test('leader and follower hold a lease while the quorum confirms', async () => {
  const { clock, a, b, end } = pair();
  await clock.advance(30_000);
  for (const keeper of [a, b]) assert.ok(keeper.remainingMs() > leaseMs - 600);
  await end();
});

test('a leader without a quorum loses its own lease and grants none', async () => {
  const { clock, world, a, b, end } = pair();
  await clock.advance(1_000);
  world.quorum = false;
  await clock.advance(leaseMs);
  for (const keeper of [a, b]) assert.is(keeper.remainingMs(), 0);
  await end();
});

test('a follower that is cut off loses its lease in time', async () => {
  const { clock, world, a, b, end } = pair();
  await clock.advance(1_000);
  world.network = false;
  await clock.advance(leaseMs);
  assert.is(b.remainingMs(), 0);
  assert.ok(a.remainingMs() > 0);
  await end();
});

test('what the leader calls dead gets no lease any more, though it reaches the leader: it is fenced in time', async () => {
  const { clock, world, a, b, end } = pair();
  await clock.advance(10_000);
  world.dead = true;
  const deadMs = clock.monotonicMs();
  const fencedMs = a.fencedAtMs(deadMs)!;
  assert.is(fencedMs, deadMs + fencedAfterMs);
  await clock.advance(fencedMs - deadMs);
  assert.is(b.remainingMs(), 0);
  assert.is(b.fencedAtMs(deadMs), undefined, 'a peer that does not lead knows nothing');
  await end();
});

test('a new leader counts from its election, whenever the machine was found dead', async () => {
  const { clock, world, a, end } = pair();
  await clock.advance(10_000);
  world.term = 6;
  a.ledSinceMs();
  await clock.advance(500);
  assert.is(a.fencedAtMs(2_000), 10_000 + fencedAfterMs);
  await end();
});

test('a confirmation that spans a change of term grants nothing', async () => {
  const { clock, world, b, end } = pair();
  world.slow = true;
  await clock.advance(leaseMs);
  world.term = 6;
  for (const confirm of world.confirming.splice(0)) confirm();
  await settle();
  assert.is(b.remainingMs(), 0);
  world.slow = false;
  for (const confirm of world.confirming.splice(0)) confirm();
  await end();
});

test('the lease counts from the asking, and an unknown grant or strange frame counts for nothing', async () => {
  const { clock, world, b, end } = pair();
  world.network = false;
  await clock.advance(leaseMs + 500);
  b.receive('a', Uint8Array.of(2, 0, 0, 3, 231));
  b.receive('a', Uint8Array.of(2, 0));
  b.receive('a', Uint8Array.of(9, 0, 0, 0, 1));
  assert.is(b.remainingMs(), 0);
  // The answer to the first request, which was made at the very start.
  b.receive('a', Uint8Array.of(2, 0, 0, 0, 1));
  assert.is(b.remainingMs(), 0);
  b.receive('c', Uint8Array.of(2, 0, 0, 0, 2));
  assert.is(b.remainingMs(), 0, 'only the leader that was asked may grant');
  await end();
});

test.run();
