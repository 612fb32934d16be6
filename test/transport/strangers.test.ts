import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Transport } from '../../src/transport/types.ts';
import { addressOf, connectedTo, errorCodeOf, introduce, never, startPeer, withPeers } from './peers.ts';

async function withStranger(run: (peers: Transport[], stranger: Transport) => Promise<void>): Promise<void> {
  const stranger = await startPeer();
  try {
    await withPeers(2, (peers) => run(peers, stranger));
  } finally {
    await stranger.close();
  }
}

test('a stranger may ask, and is answered by one that it knows by address only', async () => {
  await withStranger(async ([a], stranger) => {
    a!.onAsk(async (from, request) => Buffer.from(`${from} said ${Buffer.from(request)}`));
    const { from, answer } = await stranger.ask(a!.addresses()[0]!, Buffer.from('let me in'), never);
    assert.is(from, a!.id);
    assert.is(Buffer.from(answer).toString(), `${stranger.id} said let me in`);
  });
});

test('a question that cannot be answered is an error for the one who asks', async () => {
  await withStranger(async ([a], stranger) => {
    const address = a!.addresses()[0]!;
    assert.is(await errorCodeOf(stranger.ask(address, Buffer.from('?'), never)), 'AskFailed', 'nobody answers there');
    a!.onAsk(async () => {
      throw new Error('no idea');
    });
    assert.is(await errorCodeOf(stranger.ask(address, Buffer.from('?'), never)), 'AskFailed');
    assert.is(await errorCodeOf(stranger.ask(address, Buffer.alloc(70_000), never)), 'AskFailed', 'too long');
    assert.is(await errorCodeOf(stranger.ask('/ip4/127.0.0.1/tcp/1', Buffer.from('?'), never)), 'AskFailed', 'nobody there');
  });
});

test('a question ends with its signal', async () => {
  await withStranger(async ([a], stranger) => {
    const abort = new AbortController();
    a!.onAsk(() => {
      abort.abort(new Error('changed my mind'));
      return new Promise(() => {});
    });
    assert.is(await errorCodeOf(stranger.ask(a!.addresses()[0]!, Buffer.from('?'), abort.signal)), 'Error: changed my mind');
  });
});

test('a stranger gets no frames, no streams and no gossip, although it believes to be a member', async () => {
  await withStranger(async ([a, b], stranger) => {
    const heard: string[] = [];
    a!.onFrame('consensus', (from) => heard.push(from));
    a!.handleStream('secrets', (from) => heard.push(from));
    a!.subscribe('news', (from) => heard.push(from));
    stranger.subscribe('news', (_from, data) => heard.push(`the stranger heard ${Buffer.from(data)}`));
    const asked: string[] = [];
    a!.onAsk(async (from) => {
      asked.push(from);
      return new Uint8Array();
    });
    stranger.setMembers([addressOf(a!)]);
    // Each answered question is a round trip on a connection of its own; meanwhile the link tries and is refused.
    for (let i = 0; i < 30; i++) {
      await stranger.ask(a!.addresses()[0]!, Buffer.from('?'), never);
      assert.is(stranger.send(a!.id, 'consensus', Buffer.from('vote for me')), false);
      const code = await errorCodeOf(stranger.openStream(a!.id, 'secrets', never));
      assert.is.not(code, 'resolved');
      stranger.publish('news', Buffer.from('lies'));
      a!.publish('news', Buffer.from('the truth'));
    }
    assert.equal(stranger.connected(), []);
    assert.equal(heard, []);
    assert.ok(asked.length > 0);
    assert.equal(a!.connected(), [b!.id]);
  });
});

test('one that asked and was made a member joins the others', async () => {
  await withStranger(async ([a, b], stranger) => {
    a!.onAsk(async () => {
      introduce([a!, b!]);
      for (const peer of [a!, b!]) peer.setMembers([a!, b!, stranger].map(addressOf));
      return Buffer.from(JSON.stringify([a!, b!].map(addressOf)));
    });
    const { answer } = await stranger.ask(a!.addresses()[0]!, Buffer.from('let me in'), never);
    stranger.setMembers(JSON.parse(Buffer.from(answer).toString()));
    await Promise.all([
      connectedTo(stranger, [a!.id, b!.id]),
      connectedTo(a!, [b!.id, stranger.id]),
      connectedTo(b!, [a!.id, stranger.id]),
    ]);
  });
});

test('one that joins before the others know of it gets in as soon as they do', async () => {
  await withStranger(async ([a, b], stranger) => {
    stranger.setMembers([addressOf(a!), addressOf(b!)]);
    a!.onAsk(async () => new Uint8Array());
    for (let i = 0; i < 5; i++) await stranger.ask(a!.addresses()[0]!, Buffer.from('?'), never);
    assert.equal(stranger.connected(), []);
    for (const peer of [a!, b!]) peer.setMembers([a!, b!, stranger].map(addressOf));
    await Promise.all([
      connectedTo(stranger, [a!.id, b!.id]),
      connectedTo(a!, [b!.id, stranger.id]),
      connectedTo(b!, [a!.id, stranger.id]),
    ]);
  });
});

test.run();
