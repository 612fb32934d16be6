import { randomBytes } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededRandom } from '../../src/lib/random.ts';
import { encodeFrame, FrameReader } from '../../src/transport/frames.ts';
import { generateIdentity } from '../../src/transport/identity.ts';
import type { PeerId, Transport } from '../../src/transport/types.ts';
import { addressOf, connectedTo, introduce, lostConnection, startPeer, withPeers } from './peers.ts';

function collect(peer: Transport, count: number): Promise<{ from: PeerId; frame: Buffer }[]> {
  return new Promise((resolve) => {
    const frames: { from: PeerId; frame: Buffer }[] = [];
    peer.onFrame('consensus', (from, frame) => {
      frames.push({ from, frame: Buffer.from(frame) });
      if (frames.length === count) resolve(frames);
    });
  });
}

test('frames come out as they went in, however the bytes were cut', () => {
  const random = seededRandom(3);
  const frames = Array.from({ length: 200 }, () => randomBytes(1 + random.int(random.int(10) === 0 ? 5000 : 50)));
  const bytes = Buffer.concat(frames.flatMap((frame) => [encodeFrame(frame), encodeFrame(new Uint8Array(0))]));
  const out: Buffer[] = [];
  const reader = new FrameReader(5000, (frame) => out.push(Buffer.from(frame)));
  for (let at = 0; at < bytes.length; ) {
    const length = 1 + random.int(900);
    reader.push(bytes.subarray(at, at + length));
    at += length;
  }
  assert.is(out.length, frames.length);
  assert.ok(out.every((frame, i) => frame.equals(frames[i]!)));
});

test('a frame that is too long is refused before it is buffered', () => {
  const reader = new FrameReader(10, () => {});
  assert.throws(
    () => reader.push(encodeFrame(new Uint8Array(11)).subarray(0, 4)),
    (error: unknown) => (error as { code?: string }).code === 'BadFrame',
  );
});

test('frames between three peers arrive in order, each with its sender', async () => {
  await withPeers(3, async ([a, b, c]) => {
    const received = collect(c!, 2000);
    for (let i = 0; i < 1000; i++) {
      for (const peer of [a!, b!]) assert.ok(peer.send(c!.id, 'consensus', Buffer.from(`${i}`)));
    }
    const frames = await received;
    for (const peer of [a!, b!]) {
      const own = frames.filter(({ from }) => from === peer.id).map(({ frame }) => Number(frame.toString()));
      assert.equal(
        own,
        Array.from({ length: 1000 }, (_, i) => i),
      );
    }
  });
});

test('purposes do not mix', async () => {
  await withPeers(2, async ([a, b]) => {
    const gossip = new Promise<string>((resolve) =>
      b!.onFrame('gossip', (_from, frame) => resolve(Buffer.from(frame).toString())),
    );
    const consensus = collect(b!, 1);
    a!.send(b!.id, 'consensus', Buffer.from('votes'));
    a!.send(b!.id, 'gossip', Buffer.from('rumours'));
    assert.is(await gossip, 'rumours');
    assert.is((await consensus)[0]?.frame.toString(), 'votes');
  });
});

test('large frames of any bytes arrive whole', async () => {
  await withPeers(2, async ([a, b]) => {
    const frame = randomBytes(7_000_000);
    const received = collect(b!, 1);
    assert.ok(a!.send(b!.id, 'consensus', frame));
    assert.ok((await received)[0]?.frame.equals(frame));
  });
});

test('what exceeds the bound of a stream is dropped and said so, and the stream goes on', async () => {
  await withPeers(2, async ([a, b]) => {
    const megabyte = randomBytes(1_000_000);
    let sent = 0;
    while (a!.send(b!.id, 'consensus', megabyte)) sent++;
    assert.is(sent, 8);
    assert.not.ok(a!.send(b!.id, 'consensus', randomBytes(9_000_000)), 'a frame beyond the bound is never sent');
    await collect(b!, sent);
    const next = collect(b!, 1);
    assert.ok(a!.send(b!.id, 'consensus', Buffer.from('still here')));
    assert.is((await next)[0]?.frame.toString(), 'still here');
  });
});

test('nothing is sent to a peer that is not connected', async () => {
  const a = await startPeer();
  try {
    assert.is(a.send((await generateIdentity()).id, 'consensus', Buffer.from('x')), false);
  } finally {
    await a.close();
  }
});

test('peers that both know each other settle on links both ways, time and again', async () => {
  for (let round = 0; round < 5; round++) {
    await withPeers(2, async ([a, b]) => {
      const there = collect(b!, 1);
      const back = collect(a!, 1);
      a!.send(b!.id, 'consensus', Buffer.from('ping'));
      b!.send(a!.id, 'consensus', Buffer.from('pong'));
      assert.is((await there)[0]?.frame.toString(), 'ping');
      assert.is((await back)[0]?.frame.toString(), 'pong');
    });
  }
});

test('a peer that restarts is found again, at its old address and at a new one', async () => {
  const identity = await generateIdentity();
  const a = await startPeer();
  let b = await startPeer(identity);
  try {
    introduce([a, b]);
    await connectedTo(a, [b.id]);
    const old = b.addresses();
    let lost = lostConnection(a, b.id);
    await b.close();
    await lost;
    assert.equal(a.connected(), []);
    b = await startPeer(identity, old);
    b.setMembers([addressOf(a)]);
    await Promise.all([connectedTo(a, [b.id]), connectedTo(b, [a.id])]);

    lost = lostConnection(a, b.id);
    await b.close();
    await lost;
    b = await startPeer(identity);
    introduce([a, b]);
    await Promise.all([connectedTo(a, [b.id]), connectedTo(b, [a.id])]);
    const received = collect(b, 1);
    assert.ok(a.send(b.id, 'consensus', Buffer.from('welcome back')));
    assert.is((await received)[0]?.frame.toString(), 'welcome back');
  } finally {
    await Promise.all([a.close(), b.close()]);
  }
});

test('one side that knows the address is enough for both directions', async () => {
  const [a, b] = await Promise.all([startPeer(), startPeer()]);
  try {
    a.setMembers([{ id: b.id, addresses: [] }]);
    b.setMembers([addressOf(a)]);
    await Promise.all([connectedTo(a, [b.id]), connectedTo(b, [a.id])]);
  } finally {
    await Promise.all([a.close(), b.close()]);
  }
});

test('a member that is removed is cut off', async () => {
  await withPeers(3, async ([a, b, c]) => {
    const lost = lostConnection(b!, a!.id);
    a!.setMembers([addressOf(c!)]);
    await lost;
    assert.equal(a!.connected(), [c!.id]);
    assert.is(a!.send(b!.id, 'consensus', Buffer.from('x')), false);
  });
});

test('an address that is taken is an error, and leaves nothing running', async () => {
  const a = await startPeer();
  try {
    const error = await startPeer(undefined, a.addresses()).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    assert.instance(error, Error);
  } finally {
    await a.close();
  }
});

test.run();
