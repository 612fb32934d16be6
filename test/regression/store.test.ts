/** Bugs that others found in their stores, as tests that ours would fail if it had them: see docs/KNOWN-BUGS.md. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Level } from 'level';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { encodeTransaction, type LogEntry, type Operation, Store, type StoreError } from '../../src/store/index.ts';

const folders: string[] = [];
test.after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});
function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'kontiki-regression-'));
  folders.push(folder);
  return folder;
}

const put = (key: string): Operation => ({ type: 'put', key, value: Buffer.from(key) });
const remove = (key: string): Operation => ({ type: 'delete', key });
function entry(index: number, ...operations: Operation[]): LogEntry {
  return { index, term: 1, kind: 'normal', data: encodeTransaction({ requestId: `r${index}`, conditions: [], operations }) };
}

test('the revision does not go back when the last change was a delete and all history is gone', async () => {
  const dir = newFolder();
  const store = await Store.open({ dir, historyRevisionsMax: 1 });
  store.apply([entry(1, put('a')), entry(2, put('b')), entry(3, remove('b')), entry(4, remove('a'))]);
  await store.close();
  const again = await Store.open({ dir, historyRevisionsMax: 1 });
  assert.is(again.revision, 4);
  assert.is(again.applied.index, 4);
  await again.close();
});

test('the applied index on disk belongs to the state on disk: entries that come again change nothing twice', async () => {
  const dir = newFolder();
  const log = [entry(1, put('a')), entry(2, remove('a')), entry(3, put('a')), entry(4, put('c'))];
  const store = await Store.open({ dir });
  store.apply(log.slice(0, 2));
  await store.flush();
  const { index } = store.durable();
  assert.is(index, 2);
  store.apply(log.slice(2));
  await store.close();
  const again = await Store.open({ dir });
  again.apply(log.slice(again.durable().index));
  const whole = await Store.open();
  whole.apply(log);
  assert.is(again.stateHash(), whole.stateHash());
  await again.close();
});

test('whatever write is the last before a crash, the state on disk is that of its applied index', async () => {
  const log = Array.from({ length: 8 }, (_, n) => entry(n + 1, n % 3 === 2 ? remove('a') : put(n % 3 === 0 ? 'a' : `b${n}`)));
  const { batch } = Level.prototype;
  for (let whole = 0, crashed = true; crashed; whole++) {
    const dir = newFolder();
    const store = await Store.open({ dir, onFailure: () => undefined });
    let left = whole;
    crashed = false;
    Level.prototype.batch = function (this: Level, ...args: Parameters<typeof batch>) {
      crashed ||= left-- === 0;
      return crashed ? Promise.reject(new Error('the power is gone')) : batch.apply(this, args);
    } as typeof batch;
    try {
      for (const one of log) {
        store.apply([one]);
        await store.flush();
      }
    } catch (error) {
      assert.is((error as StoreError).code, 'StorageFailed');
    } finally {
      await store.close().catch(() => undefined);
      Level.prototype.batch = batch;
    }
    const again = await Store.open({ dir });
    const expected = await Store.open();
    expected.apply(log.slice(0, again.durable().index));
    assert.equal(again.list('').records, expected.list('').records, `after ${whole} writes`);
    assert.is(again.stateHash(), expected.stateHash(), `after ${whole} writes`);
    await again.close();
  }
});

test('a watch from the oldest revision of the window gets the delete that follows it, one from before is refused', async () => {
  const store = await Store.open({ historyRevisionsMax: 2 });
  store.apply([entry(1, put('a')), entry(2, put('b')), entry(3, remove('a')), entry(4, remove('b'))]);
  const seen: string[] = [];
  const listener = {
    onEvents: (events: readonly { type: string; revision: number }[]) =>
      seen.push(...events.map(({ type, revision }) => `${type} ${revision}`)),
    onEnd: () => {},
  };
  assert.is(store.compactedRevision, 2);
  store.watch('', 2, listener);
  assert.equal(seen, ['delete 3', 'delete 4']);
  assert.throws(() => store.watch('', 1, listener), /compacted/);
});

test('two snapshots in quick succession: each shows its own moment, and the later one wins', async () => {
  const store = await Store.open();
  store.apply([entry(1, put('a'))]);
  const first = store.snapshot();
  store.apply([entry(2, remove('a')), entry(3, put('b'))]);
  const second = store.snapshot();
  const other = await Store.open();
  await other.restore(first, first.chunks);
  assert.ok(other.get('a'));
  await other.restore(second, second.chunks);
  assert.is(other.get('a'), undefined);
  assert.is(other.stateHash(), store.stateHash());
});

test.run();
