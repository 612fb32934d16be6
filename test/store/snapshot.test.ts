import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededRandom } from '../../src/lib/random.ts';
import { snapshotChunkBytesMax } from '../../src/store/snapshot.ts';
import { Store } from '../../src/store/store.ts';
import { put, randomEntries, recorder, text, withFolder, write } from './entries.ts';

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer[]> {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(Buffer.from(chunk));
  return all;
}

async function* stream(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

async function rejectionCode(promise: Promise<unknown>): Promise<string | undefined> {
  return promise.then(
    () => 'resolved',
    (error: { code?: string }) => error.code ?? String(error),
  );
}

test('a restored store is equal to the one that the snapshot was taken of, and goes on alike', async () => {
  const entries = randomEntries(4, 500);
  const source = await Store.open();
  source.apply(entries.slice(0, 400));
  const { index, term, chunks } = source.snapshot();
  const target = await Store.open();
  target.apply(randomEntries(5, 50));
  await target.restore({ index, term }, chunks);
  assert.is(target.stateHash(), source.stateHash());
  source.apply(entries.slice(400));
  target.apply(entries.slice(400));
  assert.is(target.stateHash(), source.stateHash());
});

test('a snapshot shows the state as of the call, although writes go on while it is read', async () => {
  const entries = randomEntries(6, 600);
  const source = await Store.open();
  source.apply(entries.slice(0, 300));
  const expected = source.stateHash();
  const snapshot = source.snapshot();
  source.apply(entries.slice(300, 450));
  const iterator = snapshot.chunks[Symbol.asyncIterator]();
  const first = await iterator.next();
  source.apply(entries.slice(450));
  const chunks = [first.value as Uint8Array];
  for (let next = await iterator.next(); !next.done; next = await iterator.next()) chunks.push(next.value);
  const target = await Store.open();
  await target.restore(snapshot, stream(chunks));
  assert.is(target.stateHash(), expected);
});

test('values larger than a chunk are split, and no chunk is larger than 1 MiB', async () => {
  const source = await Store.open();
  write(source, [put('/large', 'x'.repeat(3_500_000)), put('/small', 'y')]);
  write(source, [put('/next', 'z'.repeat(700_000))]);
  const { index, term, chunks } = source.snapshot();
  const all = await collect(chunks);
  assert.ok(all.length >= 5);
  assert.ok(all.every((chunk) => chunk.length <= snapshotChunkBytesMax));
  const target = await Store.open();
  await target.restore({ index, term }, stream(all));
  assert.is(target.stateHash(), source.stateHash());
  assert.is(text(target.get('/small')?.value), 'y');
});

test('it does not matter how the bytes were cut on their way', async () => {
  const source = await Store.open();
  source.apply(randomEntries(9, 200));
  const { index, term, chunks } = source.snapshot();
  const whole = Buffer.concat(await collect(chunks));
  const random = seededRandom(1);
  const pieces: Buffer[] = [];
  for (let at = 0; at < whole.length; ) {
    const length = 1 + random.int(700);
    pieces.push(whole.subarray(at, at + length));
    at += length;
  }
  const target = await Store.open();
  await target.restore({ index, term }, stream(pieces));
  assert.is(target.stateHash(), source.stateHash());
});

test('a rotten, cut or wrong snapshot is refused and the old state stands', async () => {
  const source = await Store.open();
  source.apply(randomEntries(10, 300));
  const { index, term, chunks } = source.snapshot();
  const whole = Buffer.concat(await collect(chunks));
  const target = await Store.open();
  target.apply(randomEntries(11, 100));
  const before = target.stateHash();
  const watcher = recorder();
  target.watch('/', target.revision, watcher);
  for (let at = 0; at < whole.length; at += 997) {
    const rotten = Buffer.from(whole);
    rotten[at] = rotten[at]! ^ 0x10;
    assert.is(await rejectionCode(target.restore({ index, term }, stream([rotten]))), 'SnapshotInvalid', `bit flipped at ${at}`);
  }
  for (const length of [0, 5, 100, whole.length - 1]) {
    const cut = target.restore({ index, term }, stream([whole.subarray(0, length)]));
    assert.is(await rejectionCode(cut), 'SnapshotInvalid', `cut at ${length}`);
  }
  assert.is(await rejectionCode(target.restore({ index: index + 1, term }, stream([whole]))), 'SnapshotInvalid');
  const twice = target.restore({ index, term }, stream([whole, whole]));
  assert.is(await rejectionCode(twice), 'SnapshotInvalid', 'something after the end');
  assert.is(target.stateHash(), before);
  assert.equal(watcher.ends, []);
});

test('a restore ends all watches, and the window begins at its revision', async () => {
  const source = await Store.open();
  source.apply(randomEntries(12, 100));
  const target = await Store.open();
  write(target, [put('/a', '1')]);
  const watcher = recorder();
  target.watch('/', 1, watcher);
  await target.restore(source.applied, source.snapshot().chunks);
  assert.equal(watcher.ends, ['restored']);
  assert.is(target.compactedRevision, source.revision);
  assert.is(target.stats().watchers, 0);
});

test('a restore is on disk when it resolves, and a rejected one leaves nothing there', async () => {
  await withFolder(async (dir) => {
    const source = await Store.open();
    source.apply(randomEntries(13, 300));
    const { index, term, chunks } = source.snapshot();
    const all = await collect(chunks);
    const target = await Store.open({ dir });
    target.apply(randomEntries(14, 100));
    await target.restore({ index, term }, stream(all));
    assert.equal(target.durable(), { index, term });
    const more = randomEntries(15, 320).slice(300);
    source.apply(more);
    target.apply(more);
    const cut = Buffer.concat(all).subarray(0, -1);
    assert.is(await rejectionCode(target.restore({ index, term }, stream([cut]))), 'SnapshotInvalid');
    await target.close();
    const again = await Store.open({ dir });
    assert.is(again.stateHash(), source.stateHash());
    await again.close();
  });
});

test.run();
