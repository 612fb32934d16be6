/** Sealed values: what is below the sealing is never in the clear, what is above it never sealed, whatever the keys do meanwhile. */
import { randomBytes } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { newSealingKey, seal, sealedBy, unseal } from '../../src/store/sealing/envelope.ts';
import { encodeKeys, firstKeys, sealingKeysKey, sealingKeysMax, withNewKey } from '../../src/store/sealing/key-record.ts';
import { KeyRing } from '../../src/store/sealing/key-ring.ts';
import { keepRewriting, rewriteOnce, rotateSealingKey } from '../../src/store/sealing/rewriting.ts';
import { SealedStore } from '../../src/store/sealing/sealed-store.ts';
import type { ClusterStore, StoreEvent } from '../../src/store/types.ts';
import { MemoryCluster } from '../api/memory-cluster.ts';

const test = suite('sealing');
const { signal } = new AbortController();
const prefix = '/registry/core/secrets/';
const key = (name: string) => `${prefix}default/${name}`;
const text = (value: Uint8Array | undefined) => Buffer.from(value ?? []).toString();

async function putTo(store: ClusterStore, name: string, value: string): Promise<void> {
  const operations = [{ type: 'put' as const, key: name, value: Buffer.from(value) }];
  const result = await store.write({ conditions: [], operations });
  assert.ok(result.ok);
}

async function sealedCluster() {
  const cluster = await MemoryCluster.open();
  const clusterSecret = randomBytes(32);
  await putTo(cluster, sealingKeysKey, encodeKeys(firstKeys(clusterSecret)).toString());
  const ring = new KeyRing(clusterSecret, cluster);
  const sealed = new SealedStore(cluster, ring, [prefix]);
  const idOf = (name: string) => sealedBy(cluster.get(name)?.value ?? Buffer.from(''));
  const rotate = () => rotateSealingKey(cluster, clusterSecret, signal);
  return { cluster, clusterSecret, ring, sealed, idOf, rotate };
}

const codeOf = (action: () => unknown): string => {
  try {
    action();
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
  return 'nothing was thrown';
};

test('a value opens with its key, in its record, unchanged, and never else', () => {
  const [sealing, other] = [newSealingKey(), newSealingKey()];
  const value = Buffer.from('{"kind":"Secret"}');
  const [one, two] = [seal(sealing, 'a', value), seal(sealing, 'a', value)];
  assert.not.ok(one.equals(two));
  assert.is(sealedBy(one), sealing.id);
  assert.is(sealedBy(value), undefined);
  assert.is(text(unseal(sealing, 'a', one)), text(value));
  assert.is(
    codeOf(() => unseal(sealing, 'b', one)),
    'SealBroken',
  );
  assert.is(
    codeOf(() => unseal({ ...other, id: sealing.id }, 'a', one)),
    'SealBroken',
  );
  for (let at = 17; at < one.length; at++) {
    const changed = Buffer.from(one);
    changed[at] = (changed[at] ?? 0) ^ 1;
    assert.is(
      codeOf(() => unseal(sealing, 'a', changed)),
      'SealBroken',
      `byte ${at}`,
    );
  }
});

test('get, list and watch show the clear, with one object for all readers; the store below holds none of it', async () => {
  const { cluster, sealed, idOf } = await sealedCluster();
  const events: StoreEvent[] = [];
  sealed.watch(prefix, sealed.revision, { onEvents: (news) => events.push(...news), onEnd: () => undefined });
  const others: StoreEvent[] = [];
  sealed.local.watch(prefix, sealed.revision, { onEvents: (news) => others.push(...news), onEnd: () => undefined });
  await putTo(sealed, key('a'), 'topmost');
  await putTo(sealed, key('a'), 'topmost secret');
  await putTo(sealed, '/registry/core/configmaps/default/a', 'open');
  assert.ok(idOf(key('a')));
  assert.not.match(text(cluster.get(key('a'))?.value), 'topmost');
  assert.is(text(cluster.get('/registry/core/configmaps/default/a')?.value), 'open');
  assert.is(text(sealed.get(key('a'))?.value), 'topmost secret');
  assert.is(sealed.get(key('a')), sealed.list('/registry/').records[1]);
  assert.is(sealed.get(key('a'))?.modRevision, cluster.get(key('a'))?.modRevision);
  assert.equal(
    events.map(({ record, previous }) => [text(record.value), text(previous?.value)]),
    [
      ['topmost', ''],
      ['topmost secret', 'topmost'],
    ],
  );
  assert.is(events[0], others[0]);
});

test('conditions of a sealed write hold as ever, and a ciphertext in another record does not open', async () => {
  const { cluster, sealed } = await sealedCluster();
  await putTo(sealed, key('a'), 'one');
  const operations = [{ type: 'put' as const, key: key('a'), value: Buffer.from('two') }];
  const refused = await sealed.write({ conditions: [{ key: key('a'), modRevision: 0 }], operations });
  assert.equal(refused.ok ? undefined : refused.failed.key, key('a'));
  const stolen = cluster.get(key('a'))?.value as Uint8Array;
  await cluster.write({ conditions: [], operations: [{ type: 'put', key: key('b'), value: stolen }] });
  assert.is(
    codeOf(() => sealed.get(key('b'))),
    'SealBroken',
  );
});

test('a rotation rewrites everything, seals what was in the clear, and forgets the older keys', async () => {
  const { cluster, sealed, idOf, rotate, clusterSecret } = await sealedCluster();
  await putTo(cluster, key('early'), 'in the clear');
  await putTo(sealed, key('late'), 'sealed');
  const first = idOf(key('late'));
  assert.equal(await rewriteOnce({ cluster, sealed }, signal), { rewritten: 1, forgotten: 0 });
  assert.is(idOf(key('early')), first);
  const second = await rotate();
  assert.not.equal(second, first);
  assert.is(text(sealed.get(key('late'))?.value), 'sealed');
  assert.equal(await rewriteOnce({ cluster, sealed }, signal), { rewritten: 2, forgotten: 1 });
  assert.equal([idOf(key('early')), idOf(key('late'))], [second, second]);
  assert.equal([text(sealed.get(key('early'))?.value), text(sealed.get(key('late'))?.value)], ['in the clear', 'sealed']);
  assert.not.match(text(cluster.get(sealingKeysKey)?.value), first as string);
  // As after a restart: only what the record still has.
  const fresh = new SealedStore(cluster, new KeyRing(clusterSecret, cluster), [prefix]);
  assert.is(text(fresh.get(key('late'))?.value), 'sealed');
});

test('a write that was sealed before a rotation is sealed anew instead of arriving under a forgotten key', async () => {
  const { cluster, sealed, idOf, rotate } = await sealedCluster();
  let second = '';
  let interrupted = false;
  const write = cluster.write.bind(cluster);
  cluster.write = async (transaction, stop) => {
    if (!interrupted && transaction.operations.some((operation) => operation.key === key('a'))) {
      interrupted = true;
      second = await rotate();
      await rewriteOnce({ cluster, sealed }, signal);
    }
    return write(transaction, stop);
  };
  await putTo(sealed, key('a'), 'value');
  assert.is(idOf(key('a')), second);
  assert.is(text(sealed.get(key('a'))?.value), 'value');
});

test('history under a forgotten key is compacted for who did not know the key; others still read it', async () => {
  const { cluster, sealed, rotate, clusterSecret } = await sealedCluster();
  const before = sealed.revision;
  await putTo(sealed, key('a'), 'old');
  await rotate();
  await rewriteOnce({ cluster, sealed }, signal);
  const seen: string[] = [];
  const listener = (into: string[]) => ({
    onEvents: (events: readonly StoreEvent[]) => into.push(...events.map(({ record }) => text(record.value))),
    onEnd: () => undefined,
  });
  sealed.watch(prefix, before, listener(seen));
  assert.equal(seen, ['old', 'old']);
  const fresh = new SealedStore(cluster, new KeyRing(clusterSecret, cluster), [prefix]);
  const none: string[] = [];
  assert.is(
    codeOf(() => fresh.watch(prefix, before, listener(none))),
    'Compacted',
  );
  assert.is(
    codeOf(() => fresh.list(prefix, { revision: before + 1 })),
    'Compacted',
  );
  assert.equal(none, []);
});

test('the leader rewrites at its start and after each rotation, and ends by its signal', async () => {
  const { cluster, sealed, idOf, rotate } = await sealedCluster();
  await putTo(cluster, key('early'), 'in the clear');
  const stop = new AbortController();
  const passes: number[] = [];
  let told: () => void = () => undefined;
  const onPass = ({ rewritten }: { rewritten: number }) => {
    passes.push(rewritten);
    told();
  };
  const pass = () => new Promise<void>((resolve) => (told = resolve));
  let next = pass();
  const running = keepRewriting({ cluster, sealed, onPass }, stop.signal);
  await next;
  next = pass();
  const second = await rotate();
  await next;
  assert.equal(passes, [1, 1]);
  assert.is(idOf(key('early')), second);
  stop.abort(new Error('over'));
  await running.then(
    () => assert.unreachable(),
    (error: Error) => assert.is(error.message, 'over'),
  );
});

test('another cluster key opens nothing, and rotations that outrun the rewriting are refused', async () => {
  const { cluster, clusterSecret } = await sealedCluster();
  assert.is(
    codeOf(() => new KeyRing(randomBytes(32), cluster)),
    'SealBroken',
  );
  let record = firstKeys(clusterSecret);
  while (record.keys.length < sealingKeysMax) record = withNewKey(clusterSecret, record);
  assert.is(
    codeOf(() => withNewKey(clusterSecret, record)),
    'TooManyKeys',
  );
});

test.run();
