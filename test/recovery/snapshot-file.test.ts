/** The snapshot file: no byte of it can change, and none can be missing, unnoticed. */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededRandom } from '../../src/lib/random.ts';
import { saveSnapshotFile, verifySnapshotFile } from '../../src/node/recovery/backup.ts';
import { readSnapshotFile } from '../../src/node/recovery/snapshot-file.ts';
import { readImage } from '../../src/store/index.ts';
import { clusterRecords, codeOf, put, snapshotPieces, withFolder, write } from './cluster-files.ts';

async function* pieces(bytes: Uint8Array, length = bytes.length): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

const read = (bytes: Uint8Array, length?: number) => readSnapshotFile(pieces(bytes, length), (_, chunks) => readImage(chunks));
const small = async () => Buffer.concat(await snapshotPieces([write(1, 1, clusterRecords('old', ['one']))]));

test('what was written is read, wherever the bytes were cut on their way', async () => {
  const whole = await small();
  for (const length of [1, 7, 1000, whole.length]) {
    const { header, bytes, result } = await read(whole, length);
    assert.is(header.clusterId, 'old');
    assert.is(bytes, whole.length);
    assert.is(result.revision, 1);
    assert.is(result.records.flat().length, 7);
  }
});

test('every byte that is changed is noticed', async () => {
  const whole = await small();
  const random = seededRandom(5);
  for (let at = 0; at < whole.length; at++) {
    const bad = Buffer.from(whole);
    bad[at] = whole[at]! ^ (1 + random.int(255));
    const expected = at < 17 ? 'NotASnapshot' : 'SnapshotDamaged';
    assert.is(await codeOf(read(bad)), expected, `byte ${at}`);
  }
});

test('a file that ends early is cut off, at whatever length', async () => {
  const whole = await small();
  for (let length = 0; length < whole.length; length++) {
    assert.is(await codeOf(read(whole.subarray(0, length))), 'SnapshotTruncated', `length ${length}`);
  }
});

test('anything else is told apart: other files, later formats, bytes behind the end, parts in another order', async () => {
  assert.is(await codeOf(read(Buffer.from('apiVersion: v1\nkind: List\n'))), 'NotASnapshot');
  assert.is(await codeOf(read(Buffer.concat([await small(), Buffer.from([0])]))), 'SnapshotDamaged');
  const later = Buffer.concat(await snapshotPieces([write(1, 1, clusterRecords('old', ['one']))], { format: 2 }));
  assert.is(await codeOf(read(later)), 'SnapshotFormat');
  const [magic, head, header, chunkHead, chunk, endHead, digest] = (await snapshotPieces([
    write(1, 1, clusterRecords('old', ['one'])),
  ])) as [Buffer, Buffer, Buffer, Buffer, Buffer, Buffer, Buffer];
  for (const order of [
    [magic, chunkHead, chunk, head, header, endHead, digest],
    [magic, head, header, endHead, digest],
    [magic, head, header, chunkHead, chunk, chunkHead, chunk, endHead, digest],
  ]) {
    assert.is(await codeOf(read(Buffer.concat(order))), 'SnapshotDamaged');
  }
});

test('a file of several chunks is verified and counted by kind', async () => {
  await withFolder(async (folder) => {
    const file = join(folder, 'snapshot');
    const large = Array.from({ length: 30 }, (_, n) =>
      write(n + 2, 1, [put(`/registry/apps/deployments/default/d${n}`, 'x'.repeat(100_000))]),
    );
    const all = await snapshotPieces([write(1, 1, clusterRecords('old', ['one', 'two'])), ...large]);
    const verified = await saveSnapshotFile(file, pieces(Buffer.concat(all), 300_000));
    assert.equal(verified.objects, { configmaps: 1, 'deployments.apps': 30, nodes: 2 });
    assert.is(verified.records, 40);
    assert.is(verified.header.revision, 31);
    assert.is(statSync(file).mode & 0o777, 0o600);
    assert.equal(await verifySnapshotFile(file), verified);
  });
});

test('a header that does not belong to its content is damage', async () => {
  await withFolder(async (folder) => {
    const file = join(folder, 'snapshot');
    const all = await snapshotPieces([write(1, 1, clusterRecords('old', ['one']))], { revision: 9 });
    writeFileSync(file, Buffer.concat(all));
    assert.is(await codeOf(verifySnapshotFile(file)), 'SnapshotDamaged');
  });
});

test('a save that breaks off leaves the older file, and nothing else', async () => {
  await withFolder(async (folder) => {
    const file = join(folder, 'snapshot');
    const whole = await small();
    await saveSnapshotFile(file, pieces(whole));
    async function* broken() {
      yield whole.subarray(0, 200);
      throw new Error('the daemon went away');
    }
    assert.match(await codeOf(saveSnapshotFile(file, broken())), /went away/);
    assert.is(await codeOf(saveSnapshotFile(file, pieces(whole.subarray(0, 200)))), 'SnapshotTruncated');
    assert.ok(readFileSync(file).equals(whole));
    assert.equal(readdirSync(folder), ['snapshot']);
  });
});

test.run();
