/** When a disk counts as low, what is held back, and when the cluster therefore takes nothing new. */
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ConsensusStatus } from '../../src/consensus/types.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { encodeRecord, memberKey } from '../../src/node/cluster-records.ts';
import { DiskRoom, lowBytesOf, planDisk } from '../../src/node/disk-room.ts';
import { growthRefusal, voterRooms } from '../../src/node/room-watch.ts';
import { storeOfOne } from './store-of-one.ts';

const mib = 2 ** 20;

test('a twentieth of the disk is low, from 16 to 512 MiB, and a quarter more than that is enough again', () => {
  assert.equal(
    [64, 1000, 100_000].map((size) => lowBytesOf(size * mib) / mib),
    [16, 50, 512],
  );
  const low = (freeMib: number, wasLow: boolean) => planDisk({ totalBytes: 1000 * mib, freeBytes: freeMib * mib }, wasLow, 0).low;
  assert.equal([low(51, false), low(49, false), low(51, true), low(63, true)], [false, true, true, false]);
});

test('the reserve is made where there is room for it, kept while it gets low, given up at a quarter, and made again', () => {
  const plan = (freeMib: number, wasLow: boolean, reserveMib: number) =>
    planDisk({ totalBytes: 1000 * mib, freeBytes: freeMib * mib }, wasLow, reserveMib * mib).reserveBytes / mib;
  assert.is(plan(900, false, 0), 50);
  assert.is(plan(100, false, 0), 0, 'the disk would be low with it');
  assert.is(plan(30, true, 50), 50);
  assert.is(plan(12, true, 50), 0);
  assert.is(plan(60, true, 0), 0);
  assert.is(plan(113, true, 0), 50);
});

test('nothing new is taken when half of the voters are low; one full disk of three stops nothing', () => {
  const voters = (...low: boolean[]) => growthRefusal(low.map((each, n) => ({ nodeName: `peer-${n + 1}`, low: each })));
  assert.is(voters(), undefined);
  assert.is(voters(true), 'too little room on the disk of peer-1');
  assert.is(voters(true, false, false), undefined);
  assert.is(voters(true, false, true), 'too little room on the disks of peer-1, peer-3');
  assert.is(voters(true, false), 'too little room on the disk of peer-1');
  assert.is(voters(true, true, false, false, false), undefined);
});

test('a peer knows its own disk, and of the others what they said', async () => {
  const { store, put } = await storeOfOne();
  for (const [id, nodeName] of [
    ['a', 'one'],
    ['b', 'two'],
    ['c', 'three'],
  ] as const) {
    await put(memberKey(id), encodeRecord({ id, nodeName, addresses: [], apiAddress: '', apiPort: 1 }));
  }
  const said: Record<string, boolean | undefined> = { one: false, two: true, three: undefined };
  const health = {
    get: (nodeName: string) =>
      ({ nodeName, verdict: 'alive', agentReady: true, lastHeartbeatMs: 0, diskLow: said[nodeName] }) as never,
  };
  const status = { membership: { voters: ['a', 'b', 'c', 'd'], votersOutgoing: [], learners: [] } } as unknown as ConsensusStatus;
  assert.equal(voterRooms({ status, store: store as never, health, ownId: 'a', ownLow: true }), [
    { nodeName: 'one', low: true },
    { nodeName: 'two', low: true },
    { nodeName: 'three', low: false },
    { nodeName: 'd', low: false },
  ]);
  assert.equal(voterRooms({ status: undefined, store: store as never, health, ownId: 'a', ownLow: true }), []);
});

test('the reserve is a real file that takes its room', () => {
  const dir = mkdtempSync(join(tmpdir(), 'kontiki-room-'));
  try {
    const room = new DiskRoom(join(dir, 'data'), createLogger('test', 'error'));
    const { low, reserveBytes, freeBytes, totalBytes, lowBytes } = room.state;
    assert.ok(totalBytes >= freeBytes);
    assert.is(lowBytes, lowBytesOf(totalBytes));
    // On a machine whose own disk is full there is none.
    if (low) assert.is(reserveBytes, 0);
    if (reserveBytes > 0) assert.ok(statSync(join(dir, 'data', 'reserve')).blocks * 512 >= reserveBytes);
    assert.is(existsSync(join(dir, 'data', 'reserve')), reserveBytes > 0);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test.run();
