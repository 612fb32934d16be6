import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Store } from '../../src/store/store.ts';
import { decodeTransaction, encodeTransaction, operationsMax } from '../../src/store/transaction.ts';
import { bytes, entry, put, randomEntries, remove, text, write } from './entries.ts';

test('a key keeps its create revision and takes a new mod revision with each put', async () => {
  const store = await Store.open();
  assert.equal(write(store, [put('/a', 'one')]), { ok: true, revision: 1 });
  write(store, [put('/b', 'other')]);
  write(store, [put('/a', 'two')]);
  const record = store.get('/a');
  assert.is(record?.createRevision, 1);
  assert.is(record?.modRevision, 3);
  assert.is(text(record?.value), 'two');
});

test('a key that is deleted and put again begins anew', async () => {
  const store = await Store.open();
  write(store, [put('/a', 'one')]);
  write(store, [remove('/a')]);
  assert.is(store.get('/a'), undefined);
  write(store, [put('/a', 'two')]);
  assert.is(store.get('/a')?.createRevision, 3);
});

test('all operations of a transaction share one revision', async () => {
  const store = await Store.open();
  write(store, [put('/a', '1'), put('/b', '2'), remove('/c')]);
  assert.is(store.revision, 1);
  assert.is(store.get('/a')?.modRevision, 1);
  assert.is(store.get('/b')?.modRevision, 1);
});

test('a transaction that changes nothing takes no revision', async () => {
  const store = await Store.open();
  write(store, [put('/a', '1')]);
  assert.equal(write(store, [remove('/absent')]), { ok: true, revision: 1 });
  assert.is(store.revision, 1);
  assert.is(store.applied.index, 2);
});

test('a failed condition names the key with its present revision, and changes nothing', async () => {
  const store = await Store.open();
  write(store, [put('/a', '1')]);
  const absent = write(store, [put('/a', '2')], { conditions: [{ key: '/a', modRevision: 0 }] });
  assert.equal(absent, { ok: false, revision: 1, failed: { key: '/a', modRevision: 1 } });
  const wrong = write(store, [put('/b', '2')], { conditions: [{ key: '/missing', modRevision: 7 }] });
  assert.equal(wrong, { ok: false, revision: 1, failed: { key: '/missing', modRevision: 0 } });
  assert.is(text(store.get('/a')?.value), '1');
  assert.is(store.get('/b'), undefined);
});

test('a condition on the right revision lets the transaction through', async () => {
  const store = await Store.open();
  write(store, [put('/a', '1')], { conditions: [{ key: '/a', modRevision: 0 }] });
  assert.equal(write(store, [put('/a', '2')], { conditions: [{ key: '/a', modRevision: 1 }] }), { ok: true, revision: 2 });
});

test('a request that comes again has no second effect and gives the first result', async () => {
  const store = await Store.open();
  const first = write(store, [put('/a', '1')], { requestId: 'r1' });
  write(store, [put('/a', '2')], { requestId: 'r2' });
  assert.equal(write(store, [put('/a', '1')], { requestId: 'r1' }), first);
  assert.is(text(store.get('/a')?.value), '2');
  const failed = write(store, [put('/b', '1')], { requestId: 'r3', conditions: [{ key: '/a', modRevision: 0 }] });
  write(store, [remove('/a')]);
  assert.equal(write(store, [put('/b', '1')], { requestId: 'r3', conditions: [{ key: '/a', modRevision: 0 }] }), failed);
});

test('the oldest request ids are forgotten, counted in requests', async () => {
  const store = await Store.open({ requestIdsMax: 2 });
  write(store, [put('/a', '1')], { requestId: 'r1' });
  write(store, [put('/a', '2')], { requestId: 'r2' });
  write(store, [put('/a', '3')], { requestId: 'r3' });
  assert.equal(write(store, [put('/a', '4')], { requestId: 'r2' }), { ok: true, revision: 2 }, 'still known');
  assert.equal(write(store, [put('/a', '4')], { requestId: 'r1' }), { ok: true, revision: 4 }, 'forgotten, so it counts anew');
});

test('entries that are no transactions only move the applied index', async () => {
  const store = await Store.open();
  const results = store.apply([
    { index: 1, term: 1, kind: 'empty', data: new Uint8Array() },
    { index: 2, term: 2, kind: 'membership', data: bytes('opaque') },
  ]);
  assert.equal(results, [undefined, undefined]);
  assert.equal(store.applied, { index: 2, term: 2 });
  assert.is(store.revision, 0);
});

test('bytes that no store can decode have no effect and are counted', async () => {
  const store = await Store.open();
  const good = entry(2, [put('/a', '1')]);
  const [bad, result] = store.apply([{ index: 1, term: 1, kind: 'normal', data: bytes('garbage') }, good]);
  assert.is(bad, undefined);
  assert.equal(result, { ok: true, revision: 1 });
  assert.is(store.stats().invalidEntries, 1);
});

test('an entry out of order is a broken invariant', async () => {
  const store = await Store.open();
  assert.throws(() => store.apply([entry(2, [put('/a', '1')])]), /broken invariant/);
});

test('the same log gives the same state, however it is cut into batches', async () => {
  const entries = randomEntries(7, 600);
  const one = await Store.open();
  const two = await Store.open();
  one.apply(entries);
  for (let i = 0; i < entries.length; i += 7) two.apply(entries.slice(i, i + 7));
  assert.is(one.stateHash(), two.stateHash());
  const different = await Store.open();
  different.apply(randomEntries(8, 600));
  assert.is.not(one.stateHash(), different.stateHash());
});

test('a transaction survives encoding, and its values come back as bytes', () => {
  const value = new Uint8Array([0, 255, 1, 128]);
  const transaction = {
    requestId: 'r',
    conditions: [{ key: '/ä', modRevision: 2 ** 40 }],
    operations: [{ type: 'put' as const, key: '/a', value }, remove('/b')],
  };
  const decoded = decodeTransaction(encodeTransaction(transaction));
  assert.equal(decoded.conditions, transaction.conditions);
  const [first, second] = decoded.operations;
  assert.ok(first?.type === 'put' && first.value instanceof Uint8Array);
  assert.equal([...first.value], [...value]);
  assert.equal(second, remove('/b'));
});

test('a transaction outside the bounds is refused before it reaches the log', () => {
  const encode = (change: object) =>
    encodeTransaction({ requestId: 'r', conditions: [], operations: [put('/a', '1')], ...change });
  const code = (expected: string) => (error: unknown) => (error as { code?: string }).code === expected;
  assert.throws(() => encode({ requestId: '' }), code('InvalidTransaction'));
  assert.throws(() => encode({ operations: [put('/a', '1'), remove('/a')] }), code('InvalidTransaction'));
  assert.throws(() => encode({ operations: [put('', '1')] }), code('InvalidTransaction'));
  assert.throws(() => encode({ operations: [put('/\ud800', '1')] }), code('InvalidTransaction'));
  assert.throws(() => encode({ conditions: [{ key: '/a', modRevision: -1 }] }), code('InvalidTransaction'));
  const many = Array.from({ length: operationsMax + 1 }, (_, i) => put(`/${i}`, ''));
  assert.throws(() => encode({ operations: many }), code('InvalidTransaction'));
  assert.throws(() => encode({ operations: [put('/a', 'x'.repeat(5_000_000))] }), code('TransactionTooLarge'));
});

test.run();
