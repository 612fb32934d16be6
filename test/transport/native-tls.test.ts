/** Our TLS beside libp2p's own: they must understand one another, and ours must take nobody for someone else. */
import { yamux } from '@chainsafe/libp2p-yamux';
import { identify } from '@libp2p/identify';
import { tcp } from '@libp2p/tcp';
import { tls } from '@libp2p/tls';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { generateIdentity } from '../../src/transport/identity.ts';
import { errorCodeOf, never, startPeer, withPeers } from './peers.ts';

test("libp2p's own implementation reaches a peer of ours, is reached by it, and each learns who the other is", async () => {
  await withPeers(1, async ([peer]) => {
    const other = await createLibp2p({
      addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
      transports: [tcp()],
      connectionEncrypters: [tls()],
      streamMuxers: [yamux()],
      services: { identify: identify() },
    });
    try {
      const connection = await other.dial(multiaddr(peer!.addresses()[0]!));
      assert.is(connection.remotePeer.toString(), peer!.id);
      assert.is(connection.multiplexer, '/yamux/1.0.0');
      connection.abort(new Error('the other way now'));
      const inbound = new Promise<string>((resolve) => {
        other.addEventListener('connection:open', ({ detail }) => {
          if (detail.direction === 'inbound') resolve(detail.remotePeer.toString());
        });
      });
      const address = other.getMultiaddrs()[0]!.toString();
      assert.match(await errorCodeOf(peer!.ask(address, Buffer.from('?'), never)), 'could not negotiate /kontiki/ask/1');
      assert.is(await inbound, peer!.id);
    } finally {
      await other.stop();
    }
  });
});

test('a peer is not taken for a member whose address it has', async () => {
  await withPeers(1, async ([peer]) => {
    const [impostor, member] = [await startPeer(), await generateIdentity()];
    try {
      peer!.setMembers([{ id: member.id, addresses: impostor.addresses() }]);
      // Each question is a round trip; meanwhile the link dials the address, again and again.
      impostor.onAsk(async () => Buffer.alloc(0));
      for (let asked = 0; asked < 8; asked++) await peer!.ask(impostor.addresses()[0]!, Buffer.from('?'), never);
      assert.is(peer!.connected().includes(member.id), false);
      assert.is(peer!.send(member.id, 'consensus', Buffer.from('secret')), false);
    } finally {
      await impostor.close();
    }
  });
});

test.run();
