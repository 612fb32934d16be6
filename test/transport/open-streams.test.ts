import type { Connection, PeerId, Stream } from '@libp2p/interface';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EnvelopeWriter, readEnvelope } from '../../src/transport/envelope.ts';
import { generateIdentity, readIdentity } from '../../src/transport/identity.ts';
import { createNode, withOpenStreams } from '../../src/transport/libp2p-node.ts';

/** A connection whose streams come in this state. */
class FakeConnection {
  readonly #status: Stream['status'];
  closed = 0;

  constructor(status: Stream['status']) {
    this.#status = status;
  }

  get direction() {
    return this.#status === 'open' ? 'outbound' : 'inbound';
  }

  async newStream() {
    const stream = new EventTarget();
    return Object.assign(stream, { status: this.#status, remoteWriteStatus: 'writable', close: async () => this.closed++ });
  }
}
const connectionWith = (status: Stream['status']) => withOpenStreams(new FakeConnection(status) as unknown as Connection);

test('a stream that was reset while it was opened is an error, not a stream', async () => {
  const error = await connectionWith('reset')
    .newStream('/x')
    .then(
      () => undefined,
      (reason: Error & { code?: string }) => reason,
    );
  assert.is(error?.code, 'StreamReset');
});

test('an open one is given, and all else is as the connection has it', async () => {
  const connection = connectionWith('open');
  assert.is((await connection.newStream('/x')).status, 'open');
  assert.is(connection.direction, 'outbound');
});

test('one that the other side reads no more is closed', async () => {
  const connection = new FakeConnection('open');
  const stream = await withOpenStreams(connection as unknown as Connection).newStream('/x');
  assert.is(connection.closed, 0);
  stream.dispatchEvent(new Event('remoteCloseWrite'));
  assert.is(connection.closed, 1);
});

/** A node whose gossip tells who was heard. */
async function gossiping(introductions: (() => void)[]) {
  const { privateKey } = await generateIdentity();
  const key = readIdentity(privateKey).key;
  const options = { privateKey: key, listen: ['/ip4/127.0.0.1/tcp/0'], isMember: () => true, admit: () => true };
  const { node, meetGossip } = await createNode(options);
  await node.start();
  const writer = new EnvelopeWriter(node.peerId.toString(), 1);
  const { pubsub } = node.services;
  pubsub.subscribe('news');
  introductions.push(() => {
    for (const connection of node.getConnections()) meetGossip(connection);
  });
  return { node, pubsub, say: (text: string) => pubsub.publish('news', writer.write(Buffer.from(text))) };
}

test('peers hear one another again when one has let go of the other though their connection lives', async () => {
  const introductions: (() => void)[] = [];
  const peers = [await gossiping(introductions), await gossiping(introductions)] as const;
  const [a, b] = peers;
  /** Resolves when `to` hears what `from` says over and over, while the peers are introduced as the transport does it. */
  const heard = (from: typeof a, to: typeof a, text: string) =>
    new Promise<void>((resolve) => {
      const saying = setInterval(() => {
        for (const introduce of introductions) introduce();
        void from.say(text);
      }, 50);
      to.pubsub.addEventListener('message', ({ detail }) => {
        if (readEnvelope(detail.data)?.data.toString() !== text) return;
        clearInterval(saying);
        resolve();
      });
    });
  try {
    await a.node.dial(b.node.getMultiaddrs());
    await Promise.all([heard(a, b, 'one'), heard(b, a, 'two')]);
    // What gossipsub is told when the last connection to a peer has ended, also when that comes after the beginning of the next one.
    (a.pubsub as unknown as { onPeerDisconnected(peer: PeerId): void }).onPeerDisconnected(b.node.peerId);
    await Promise.all([heard(a, b, 'three'), heard(b, a, 'four')]);
    assert.equal(a.pubsub.getSubscribers('news').map(String), [b.node.peerId.toString()]);
    assert.equal(b.pubsub.getSubscribers('news').map(String), [a.node.peerId.toString()]);
  } finally {
    await Promise.all(peers.map(({ node }) => node.stop()));
  }
});

test.run();
