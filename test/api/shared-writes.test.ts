/** Writes that share a record: together in one transaction, each charged to what the former left. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { WriteIds } from '../../src/api/relay/relayed-write.ts';
import { type Charge, SharedWrites } from '../../src/api/shared-writes.ts';
import { badRequest } from '../../src/machinery/status.ts';
import { MemoryCluster } from './memory-cluster.ts';

const test = suite('shared writes');
const shared = '/counters/one';
const text = (value: Uint8Array | undefined) => Buffer.from(value ?? []).toString();

async function world(room: number) {
  const store = await MemoryCluster.open();
  const put = (key: string, value: string) => ({ type: 'put' as const, key, value: Buffer.from(value) });
  await store.write({ conditions: [], operations: [put(shared, '0')] });
  store.writes = 0;
  const charge: Charge = {
    key: shared,
    apply(_, value) {
      const next = Number(text(value)) + 1;
      if (next > room) throw badRequest('no room');
      return Buffer.from(String(next));
    },
  };
  const writes = new SharedWrites(store);
  const write = (name: string, signal?: AbortSignal, operations = [put(`/own/${name}`, name)]) => {
    const conditions = [{ key: `/own/${name}`, modRevision: 0 }];
    return writes.write({ conditions, operations, charges: [charge] }, signal);
  };
  const kindOf = async (result: ReturnType<typeof write>) => {
    const done = await result;
    return 'refused' in done ? done.refused.message : done.ok;
  };
  /** One that is relayed, and so goes under ids of its own. */
  const relayed = (name: string, id: string) => {
    const conditions = [{ key: `/own/${name}`, modRevision: 0 }];
    const one = { conditions, operations: [put(`/own/${name}`, name)], charges: [charge] };
    return writes.write(one, undefined, new WriteIds({ id, attempt: 1 }));
  };
  return { store, put, write, relayed, kindOf, counter: () => text(store.get(shared)?.value) };
}

test('those that come together go together', async () => {
  const { store, write, kindOf, counter } = await world(100);
  const names = Array.from({ length: 40 }, (_, index) => `n${index}`);
  assert.equal(
    await Promise.all(names.map((name) => kindOf(write(name)))),
    names.map(() => true),
  );
  assert.is(counter(), '40');
  // The first goes at once, all others wait for it.
  assert.is(store.writes, 2);
});

test('who finds no room is refused, the others pass', async () => {
  const { write, kindOf, counter } = await world(3);
  const outcomes = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((name) => kindOf(write(name))));
  assert.equal(outcomes, [true, true, true, 'no room', 'no room']);
  assert.is(counter(), '3');
});

test('who is late for its own object is told, and is not charged', async () => {
  const { store, put, write, kindOf, counter } = await world(100);
  await store.write({ conditions: [], operations: [put('/own/b', 'taken')] });
  assert.equal(await Promise.all(['a', 'b', 'c', 'd'].map((name) => kindOf(write(name)))), [true, false, true, true]);
  assert.is(counter(), '3');
});

test('what has ids of its own goes alone, and a second time has no second effect', async () => {
  const { store, put, write, relayed, kindOf, counter } = await world(4);
  let times = 2;
  store.beforeWrite = () => {
    if (times-- > 0) store.writeElsewhere({ conditions: [], operations: [put(shared, '1')] });
  };
  const first = await relayed('x', '1');
  assert.is('ok' in first && first.ok, true);
  assert.is(counter(), '2');
  const revision = store.revision;
  assert.is(await kindOf(relayed('x', '1')), true, 'the ids that had failed, then the one that had not');
  assert.is(store.revision, revision);
  assert.is(await kindOf(relayed('x', '2')), false);
  assert.equal(await Promise.all([kindOf(write('a')), kindOf(relayed('b', '3'))]), [true, true]);
  assert.is(await kindOf(relayed('c', '4')), 'no room');
});

test('of two for one key the second is told', async () => {
  const { write, kindOf, counter } = await world(100);
  assert.equal(await Promise.all(['x', 'a', 'a', 'b'].map((name) => kindOf(write(name)))), [true, true, false, true]);
  assert.is(counter(), '3');
});

test('another peer’s change is counted on', async () => {
  const { store, put, write, kindOf, counter } = await world(100);
  let times = 5;
  store.beforeWrite = () => {
    if (times-- > 0) store.writeElsewhere({ conditions: [], operations: [put(shared, String(50 + times))] });
  };
  assert.is(await kindOf(write('a')), true);
  assert.is(counter(), '51');
});

test('large ones and many operations go in several transactions', async () => {
  const { store, put, write, kindOf, counter } = await world(100);
  const names = ['a', 'b', 'c', 'd'];
  const large = 'x'.repeat(1_500_000);
  assert.equal(
    await Promise.all(names.map((name) => kindOf(write(name, undefined, [put(`/own/${name}`, large)])))),
    names.map(() => true),
  );
  assert.is(store.writes, 4);
  const many = (name: string) => Array.from({ length: 100 }, (_, index) => put(`/own/${name}-${index}`, '1'));
  assert.equal(await Promise.all(['e', 'f', 'g'].map((name) => kindOf(write(name, undefined, many(name))))), [true, true, true]);
  assert.is(store.writes, 7);
  assert.is(counter(), '7');
});

test('a failure of the store reaches all, and the next ones pass', async () => {
  const { store, write, kindOf, counter } = await world(100);
  let fails = true;
  store.beforeWrite = () => {
    if (fails) throw new Error('no quorum');
  };
  const reasons = await Promise.allSettled(['a', 'b', 'c'].map((name) => write(name)));
  assert.equal(
    reasons.map((outcome) => outcome.status === 'rejected' && outcome.reason.message),
    ['no quorum', 'no quorum', 'no quorum'],
  );
  fails = false;
  assert.is(await kindOf(write('d')), true);
  assert.is(counter(), '1');
});

test('who gives up does not wait', async () => {
  const { write, kindOf } = await world(100);
  const abort = new AbortController();
  const first = write('a', abort.signal);
  abort.abort(new Error('gone'));
  assert.is(await first.catch((error: Error) => error.message), 'gone');
  assert.is(await write('b', abort.signal).catch((error: Error) => error.message), 'gone');
  assert.is(await kindOf(write('c')), true);
});

test.run();
