/** Work over many objects: one of them is looked up by its key, and what has to walk over all gives way to others. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { systemUser } from '../../src/api/authentication.ts';
import { sendList } from '../../src/api/http/answers.ts';
import type { Exchange } from '../../src/api/http/exchange.ts';
import type { Form } from '../../src/api/http/negotiation.ts';
import type { BookmarkNotice, ObjectNotice } from '../../src/api/watch.ts';
import type { Clock } from '../../src/lib/clock.ts';
import { testRegistry, widgets } from './widgets.ts';

const namespace = 'default';
const round = () => new Promise((resolve) => setImmediate(resolve));

/** Widgets with these names, and a count of the records that lists have looked at since. */
async function withWidgets(names: string[]) {
  const cluster = await testRegistry();
  for (const name of names) await cluster.client.create(widgets, { metadata: { name, labels: { name } } }, { namespace });
  const resolved = cluster.registry.context.table.find('test.kontiki', 'v1', 'widgets');
  assert.ok(resolved);
  const { store } = cluster;
  const looked = { records: 0 };
  const list = store.list.bind(store);
  store.list = (prefix, options) => {
    const result = list(prefix, options);
    looked.records += result.records.length;
    return result;
  };
  return { ...cluster, looked, target: { resolved, namespace: namespace as string | undefined, user: systemUser } };
}

/** A clock on which every look takes longer than a slice of work may last. */
function makeSlow(clock: Clock): void {
  let nowMs = 0;
  clock.monotonicMs = () => {
    nowMs += 10;
    return nowMs;
  };
}

const numbered = (count: number) => Array.from({ length: count }, (_, index) => `w-${String(index).padStart(3, '0')}`);

const told = (notices: (ObjectNotice | BookmarkNotice)[]) =>
  notices.map((notice) => (notice.type === 'BOOKMARK' ? 'BOOKMARK' : `${notice.type} ${notice.record.key.split('/').at(-1)}`));

test('one name is one key: neither a list nor a watch looks at its neighbours', async () => {
  const { client, registry, looked, target } = await withWidgets(['fan', 'fan-1', 'fan2', 'other']);
  const fieldSelector = 'metadata.name=fan';
  const names = async (where: typeof target, request: object) =>
    (await registry.list(where, request)).entries.map(({ object }) => object.metadata.name).join();
  assert.is(await names(target, { fieldSelector }), 'fan');
  assert.is(await names(target, { fieldSelector, limit: 1 }), 'fan');
  assert.is(await names(target, { fieldSelector, labelSelector: 'name=other' }), '');
  assert.is(await names(target, { fieldSelector: 'metadata.name=fa' }), '');
  const everywhere = { ...target, namespace: undefined };
  assert.is(await names(everywhere, { fieldSelector: `${fieldSelector},metadata.namespace=${namespace}` }), 'fan');
  assert.is(await names(everywhere, { fieldSelector: `metadata.namespace=${namespace}` }), 'fan,fan-1,fan2,other');
  assert.is(await names(everywhere, { fieldSelector: 'metadata.namespace=kube-system' }), '');
  assert.is(await names(everywhere, { fieldSelector }), 'fan');
  looked.records = 0;

  const notices: (ObjectNotice | BookmarkNotice)[] = [];
  const prepared = await registry.watch(target, { fieldSelector });
  const stop = prepared.start({ onNotice: (notice) => notices.push(notice), onEnd: () => undefined });
  assert.is(looked.records, 1);
  await client.patch(widgets, 'fan-1', 'merge', { metadata: { labels: { x: '1' } } }, { namespace });
  await client.create(widgets, { metadata: { name: 'fan-3' } }, { namespace });
  await client.patch(widgets, 'fan', 'merge', { metadata: { labels: { x: '1' } } }, { namespace });
  await client.delete(widgets, 'fan2', { namespace });
  await client.delete(widgets, 'fan', { namespace });
  assert.equal(told(notices), ['ADDED fan', 'MODIFIED fan', 'DELETED fan']);
  stop();
});

test('a watch that begins with many objects gives way, and what happens meanwhile is told after them', async () => {
  const names = numbered(40);
  const { client, registry, target, clock } = await withWidgets(names);
  makeSlow(clock);
  const notices: (ObjectNotice | BookmarkNotice)[] = [];
  const request = { sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan', allowWatchBookmarks: true };
  const prepared = await registry.watch(target, request);
  const stop = prepared.start({ onNotice: (notice) => notices.push(notice), onEnd: () => undefined });
  assert.ok(notices.length < names.length, 'it has given way');
  await client.delete(widgets, 'w-039', { namespace });
  await client.create(widgets, { metadata: { name: 'a' } }, { namespace });
  assert.ok(notices.length < names.length, 'both were written before it has told of all');
  while (notices.length < names.length + 3) await round();
  assert.equal(told(notices), [...names.map((name) => `ADDED ${name}`), 'BOOKMARK', 'DELETED w-039', 'ADDED a']);
  await client.create(widgets, { metadata: { name: 'b' } }, { namespace });
  assert.is(told(notices).at(-1), 'ADDED b', 'later events come at once');
  stop();
});

test('a watch that is stopped on the way tells nothing more', async () => {
  const { registry, target, clock } = await withWidgets(numbered(40));
  makeSlow(clock);
  const notices: (ObjectNotice | BookmarkNotice)[] = [];
  const prepared = await registry.watch(target, {});
  const stop = prepared.start({ onNotice: (notice) => notices.push(notice), onEnd: () => undefined });
  stop();
  const before = notices.length;
  for (let count = 0; count < 20; count++) await round();
  assert.is(notices.length, before);
});

test('a list that has to look into many objects gives way, and shows one state all the same', async () => {
  const { client, registry, target, clock } = await withWidgets(numbered(40));
  makeSlow(clock);
  let rounds = 0;
  let counting = true;
  const count = async () => {
    while (counting) {
      await round();
      rounds++;
    }
  };
  const counted = count();
  const listed = registry.list(target, { labelSelector: 'name', limit: 30 });
  await round();
  const deleted = client.delete(widgets, 'w-020', { namespace });
  const { entries, continue: next } = await listed;
  assert.is(entries.length, 30);
  assert.ok(entries.some(({ object }) => object.metadata.name === 'w-020'));
  assert.ok(next);
  counting = false;
  await Promise.all([deleted, counted]);
  assert.ok(rounds >= 3, `others had ${rounds} rounds of the event loop`);
});

test('tables and metadata cut out of stored bytes are what encoding the object would give', async () => {
  const awkward = '{"metadata":{"a":"\\"}\\\\"}}, ⛵ \\';
  const { client, registry, target } = await withWidgets(['plain']);
  const metadata = { name: 'odd', labels: { a: 'b' }, annotations: { awkward, 'x/y': '}' } };
  await client.create(widgets, { metadata, spec: { color: awkward } }, { namespace });
  const answer = await registry.list(target, {});
  const shown = async (view: Form['view']) => {
    let text = '';
    const exchange = {
      send: async (_code: number, _type: string, body: Uint8Array) => {
        text = Buffer.from(body).toString();
      },
    };
    const form: Form = { view, encoding: 'json', pretty: false, contentType: 'application/json' };
    await sendList(exchange as unknown as Exchange, { form, resolved: target.resolved, answer, nowMs: 0 });
    return JSON.parse(text) as { items?: unknown[]; rows?: { object: unknown }[] };
  };
  const objects = answer.entries.map(({ object }) => object);
  const partial = objects.map((object) => ({
    kind: 'PartialObjectMetadata',
    apiVersion: 'meta.k8s.io/v1',
    metadata: object.metadata,
  }));
  assert.equal((await shown({ type: 'plain' })).items, objects);
  assert.equal((await shown({ type: 'partial' })).items, partial);
  const rows = async (include: 'Metadata' | 'Object') =>
    (await shown({ type: 'table', include })).rows?.map(({ object }) => object);
  assert.equal(await rows('Metadata'), partial);
  assert.equal(await rows('Object'), objects);
});

test.run();
