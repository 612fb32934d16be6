/** Creating, updating and patching through the registry. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { encodeObject } from '../../src/api/stored-objects.ts';
import { configMaps, namespaces } from '../../src/machinery/resources.ts';
import { failureOf, oldWidgets, testRegistry, type Widget, widgets } from './widgets.ts';

const namespace = 'default';
const inDefault = { namespace };

test('a new object gets uid, time, generation and defaults; what the caller put there is ignored', async () => {
  const { client, clock } = await testRegistry();
  const made = await client.create(
    widgets,
    {
      metadata: { name: 'a', uid: 'mine', generation: 9, creationTimestamp: '2001-01-01T00:00:00Z', resourceVersion: '0' },
      spec: { size: 2 },
      status: { seen: 4 },
    },
    inDefault,
  );
  const { metadata } = made;
  assert.match(metadata.uid ?? '', /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.is(metadata.creationTimestamp, `${new Date(clock.wallMs()).toISOString().slice(0, 19)}Z`);
  assert.is(metadata.generation, 1);
  assert.is(metadata.namespace, namespace);
  assert.equal(made.spec, { size: 2, color: 'grey' });
  assert.equal(made.status, {});
  assert.equal(await client.get(widgets, 'a', inDefault), made);
});

test('what of the metadata is empty is left out', async () => {
  const { client } = await testRegistry();
  const empty = { labels: {}, annotations: {}, finalizers: [], ownerReferences: [] };
  const made = await client.create(widgets, { metadata: { name: 'a', ...empty } }, inDefault);
  for (const name of Object.keys(empty)) assert.not(name in made.metadata, name);
  const { resourceVersion } = made.metadata;
  const again = await client.update(widgets, { ...made, metadata: { ...made.metadata, ...empty } }, inDefault);
  assert.is(again.metadata.resourceVersion, resourceVersion);
  const full = { labels: { a: 'b' }, finalizers: ['example.com/x'] };
  await client.patch(widgets, 'a', 'merge', { metadata: full }, inDefault);
  const bare = await client.patch(widgets, 'a', 'json', [{ op: 'remove', path: '/metadata/labels/a' }], inDefault);
  assert.not('labels' in bare.metadata);
  assert.equal(
    (await client.patch(widgets, 'a', 'merge', { metadata: { finalizers: [] } }, inDefault)).metadata.finalizers,
    undefined,
  );
});

test('a second object of the same name is refused', async () => {
  const { client } = await testRegistry();
  await client.create(widgets, { metadata: { name: 'a' } }, inDefault);
  const error = await failureOf(client.create(widgets, { metadata: { name: 'a' } }, inDefault));
  assert.is(error.code, 409);
  assert.is(error.message, 'widgets.test.kontiki "a" already exists');
});

test('generateName gives each object a name of its own, never longer than a label', async () => {
  const { client } = await testRegistry();
  const base = `${'x'.repeat(70)}-`;
  const names = new Set<string>();
  for (let i = 0; i < 20; i++) {
    const { metadata } = await client.create(widgets, { metadata: { generateName: base } }, inDefault);
    assert.match(metadata.name, /^x{58}[bcdfghjklmnpqrstvwxz2456789]{5}$/);
    names.add(metadata.name);
  }
  assert.is(names.size, 20);
});

test('nothing is created in a namespace that is missing or going away, even when only other peers know', async () => {
  const { client, store } = await testRegistry();
  const missing = await failureOf(client.create(widgets, { metadata: { name: 'a' } }, { namespace: 'nowhere' }));
  assert.is(missing.code, 404);
  assert.is(missing.message, 'namespaces "nowhere" not found');

  const made = await client.create(namespaces, { metadata: { name: 'going' } });
  const key = '/registry/core/namespaces/going';
  const value = encodeObject({
    ...made,
    metadata: { ...made.metadata, deletionTimestamp: '2030-01-01T00:00:00Z' },
  });
  store.writeElsewhere({ conditions: [], operations: [{ type: 'put', key, value }] });
  const going = await failureOf(client.create(widgets, { metadata: { name: 'a' } }, { namespace: 'going' }));
  assert.is(going.code, 403);
  assert.is(
    going.message,
    'widgets.test.kontiki "a" is forbidden: unable to create new content in namespace going because it is being terminated',
  );
});

test('an update on an old resourceVersion is a conflict; without one it wins', async () => {
  const { client } = await testRegistry();
  const first = await client.create(widgets, { metadata: { name: 'a' }, spec: { size: 1 } }, inDefault);
  const second = await client.update(widgets, { ...first, spec: { size: 2, color: 'red' } });
  assert.is(second.metadata.generation, 2);
  const stale = await failureOf(client.update(widgets, { ...first, spec: { size: 3 } }));
  assert.is(stale.code, 409);
  assert.match(stale.message, /the object has been modified; please apply your changes to the latest version/);
  const { resourceVersion: _, ...metadata } = first.metadata;
  const third = await client.update(widgets, { ...first, metadata, spec: { size: 4, color: 'red' } });
  assert.is(third.spec?.size, 4);
});

test('an update that changes nothing writes nothing', async () => {
  const { client, store } = await testRegistry();
  const made = await client.create(widgets, { metadata: { name: 'a' }, spec: { size: 1 } }, inDefault);
  const writes = store.writes;
  const same = await client.update(widgets, { spec: made.spec, status: made.status, ...made });
  assert.is(store.writes, writes);
  assert.is(same.metadata.resourceVersion, made.metadata.resourceVersion);
});

test('the server-owned metadata stays, whatever an update says', async () => {
  const { client } = await testRegistry();
  const made = await client.create(widgets, { metadata: { name: 'a' } }, inDefault);
  const lie = {
    ...made.metadata,
    creationTimestamp: '2001-01-01T00:00:00Z',
    generation: 77,
    deletionTimestamp: '2001-01-01T00:00:00Z',
  };
  const { metadata } = await client.update(widgets, { ...made, metadata: { ...lie, labels: { a: 'b' } } });
  assert.is(metadata.creationTimestamp, made.metadata.creationTimestamp);
  assert.is(metadata.generation, 1);
  assert.is(metadata.deletionTimestamp, undefined);
  assert.equal(metadata.labels, { a: 'b' });
  const other = await failureOf(
    client.update(widgets, { ...made, metadata: { ...made.metadata, uid: 'other', resourceVersion: '' } }),
  );
  assert.is(other.code, 409);
});

test('status is written only through its subresource, and nothing else goes through that', async () => {
  const { client } = await testRegistry();
  const made = await client.create(widgets, { metadata: { name: 'a' } }, inDefault);
  const main = await client.update(widgets, { ...made, spec: { size: 3 }, status: { seen: 1 } });
  assert.equal(main.status, {});
  const status = await client.update(widgets, { ...main, spec: { size: 9 }, status: { seen: 2 } }, { subresource: 'status' });
  assert.is(status.spec?.size, 3);
  assert.equal(status.status, { seen: 2 });
  assert.is(status.metadata.generation, main.metadata.generation);
});

test('validation errors name kind, field and cause', async () => {
  const { client } = await testRegistry();
  const error = await failureOf(client.create(widgets, { metadata: { name: 'a' }, spec: { color: 'invisible' } }, inDefault));
  assert.is(error.code, 422);
  assert.is(error.message, 'Widget.test.kontiki "a" is invalid: spec.color: Invalid value: "invisible": must be visible');
  const made = await client.create(widgets, { metadata: { name: 'a' }, spec: { fixed: 'x' } }, inDefault);
  const immutable = await failureOf(client.update(widgets, { ...made, spec: { fixed: 'y' } }));
  assert.match(immutable.message, /spec\.fixed: Invalid value: "y": field is immutable$/);
  const unnamed = await failureOf(client.create(widgets, { metadata: {} }, inDefault));
  assert.match(unnamed.message, /metadata\.name: Required value: name or generateName is required/);
});

test('a PUT to a missing name creates where the kind allows it', async () => {
  const { client } = await testRegistry();
  const widget: Widget = { apiVersion: 'test.kontiki/v1', kind: 'Widget', metadata: { name: 'a', namespace } };
  assert.is((await client.update(widgets, widget)).metadata.generation, 1);
  const configMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a', namespace } };
  assert.is((await failureOf(client.update(configMaps, configMap))).code, 404);
});

test('merge and JSON patches change what they name', async () => {
  const { client } = await testRegistry();
  await client.create(widgets, { metadata: { name: 'a' }, spec: { size: 1, color: 'red' } }, inDefault);
  const merged = await client.patch(widgets, 'a', 'merge', { spec: { size: 2, color: null } }, inDefault);
  assert.equal(merged.spec, { size: 2, color: 'grey' });
  const replace = [{ op: 'replace', path: '/spec/size', value: 5 }];
  assert.is((await client.patch(widgets, 'a', 'json', replace, inDefault)).spec?.size, 5);
  const renamed = await failureOf(client.patch(widgets, 'a', 'merge', { metadata: { name: 'b' } }, inDefault));
  assert.is(renamed.code, 400);
});

test('a patch is applied again when another write came first, unless it names a resourceVersion', async () => {
  const { client, store } = await testRegistry();
  const made = await client.create(widgets, { metadata: { name: 'a' }, spec: { size: 1 } }, inDefault);
  const key = '/registry/test.kontiki/widgets/default/a';
  const interfere = (color: string) => {
    store.beforeWrite = () => {
      store.beforeWrite = undefined;
      const value = encodeObject({ ...made, spec: { size: 1, color } } as Widget);
      store.writeElsewhere({ conditions: [], operations: [{ type: 'put', key, value }] });
    };
  };
  interfere('blue');
  const patched = await client.patch(widgets, 'a', 'merge', { spec: { size: 2 } }, inDefault);
  assert.equal(patched.spec, { size: 2, color: 'blue' });
  interfere('green');
  const { resourceVersion } = patched.metadata;
  const refused = await failureOf(
    client.patch(widgets, 'a', 'merge', { metadata: { resourceVersion }, spec: { size: 3 } }, inDefault),
  );
  assert.is(refused.code, 409);
});

test('a dry run answers as if, and leaves everything as it was', async () => {
  const { client, store } = await testRegistry();
  const before = store.revision;
  const made = await client.create(widgets, { metadata: { name: 'a' } }, { namespace, dryRun: true });
  assert.is(made.spec?.color, 'grey');
  assert.is(made.metadata.resourceVersion, undefined);
  assert.is((await failureOf(client.get(widgets, 'a', inDefault))).code, 404);
  assert.is(store.revision, before);
});

test('an older version of a kind is another form of the same object', async () => {
  const { client } = await testRegistry();
  await client.create(oldWidgets, { metadata: { name: 'a' }, spec: { paint: 'red' } }, inDefault);
  const stored = await client.get(widgets, 'a', inDefault);
  assert.is(stored.apiVersion, 'test.kontiki/v1');
  assert.is(stored.spec?.color, 'red');
  const old = await client.patch(oldWidgets, 'a', 'merge', { spec: { paint: 'blue' } }, inDefault);
  assert.is(old.apiVersion, 'test.kontiki/v1beta1');
  assert.equal(old.spec, { paint: 'blue' });
  const { items } = await client.list(oldWidgets, inDefault);
  assert.equal(items[0]?.spec, { paint: 'blue' });
});

test('scale reads and sets the number of replicas', async () => {
  const { client, registry } = await testRegistry();
  const made = await client.create(widgets, { metadata: { name: 'a' }, spec: { size: 1, color: 'red' } }, inDefault);
  const scaled = await client.patch(widgets, 'a', 'merge', { spec: { replicas: 4 } }, { namespace, subresource: 'scale' });
  assert.is((scaled as unknown as { kind: string }).kind, 'Scale');
  const { spec, metadata } = await client.get(widgets, 'a', inDefault);
  assert.equal(spec, { size: 4, color: 'red' });
  assert.is(metadata.generation, (made.metadata.generation ?? 0) + 1);
  const negative = client.patch(widgets, 'a', 'merge', { spec: { replicas: -1 } }, { namespace, subresource: 'scale' });
  assert.match((await failureOf(negative)).message, /spec\.replicas: Invalid value: -1: must be greater than or equal to 0/);
  assert.ok(registry);
});

test('the caller keeps its object: neither defaults nor later changes reach across', async () => {
  const { client } = await testRegistry();
  const mine = { metadata: { name: 'a' }, spec: { size: 1 } as Widget['spec'] };
  await client.create(widgets, mine, inDefault);
  assert.equal(mine.spec, { size: 1 });
  if (mine.spec) mine.spec.size = 8;
  assert.is((await client.get(widgets, 'a', inDefault)).spec?.size, 1);
});

test.run();
