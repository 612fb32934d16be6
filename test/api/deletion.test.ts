/** Deleting: at once, gracefully, behind finalizers; namespaces; collections. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { systemUser } from '../../src/api/authentication.ts';
import { namespaces } from '../../src/machinery/resources.ts';
import { failureOf, testRegistry, type Widget, widgets } from './widgets.ts';

const namespace = 'default';
const inDefault = { namespace };

async function withWidget(spec: Widget['spec'] = {}, metadata: Partial<Widget['metadata']> = {}) {
  const cluster = await testRegistry();
  const made = await cluster.client.create(widgets, { metadata: { name: 'a', ...metadata }, spec }, inDefault);
  const gone = async () => {
    const { items } = await cluster.client.list(widgets, inDefault);
    return items.every(({ metadata }) => metadata.name !== 'a');
  };
  return { ...cluster, made, gone };
}

test('an object without grace or finalizers goes at once', async () => {
  const { client, gone } = await withWidget();
  await client.delete(widgets, 'a', inDefault);
  assert.ok(await gone());
  assert.is((await failureOf(client.delete(widgets, 'a', inDefault))).code, 404);
});

test('a graceful deletion marks the object; a second one may only shorten the grace', async () => {
  const { client, clock, gone } = await withWidget({ size: 30 });
  await client.delete(widgets, 'a', inDefault);
  const at = (ms: number) => `${new Date(clock.wallMs() + ms).toISOString().slice(0, 19)}Z`;
  const marked = await client.get(widgets, 'a', inDefault);
  assert.is(marked.metadata.deletionTimestamp, at(30_000));
  assert.is(marked.metadata.deletionGracePeriodSeconds, 30);
  assert.is(marked.metadata.generation, 2);

  await client.delete(widgets, 'a', { namespace, gracePeriodSeconds: 60 });
  await client.delete(widgets, 'a', inDefault);
  assert.equal(await client.get(widgets, 'a', inDefault), marked);

  await client.delete(widgets, 'a', { namespace, gracePeriodSeconds: 5 });
  const shorter = await client.get(widgets, 'a', inDefault);
  assert.is(shorter.metadata.deletionTimestamp, at(5_000));
  assert.is(shorter.metadata.generation, 2);

  await client.delete(widgets, 'a', { namespace, gracePeriodSeconds: 0 });
  assert.ok(await gone());
});

test('finalizers keep a deleted object until the last one is taken off', async () => {
  const { client, gone } = await withWidget({}, { finalizers: ['test.kontiki/one', 'test.kontiki/two'] });
  await client.delete(widgets, 'a', inDefault);
  const marked = await client.get(widgets, 'a', inDefault);
  assert.ok(marked.metadata.deletionTimestamp);
  await client.patch(widgets, 'a', 'merge', { metadata: { finalizers: ['test.kontiki/two'] } }, inDefault);
  assert.not(await gone());
  await client.patch(widgets, 'a', 'merge', { metadata: { finalizers: null } }, inDefault);
  assert.ok(await gone());
});

test('the propagation policy becomes a finalizer for the garbage collector', async () => {
  const { client, gone } = await withWidget();
  await client.delete(widgets, 'a', { namespace, propagationPolicy: 'Foreground' });
  assert.equal((await client.get(widgets, 'a', inDefault)).metadata.finalizers, ['foregroundDeletion']);
  await client.delete(widgets, 'a', { namespace, propagationPolicy: 'Orphan' });
  assert.equal((await client.get(widgets, 'a', inDefault)).metadata.finalizers, ['orphan']);
  await client.delete(widgets, 'a', { namespace, propagationPolicy: 'Background' });
  assert.ok(await gone());
});

test('preconditions protect an object from being taken for another', async () => {
  const { client, made, gone } = await withWidget();
  const wrongUid = client.delete(widgets, 'a', { namespace, preconditions: { uid: 'other' } });
  assert.match((await failureOf(wrongUid)).message, /the UID in the precondition \(other\) does not match the UID in record/);
  const wrongVersion = client.delete(widgets, 'a', { namespace, preconditions: { resourceVersion: '1' } });
  assert.is((await failureOf(wrongVersion)).code, 409);
  const { uid, resourceVersion } = made.metadata;
  await client.delete(widgets, 'a', { namespace, preconditions: { uid, resourceVersion } });
  assert.ok(await gone());
});

test('a deletion sees what another peer has just created', async () => {
  const { client, store, made, gone } = await withWidget();
  const key = '/registry/test.kontiki/widgets/default/b';
  const value = Buffer.from(JSON.stringify({ apiVersion: made.apiVersion, kind: made.kind, metadata: { name: 'b', namespace } }));
  store.writeElsewhere({ conditions: [], operations: [{ type: 'put', key, value }] });
  await client.delete(widgets, 'b', inDefault);
  assert.is(store.get(key), undefined);
  assert.not(await gone());
});

test('a collection loses what the selector chooses', async () => {
  const { client, registry } = await withWidget({}, { labels: { app: 'x' } });
  for (const name of ['b', 'c']) await client.create(widgets, { metadata: { name, labels: { app: 'y' } } }, inDefault);
  const resolved = registry.context.table.find('test.kontiki', 'v1', 'widgets');
  assert.ok(resolved);
  const { items } = await registry.deleteCollection({ resolved, namespace, user: systemUser }, { labelSelector: 'app=y' }, {});
  assert.equal(
    items.map(({ metadata }) => metadata.name),
    ['b', 'c'],
  );
  const left = await client.list(widgets, inDefault);
  assert.equal(
    left.items.map(({ metadata }) => metadata.name),
    ['a'],
  );
});

test('a namespace is Terminating until its content is gone and it is finalized', async () => {
  const { client } = await testRegistry();
  await client.create(namespaces, { metadata: { name: 'x' } });
  await client.delete(namespaces, 'x');
  const marked = await client.get(namespaces, 'x');
  assert.is(marked.status?.phase, 'Terminating');
  assert.is((await failureOf(client.delete(namespaces, 'x'))).code, 409);
  await client.update(namespaces, { ...marked, spec: { finalizers: [] } });
  assert.equal((await client.get(namespaces, 'x')).spec?.finalizers, ['kubernetes']);
  await client.update(namespaces, { ...marked, spec: { finalizers: [] } }, { subresource: 'finalize' });
  assert.is((await failureOf(client.get(namespaces, 'x'))).code, 404);
});

test('the namespaces that the cluster lives in cannot be deleted', async () => {
  const { client } = await testRegistry();
  for (const name of ['default', 'kube-system']) {
    const error = await failureOf(client.delete(namespaces, name));
    assert.is(error.message, `namespaces "${name}" is forbidden: this namespace may not be deleted`);
  }
});

test.run();
