import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EnvelopeWriter, envelopeId, readEnvelope } from '../../src/transport/envelope.ts';
import { generateIdentity, readIdentity } from '../../src/transport/identity.ts';
import { createNode } from '../../src/transport/libp2p-node.ts';
import type { Transport } from '../../src/transport/types.ts';
import { connectedTo, introduce, lostConnection, startPeer, withPeers } from './peers.ts';

/** Every peer publishes until every other one has heard from all: gossip is lossy, so senders repeat. */
async function untilAllHeard(peers: Transport[]): Promise<void> {
  const heard = new Map(peers.map((peer) => [peer.id, new Set<string>()]));
  await new Promise<void>((resolve) => {
    let round = 0;
    const timer = setInterval(() => {
      round++;
      for (const peer of peers) peer.publish('test', Buffer.from(`${round}`));
    }, 50);
    for (const peer of peers) {
      peer.subscribe('test', (from) => {
        heard.get(peer.id)?.add(from);
        if ([...heard.values()].every((set) => set.size === peers.length - 1)) {
          clearInterval(timer);
          resolve();
        }
      });
    }
  });
  for (const peer of peers) assert.not.ok(heard.get(peer.id)?.has(peer.id), 'own messages do not come back');
}

test('what one peer publishes reaches all others, with its origin, and each message once', async () => {
  await withPeers(3, async (peers) => {
    await untilAllHeard(peers);
    const [a, b, c] = peers;
    const seen: string[] = [];
    const done = new Promise<void>((resolve) => {
      for (const peer of [b!, c!]) {
        peer.subscribe('test', (from, data) => {
          const text = Buffer.from(data).toString();
          if (!text.startsWith('message')) return;
          assert.is(from, a!.id);
          seen.push(`${peer.id} ${text}`);
          if (seen.length === 40) resolve();
        });
      }
    });
    for (let i = 0; i < 20; i++) a!.publish('test', Buffer.from(`message ${i}`));
    await done;
    assert.is(new Set(seen).size, 40);
  });
});

test('gossip goes on after a peer was restarted', async () => {
  const identity = await generateIdentity();
  const [a, c] = await Promise.all([startPeer(), startPeer()]);
  let b = await startPeer(identity);
  try {
    introduce([a, b, c]);
    await untilAllHeard([a, b, c]);
    const lost = [lostConnection(a, b.id), lostConnection(c, b.id)];
    await b.close();
    await Promise.all(lost);
    b = await startPeer(identity);
    introduce([a, b, c]);
    await connectedTo(b, [a.id, c.id]);
    await untilAllHeard([a, b, c]);
  } finally {
    await Promise.all([a, b, c].map((peer) => peer.close()));
  }
});

test('a gossip stream that was lost while its connection stands is replaced', async () => {
  const make = async () => {
    const { key } = readIdentity((await generateIdentity()).privateKey);
    const made = await createNode({ privateKey: key, listen: ['/ip4/127.0.0.1/tcp/0'], isMember: () => true, admit: () => true });
    await made.node.start();
    made.node.services.pubsub.subscribe('test');
    return made;
  };
  const [a, b] = await Promise.all([make(), make()]);
  try {
    const connection = await a.node.dial(b.node.getMultiaddrs());
    const subscribed = () => new Promise((resolve) => b.node.services.pubsub.addEventListener('subscription-change', resolve));
    await subscribed();
    const [lost] = connection.streams.filter(
      ({ direction, protocol }) => direction === 'outbound' && protocol.startsWith('/meshsub'),
    );
    assert.ok(lost);
    lost.abort(new Error('lost'));
    const again = subscribed();
    a.meetGossip(connection);
    await again;
    assert.is(connection.status, 'open');
    const heard = new Promise<string>((resolve) => {
      b.node.services.pubsub.addEventListener('message', (event) => resolve(Buffer.from(event.detail.data).toString()));
    });
    await a.node.services.pubsub.publish('test', Buffer.from('still there'));
    assert.is(await heard, 'still there');
  } finally {
    await Promise.all([a.node.stop(), b.node.stop()]);
  }
});

test('an envelope keeps its origin and data, and two messages never share an id', () => {
  const writer = new EnvelopeWriter('peer', 1000);
  const [one, two] = [writer.write(Buffer.from('same')), writer.write(Buffer.from('same'))];
  assert.equal(readEnvelope(one)?.from, 'peer');
  assert.is(Buffer.from(readEnvelope(one)!.data).toString(), 'same');
  assert.not.equal([...envelopeId(one)], [...envelopeId(two)]);
  assert.is(readEnvelope(one.subarray(0, 8)), undefined);
  assert.is(readEnvelope(new Uint8Array()), undefined);
});

test.run();
