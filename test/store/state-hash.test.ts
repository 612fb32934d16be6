import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Store } from '../../src/store/store.ts';
import { damageRecord } from './damage.ts';
import { put, randomEntries, remove, text, withFolder, write } from './entries.ts';

test('the hash kept along with changes is the one of the same state built from scratch', async () => {
  const changed = await Store.open({ requestIdsMax: 50 });
  changed.apply(randomEntries(3, 3_000));
  const built = await Store.open({ requestIdsMax: 50 });
  const { index, term, chunks } = changed.snapshot();
  await built.restore({ index, term }, chunks);
  assert.is(built.stateHash(), changed.stateHash());
});

test('the hash tells values, revisions, keys and remembered requests apart', async () => {
  const hashes = new Set<string>();
  const variants: ((store: Store) => void)[] = [
    (store) => write(store, [put('/a', '1')]),
    (store) => write(store, [put('/a', '2')]),
    (store) => write(store, [put('/b', '1')]),
    (store) => write(store, [put('/a', '1')], { requestId: 'another' }),
    (store) => write(store, [remove('/a')]),
    (store) => write(store, [put('/a', 'x'.repeat(20_000))]),
    (store) => write(store, [put('/a', 'y'.repeat(20_000))]),
  ];
  for (const change of variants) {
    const store = await Store.open();
    change(store);
    hashes.add(store.stateHash());
  }
  assert.is(hashes.size, variants.length);
});

test('hashes are kept at the same indexes on every peer, the latest four', async () => {
  const [one, two] = [await Store.open({ hashEveryEntries: 10 }), await Store.open({ hashEveryEntries: 10 })];
  const entries = randomEntries(4, 75);
  one.apply(entries);
  for (const entry of entries) two.apply([entry]);
  assert.equal(
    one.stateHashes().map(({ index }) => index),
    [40, 50, 60, 70],
  );
  assert.equal(two.stateHashes(), one.stateHashes());
});

test('a value that changed on disk is noticed at the next start, and a restore mends it', async () => {
  await withFolder(async (dir) => {
    const first = await Store.open({ dir });
    first.apply(randomEntries(5, 500));
    write(first, [put('/registry/core/configmaps/default/settings', 'colour: green')]);
    await first.close();
    await damageRecord(dir, 'green', 'grey!');

    const store = await Store.open({ dir });
    assert.match(store.damage ?? '', 'hash');
    assert.is(text(store.get('/registry/core/configmaps/default/settings')?.value), 'colour: grey!');
    const healthy = await Store.open();
    healthy.apply(randomEntries(5, 500));
    write(healthy, [put('/registry/core/configmaps/default/settings', 'colour: green')]);
    const { index, term, chunks } = healthy.snapshot();
    await store.restore({ index, term }, chunks);
    assert.is(store.damage, undefined);
    await store.close();

    const again = await Store.open({ dir });
    assert.is(again.damage, undefined);
    assert.is(again.stateHash(), healthy.stateHash());
    await again.close();
  });
});

test('a folder from before there were hashes is taken as it is', async () => {
  await withFolder(async (dir) => {
    const first = await Store.open({ dir });
    write(first, [put('/a', 'green')]);
    await first.close();
    await damageRecord(dir, 'green', 'grey!', true);
    const store = await Store.open({ dir });
    assert.is(store.damage, undefined);
    await store.close();
  });
});

test.run();
