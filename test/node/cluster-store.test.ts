import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { RoleIndex } from '../../src/api/rbac/role-index.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { KontikiError } from '../../src/lib/errors.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { type ConsensusDoor, ReplicatedStore } from '../../src/node/cluster-store.ts';
import { Store } from '../../src/store/index.ts';

/** A log of one peer in which the test decides what happens to each proposal. */
async function replicated(fate: (attempt: number) => 'commit' | 'drop' | 'commitButFail', readIndexes: Promise<void>[] = []) {
  const store = await Store.open();
  let [index, attempts, reads] = [0, 0, 0];
  const commit = (data: Uint8Array) => clusterStore.apply([{ index: ++index, term: 1, kind: 'normal', data }]);
  const consensus: ConsensusDoor = {
    async propose(data) {
      attempts += 1;
      const outcome = fate(attempts);
      if (outcome === 'drop') throw new KontikiError('ProposalDropped', 'no leader');
      commit(data);
      if (outcome === 'commitButFail') throw new KontikiError('ProposalUnknown', 'the leader was lost');
      return { index };
    },
    async readIndex() {
      await readIndexes[reads++];
      return index;
    },
  };
  const clusterStore: ReplicatedStore = new ReplicatedStore({
    store,
    consensus,
    requestPrefix: 'peer-1',
    clock: systemClock,
    random: systemRandom,
  });
  return { clusterStore, store, attempts: () => attempts, reads: () => reads };
}

const put = (key: string, modRevision: number) => ({
  conditions: [{ key, modRevision }],
  operations: [{ type: 'put' as const, key, value: Buffer.from('v') }],
});

test('a write is answered with the result that the store gave', async () => {
  const { clusterStore } = await replicated(() => 'commit');
  assert.equal(await clusterStore.write(put('/a', 0)), { ok: true, revision: 1 });
  const second = await clusterStore.write(put('/a', 0));
  assert.is(second.ok, false);
  assert.ok(clusterStore.get('/a'));
});

test('a dropped proposal is sent again', async () => {
  const { clusterStore, attempts } = await replicated((attempt) => (attempt < 3 ? 'drop' : 'commit'));
  assert.is((await clusterStore.write(put('/a', 0))).ok, true);
  assert.is(attempts(), 3);
});

test('a write whose answer was lost succeeds once and is not reported as a conflict', async () => {
  const { clusterStore } = await replicated((attempt) => (attempt === 1 ? 'commitButFail' : 'commit'));
  assert.equal(await clusterStore.write(put('/a', 0)), { ok: true, revision: 1 });
  assert.is(clusterStore.revision, 1);
});

test('an aborted write rejects with the reason of its signal', async () => {
  const { clusterStore } = await replicated(() => 'drop');
  const abort = new AbortController();
  const write = clusterStore.write(put('/a', 0), abort.signal);
  abort.abort(new Error('gone'));
  try {
    await write;
    assert.unreachable();
  } catch (error) {
    assert.is((error as Error).message, 'gone');
  }
});

test('barriers asked for during a round share the next one', async () => {
  const first = Promise.withResolvers<void>();
  const { clusterStore, reads } = await replicated(() => 'commit', [first.promise]);
  const all = [clusterStore.barrier(), clusterStore.barrier(), clusterStore.barrier()];
  first.resolve();
  await Promise.all(all);
  assert.is(reads(), 2);
  await clusterStore.barrier();
  assert.is(reads(), 3);
});

test('waiting for a revision ends when it is applied', async () => {
  const { clusterStore } = await replicated(() => 'commit');
  const reached = clusterStore.waitForRevision(2);
  await clusterStore.write(put('/a', 0));
  await clusterStore.write(put('/b', 0));
  await reached;
  assert.is(clusterStore.revision, 2);
});

test('while it is suspended everything is refused with the reason, and entries are applied all the same', async () => {
  const { clusterStore } = await replicated(() => 'commit');
  await clusterStore.write(put('/a', 0));
  clusterStore.suspend('its state is odd');
  const refused = /does not serve: its state is odd/;
  for (const ask of [() => clusterStore.get('/a'), () => clusterStore.list('/')]) assert.throws(ask, refused);
  const listener = { onEvents: () => undefined, onEnd: () => undefined };
  assert.throws(() => clusterStore.watch('/', 0, listener), refused);
  for (const asked of [clusterStore.write(put('/b', 0)), clusterStore.barrier(), clusterStore.waitForRevision(1)]) {
    const error = await asked.then(
      () => undefined,
      (reason: Error) => reason,
    );
    assert.match(error?.message ?? 'answered', refused);
  }
  assert.is(clusterStore.revision, 1);
  clusterStore.suspend(undefined);
  assert.ok(clusterStore.get('/a'));
});

test('while this peer does not serve, it refuses what is asked; what follows the store goes on through a restore', async () => {
  const { clusterStore, store } = await replicated(() => 'commit');
  const index = new RoleIndex(clusterStore.local);
  const other = await replicated(() => 'commit');
  const role = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata: { name: 'reader' }, rules: [] };
  const key = '/registry/rbac.authorization.k8s.io/clusterroles/reader';
  const value = Buffer.from(JSON.stringify(role));
  await other.clusterStore.write({ conditions: [], operations: [{ type: 'put', key, value }] });

  clusterStore.suspend('its state is wrong');
  assert.throws(() => clusterStore.list('/'), /this peer does not serve: its state is wrong/);
  const { index: at, term, chunks } = other.store.snapshot();
  await store.restore({ index: at, term }, chunks);
  assert.equal(index.rulesOf({ kind: 'ClusterRole', name: 'reader' }, undefined), []);
  clusterStore.suspend(undefined);
  assert.is(clusterStore.list('/').records.length, 1);
  index.close();
});

test.run();
