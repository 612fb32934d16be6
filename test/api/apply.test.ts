/** Server-side apply through the registry, and the record of owners that every write leaves. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { WriteOptions } from '../../src/machinery/client.ts';
import { deployments, pods, services } from '../../src/machinery/resources.ts';
import type { StatusError } from '../../src/machinery/status.ts';
import type { KubeObject } from '../../src/machinery/types.ts';
import { failureOf, oldWidgets, testRegistry, type Widget, widgets } from './widgets.ts';

const namespace = 'default';
const as = (fieldManager: string, more: WriteOptions = {}) => ({ namespace, fieldManager, ...more });
const widget = (spec: object, metadata = {}) => ({
  apiVersion: 'test.kontiki/v1',
  kind: 'Widget',
  metadata: { name: 'a', ...metadata },
  spec,
});

interface Entry {
  manager: string;
  operation: string;
  apiVersion: string;
  time: string;
  subresource?: string;
  fieldsV1: Record<string, unknown>;
}

const entries = ({ metadata }: KubeObject) => (metadata.managedFields ?? []) as Entry[];
const owners = (object: KubeObject) => entries(object).map(({ manager, operation }) => `${manager} ${operation}`);

async function withClient() {
  const registry = await testRegistry();
  const { client } = registry;
  const apply = (manager: string, spec: object, more: WriteOptions = {}) =>
    client.patch(widgets, 'a', 'apply', widget(spec), as(manager, more));
  return { ...registry, apply };
}

test('apply creates, changes, gives up, and does nothing the second time', async () => {
  const { apply, client, store } = await withClient();
  const made = await apply('me', { size: 1, fixed: 'x' });
  assert.equal(made.spec, { size: 1, fixed: 'x', color: 'grey' });
  assert.equal(entries(made), [
    {
      manager: 'me',
      operation: 'Apply',
      apiVersion: 'test.kontiki/v1',
      time: '2030-01-01T00:00:00Z',
      fieldsType: 'FieldsV1',
      fieldsV1: { 'f:spec': { 'f:fixed': {}, 'f:size': {} } },
    },
  ]);
  const { revision } = store;
  assert.is((await apply('me', { size: 1, fixed: 'x' })).metadata.resourceVersion, made.metadata.resourceVersion);
  assert.is(store.revision, revision);
  const given = await apply('me', { fixed: 'x' });
  assert.equal(given.spec, { fixed: 'x', color: 'grey' });
  assert.equal(await client.get(widgets, 'a', { namespace }), given);
});

test('a conflict is told in full, and force takes over', async () => {
  const { apply, client } = await withClient();
  await client.create(widgets, { metadata: { name: 'a' }, spec: { size: 1, color: 'red' } }, as('other'));
  const one = await failureOf(apply('me', { size: 2 }));
  assert.is(one.code, 409);
  assert.is(one.message, 'Apply failed with 1 conflict: conflict with "other" using test.kontiki/v1: .spec.size');
  assert.equal((one as unknown as StatusError['status']).details, {
    causes: [{ reason: 'FieldManagerConflict', message: 'conflict with "other" using test.kontiki/v1', field: '.spec.size' }],
  });
  await client.patch(widgets, 'a', 'apply', widget({ color: 'red' }), as('third'));
  const more = await failureOf(apply('me', { size: 2, color: 'blue' }));
  assert.is(
    more.message,
    [
      'Apply failed with 3 conflicts: conflicts with "other" using test.kontiki/v1:',
      '- .spec.color',
      '- .spec.size',
      'conflicts with "third":',
      '- .spec.color',
    ].join('\n'),
  );
  const taken = await apply('me', { size: 2, color: 'blue' }, { force: true });
  assert.equal(taken.spec, { size: 2, color: 'blue' });
  assert.equal(owners(taken), ['me Apply', 'other Update']);
  assert.equal(entries(taken)[1]!.fieldsV1, { 'f:spec': {} });
});

test('requests that cannot be an apply are refused', async () => {
  const { client } = await withClient();
  const config = widget({ size: 1 });
  const refuse = async (body: unknown, options: WriteOptions = as('me'), type: 'apply' | 'merge' = 'apply') => {
    const { code, message } = await failureOf(client.patch(widgets, 'a', type, body, options));
    return `${code} ${message}`;
  };
  assert.is(
    await refuse(config, { namespace }),
    '422 PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
  );
  assert.is(
    await refuse({}, as('me', { force: true }), 'merge'),
    '422 PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch',
  );
  assert.match(await refuse(config, as('x'.repeat(129))), /^422 .*fieldManager: Invalid value/);
  assert.is(await refuse(widget({}, { managedFields: [{ manager: 'x' }] })), '400 metadata.managedFields must be nil');
  assert.is(
    await refuse({ ...config, apiVersion: 'v9' }),
    '400 Incorrect version specified in apply patch. Specified patch version: v9, expected: test.kontiki/v1',
  );
  assert.match(await refuse({ ...config, kind: 'Gadget' }), /^400 the kind in the data \(Gadget\)/);
  assert.match(await refuse(widget({}, { name: 'b' })), /^400 the name of the object \(b\) does not match/);
  assert.match(await refuse([]), /^400 /);
  const deep = JSON.parse(`${'{"a":'.repeat(600)}1${'}'.repeat(600)}`) as object;
  assert.is(await refuse(widget(deep)), '400 exceeded max depth');
  assert.match(
    (await failureOf(client.create(widgets, { metadata: { name: 'a' } }, as('x'.repeat(129))))).message,
    /^CreateOptions.meta.k8s.io "" is invalid: fieldManager: Invalid value/,
  );
  assert.match(await refuse(config, as('me', { subresource: 'status' })), /^404 /);
  const unknown = { apiVersion: 'apps/v1', kind: 'Deployment', spec: { replcas: 1 } };
  const { code, message } = await failureOf(client.patch(deployments, 'd', 'apply', unknown, as('me')));
  assert.is(
    `${code} ${message}`,
    '400 failed to create typed patch object (default/d; apps/v1, Kind=Deployment): .spec.replcas: field not declared in schema',
  );
});

test('a resourceVersion is a precondition, a dry run leaves everything as it was', async () => {
  const { apply, client, store } = await withClient();
  const at = (resourceVersion: string, size: number) =>
    client.patch(widgets, 'a', 'apply', widget({ size }, { resourceVersion }), as('me'));
  assert.is((await failureOf(at('1', 1))).code, 409, 'there is nothing yet');
  const tried = await apply('me', { size: 1 }, { dryRun: true });
  assert.equal(owners(tried), ['me Apply']);
  assert.is((await failureOf(client.get(widgets, 'a', { namespace }))).code, 404);
  const made = await apply('me', { size: 1 });
  const { revision } = store;
  assert.is((await apply('me', { size: 5 }, { dryRun: true })).spec?.size, 5);
  assert.is((await failureOf(at('1', 2))).code, 409);
  assert.is(store.revision, revision);
  assert.is((await at(made.metadata.resourceVersion!, 3)).spec?.size, 3);
});

test('status and scale are applied through their own doors, with owners of their own', async () => {
  const { apply, client } = await withClient();
  await apply('me', { size: 1 });
  const body = { ...widget({ size: 9 }), status: { seen: 3 } };
  const seen = await client.patch(widgets, 'a', 'apply', body, as('watcher', { subresource: 'status' }));
  assert.equal([seen.spec?.size, seen.status], [1, { seen: 3 }]);
  assert.equal(
    entries(seen).map(({ manager, subresource = '' }) => `${manager} ${subresource}`),
    ['me ', 'watcher status'],
  );
  const scale = { apiVersion: 'autoscaling/v1', kind: 'Scale', metadata: { name: 'a' }, spec: { replicas: 4 } };
  const scaling = (options: WriteOptions) => client.patch(widgets, 'a', 'apply', scale, { ...options, subresource: 'scale' });
  const refused = await failureOf(scaling(as('scaler')));
  assert.is(refused.message, 'Apply failed with 1 conflict: conflict with "me": .spec.size');
  await scaling(as('scaler', { force: true }));
  const scaled = await client.get(widgets, 'a', { namespace });
  assert.is(scaled.spec?.size, 4);
  assert.equal(entries(scaled).find(({ manager }) => manager === 'scaler')!.fieldsV1, { 'f:spec': { 'f:size': {} } });
  await client.patch(widgets, 'a', 'merge', { spec: { replicas: 6 } }, as('hpa', { subresource: 'scale' }));
  assert.is(
    (await failureOf(apply('me', { size: 1 }))).message,
    'Apply failed with 1 conflict: conflict with "hpa" with subresource "scale" using test.kontiki/v1: .spec.size',
  );
});

test('updates and patches are recorded under their manager, and times change only with fields', async () => {
  const { client, clock } = await withClient();
  await client.create(widgets, { metadata: { name: 'a', labels: { x: '1' } }, spec: { size: 1 } }, { namespace });
  await clock.advance(5000);
  const patched = await client.patch(widgets, 'a', 'merge', { spec: { size: 2 } }, as('p'));
  assert.equal(owners(patched), ['kontiki Update', 'p Update']);
  assert.equal(
    entries(patched).map(({ time }) => time.slice(17, 19)),
    ['00', '05'],
  );
  await clock.advance(5000);
  const same = await client.patch(widgets, 'a', 'merge', { spec: { size: 2 } }, as('q'));
  assert.is(same.metadata.resourceVersion, patched.metadata.resourceVersion);
  const updated = await client.update(widgets, { ...same, spec: { size: 2, color: 'red' } } as Widget, as('q'));
  assert.equal(owners(updated), ['kontiki Update', 'p Update', 'q Update']);
  const status = await client.patch(widgets, 'a', 'merge', { status: { seen: 1 } }, as('q', { subresource: 'status' }));
  assert.equal(entries(status).at(-1)!.fieldsV1, { 'f:status': { 'f:seen': {} } });
});

test('the record can be rewritten or reset by an update, but is not lost by one that leaves it out', async () => {
  const { apply, client } = await withClient();
  await apply('me', { size: 1 });
  const manage = (managedFields: unknown) => client.patch(widgets, 'a', 'merge', { metadata: { managedFields } }, as('x'));
  for (const kept of [[], null, [{ manager: 'broken' }]]) assert.equal(owners(await manage(kept)), ['me Apply']);
  const plain = await client.get(widgets, 'a', { namespace });
  const { managedFields: _, ...metadata } = plain.metadata;
  assert.equal(owners(await client.update(widgets, { ...plain, metadata }, as('x'))), ['me Apply']);
  const json = [{ op: 'replace', path: '/metadata/managedFields/0/manager', value: 'you' }];
  assert.equal(owners(await client.patch(widgets, 'a', 'json', json, as('x'))), ['you Apply']);
  assert.equal(owners(await manage([{}])), []);
  await client.patch(widgets, 'a', 'merge', { spec: { size: 4 } }, as('x'));
  assert.is(
    (await failureOf(apply('me', { size: 1 }))).message,
    'Apply failed with 1 conflict: conflict with "before-first-apply" using test.kontiki/v1: .spec.size',
  );
});

test('owners at an older version keep their fields, whatever these are called there', async () => {
  const { apply, client } = await withClient();
  const old = { apiVersion: 'test.kontiki/v1beta1', kind: 'Widget', metadata: { name: 'a' }, spec: { paint: 'red', size: 1 } };
  const made = await client.patch(oldWidgets, 'a', 'apply', old, as('old'));
  assert.equal(entries(made as KubeObject)[0]!.fieldsV1, { 'f:spec': { 'f:paint': {}, 'f:size': {} } });
  assert.is(
    (await failureOf(apply('me', { color: 'blue' }))).message,
    'Apply failed with 1 conflict: conflict with "old": .spec.paint',
  );
  await apply('me', { color: 'red' });
  const given = await client.patch(oldWidgets, 'a', 'apply', { ...old, spec: { size: 1 } }, as('old'));
  assert.is((given.spec as { paint?: string }).paint, 'red', 'somebody else wants it');
  const upgraded = await apply('old', { size: 1 });
  assert.equal(
    entries(upgraded).map(({ manager, apiVersion }) => `${manager} ${apiVersion}`),
    ['me test.kontiki/v1', 'old test.kontiki/v1'],
  );
});

test("what the server allots is nobody's, so a service can be applied again and again", async () => {
  const { client } = await withClient();
  const config = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 's' },
    spec: { selector: { a: '1' }, ports: [{ port: 80 }] },
  };
  const made = await client.patch(services, 's', 'apply', config, as('me'));
  assert.ok(made.spec?.clusterIP);
  const more = {
    ...config,
    spec: {
      ...config.spec,
      ports: [{ port: 80 }, { port: 81, name: 'b' }].map((port, index) => ({ name: `p${index}`, ...port })),
    },
  };
  const changed = await client.patch(services, 's', 'apply', more, as('me'));
  assert.is(changed.spec?.clusterIP, made.spec?.clusterIP);
  assert.equal(
    changed.spec?.ports?.map(({ port }) => port),
    [80, 81],
  );
  assert.not.match(JSON.stringify(entries(changed)), /clusterIP/);
});

test('a pod shows who made it and who reports on it', async () => {
  const { client } = await withClient();
  await client.create(pods, { metadata: { name: 'p' }, spec: { containers: [{ name: 'c', image: 'i' }] } }, as('maker'));
  const conditions = [{ type: 'Ready', status: 'True' }];
  const pod = await client.patch(pods, 'p', 'strategic', { status: { conditions } }, as('agent', { subresource: 'status' }));
  assert.equal(
    entries(pod).map(({ manager, subresource = '' }) => `${manager} ${subresource}`),
    ['agent status', 'maker '],
  );
  assert.equal(entries(pod)[0]!.fieldsV1, {
    'f:status': { 'f:conditions': { '.': {}, 'k:{"type":"Ready"}': { '.': {}, 'f:status': {}, 'f:type': {} } } },
  });
});

test('an object whose schema is not generated is owned member by member, its lists as a whole', async () => {
  const { client } = await withClient();
  const body = widget({ list: [{ name: 'a' }], map: { x: { y: 1 } } }, { labels: { a: '1' } });
  const made = await client.patch(widgets, 'a', 'apply', body, as('me'));
  assert.equal(entries(made)[0]!.fieldsV1, {
    'f:metadata': { 'f:labels': { 'f:a': {} } },
    'f:spec': { 'f:list': {}, 'f:map': { '.': {}, 'f:x': { '.': {}, 'f:y': {} } } },
  });
});

test.run();
