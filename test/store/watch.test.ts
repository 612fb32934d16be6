import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Store } from '../../src/store/store.ts';
import type { StoreEvent, Watch } from '../../src/store/types.ts';
import { bytes, entry, put, randomEntries, recorder, remove, text, write } from './entries.ts';

test('a watch sees the changes of its prefix, in order, and no others', async () => {
  const store = await Store.open();
  const pods = recorder();
  const one = recorder();
  const all = recorder();
  store.watch('/pods/', 0, pods);
  store.watch('/pods/a', 0, one);
  store.watch('', 0, all);
  write(store, [put('/pods/a', '1'), put('/nodes/n', '1')]);
  write(store, [put('/pods/b', '2')]);
  write(store, [remove('/pods/a')]);
  assert.equal(pods.seen, ['put /pods/a 1', 'put /pods/b 2', 'delete /pods/a']);
  assert.equal(one.seen, ['put /pods/a 1', 'delete /pods/a']);
  assert.equal(all.seen, ['put /pods/a 1', 'put /nodes/n 1', 'put /pods/b 2', 'delete /pods/a']);
});

test('the events of one transaction arrive together', async () => {
  const store = await Store.open();
  const batches: number[] = [];
  store.watch('/', 0, { onEvents: (events) => batches.push(events.length), onEnd() {} });
  write(store, [put('/a', '1'), put('/b', '1'), put('/c', '1')]);
  write(store, [put('/a', '2')]);
  assert.equal(batches, [3, 1]);
});

test('an event carries the record before it', async () => {
  const store = await Store.open();
  const events: StoreEvent[] = [];
  store.watch('/', 0, { onEvents: (batch) => events.push(...batch), onEnd() {} });
  write(store, [put('/a', 'one')]);
  write(store, [put('/a', 'two')]);
  write(store, [remove('/a')]);
  assert.equal(
    events.map(({ type, previous, revision }) => [type, text(previous?.value), revision]),
    [
      ['put', undefined, 1],
      ['put', 'one', 2],
      ['delete', 'two', 3],
    ],
  );
  assert.is(events[2]?.record.modRevision, 2, 'a deletion shows the last record');
});

test('a watch from an older revision gets the missed events first, then the live ones, none twice', async () => {
  const entries = randomEntries(21, 300);
  const store = await Store.open();
  const whole = recorder();
  store.watch('/registry/', 0, whole);
  const late: { seen: string[]; skipped: number }[] = [];
  for (const next of entries) {
    store.apply([next]);
    if (next.index % 50 !== 0) continue;
    const after = store.revision - 10;
    const watcher = recorder();
    store.watch('/registry/', after, watcher);
    const missed = whole.seen.length - watcher.seen.length;
    late.push({ seen: watcher.seen, skipped: missed });
  }
  assert.is(late.length, 6);
  for (const { seen, skipped } of late) assert.equal(seen, whole.seen.slice(skipped));
});

test('a watch can not begin where the window does not reach', async () => {
  const store = await Store.open({ historyRevisionsMax: 2 });
  for (let i = 1; i <= 5; i++) write(store, [put('/a', `${i}`)]);
  const code = (expected: string) => (error: unknown) => (error as { code?: string }).code === expected;
  assert.throws(() => store.watch('/', 2, recorder()), code('Compacted'));
  assert.throws(() => store.watch('/', 6, recorder()), code('FutureRevision'));
  const edge = recorder();
  store.watch('/', 3, edge);
  assert.equal(edge.seen, ['put /a 4', 'put /a 5']);
});

test('a cancelled watch gets nothing more, even when it is cancelled by another during a delivery', async () => {
  const store = await Store.open();
  const victim = recorder();
  const watches: Watch[] = [];
  store.watch('/', 0, { onEvents: () => watches[0]?.cancel(), onEnd() {} });
  watches.push(store.watch('/', 0, victim));
  write(store, [put('/a', '1')]);
  write(store, [put('/a', '2')]);
  assert.equal(victim.seen, []);
  assert.is(store.stats().watchers, 1);
  watches[0]?.cancel();
  assert.is(store.stats().watchers, 1, 'cancelling twice counts once');
});

test('a watch opened during a delivery gets that transaction once', async () => {
  const store = await Store.open();
  const inner = recorder();
  const fresh = recorder();
  let opened = false;
  store.watch('/', 0, {
    onEvents() {
      if (opened) return;
      opened = true;
      store.watch('/', 0, inner);
      store.watch('/', store.revision, fresh);
    },
    onEnd() {},
  });
  write(store, [put('/a', '1')]);
  write(store, [put('/a', '2')]);
  assert.equal(inner.seen, ['put /a 1', 'put /a 2']);
  assert.equal(fresh.seen, ['put /a 2']);
});

test('watchers of one prefix share the events, so thousands of them cost no copies', async () => {
  const store = await Store.open();
  const received = new Set<readonly StoreEvent[]>();
  for (let i = 0; i < 3000; i++) store.watch('/pods/', 0, { onEvents: (events) => received.add(events), onEnd() {} });
  write(store, [put('/pods/a', '1')]);
  assert.is(received.size, 1);
});

test('closing the store ends its watches', async () => {
  const store = await Store.open();
  const watcher = recorder();
  store.watch('/', 0, watcher);
  await store.close();
  assert.equal(watcher.ends, ['closed']);
  assert.throws(
    () => store.apply([entry(1, [{ type: 'put', key: '/a', value: bytes('') }])]),
    (error: unknown) => (error as { code?: string }).code === 'Closed',
  );
});

test.run();
