/** Reading: recency, selectors, pages, and watches. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { systemUser } from '../../src/api/authentication.ts';
import type { WatchEvent } from '../../src/machinery/client.ts';
import { leases } from '../../src/machinery/resources.ts';
import { failureOf, testRegistry, type Widget, widgets } from './widgets.ts';

const namespace = 'default';
const inDefault = { namespace };

async function withWidgets(names: string[], options: Parameters<typeof testRegistry>[0] = {}) {
  const cluster = await testRegistry(options);
  for (const name of names) {
    const color = name < 'c' ? 'red' : 'blue';
    await cluster.client.create(widgets, { metadata: { name, labels: { name } }, spec: { color } }, inDefault);
  }
  const resolved = cluster.registry.context.table.find('test.kontiki', 'v1', 'widgets');
  assert.ok(resolved);
  return { ...cluster, target: { resolved, namespace, user: systemUser } };
}

const namesOf = (items: readonly { metadata: { name: string } }[]) => items.map(({ metadata }) => metadata.name).join();

test('a read knows all that was acknowledged anywhere; resourceVersion 0 takes what is here', async () => {
  const { client, store } = await withWidgets(['a']);
  const value = Buffer.from(
    JSON.stringify({ apiVersion: 'test.kontiki/v1', kind: 'Widget', metadata: { name: 'b', namespace } }),
  );
  const key = '/registry/test.kontiki/widgets/default/b';
  store.writeElsewhere({ conditions: [], operations: [{ type: 'put', key, value }] });
  assert.is(namesOf((await client.list(widgets, { namespace, resourceVersion: '0' })).items), 'a');
  assert.is(namesOf((await client.list(widgets, inDefault)).items), 'a,b');
  assert.is((await client.get(widgets, 'b', inDefault)).metadata.resourceVersion, String(store.revision));
});

test('labels and fields select', async () => {
  const { client } = await withWidgets(['a', 'b', 'c', 'd']);
  const select = async (options: object) => namesOf((await client.list(widgets, { namespace, ...options })).items);
  assert.is(await select({ labelSelector: 'name in (a,c)' }), 'a,c');
  assert.is(await select({ fieldSelector: 'spec.color=red' }), 'a,b');
  assert.is(await select({ fieldSelector: 'spec.color!=red,metadata.name!=d' }), 'c');
  assert.is(await select({ fieldSelector: 'metadata.name=b' }), 'b');
  assert.is(await select({ fieldSelector: 'metadata.name=b', labelSelector: 'name=a' }), '');
  const error = await failureOf(client.list(widgets, { namespace, fieldSelector: 'spec.size=1' }));
  assert.is(error.code, 400);
  assert.match(error.message, /field label not supported: spec\.size$/);
});

test('pages show one state, whatever is written between them', async () => {
  const { client, registry, target } = await withWidgets(['a', 'b', 'c', 'd', 'e']);
  const first = await registry.list(target, { limit: 2 });
  assert.is(namesOf(first.entries.map(({ object }) => object)), 'a,b');
  assert.is(first.remainingItemCount, 3);
  await client.delete(widgets, 'c', inDefault);
  await client.create(widgets, { metadata: { name: 'cc' } }, inDefault);
  const second = await registry.list(target, { limit: 2, continue: first.continue });
  assert.is(namesOf(second.entries.map(({ object }) => object)), 'c,d');
  assert.is(second.revision, first.revision);
  const third = await registry.list(target, { limit: 2, continue: second.continue });
  assert.is(namesOf(third.entries.map(({ object }) => object)), 'e');
  assert.is(third.continue, undefined);
});

test('pages of a selection are full, and the last one says so', async () => {
  const { registry, target } = await withWidgets(['a', 'b', 'c', 'd', 'e']);
  const first = await registry.list(target, { limit: 2, fieldSelector: 'spec.color=blue' });
  assert.is(namesOf(first.entries.map(({ object }) => object)), 'c,d');
  assert.is(first.remainingItemCount, undefined);
  const second = await registry.list(target, { limit: 2, fieldSelector: 'spec.color=blue', continue: first.continue });
  assert.is(namesOf(second.entries.map(({ object }) => object)), 'e');
  assert.is(second.continue, undefined);
});

test('a continue token that has expired brings one that goes on in the present', async () => {
  const { client, registry, target } = await withWidgets(['a', 'b', 'c'], { historyRevisionsMax: 5 });
  const first = await registry.list(target, { limit: 1 });
  for (let size = 0; size < 10; size++) await client.patch(widgets, 'a', 'merge', { spec: { size } }, inDefault);
  const error = await failureOf(registry.list(target, { limit: 1, continue: first.continue }));
  assert.is(error.code, 410);
  const { metadata } = error as unknown as { metadata: { continue: string } };
  const rest = await registry.list(target, { continue: metadata.continue });
  assert.is(namesOf(rest.entries.map(({ object }) => object)), 'b,c');
});

test('a list not older than a version waits for it, and gives up with a timeout', async () => {
  const { client, clock, store } = await withWidgets(['a']);
  const future = client.list(widgets, { namespace, resourceVersion: String(store.revision + 1) });
  const failed = failureOf(future);
  await clock.advance(3_000);
  const error = await failed;
  assert.is(error.code, 504);
  assert.match(error.message, /^Too large resource version/);
});

test('the rules of resourceVersionMatch', async () => {
  const { registry, target, store } = await withWidgets(['a']);
  const codeOf = async (request: object) => (await failureOf(registry.list(target, request))).code;
  assert.is(await codeOf({ resourceVersionMatch: 'Exact' }), 422);
  assert.is(await codeOf({ resourceVersionMatch: 'Roughly', resourceVersion: '1' }), 422);
  assert.is(await codeOf({ resourceVersionMatch: 'Exact', resourceVersion: '0' }), 422);
  assert.is(await codeOf({ resourceVersion: 'x' }), 400);
  assert.is(await codeOf({ continue: 'x' }), 400);
  const exact = await registry.list(target, { resourceVersionMatch: 'Exact', resourceVersion: String(store.revision - 1) });
  assert.is(exact.entries.length, 0);
  assert.is(exact.revision, store.revision - 1);
});

async function collect<T>(
  events: AsyncIterable<WatchEvent<T & { metadata: { name: string } }>>,
  count: number,
): Promise<string[]> {
  const seen: string[] = [];
  for await (const { type, object } of events) {
    const { name } = object.metadata as { name?: string };
    seen.push(`${type} ${name}`);
    if (seen.length === count) break;
  }
  return seen;
}

test('a watch tells what there is, then every change in order', async () => {
  const { client } = await withWidgets(['a', 'b']);
  const seen = collect(client.watch(widgets, { namespace, signal: AbortSignal.timeout(10_000) }), 5);
  await client.get(widgets, 'a', inDefault);
  await client.patch(widgets, 'b', 'merge', { spec: { size: 3 } }, inDefault);
  await client.create(widgets, { metadata: { name: 'c' } }, inDefault);
  await client.delete(widgets, 'a', inDefault);
  assert.equal(await seen, ['ADDED a', 'ADDED b', 'MODIFIED b', 'ADDED c', 'DELETED a']);
});

test('a watch from a version tells what came after it', async () => {
  const { client } = await withWidgets(['a']);
  const { resourceVersion } = await client.list(widgets, inDefault);
  await client.create(widgets, { metadata: { name: 'b' } }, inDefault);
  const seen = collect(client.watch(widgets, { namespace, resourceVersion, signal: AbortSignal.timeout(10_000) }), 2);
  await client.delete(widgets, 'a', inDefault);
  assert.equal(await seen, ['ADDED b', 'DELETED a']);
});

test('what begins or ceases to match is ADDED or DELETED; a DELETED object has the new version', async () => {
  const { client } = await withWidgets(['a', 'c']);
  const { resourceVersion } = await client.list(widgets, inDefault);
  const paint = (name: string, color: string) => client.patch(widgets, name, 'merge', { spec: { color } }, inDefault);
  await paint('c', 'red');
  await client.patch(widgets, 'c', 'merge', { spec: { size: 4 } }, inDefault);
  const left = await paint('c', 'blue');
  await paint('c', 'green');
  await client.delete(widgets, 'a', inDefault);
  const events: string[] = [];
  const signal = AbortSignal.timeout(10_000);
  for await (const event of client.watch(widgets, { namespace, resourceVersion, fieldSelector: 'spec.color=red', signal })) {
    const widget = event.object as Widget;
    events.push(`${event.type} ${widget.metadata.name} ${widget.spec?.color}`);
    if (event.type === 'DELETED' && widget.metadata.name === 'c') {
      assert.is(widget.metadata.resourceVersion, left.metadata.resourceVersion);
    }
    if (events.length === 4) break;
  }
  assert.equal(events, ['ADDED c red', 'MODIFIED c red', 'DELETED c red', 'DELETED a red']);
});

test('a watch from a version that is no longer known ends with 410', async () => {
  const { client } = await withWidgets(['a'], { historyRevisionsMax: 3 });
  for (let size = 0; size < 10; size++) await client.patch(widgets, 'a', 'merge', { spec: { size } }, inDefault);
  const watch = client.watch(widgets, { namespace, resourceVersion: '2', signal: AbortSignal.timeout(10_000) });
  const error = await failureOf(collect(watch, 1));
  assert.is(error.code, 410);
  assert.is(error.reason, 'Expired');
  assert.match(error.message, /^too old resource version: 2 \(\d+\)$/);
});

test('bookmarks come every minute and carry the present version', async () => {
  const { client, clock, store } = await withWidgets(['a']);
  const signal = AbortSignal.timeout(10_000);
  const watch = client.watch(widgets, { namespace, allowWatchBookmarks: true, resourceVersion: String(store.revision), signal });
  const next = watch[Symbol.asyncIterator]().next();
  await clock.advance(60_000);
  const { value } = await next;
  assert.equal(value, { type: 'BOOKMARK', object: { metadata: { resourceVersion: String(store.revision) } } });
});

test('a watch whose time is nearly up says where it is', async () => {
  const { registry, target, clock, store } = await withWidgets(['a']);
  const told: string[] = [];
  const prepared = await registry.watch(target, {
    ...{ allowWatchBookmarks: true, resourceVersion: String(store.revision), timeoutMs: 70_000 },
  });
  prepared.start({
    onNotice: ({ type, revision }) => void told.push(`${type} ${revision} at ${clock.monotonicMs()}`),
    onEnd: (error) => void told.push(`${error} at ${clock.monotonicMs()}`),
  });
  await clock.advance(100_000);
  const here = `BOOKMARK ${store.revision}`;
  assert.equal(told, [`${here} at 60000`, `${here} at 68000`, 'undefined at 70000']);
});

test('an aborted watch rejects with the reason of its signal', async () => {
  const { client } = await withWidgets([]);
  const abort = new AbortController();
  const watch = client.watch(widgets, { namespace, signal: abort.signal });
  const next = watch[Symbol.asyncIterator]().next();
  await client.list(widgets, inDefault);
  abort.abort(new Error('enough'));
  try {
    await next;
    assert.unreachable();
  } catch (error) {
    assert.is((error as Error).message, 'enough');
  }
});

test('the lease of a node shows its last heartbeat; other leases are stored', async () => {
  const { client, clock, nodeHealth, registry } = await testRegistry();
  const inLeases = { namespace: 'kube-node-lease' };
  await client.create(leases, { metadata: { name: 'mine' }, spec: { holderIdentity: 'me' } }, inLeases);
  assert.is((await failureOf(client.get(leases, 'node-1', inLeases))).code, 404);
  nodeHealth.views.push({ nodeName: 'node-1', verdict: 'alive', agentReady: true, lastHeartbeatMs: clock.wallMs() });
  const lease = await client.get(leases, 'node-1', inLeases);
  assert.is(lease.spec?.holderIdentity, 'node-1');
  assert.is(Date.parse(lease.spec?.renewTime ?? ''), clock.wallMs());
  assert.is(lease.spec?.leaseDurationSeconds, 4);
  assert.is(namesOf((await client.list(leases, inLeases)).items), 'mine,node-1');
  assert.is(namesOf((await client.list(leases, inDefault)).items), '');
  const resolved = registry.context.table.find('coordination.k8s.io', 'v1', 'leases');
  assert.ok(resolved);
  const limited = await registry.list({ resolved, ...inLeases, user: systemUser }, { limit: 1 });
  assert.is(namesOf(limited.entries.map(({ object }) => object)), 'mine,node-1');
});

test.run();
