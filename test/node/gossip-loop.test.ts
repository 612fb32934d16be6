/** What a peer does about machines that gossip calls dead. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { silentLogger } from '../../src/lib/logger.ts';
import { GossipLoop } from '../../src/node/gossip-loop.ts';
import type { Transport } from '../../src/transport/types.ts';
import { ManualClock } from '../client/manual-clock.ts';

/** A loop whose links say that these peers are connected, and that hears nobody. */
function loop(connected: string[]) {
  const clock = new ManualClock();
  const again: string[] = [];
  const transport = {
    addresses: () => [],
    publish: () => undefined,
    subscribe: () => undefined,
    connected: () => connected,
    reconnect: (peer: string) => again.push(peer),
  } as unknown as Transport;
  const gossip = new GossipLoop({
    options: { id: 'a', nodeName: 'one', incarnation: 1, agentSocket: '/nowhere' } as never,
    transport,
    clock,
    logger: silentLogger,
    own: () => ({ stateHashes: [], leaseMs: 0, syncMs: 0, diskLow: false, quorum: undefined }),
    fencedAtMs: () => undefined,
    onStateJudged: () => undefined,
    onHealth: () => undefined,
    onAddresses: () => undefined,
  });
  gossip.setMembers(['a', 'b', 'c'].map((id) => ({ id, addresses: [], nodeName: id })));
  gossip.start();
  const pass = (ms: number) => clock.advance(ms);
  return { gossip, again, pass };
}

test('a machine that gossip calls dead though its link lives is connected to anew, now and then', async () => {
  const { gossip, again, pass } = loop(['b']);
  for (let looks = 0; !gossip.isDead('b') && looks < 200; looks++) await pass(250);
  assert.ok(gossip.isDead('b'));
  await pass(4_500);
  assert.equal(again, [], 'it may hang, and its link about to end');
  await pass(1_000);
  assert.equal(again, ['b']);
  await pass(4_000);
  assert.equal(again, ['b'], 'the new connection gets its time');
  await pass(1_500);
  assert.equal(again, ['b', 'b']);
  await gossip.stop();
});

test('one that comes back is left alone until its heartbeats could have come, however long it was away', async () => {
  const connected: string[] = [];
  const { gossip, again, pass } = loop(connected);
  for (let looks = 0; !gossip.isDead('b') && looks < 200; looks++) await pass(250);
  await pass(10_000);
  for (const _attempt of [1, 2, 3]) {
    connected.push('b');
    await pass(4_000);
    connected.pop();
    await pass(250);
  }
  assert.equal(again, []);
  await gossip.stop();
});

test('one that lives in gossip, and one without a link, is left alone', async () => {
  const { gossip, again, pass } = loop([]);
  for (let looks = 0; !gossip.isDead('c') && looks < 200; looks++) await pass(250);
  assert.ok(gossip.isDead('c'));
  await pass(10_000);
  assert.equal(again, []);
  await gossip.stop();
});

test.run();
