import { Packr } from 'msgpackr';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeHeartbeat, encodeHeartbeat } from '../../src/gossip/heartbeat.ts';
import { incarnationResetMs, MembershipTable, membersMax } from '../../src/gossip/membership-table.ts';
import { seededRandom } from '../../src/lib/random.ts';
import { heartbeat } from './cluster.ts';

const plain = (value: unknown) => JSON.parse(JSON.stringify(value));

test('a heartbeat survives encoding', () => {
  const beat = heartbeat('a', 7, { incarnation: 1_763_000_000_000, heardMs: { b: 250, __proto__x: 3 } });
  assert.equal(plain(decodeHeartbeat(encodeHeartbeat(beat))), plain(beat));
  const more = heartbeat('a', 8, {
    stateHashes: [{ index: 1000, hash: '0f'.repeat(16) }],
    leaseMs: 3_500,
    syncMs: 2,
    quorum: { votes: true, term: 4, leader: 'b' },
  });
  assert.equal(plain(decodeHeartbeat(encodeHeartbeat(more))), plain(more));
});

test('fields of a newer version are left out', () => {
  const newer = { ...heartbeat('a', 1), colour: 'green' };
  assert.not.ok('colour' in decodeHeartbeat(encodeHeartbeat(newer)));
});

test('anything else is refused by name', () => {
  const good = heartbeat('a', 1);
  const bad: unknown[] = [
    undefined,
    null,
    'text',
    [],
    {},
    { ...good, peer: '' },
    { ...good, peer: 5 },
    { ...good, peer: 'x'.repeat(300) },
    { ...good, leaseMs: -1 },
    { ...good, syncMs: 'fast' },
    { ...good, quorum: { votes: 'yes', term: 1 } },
    { ...good, quorum: { votes: true, term: 1, leader: '' } },
    { ...good, stateHashes: [{ index: 1.5, hash: 'a' }] },
    { ...good, stateHashes: Array.from({ length: 9 }, (_, index) => ({ index, hash: 'a' })) },
    { ...good, sequence: -1 },
    { ...good, sequence: 1.5 },
    { ...good, sequence: Number.NaN },
    { ...good, incarnation: '1' },
    { ...good, addresses: 'one' },
    { ...good, addresses: [1] },
    { ...good, addresses: Array.from({ length: 17 }, () => '/ip4/10.0.0.1') },
    { ...good, capacity: undefined },
    { ...good, reserved: { ...good.reserved, cpuMilli: Number.POSITIVE_INFINITY } },
    { ...good, usage: [] },
    { ...good, agentReady: 1 },
    { ...good, heardMs: { b: -5 } },
    { ...good, heardMs: Object.fromEntries(Array.from({ length: 1025 }, (_, i) => [`p${i}`, 1])) },
  ];
  const packer = new Packr({ useRecords: false });
  for (const value of bad) {
    const bytes = Buffer.concat([Uint8Array.of(1), packer.pack(value)]);
    assert.throws(
      () => decodeHeartbeat(bytes),
      (error: unknown) => (error as { code?: string }).code === 'InvalidHeartbeat',
      JSON.stringify(value),
    );
  }
});

test('rotten bytes never give anything but a heartbeat or the error', () => {
  const random = seededRandom(2);
  const good = encodeHeartbeat(heartbeat('a', 1, { heardMs: { b: 1 } }));
  let refused = 0;
  for (let i = 0; i < 3000; i++) {
    const bytes = Buffer.from(good).subarray(0, random.int(10) === 0 ? random.int(good.length) : good.length);
    for (let flips = 1 + random.int(3); flips > 0 && bytes.length > 0; flips--) bytes[random.int(bytes.length)] = random.int(256);
    try {
      decodeHeartbeat(bytes);
    } catch (error) {
      assert.is((error as { code?: string }).code, 'InvalidHeartbeat');
      refused++;
    }
  }
  assert.ok(refused > 500);
});

test('of one run only higher sequence numbers count, and gaps are told', () => {
  const table = new MembershipTable();
  assert.equal(table.receive(heartbeat('a', 3), 0), { taken: true, missed: 0, first: true });
  assert.equal(table.receive(heartbeat('a', 3), 1), { taken: false });
  assert.equal(table.receive(heartbeat('a', 2), 2), { taken: false });
  assert.equal(table.receive(heartbeat('a', 6), 3), { taken: true, missed: 2, first: false });
  assert.is(table.get('a')?.heardMs, 3);
});

test('a lower incarnation counts only after a long silence: the clock was set back', () => {
  const table = new MembershipTable();
  table.receive(heartbeat('a', 9, { incarnation: 100 }), 0);
  assert.equal(table.receive(heartbeat('a', 1, { incarnation: 50 }), incarnationResetMs), { taken: false });
  assert.ok(table.receive(heartbeat('a', 2, { incarnation: 50 }), incarnationResetMs + 1).taken);
});

test('the table is bounded, and those in it are still heard', () => {
  const table = new MembershipTable();
  for (let i = 0; i < membersMax; i++) table.receive(heartbeat(`p${i}`, 1), 0);
  assert.equal(table.receive(heartbeat('one too many', 1), 0), { taken: false });
  assert.ok(table.receive(heartbeat('p5', 2), 1).taken);
  table.remove('p6');
  assert.ok(table.receive(heartbeat('one too many', 1), 0).taken);
});

test.run();
