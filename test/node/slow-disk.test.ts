import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ConsensusStatus } from '../../src/consensus/types.ts';
import { delay } from '../../src/lib/clock.ts';
import { silentLogger } from '../../src/lib/logger.ts';
import { betterLeader, DiskHandover, MeasuredLogStorage, type VoterHealth } from '../../src/node/slow-disk.ts';
import { ManualClock } from '../client/manual-clock.ts';

function leading(): ConsensusStatus {
  return {
    id: 'a',
    role: 'leader',
    term: 3,
    leader: 'a',
    committed: 50,
    applied: 50,
    firstIndex: 1,
    lastIndex: 5_000,
    membership: { voters: ['a', 'b', 'c'], votersOutgoing: [], learners: ['d'] },
    progress: {
      b: { match: 4_900, active: true },
      c: { match: 5_000, active: true },
      d: { match: 5_000, active: true },
    },
  };
}

const fine: VoterHealth = { alive: true, syncMs: 2 };

/** A leader whose disk takes `disk.ms` for each write, ten writes a second. */
function slowLeader(health: (peer: string) => VoterHealth = () => fine) {
  const clock = new ManualClock();
  const disk = { ms: 5, stopped: false };
  const storage = new MeasuredLogStorage({ load: async () => undefined, write: () => delay(clock, disk.ms) }, clock);
  const transfers: { to: string; atMs: number }[] = [];
  const handover = new DiskHandover({
    medianMs: () => storage.medianMs(),
    status: leading,
    health,
    transfer: async (to) => void transfers.push({ to, atMs: clock.monotonicMs() }),
    clock,
    logger: silentLogger,
  });
  handover.start();
  const writer = (async () => {
    while (!disk.stopped) {
      await storage.write({});
      await delay(clock, 100);
    }
  })();
  const end = async () => {
    disk.stopped = true;
    await clock.advance(10_000);
    await writer;
    await handover.stop();
  };
  return { clock, disk, storage, transfers, end };
}

test('a leader with a fast disk keeps its place', async () => {
  const { clock, transfers, end } = slowLeader();
  await clock.advance(60_000);
  assert.equal(transfers, []);
  await end();
});

test('one with a slow disk hands over to the most advanced voter once it was slow for 5 s, and not again within a minute', async () => {
  const { clock, disk, transfers, end } = slowLeader();
  await clock.advance(10_000);
  disk.ms = 400;
  await clock.advance(20_000);
  assert.equal(
    transfers.map(({ to }) => to),
    ['c'],
  );
  assert.ok(transfers[0]!.atMs >= 15_000, `at ${transfers[0]?.atMs}`);
  await clock.advance(30_000);
  assert.is(transfers.length, 1);
  await clock.advance(30_000);
  assert.is(transfers.length, 2);
  await end();
});

test('a short stall changes nothing', async () => {
  const { clock, disk, transfers, end } = slowLeader();
  await clock.advance(10_000);
  disk.ms = 3_000;
  await clock.advance(3_000);
  disk.ms = 5;
  await clock.advance(30_000);
  assert.equal(transfers, []);
  await end();
});

test('a write that does not come to its end counts too', async () => {
  const { clock, disk, storage, transfers, end } = slowLeader();
  await clock.advance(1_000);
  disk.ms = 60_000;
  await clock.advance(20_000);
  assert.ok(storage.medianMs() > 10_000);
  assert.is(transfers.length, 1);
  disk.ms = 1;
  await clock.advance(60_000);
  await end();
});

test('nobody takes over who is dead, behind, a learner, silent about its disk, or slow as well', () => {
  const better = (health: Record<string, VoterHealth>) => betterLeader(leading(), (peer) => health[peer] ?? fine, 400);
  assert.is(better({}), 'c');
  assert.is(better({ c: { alive: false, syncMs: 2 } }), 'b');
  assert.is(better({ c: { alive: true, syncMs: undefined } }), 'b');
  assert.is(better({ c: { alive: true, syncMs: 240 } }), 'b');
  assert.is(better({ b: { alive: false, syncMs: 2 }, c: { alive: true, syncMs: 900 } }), undefined);
  const behind = leading();
  behind.progress.b!.match = 100;
  behind.progress.c!.active = false;
  assert.is(
    betterLeader(behind, () => fine, 400),
    undefined,
  );
});

test.run();
