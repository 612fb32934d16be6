/** Kinds that users define, as the API serves them: at once, on every peer, in each version, with all that other kinds can do. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ConversionClient } from '../../src/api/custom-resources/conversion.ts';
import type { KubeObject } from '../../src/machinery/types.ts';
import { type DefiningApi, definingApi, type Json } from './crd-support.ts';
import { type ListeningApi, listeningApi } from './listening.ts';

const test = suite<{ it: DefiningApi }>('serving user-defined kinds');
const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const things = '/apis/example.com/v1/namespaces/default/things';
const json = { 'content-type': 'application/json' };
const merge = { 'content-type': 'application/merge-patch+json' };

const converter: ConversionClient = {
  async convert(_, objects, apiVersion) {
    const [from, to] = apiVersion.endsWith('/v2') ? ['size', 'length'] : ['length', 'size'];
    return objects.map((object) => {
      const { spec = {}, ...rest } = object as KubeObject & { spec?: Json };
      const { [from]: value, ...others } = spec;
      return { ...rest, apiVersion, spec: value === undefined ? others : { ...others, [to]: value } } as unknown as KubeObject;
    });
  },
};

test.before.each(async (context) => {
  context.it = await definingApi({ conversion: converter });
});
test.after.each(({ it }) => it.close());

const version = (
  name: string,
  fields: Json = {},
  spec: Json = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
) => ({
  name,
  served: true,
  storage: name === 'v1',
  schema: {
    openAPIV3Schema: {
      type: 'object',
      properties: { spec, status: { type: 'object', properties: { seen: { type: 'integer' } } } },
    },
  },
  subresources: { status: {} },
  ...fields,
});

const definition = (fields: Json = {}, names: Json = {}) => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `${(names.plural as string | undefined) ?? 'things'}.example.com` },
  spec: {
    group: 'example.com',
    scope: 'Namespaced',
    names: { plural: 'things', kind: 'Thing', ...names },
    versions: [version('v1')],
    ...fields,
  },
});
const thing = (name: string, fields: Json = {}, at = 'v1') => ({
  apiVersion: `example.com/${at}`,
  kind: 'Thing',
  metadata: { name },
  ...fields,
});

type Asked = Pick<ListeningApi, 'request'>;

async function ask<T = Json>(
  it: Asked,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = json,
): Promise<T> {
  const answer = await it.request(path, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  assert.ok(answer.code < 300, `${method} ${path}: ${answer.text}`);
  return answer.json<T>();
}

async function refusal(
  it: Asked,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = json,
): Promise<string> {
  const answer = await it.request(path, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  assert.ok(answer.code >= 400, answer.text);
  return `${answer.code} ${answer.json<{ message: string }>().message}`;
}

interface Line {
  type: string;
  object: KubeObject & { spec?: Json; status?: Json };
}

/** Lines of a watch until one is wanted. */
async function watchFor(
  it: Asked & { open: ListeningApi['open'] },
  path: string,
  wanted: (line: Line) => boolean,
): Promise<Line[]> {
  const response = await it.open(`${path}${path.includes('?') ? '&' : '?'}watch=true&timeoutSeconds=60`);
  const lines: Line[] = [];
  let rest = '';
  for await (const chunk of response) {
    rest += String(chunk);
    const parts = rest.split('\n');
    rest = parts.pop() ?? '';
    for (const part of parts) {
      const line = JSON.parse(part) as Line;
      lines.push(line);
      if (!wanted(line)) continue;
      response.destroy();
      return lines;
    }
  }
  throw new Error(`the watch of ${path} has ended: ${JSON.stringify(lines)}`);
}

/** The version from which a watch tells all that comes. */
async function versionOf(it: Asked, path: string): Promise<string> {
  return (await ask<KubeObject>(it, 'GET', path)).metadata.resourceVersion ?? '';
}

const conditionsOf = ({ status }: Line['object']) =>
  (status?.conditions ?? []) as { type: string; status: string; reason: string; message: string }[];

async function establish(it: DefiningApi, body: ReturnType<typeof definition>): Promise<void> {
  await ask(it, 'POST', definitions, body);
  await watchFor(it, `${definitions}?fieldSelector=metadata.name=${body.metadata.name}`, ({ object }) =>
    conditionsOf(object).some(({ type, status }) => type === 'Established' && status === 'True'),
  );
}

test('is discovered and described as soon as it is established, and no longer when it is gone', async ({ it }) => {
  const hashes = async () =>
    (await ask<{ paths: Record<string, { serverRelativeURL: string }> }>(it, 'GET', '/openapi/v3')).paths;
  assert.is((await hashes())['apis/example.com/v1'], undefined);
  await establish(it, definition());
  const first = (await hashes())['apis/example.com/v1']?.serverRelativeURL ?? '';
  const described = await ask<{ components: { schemas: Record<string, Json> } }>(it, 'GET', first);
  assert.ok(described.components.schemas['com.example.v1.Thing']);
  const list = await ask<{ resources: { name: string }[] }>(it, 'GET', '/apis/example.com/v1');
  assert.equal(
    list.resources.map(({ name }) => name),
    ['things', 'things/status'],
  );
  const spec = { type: 'object', properties: { size: { type: 'integer', default: 3 } } };
  await ask(it, 'PATCH', `${definitions}/things.example.com`, { spec: { versions: [version('v1', {}, spec)] } }, merge);
  const second = (await hashes())['apis/example.com/v1']?.serverRelativeURL ?? '';
  assert.is.not(second, first);
  assert.match(JSON.stringify(await ask(it, 'GET', second)), /"default":3/);
  const from = await versionOf(it, definitions);
  await ask(it, 'DELETE', `${definitions}/things.example.com`);
  await watchFor(it, `${definitions}?resourceVersion=${from}`, ({ type }) => type === 'DELETED');
  assert.is((await hashes())['apis/example.com/v1'], undefined);
  assert.is((await it.request('/apis/example.com/v1')).code, 404);
});

test('a peer that is a moment behind catches up before it says that there is no such resource', async ({ it }) => {
  await establish(it, definition());
  const record = it.store.get('/registry/apiextensions.k8s.io/customresourcedefinitions/things.example.com');
  assert.ok(record);
  const other = await listeningApi();
  try {
    const write = { conditions: [], operations: [{ type: 'put' as const, key: record.key, value: record.value }] };
    other.store.writeElsewhere(write);
    await ask(other, 'POST', things, thing('a'));
    const removed = { conditions: [], operations: [{ type: 'delete' as const, key: record.key }] };
    other.store.writeElsewhere(removed);
    assert.is((await other.request('/apis/example.com/v1')).code, 404);
    other.store.writeElsewhere(write);
    const client = other.api.client();
    const resource = { group: 'example.com', version: 'v1', resource: 'things', kind: 'Thing', namespaced: true };
    assert.is((await client.list(resource)).items.length, 1);
  } finally {
    await other.close();
  }
});

test('status and spec are apart, and count generations as they should', async ({ it }) => {
  await establish(it, definition());
  const made = await ask<Line['object']>(it, 'POST', things, thing('a', { spec: { x: 1 }, status: { seen: 9 }, odd: 1 }));
  assert.equal([made.metadata.generation, made.status, (made as unknown as Json).odd], [1, undefined, undefined]);
  const seen = await ask<Line['object']>(it, 'PATCH', `${things}/a/status`, { status: { seen: 1 }, spec: { x: 2 } }, merge);
  assert.equal([seen.metadata.generation, seen.status, seen.spec], [1, { seen: 1 }, { x: 1 }]);
  const next = await ask<Line['object']>(it, 'PATCH', `${things}/a`, { status: { seen: 5 }, spec: { x: 2 } }, merge);
  assert.equal([next.metadata.generation, next.status, next.spec], [2, { seen: 1 }, { x: 2 }]);
  const labelled = await ask<Line['object']>(it, 'PATCH', `${things}/a`, { metadata: { labels: { a: 'b' } } }, merge);
  assert.is(labelled.metadata.generation, 2);
  const wrong = await refusal(it, 'PATCH', `${things}/a/status`, { status: { seen: 'x' } }, merge);
  assert.is(
    wrong,
    '422 Thing.example.com "a" is invalid: status.seen: Invalid value: "string": status.seen in body must be of type integer: "string"',
  );
});

test('a schema that changes shows in old objects: defaults, pruned fields, columns; and updates store them anew', async ({
  it,
}) => {
  await establish(it, definition());
  await ask(it, 'POST', things, thing('a', { spec: { size: 1, gone: true } }));
  const spec = { type: 'object', properties: { size: { type: 'integer' }, color: { type: 'string', default: 'red' } } };
  const additionalPrinterColumns = [{ name: 'Color', type: 'string', jsonPath: '.spec.color' }];
  const selectableFields = [{ jsonPath: '.spec.color' }];
  const versions = [version('v1', { additionalPrinterColumns, selectableFields }, spec)];
  await ask(it, 'PATCH', `${definitions}/things.example.com`, { spec: { versions } }, merge);
  const read = await ask<Line['object']>(it, 'GET', `${things}/a`);
  assert.equal(read.spec, { size: 1, color: 'red' });
  const list = await ask<{ items: Line['object'][] }>(it, 'GET', `${things}?fieldSelector=spec.color%3Dred`);
  assert.equal(
    list.items.map((item) => item.spec),
    [{ size: 1, color: 'red' }],
  );
  const lines = await watchFor(it, `${things}?fieldSelector=spec.color%3Dred`, () => true);
  assert.equal(
    lines.map(({ type, object }) => [type, object.spec]),
    [['ADDED', { size: 1, color: 'red' }]],
  );
  const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io';
  const table = await ask<{ rows: { cells: unknown[] }[] }>(it, 'GET', things, undefined, { accept });
  assert.equal(
    table.rows.map(({ cells }) => cells),
    [['a', 'red']],
  );
  const before = it.store.revision;
  await ask(it, 'PATCH', `${things}/a`, {}, merge);
  assert.is(it.store.revision, before + 1);
  await ask(it, 'PATCH', `${things}/a`, {}, merge);
  assert.is(it.store.revision, before + 1);
});

test('a watch ends when its kind changes, so that clients are served by the new one', async ({ it }) => {
  await establish(it, definition());
  const response = await it.open(`${things}?watch=true&timeoutSeconds=600`);
  response.resume();
  const ended = new Promise((resolve) => response.on('end', resolve));
  await ask(it, 'PATCH', `${definitions}/things.example.com`, { metadata: { labels: { a: 'b' } } }, merge);
  const spec = { type: 'object', properties: { size: { type: 'integer' } } };
  await ask(it, 'PATCH', `${definitions}/things.example.com`, { spec: { versions: [version('v1', {}, spec)] } }, merge);
  await ended;
});

test('is served in each of its versions; without a webhook they differ by name only', async ({ it }) => {
  const old = { type: 'object', properties: { size: { type: 'integer', maximum: 5 } } };
  await establish(it, definition({ versions: [version('v1'), version('v1beta1', { deprecated: true }, old)] }));
  const beta = things.replace('/v1/', '/v1beta1/');
  await ask(it, 'POST', beta, thing('a', { spec: { size: 1 } }, 'v1beta1'));
  assert.is((await ask(it, 'GET', `${things}/a`)).apiVersion, 'example.com/v1');
  const shown = await it.request(`${beta}/a`);
  assert.is(shown.json().apiVersion, 'example.com/v1beta1');
  assert.match(String(shown.headers.warning), /example.com\/v1beta1 Thing is deprecated/);
  assert.match(await refusal(it, 'PATCH', `${beta}/a`, { spec: { size: 9 } }, merge), /less than or equal to 5/);
  await ask(it, 'PATCH', `${things}/a`, { spec: { size: 9 } }, merge);
  const groups = await ask<{ groups: { name: string; preferredVersion: { version: string } }[] }>(it, 'GET', '/apis');
  assert.is(groups.groups.find(({ name }) => name === 'example.com')?.preferredVersion.version, 'v1');
  const stored = it.store.get('/registry/example.com/things/default/a');
  assert.match(Buffer.from(stored?.value ?? []).toString(), /^\{"apiVersion":"example.com\/v1"/);
});

test('takes definitions of the first version, which kept unknown fields', async ({ it }) => {
  const first = definitions.replace('/v1/', '/v1beta1/');
  const body = {
    apiVersion: 'apiextensions.k8s.io/v1beta1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'things.example.com' },
    spec: {
      group: 'example.com',
      version: 'v1',
      scope: 'Namespaced',
      names: { plural: 'things', kind: 'Thing' },
      subresources: { status: {} },
      additionalPrinterColumns: [{ name: 'Size', type: 'integer', JSONPath: '.spec.size' }],
      validation: { openAPIV3Schema: { properties: { spec: { properties: { size: { type: 'integer', minimum: 1 } } } } } },
    },
  };
  const made = await it.request(first, { method: 'POST', headers: json, body: JSON.stringify(body) });
  assert.is(made.code, 201, made.text);
  assert.match(String(made.headers.warning), /v1beta1 CustomResourceDefinition is deprecated in v1.16\+, unavailable in v1.22\+/);
  await watchFor(it, definitions, ({ object }) => conditionsOf(object).some(({ type }) => type === 'Established'));
  const read = await ask<{ spec: Json }>(it, 'GET', `${first}/things.example.com`);
  assert.equal([read.spec.version, read.spec.additionalPrinterColumns], ['v1', body.spec.additionalPrinterColumns]);
  const current = await ask<{ spec: { versions: Json[] } }>(it, 'GET', `${definitions}/things.example.com`);
  assert.equal(current.spec.versions[0]?.additionalPrinterColumns, [{ name: 'Size', type: 'integer', jsonPath: '.spec.size' }]);
  const object = await ask<Line['object']>(it, 'POST', things, thing('a', { spec: { size: 1, free: { deep: 1 } } }));
  assert.equal(object.spec, { size: 1, free: { deep: 1 } });
  assert.match(await refusal(it, 'POST', things, thing('b', { spec: { size: 0 } })), /greater than or equal to 1/);
});

test('a webhook converts what is read, listed, watched and written', async ({ it }) => {
  const conversion = {
    strategy: 'Webhook',
    webhook: { conversionReviewVersions: ['v1'], clientConfig: { url: 'https://example.com/convert' } },
  };
  await establish(it, definition({ conversion, versions: [version('v1'), version('v2')] }));
  const newer = things.replace('/v1/', '/v2/');
  await ask(it, 'POST', things, thing('a', { spec: { size: 1 } }));
  assert.equal((await ask<Line['object']>(it, 'GET', `${newer}/a`)).spec, { length: 1 });
  await ask(it, 'POST', newer, thing('b', { spec: { length: 2 } }, 'v2'));
  await ask(it, 'PATCH', `${newer}/a`, { spec: { length: 3 } }, merge);
  const list = await ask<{ items: Line['object'][] }>(it, 'GET', things);
  assert.equal(
    list.items.map(({ spec }) => spec),
    [{ size: 3 }, { size: 2 }],
  );
  const lines = await watchFor(it, newer, ({ object }) => object.metadata.name === 'b');
  assert.equal(
    lines.map(({ object }) => object.spec),
    [{ length: 3 }, { length: 2 }],
  );
  await ask(it, 'DELETE', `${newer}/b`);
});

test('when the webhook does not answer only the stored version is there', async () => {
  const it = await definingApi();
  try {
    const conversion = {
      strategy: 'Webhook',
      webhook: { conversionReviewVersions: ['v1'], clientConfig: { url: 'https://127.0.0.1:1/convert' } },
    };
    await establish(it, definition({ conversion, versions: [version('v1'), version('v2')] }));
    await ask(it, 'POST', things, thing('a'));
    const newer = things.replace('/v1/', '/v2/');
    const why = /^500 Internal error occurred: conversion webhook for example\.com\/v1, Kind=Thing failed: /;
    assert.match(await refusal(it, 'GET', `${newer}/a`), why);
    assert.match(await refusal(it, 'GET', newer), why);
    await ask(it, 'GET', `${things}/a`);
    const lines = await watchFor(it, newer, () => true);
    assert.is(lines[0]?.type, 'ERROR');
  } finally {
    await it.close();
  }
});

test('names that another definition has are not accepted until they are free', async ({ it }) => {
  await establish(it, definition({}, { shortNames: ['tt'] }));
  const body = definition({}, { plural: 'thingies', singular: 'thing', kind: 'Thingy' });
  await ask(it, 'POST', definitions, body);
  const path = `${definitions}?fieldSelector=metadata.name=thingies.example.com`;
  const lines = await watchFor(it, path, ({ object }) => conditionsOf(object).length > 0);
  const [names, established] = conditionsOf((lines.at(-1) as Line).object);
  assert.equal([names?.status, names?.reason, names?.message], ['False', 'SingularConflict', '"thing" is already in use']);
  assert.equal([established?.status, established?.reason], ['False', 'NotAccepted']);
  assert.is((await it.request('/apis/example.com/v1/thingies')).code, 404);
  await ask(it, 'DELETE', `${definitions}/things.example.com`);
  await watchFor(it, path, ({ object }) =>
    conditionsOf(object).some(({ type, status }) => type === 'Established' && status === 'True'),
  );
  await ask(it, 'GET', '/apis/example.com/v1/thingies');
});

test('a definition goes with its objects, and waits for their finalizers', async ({ it }) => {
  await establish(it, definition());
  await ask(it, 'POST', things, { ...thing('held'), metadata: { name: 'held', finalizers: ['example.com/hold'] } });
  await ask(it, 'POST', things, thing('free'));
  const from = await versionOf(it, things);
  await ask(it, 'DELETE', `${definitions}/things.example.com`);
  await watchFor(
    it,
    `${things}?resourceVersion=${from}`,
    ({ type, object }) => type === 'DELETED' && object.metadata.name === 'free',
  );
  const left = await ask<{ items: Line['object'][] }>(it, 'GET', things);
  assert.equal(
    left.items.map(({ metadata }) => metadata.name),
    ['held'],
  );
  const late = await refusal(it, 'POST', things, thing('late'));
  assert.is(
    late,
    '403 things.example.com "late" is forbidden: create not allowed while custom resource definition is terminating',
  );
  await ask(it, 'PATCH', `${things}/held`, { metadata: { finalizers: null } }, merge);
  await watchFor(it, `${definitions}?resourceVersion=${from}`, ({ type }) => type === 'DELETED');
});

test('owns and is owned, and goes with its namespace', async ({ it }) => {
  await establish(it, definition());
  await ask(it, 'POST', '/api/v1/namespaces', { metadata: { name: 'room' } });
  const room = things.replace('/default/', '/room/');
  const owner = await ask<KubeObject>(it, 'POST', things, thing('owner'));
  const { apiVersion, kind, metadata } = owner;
  const ownerReferences = [{ apiVersion, kind, name: metadata.name, uid: metadata.uid }];
  const maps = '/api/v1/namespaces/default/configmaps';
  await ask(it, 'POST', maps, { metadata: { name: 'owned', ownerReferences } });
  await ask(it, 'POST', things, { ...thing('child'), metadata: { name: 'child', ownerReferences } });
  const from = await versionOf(it, maps);
  await ask(it, 'DELETE', `${things}/owner`);
  await watchFor(
    it,
    `${maps}?resourceVersion=${from}`,
    ({ type, object }) => type === 'DELETED' && object.metadata.name === 'owned',
  );
  await watchFor(
    it,
    `${things}?resourceVersion=${from}`,
    ({ type, object }) => type === 'DELETED' && object.metadata.name === 'child',
  );
  await ask(it, 'POST', room, thing('inside'));
  await ask(it, 'DELETE', '/api/v1/namespaces/room');
  await watchFor(
    it,
    `/api/v1/namespaces?resourceVersion=${from}`,
    ({ type, object }) => type === 'DELETED' && object.metadata.name === 'room',
  );
  assert.is(it.store.get('/registry/example.com/things/room/inside'), undefined);
});

test('lists of a schema decide what appliers own', async ({ it }) => {
  const ports = {
    type: 'array',
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['port'],
    items: { type: 'object', required: ['port'], properties: { port: { type: 'integer' }, name: { type: 'string' } } },
  };
  const tags = { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'string' } };
  const spec = { type: 'object', properties: { ports, tags, size: { type: 'integer' } } };
  await establish(it, definition({ versions: [version('v1', {}, spec)] }));
  const apply = { 'content-type': 'application/apply-patch+yaml' };
  const by = (manager: string) => `${things}/a?fieldManager=${manager}`;
  await ask(it, 'PATCH', by('one'), thing('a', { spec: { ports: [{ port: 1, name: 'x' }], tags: ['a'], size: 1 } }), apply);
  const both = await ask<Line['object']>(
    it,
    'PATCH',
    by('two'),
    thing('a', { spec: { ports: [{ port: 2 }], tags: ['b'] } }),
    apply,
  );
  assert.equal(both.spec, { ports: [{ port: 1, name: 'x' }, { port: 2 }], tags: ['a', 'b'], size: 1 });
  const clash = await refusal(it, 'PATCH', by('two'), thing('a', { spec: { size: 2 } }), apply);
  assert.is(clash, '409 Apply failed with 1 conflict: conflict with "one": .spec.size');
  const odd = await refusal(it, 'PATCH', by('two'), thing('a', { spec: { odd: 2 } }), apply);
  assert.match(odd, /\.spec\.odd: field not declared in schema/);
  const less = await ask<Line['object']>(it, 'PATCH', by('one'), thing('a', { spec: { size: 1 } }), apply);
  assert.equal(less.spec, { size: 1, ports: [{ port: 2 }], tags: ['b'] });
});

test('a schema of the size of real ones is taken, and checks objects in no time', async ({ it }) => {
  const properties: Json = {};
  for (let index = 0; index < 200; index++) {
    const container = {
      name: {
        type: 'string',
        pattern: `^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`,
        maxLength: 63,
        description: `The name of part ${index}.`,
      },
      image: { type: 'string', description: 'Where it comes from. '.repeat(10) },
      env: {
        type: 'array',
        items: {
          type: 'object',
          required: ['name'],
          properties: { name: { type: 'string' }, value: { type: 'string', default: '' } },
        },
      },
      resources: {
        type: 'object',
        additionalProperties: { 'x-kubernetes-int-or-string': true, anyOf: [{ type: 'integer' }, { type: 'string' }] },
      },
      policy: { type: 'string', enum: ['Always', 'Never'], default: 'Always' },
    };
    properties[`part${index}`] = { type: 'object', properties: container, required: ['name'] };
  }
  const body = definition({ versions: [version('v1', {}, { type: 'object', properties })] });
  assert.ok(JSON.stringify(body).length > 100_000);
  await establish(it, body);
  const spec: Json = {};
  for (let index = 0; index < 200; index++) {
    spec[`part${index}`] = {
      name: `n${index}`,
      env: [{ name: 'A' }, { name: 'B', value: 'x' }],
      resources: { cpu: 1, memory: '1Gi' },
    };
  }
  const made = await ask<Line['object']>(it, 'POST', things, thing('big', { spec }));
  assert.equal((made.spec as Record<string, Json>).part7?.env, [
    { name: 'A', value: '' },
    { name: 'B', value: 'x' },
  ]);
  Object.assign(spec.part7 as Json, { name: 'No' });
  assert.match(await refusal(it, 'PUT', `${things}/big`, thing('big', { spec })), /spec\.part7\.name in body should match/);
});

test.run();
