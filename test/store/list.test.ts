import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededRandom } from '../../src/lib/random.ts';
import { compareKeys, OrderedRecords } from '../../src/store/ordered-records.ts';
import { Store } from '../../src/store/store.ts';
import type { ListOptions } from '../../src/store/types.ts';
import { ManualClock } from '../client/manual-clock.ts';
import { bytes, put, randomEntries, remove, write } from './entries.ts';

const keys = (store: Store, prefix: string, options?: ListOptions) => store.list(prefix, options).records.map(({ key }) => key);

test('a list holds the keys of the prefix in byte order', async () => {
  const store = await Store.open();
  write(
    store,
    ['/b/2', '/a/1', '/b/10', '/b', '/bb', '/c/1', '/b/1'].map((key) => put(key, '')),
  );
  assert.equal(keys(store, '/b/'), ['/b/1', '/b/10', '/b/2']);
  assert.equal(keys(store, '/b'), ['/b', '/b/1', '/b/10', '/b/2', '/bb']);
  assert.equal(keys(store, '/d'), []);
  assert.is(keys(store, '').length, 7);
});

test('pages follow one another and say exactly how many keys are left', async () => {
  const store = await Store.open();
  for (let i = 0; i < 2500; i++) write(store, [put(`/p/${String(i).padStart(5, '0')}`, '')]);
  write(store, [put('/o', ''), put('/q', '')]);
  const found: string[] = [];
  let startAfter: string | undefined;
  for (;;) {
    const page = store.list('/p/', { limit: 400, startAfter });
    found.push(...page.records.map(({ key }) => key));
    assert.is(page.remaining, 2500 - found.length);
    if (page.remaining === 0) break;
    startAfter = found.at(-1);
  }
  assert.is(found.length, 2500);
  assert.equal(found, found.toSorted());
});

test('a list at an older revision shows what was there then, page by page', async () => {
  const store = await Store.open();
  const states: { revision: number; keys: string[] }[] = [];
  for (const entry of randomEntries(3, 400)) {
    store.apply([entry]);
    states.push({ revision: store.revision, keys: store.list('/registry/').records.map((r) => `${r.key}@${r.modRevision}`) });
  }
  for (const state of states) {
    const all = store.list('/registry/', { revision: state.revision });
    assert.equal(
      all.records.map((r) => `${r.key}@${r.modRevision}`),
      state.keys,
    );
    assert.is(all.remaining, 0);
    const first = store.list('/registry/', { revision: state.revision, limit: 5 });
    assert.equal(
      first.records.map((r) => r.key),
      all.records.slice(0, 5).map((r) => r.key),
    );
    assert.is(first.remaining, Math.max(0, all.records.length - 5));
    const startAfter = first.records.at(-1)?.key;
    const second = store.list('/registry/', { revision: state.revision, limit: 5, startAfter });
    assert.equal(
      second.records.map((r) => r.key),
      all.records.slice(5, 10).map((r) => r.key),
    );
  }
});

test('a revision outside the window is refused by name', async () => {
  const store = await Store.open({ historyRevisionsMax: 3 });
  for (let i = 1; i <= 10; i++) write(store, [put('/a', `${i}`)]);
  const code = (expected: string) => (error: unknown) => (error as { code?: string }).code === expected;
  assert.is(store.compactedRevision, 7);
  assert.is(store.list('/', { revision: 7 }).records[0]?.modRevision, 7);
  assert.throws(() => store.list('/', { revision: 6 }), code('Compacted'));
  assert.throws(() => store.list('/', { revision: 11 }), code('FutureRevision'));
});

test('the window is bounded by bytes too, but always holds the last revision', async () => {
  const store = await Store.open({ historyBytesMax: 10_000 });
  for (let i = 1; i <= 50; i++) write(store, [put(`/${i}`, 'x'.repeat(1000))]);
  assert.ok(store.stats().historyBytes <= 10_000);
  assert.ok(store.compactedRevision > 40 && store.compactedRevision < 50);
  write(store, [put('/large', 'x'.repeat(50_000))]);
  assert.is(store.compactedRevision, 50);
});

test('the window is bounded by age, which counts when something is applied; the last revision stays', async () => {
  const clock = new ManualClock();
  const store = await Store.open({ historyAgeMsMax: 1_000, clock });
  write(store, [put('/1', 'x')]);
  await clock.advance(900);
  write(store, [put('/2', 'x')]);
  await clock.advance(200);
  assert.is(store.compactedRevision, 0);
  write(store, [put('/3', 'x')]);
  assert.is(store.compactedRevision, 1);
  assert.throws(() => store.watch('/', 0, { onEvents() {}, onEnd() {} }), /compacted/);
  await clock.advance(60_000);
  store.apply([{ index: 4, term: 1, kind: 'empty', data: new Uint8Array(0) }]);
  assert.equal([store.compactedRevision, store.revision], [2, 3]);
});

test('key order is the order of the UTF-8 bytes', () => {
  const random = seededRandom(5);
  const characters = ['a', 'z', '/', 'é', '\u7fff', '\ud7ff', '\ue000', '\uffff', '\u{10000}', '\u{1f600}', '\u{10ffff}'];
  const make = () => Array.from({ length: 1 + random.int(4) }, () => characters[random.int(characters.length)]).join('');
  for (let i = 0; i < 3000; i++) {
    const [a, b] = [make(), make()];
    assert.is(Math.sign(compareKeys(a, b)), Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b))), `${a} against ${b}`);
  }
});

test('ordered records agree with a sorted array under random changes', () => {
  const random = seededRandom(11);
  const records = new OrderedRecords();
  const model = new Map<string, number>();
  for (let i = 0; i < 20_000; i++) {
    // Grows first, then shrinks to nothing, so that chunks split and join.
    const grow = i < 12_000 ? 3 : 1;
    const key = `/${random.int(3)}/${random.int(1500)}${random.int(50) === 0 ? '\u{1f600}' : ''}`;
    if (random.int(4) < grow) {
      records.put({ key, value: bytes('v'), createRevision: i, modRevision: i });
      model.set(key, i);
    } else {
      assert.is(records.delete(key)?.modRevision, model.get(key));
      model.delete(key);
    }
    if (i % 1000 !== 0) continue;
    const sorted = [...model.keys()].filter((k) => k.startsWith('/1/')).sort(compareKeys);
    const startAfter = sorted[random.int(sorted.length + 1)];
    const expected = startAfter === undefined ? sorted : sorted.slice(sorted.indexOf(startAfter) + 1);
    const seen: string[] = [];
    records.scan('/1/', startAfter, (record) => seen.push(record.key) > 0);
    assert.equal(seen, expected);
    assert.is(records.count('/1/', startAfter), expected.length);
  }
  assert.is(records.size, model.size);
  for (const key of model.keys()) records.delete(key);
  assert.is(records.size, 0);
  assert.is(records.valueBytes, 0);
  assert.is(records.count('', undefined), 0);
});

test('deleting in between does not disturb a list that is already made', async () => {
  const store = await Store.open();
  write(store, [put('/a', '1'), put('/b', '2')]);
  const before = store.list('/');
  write(store, [remove('/a')]);
  assert.is(before.records.length, 2);
  assert.equal(keys(store, '/'), ['/b']);
});

test.run();
