/** Encrypted kinds over the wire: every way of reading and writing a secret is as ever, and the store holds none of it. */
import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { encodeKeys, firstKeys, KeyRing, SealedStore, sealedBy, sealingKeysKey } from '../../src/store/index.ts';
import { type ListeningApi, listeningApi } from './listening.ts';
import type { MemoryCluster } from './memory-cluster.ts';

const test = suite<{ it: ListeningApi }>('encryption');
const path = '/api/v1/namespaces/default/secrets';
const secretData = Buffer.from('a very secret word').toString('base64');

async function above(store: MemoryCluster) {
  const clusterKey = randomBytes(32);
  const value = encodeKeys(firstKeys(clusterKey));
  await store.write({ conditions: [], operations: [{ type: 'put', key: sealingKeysKey, value }] });
  return new SealedStore(store, new KeyRing(clusterKey, store), ['/registry/core/secrets/']);
}

test.before.each(async (context) => {
  context.it = await listeningApi({ above });
});
test.after.each(({ it }) => it.close());

test('created, read, listed, patched, applied, watched and deleted, never stored in the clear', async ({ it }) => {
  const body = JSON.stringify({ metadata: { name: 'a' }, data: { word: secretData } });
  const made = await it.request(path, { method: 'POST', body });
  assert.is(made.code, 201);
  const read = (await it.request(`${path}/a`)).json<{ data: object; metadata: { resourceVersion: string } }>();
  assert.equal(read, made.json());
  assert.equal(read.data, { word: secretData });
  const stored = it.store.get('/registry/core/secrets/default/a');
  assert.ok(stored && sealedBy(stored.value));
  assert.not.match(Buffer.from(stored?.value ?? []).toString('latin1'), secretData);
  const patched = await it.request(`${path}/a`, {
    method: 'PATCH',
    headers: { 'content-type': 'application/merge-patch+json' },
    body: JSON.stringify({ metadata: { labels: { l: 'x' } }, data: { more: 'bW9yZQ==' } }),
  });
  assert.equal(patched.json<{ data: object }>().data, { word: secretData, more: 'bW9yZQ==' });
  const apply = await it.request(`${path}/b?fieldManager=m`, {
    method: 'PATCH',
    headers: { 'content-type': 'application/apply-patch+yaml' },
    body: JSON.stringify({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'b' }, stringData: { word: 'other' } }),
  });
  assert.is(apply.code, 201);
  const list = (await it.request(`${path}?labelSelector=l%3Dx`)).json<{ items: { metadata: { name: string } }[] }>();
  assert.equal(
    list.items.map(({ metadata }) => metadata.name),
    ['a'],
  );
  const since = read.metadata.resourceVersion;
  assert.is((await it.request(`${path}/a`, { method: 'DELETE' })).code, 200);
  const stream = await it.open(`${path}?watch=true&resourceVersion=${since}`);
  const events: { type: string; object: { data: Record<string, string> } }[] = [];
  for await (const line of createInterface({ input: stream })) if (events.push(JSON.parse(line)) === 3) break;
  stream.destroy();
  assert.equal(
    events.map(({ type, object }) => [type, Object.keys(object.data).sort().join()]),
    [
      ['MODIFIED', 'more,word'],
      ['ADDED', 'word'],
      ['DELETED', 'more,word'],
    ],
  );
});

test.run();
