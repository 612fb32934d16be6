import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Transport } from '../../src/transport/types.ts';
import { errorCodeOf, lostConnection, never, startPeer, withPeers } from './peers.ts';

const blockBytes = 100_000;

/** The same bytes for the same count, without holding all of them. */
async function* blocks(count: number): AsyncGenerator<Buffer> {
  const block = randomBytes(blockBytes);
  for (let i = 0; i < count; i++) {
    block.writeUInt32BE(i, (i * 7) % 1000);
    yield Buffer.from(block);
  }
}

async function hashOf(stream: AsyncIterable<Uint8Array>): Promise<{ hash: string; bytes: number }> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of stream) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { hash: hash.digest('hex'), bytes };
}

async function* hashing(source: AsyncIterable<Uint8Array>, onEnd: (hash: string) => void): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  for await (const chunk of source) {
    hash.update(chunk);
    yield chunk;
  }
  onEnd(hash.digest('hex'));
}

/** The service's side of a stream, once it is opened. */
function accepted(peer: Transport, service: string): Promise<Duplex> {
  return new Promise((resolve) => peer.handleStream(service, (_from, stream) => resolve(stream)));
}

async function readAll(stream: Duplex): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

test('20 MB go through both ways at once, and arrive as they were', async () => {
  await withPeers(2, async ([a, b]) => {
    const service = accepted(b!, 'copy');
    const near = await a!.openStream(b!.id, 'copy', never);
    const far = await service;
    const sent = { near: '', far: '' };
    const [, , atFar, atNear] = await Promise.all([
      pipeline(
        hashing(blocks(200), (hash) => (sent.near = hash)),
        near,
      ),
      pipeline(
        hashing(blocks(200), (hash) => (sent.far = hash)),
        far,
      ),
      hashOf(far),
      hashOf(near),
    ]);
    assert.equal(atFar, { hash: sent.near, bytes: 200 * blockBytes });
    assert.equal(atNear, { hash: sent.far, bytes: 200 * blockBytes });
  });
});

test('a reader that does not read stops the writer, and loses nothing', async () => {
  await withPeers(2, async ([a, b]) => {
    const service = accepted(b!, 'slow');
    const near = await a!.openStream(b!.id, 'slow', never);
    const far = await service;
    let written = 0;
    for await (const block of blocks(1000)) {
      written += block.length;
      if (!near.write(block)) {
        // Stalled for good: nobody reads, so no drain comes before the reader begins.
        if (near.writableLength > 1_000_000) break;
      }
    }
    assert.ok(written < 1000 * blockBytes, 'not everything fits into the buffers on the way');
    near.end();
    assert.is((await hashOf(far)).bytes, written);
    far.end();
    near.resume();
    await once(near, 'close');
  });
});

test('one side may finish while the other goes on', async () => {
  await withPeers(2, async ([a, b]) => {
    const service = accepted(b!, 'question');
    const near = await a!.openStream(b!.id, 'question', never);
    const far = await service;
    near.end('how many?');
    assert.is(await readAll(far), 'how many?');
    far.write('forty');
    far.end('-two');
    assert.is(await readAll(near), 'forty-two');
  });
});

test('the service may speak first and finish first', async () => {
  await withPeers(2, async ([a, b]) => {
    b!.handleStream('banner', (from, stream) => stream.end(`hello ${from}`));
    for (let i = 0; i < 20; i++) {
      const near = await a!.openStream(b!.id, 'banner', never);
      assert.is(await readAll(near), `hello ${a!.id}`);
      near.end();
    }
  });
});

test('destroying one end is an error at the other, not an end', async () => {
  await withPeers(2, async ([a, b]) => {
    const service = accepted(b!, 'cut');
    const near = await a!.openStream(b!.id, 'cut', never);
    const far = await service;
    near.write('beginning');
    const [first] = await once(far, 'data');
    assert.is(first.toString(), 'beginning');
    const failed = errorCodeOf(readAll(far));
    near.destroy();
    assert.is(await failed, 'StreamReset');
  });
});

test('a peer that goes away cuts its streams: no short file is taken for a whole one', async () => {
  await withPeers(1, async ([a]) => {
    const b = await startPeer();
    try {
      a!.setMembers([{ id: b.id, addresses: b.addresses() }]);
      b.setMembers([{ id: a!.id, addresses: a!.addresses() }]);
      await new Promise<void>((resolve) => a!.onConnection((_peer, connected) => connected && resolve()));
      const service = accepted(b, 'file');
      const near = await a!.openStream(b.id, 'file', never);
      const far = await service;
      far.on('error', () => {});
      far.write('half of it');
      const [first] = await once(near, 'data');
      assert.is(first.toString(), 'half of it');
      const failed = errorCodeOf(readAll(near));
      const lost = lostConnection(a!, b.id);
      await b.close();
      assert.is(await failed, 'StreamReset');
      await lost;
      assert.is(await errorCodeOf(a!.openStream(b.id, 'file', never)), 'NotConnected');
    } finally {
      await b.close();
    }
  });
});

test('a service that is not there is an error by name', async () => {
  await withPeers(2, async ([a, b]) => {
    assert.is(await errorCodeOf(a!.openStream(b!.id, 'nothing', never)), 'NoSuchService');
  });
});

test('opening a stream ends with its signal', async () => {
  await withPeers(2, async ([a, b]) => {
    const abort = new AbortController();
    abort.abort(new Error('enough'));
    assert.is(await errorCodeOf(a!.openStream(b!.id, 'nothing', abort.signal)), 'Error: enough');
  });
});

test('many streams at the same time do not disturb one another', async () => {
  await withPeers(2, async ([a, b]) => {
    b!.handleStream('echo', (_from, stream) => stream.pipe(stream));
    const answers = await Promise.all(
      Array.from({ length: 200 }, async (_, i) => {
        const stream = await a!.openStream(b!.id, 'echo', never);
        stream.end(`stream ${i}`);
        return await readAll(stream);
      }),
    );
    assert.equal(
      answers,
      Array.from({ length: 200 }, (_, i) => `stream ${i}`),
    );
  });
});

test.run();
