/** Every kind through the API in this process: what is stored, what is printed, and one thing that is refused. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseAllDocuments } from 'yaml';
import { kinds } from '../../src/api/kinds/index.ts';
import { groupOf, type KindDefinition } from '../../src/machinery/kind.ts';
import type { Resource } from '../../src/machinery/resources.ts';
import { isReason } from '../../src/machinery/status.ts';
import type { KubeObject } from '../../src/machinery/types.ts';
import { failureOf, testRegistry } from '../api/widgets.ts';
import { examples } from './examples.ts';
import { expected } from './expected.ts';
import { manifests, oldManifests } from './manifests.ts';
import { isStored, plain } from './support.ts';
import { wrongs } from './wrongs.ts';

type Loose = KubeObject & Record<string, unknown>;

function resourceOf(kind: KindDefinition, version = kind.versions[0]): Resource<Loose> {
  const { plural, namespaced } = kind;
  return { group: groupOf(kind, version), version: version.name, resource: plural, kind: kind.kind, namespaced };
}

const within = (kind: KindDefinition) => (kind.namespaced ? { namespace: 'default' } : {});

function exampleOf(kind: KindDefinition, fields: Record<string, unknown> = {}) {
  const { name = 'example', fields: own } = examples[kind.kind] ?? { fields: {} };
  return { metadata: { name }, ...structuredClone({ ...own, ...fields }) };
}

/** Everything in `part` is in `whole`. */
function contains(whole: unknown, part: unknown, path = ''): void {
  if (typeof part !== 'object' || part === null || Array.isArray(part)) assert.equal(whole, part, path);
  else for (const [key, value] of Object.entries(part)) contains((whole as Loose)?.[key], value, `${path}.${key}`);
}

test('every kind has an example', () => {
  assert.equal(
    kinds
      .filter(isStored)
      .map(({ kind }) => kind)
      .filter((kind) => !examples[kind]),
    [],
  );
});

for (const kind of kinds) {
  const { stored, row } = expected[kind.kind] ?? {};
  if (!stored || !row) continue;

  test(`${kind.kind} is stored with its defaults, printed, and comes back from every version`, async () => {
    const { client, clock } = await testRegistry();
    const created = await client.create(resourceOf(kind), exampleOf(kind), within(kind));
    const { name, uid = '' } = created.metadata;
    const known = <T>(value: T): T => JSON.parse(JSON.stringify(value).replaceAll(uid, 'UID')) as T;
    contains(known(created), stored);
    const cells = kind.columns.map((column) => column.cell(created, clock.wallMs() + 90_000));
    const shown = (index: number) => (kind.columns[index]?.format === 'name' && row[index] === 'a' ? name : row[index]);
    assert.equal(
      known(cells),
      row.map((_, index) => shown(index)),
    );
    for (const version of kind.versions) {
      const of = resourceOf(kind, version);
      const before = await client.get(of, name, within(kind));
      const after = await client.update(of, plain(before));
      assert.equal(plain(after), plain(before), version.schema);
    }
    assert.is(
      (await client.get(resourceOf(kind), name, within(kind))).metadata.resourceVersion,
      created.metadata.resourceVersion,
    );
  });
}

for (const [name, fields, message] of wrongs) {
  test(`${name} is refused: ${message.slice(0, 60)}`, async () => {
    const { client } = await testRegistry();
    const kind = kinds.find((candidate) => candidate.kind === name) as KindDefinition;
    const failure = await failureOf(client.create(resourceOf(kind), exampleOf(kind, fields), within(kind)));
    const group = kind.group ? `.${kind.group}` : '';
    assert.is(failure.message, `${name}${group} "${examples[name]?.name ?? 'example'}" is invalid: ${message}`);
  });
}

for (const [what, text] of Object.entries({ manifests, oldManifests })) {
  test(`the ${what} of tutorials are taken`, async () => {
    const { client } = await testRegistry();
    for (const document of parseAllDocuments(text)) {
      const object = document.toJS() as Loose;
      const [version = '', group = ''] = object.apiVersion.split('/').reverse();
      const isVersion = (kind: KindDefinition) =>
        kind.kind === object.kind && kind.versions.some((one) => groupOf(kind, one) === group && one.name === version);
      const kind = kinds.find(isVersion) as KindDefinition;
      const of: Resource<Loose> = { ...resourceOf(kind), group, version };
      const made = await client.create(of, object, {
        ...within(kind),
        ...(object.metadata.namespace ? { namespace: object.metadata.namespace } : {}),
      });
      assert.is(made.apiVersion, object.apiVersion);
    }
  });
}

test('one priority class at most is the default', async () => {
  const { client } = await testRegistry();
  const of = resourceOf(kinds.find(({ kind }) => kind === 'PriorityClass') as KindDefinition);
  const first = await client.create(of, { metadata: { name: 'first' }, value: 1, globalDefault: true });
  const why = 'PriorityClass first is already marked as default. Only one PriorityClass can be marked as default';
  const failure = await failureOf(client.create(of, { metadata: { name: 'second' }, value: 2, globalDefault: true }));
  assert.ok(failure.message.endsWith(why), failure.message);
  assert.match(
    (await failureOf(client.update(of, { ...plain(first), value: 5 }))).message,
    /value: Forbidden: may not be changed/,
  );
  await client.update(of, { ...plain(first), description: 'the same' });
});

test('a request is approved through its subresource alone', async () => {
  const { client } = await testRegistry();
  const kind = kinds.find((candidate) => candidate.kind === 'CertificateSigningRequest') as KindDefinition;
  const request = await client.create(resourceOf(kind), exampleOf(kind));
  const approved = { type: 'Approved', status: 'True', reason: 'Known' };
  const status = { conditions: [approved], certificate: 'eA==' };
  const viaStatus = await client.update(resourceOf(kind), { ...plain(request), status }, { subresource: 'status' });
  assert.equal(viaStatus.status, { certificate: 'eA==' });
  const viaApproval = await client.update(
    resourceOf(kind),
    { ...plain(viaStatus), status: { conditions: [approved] } },
    { subresource: 'approval' },
  );
  assert.is((viaApproval.status as { certificate?: string }).certificate, 'eA==');
  contains((viaApproval.status as { conditions: unknown[] }).conditions[0], approved);
});

test('an autoscaler loses nothing on its way through v1', async () => {
  const { client } = await testRegistry();
  const kind = kinds.find((candidate) => candidate.kind === 'HorizontalPodAutoscaler') as KindDefinition;
  const metrics = [
    { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } } },
    { type: 'Pods', pods: { metric: { name: 'hits' }, target: { type: 'AverageValue', averageValue: '10' } } },
    {
      type: 'Object',
      object: {
        metric: { name: 'load' },
        describedObject: { kind: 'Service', name: 'web', apiVersion: 'v1' },
        target: { type: 'Value', value: '2k' },
      },
    },
    { type: 'External', external: { metric: { name: 'queue' }, target: { type: 'AverageValue', averageValue: '30' } } },
  ];
  const behavior = { scaleDown: { stabilizationWindowSeconds: 60 } };
  const scaleTargetRef = { kind: 'Deployment', name: 'web', apiVersion: 'apps/v1' };
  const spec = { maxReplicas: 3, scaleTargetRef, metrics, behavior };
  const made = await client.create(resourceOf(kind), { metadata: { name: 'a' }, spec }, within(kind));
  for (const version of kind.versions) {
    const of = resourceOf(kind, version);
    const seen = await client.get(of, 'a', within(kind));
    if (version.name === 'v1')
      assert.is((seen.spec as { targetCPUUtilizationPercentage?: number }).targetCPUUtilizationPercentage, 50);
    await client.update(of, plain(seen));
  }
  const after = await client.get(resourceOf(kind), 'a', within(kind));
  assert.equal(plain(after.spec), plain(made.spec));
  assert.is(after.metadata.annotations, undefined);
});

test('an event has one form for each of its groups, and is one object', async () => {
  const { client } = await testRegistry();
  const kind = kinds.find((candidate) => candidate.kind === 'Event') as KindDefinition;
  const newer = resourceOf(kind, kind.versions[1]);
  assert.is(newer.group, 'events.k8s.io');
  await client.create(
    newer,
    { metadata: { name: 'a' }, regarding: { kind: 'Pod', namespace: 'default' }, note: 'n' },
    within(kind),
  );
  const core = await client.get(resourceOf(kind), 'a', within(kind));
  assert.is(core.message, 'n');
  assert.equal(core.involvedObject, { kind: 'Pod', namespace: 'default' });
  await client.delete(resourceOf(kind), 'a', within(kind));
  const gone = await client.get(newer, 'a', within(kind)).then(
    () => false,
    (error: unknown) => isReason(error, 'NotFound'),
  );
  assert.ok(gone);
});

test.run();
