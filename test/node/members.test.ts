/** Around the keeper: refreshing and removing records, tokens, learned addresses, and how a removed machine finds out. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../../src/lib/clock.ts';
import { createLogger } from '../../src/lib/logger.ts';
import type { NodeHealth } from '../../src/machinery/node-health.ts';
import { encodeRecord, memberKey, tokenKey } from '../../src/node/cluster-records.ts';
import { LearnedAddresses } from '../../src/node/learned-addresses.ts';
import { recordedMembers } from '../../src/node/membership-task.ts';
import { StandingWatch } from '../../src/node/standing-watch.ts';
import { deleteExpiredTokens, listTokens, revokeToken } from '../../src/node/tokens.ts';
import { storeOfOne } from './store-of-one.ts';

const hour = 3_600_000;
const logger = createLogger('test', 'error');

test('learned addresses come before recorded ones, and only while their peer is a member', () => {
  const learned = new LearnedAddresses();
  const members = [
    { id: 'b', nodeName: 'two', addresses: ['/ip4/10.0.0.2/tcp/7420'] },
    { id: 'c', nodeName: 'three', addresses: ['/ip4/10.0.0.3/tcp/7420'] },
  ];
  assert.is(learned.learn('b', ['/ip4/10.1.0.2/tcp/7420']), true);
  assert.is(learned.learn('b', ['/ip4/10.1.0.2/tcp/7420']), false, 'no news');
  assert.is(learned.learn('c', ['nonsense', '/ip4/10.0.0.3/tcp/7420/p2p/x']), false, 'nothing that can be dialed');
  assert.equal(
    learned.merge(members).map((member) => member.addresses),
    [['/ip4/10.1.0.2/tcp/7420', '/ip4/10.0.0.2/tcp/7420'], ['/ip4/10.0.0.3/tcp/7420']],
  );
  learned.hint('/ip4/10.1.0.9/tcp/7420');
  assert.equal(
    learned.merge(members).map((member) => member.addresses[0]),
    ['/ip4/10.1.0.2/tcp/7420', '/ip4/10.1.0.9/tcp/7420'],
    'a hint is for those that have not said themselves where they are',
  );
  learned.merge([]);
  assert.equal(learned.merge(members)[0]?.addresses, ['/ip4/10.1.0.9/tcp/7420', '/ip4/10.0.0.2/tcp/7420']);
});

test('tokens are listed, revoked, and cleaned up well after they have expired', async () => {
  const { store, put } = await storeOfOne();
  const now = 10 * hour;
  const expiries = { fresh: now + 1, late: now - 1, old: now - hour - 1 };
  for (const [id, expiresMs] of Object.entries(expiries)) {
    await put(tokenKey(id), encodeRecord({ id, secretHash: 'ab', expiresMs }));
  }
  assert.equal(
    listTokens(store, now).map(({ id, expired }) => [id, expired]),
    [
      ['fresh', false],
      ['late', true],
      ['old', true],
    ],
  );
  assert.is(await deleteExpiredTokens(store, now, new AbortController().signal), 1);
  assert.is(store.get(tokenKey('old')), undefined);
  await revokeToken(store, 'fresh');
  assert.equal(
    listTokens(store, now).map(({ id }) => id),
    ['late'],
  );
  await revokeToken(store, 'fresh').then(
    () => assert.unreachable(),
    (error: Error) => assert.match(error.message, /there is no join token fresh; see: kontiki token list/),
  );
});

test('how long a machine is dead counts from the first verdict that the leader has seen, and ends with it', async () => {
  const { store, put } = await storeOfOne();
  const member = { addresses: [], apiAddress: '', apiPort: 1 };
  await put(memberKey('b'), encodeRecord({ ...member, id: 'b', nodeName: 'two', wanted: 'voter' }));
  await put(memberKey('c'), encodeRecord({ ...member, id: 'c', nodeName: 'three' }));
  let verdict: 'alive' | 'dead' = 'dead';
  const health: NodeHealth = {
    get: (nodeName) => (nodeName === 'two' ? { nodeName, verdict, agentReady: true, lastHeartbeatMs: 0 } : undefined),
    list: () => [],
    onChange: () => () => undefined,
  };
  const since = new Map<string, number>();
  const at = (nowMs: number) => recordedMembers(store, health, since, nowMs).get('b');
  assert.equal(at(1_000), { wanted: 'voter', deadForMs: 0, log: undefined });
  assert.equal(at(5_000), { wanted: 'voter', deadForMs: 4_000, log: undefined });
  verdict = 'alive';
  assert.equal(at(6_000), { wanted: 'voter', deadForMs: undefined, log: undefined });
  verdict = 'dead';
  assert.equal(at(7_000), { wanted: 'voter', deadForMs: 0, log: undefined });
  assert.equal(recordedMembers(store, health, since, 1).get('c'), { wanted: 'auto', deadForMs: undefined, log: undefined });
});

/** A watch of 'd' whose members b and c answer as told; undefined: not at all. */
function watched(answers: Record<string, { from?: string; member: unknown } | undefined>) {
  const removedBy: string[] = [];
  let refused = true;
  let asked = 0;
  const watch = new StandingWatch({
    clock: systemClock,
    logger,
    refusers: async () => (refused ? Object.keys(answers).map((id) => ({ id, nodeName: `node-${id}`, addresses: [id] })) : []),
    ask: async (address) => {
      asked++;
      const answer = answers[address];
      if (!answer) throw new Error('nobody there');
      const bytes = Buffer.from(JSON.stringify({ type: 'standing', member: answer.member }));
      return { from: answer.from ?? address, answer: bytes };
    },
    onRemoved: (by) => removedBy.push(by),
  });
  return {
    removedBy,
    asked: () => asked,
    setRefused: (value: boolean) => {
      refused = value;
    },
    rounds: async (count: number) => {
      for (let round = 0; round < count; round++) await watch.round();
    },
  };
}

test('a machine that is refused asks, and believes a member that says it was removed, once', async () => {
  const watch = watched({ b: undefined, c: { member: false } });
  await watch.rounds(4);
  assert.equal(watch.removedBy, ['node-c']);
});

test('it asks nobody while nobody refuses it, and not in the first moment', async () => {
  const watch = watched({ b: { member: false } });
  watch.setRefused(false);
  await watch.rounds(3);
  watch.setRefused(true);
  await watch.rounds(1);
  assert.is(watch.asked(), 0);
});

test('only the answer of the member itself counts, and only a clear one', async () => {
  for (const answer of [{ from: 'stranger', member: false }, { member: true }, { member: undefined }, undefined]) {
    const watch = watched({ b: answer });
    await watch.rounds(3);
    assert.equal(watch.removedBy, []);
    assert.is(watch.asked(), 2);
  }
});

test.run();
