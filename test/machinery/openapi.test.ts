import './generated.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { KindDefinition } from '../../src/machinery/kind.ts';
import { openApiV2Protobuf, openApiV3Document, openApiV3Index } from '../../src/machinery/openapi.ts';

const rules = { setDefaults: () => undefined, validate: () => [], columns: [], hasStatus: true };
const pods: KindDefinition = {
  ...rules,
  group: '',
  kind: 'Pod',
  plural: 'pods',
  singular: 'pod',
  namespaced: true,
  versions: [{ name: 'v1', schema: 'core.v1.Pod' }],
  subresources: ['log', 'exec', 'eviction', 'binding'],
};
const nodes: KindDefinition = {
  ...pods,
  kind: 'Node',
  plural: 'nodes',
  singular: 'node',
  namespaced: false,
  versions: [{ name: 'v1', schema: 'v1.Node' }],
  subresources: [],
  verbs: ['get', 'list', 'watch'],
};
const deployments: KindDefinition = {
  ...pods,
  group: 'apps',
  kind: 'Deployment',
  plural: 'deployments',
  singular: 'deployment',
  versions: [{ name: 'v1', schema: 'apps.v1.Deployment' }],
  subresources: [],
  scale: {
    get: () => {
      throw new Error('not called');
    },
    setReplicas: () => undefined,
  },
};
const widgets: KindDefinition = {
  ...pods,
  group: 'example.com',
  kind: 'Widget',
  plural: 'widgets',
  versions: [{ name: 'v2', schema: 'example.v2.Widget' }],
  subresources: [],
};
const kinds = [pods, nodes, deployments, widgets];

type Json = { [key: string]: Json } & { $ref?: string };
const document = (groupVersion: string) => openApiV3Document(groupVersion, kinds) as unknown as Json;

test('the index names one document for each group and version, with a hash that follows its content', () => {
  const { paths } = openApiV3Index(kinds);
  assert.equal(Object.keys(paths), ['api/v1', 'apis/apps/v1', 'apis/example.com/v2']);
  assert.match(paths['apis/apps/v1']!.serverRelativeURL, /^\/openapi\/v3\/apis\/apps\/v1\?hash=[0-9A-F]{64}$/);
  assert.equal(openApiV3Index(kinds), openApiV3Index(kinds));
  const changed = openApiV3Index([pods, nodes, { ...deployments, hasStatus: false }, widgets]).paths;
  assert.is(changed['api/v1']!.serverRelativeURL, paths['api/v1']!.serverRelativeURL);
  assert.is.not(changed['apis/apps/v1']!.serverRelativeURL, paths['apis/apps/v1']!.serverRelativeURL);
});

test('paths carry the action and the kind, as kubectl looks them up', () => {
  const { paths } = document('v1');
  const gvk = { group: '', kind: 'Pod', version: 'v1' };
  const list = paths!['/api/v1/namespaces/{namespace}/pods']!;
  assert.equal(list.post!['x-kubernetes-group-version-kind'], gvk);
  assert.is(list.post!['x-kubernetes-action'], 'post');
  assert.is(list.get!['x-kubernetes-action'], 'list');
  assert.ok(paths!['/api/v1/pods']!.get);
  assert.ok(paths!['/api/v1/namespaces/{namespace}/pods/{name}/status']!.patch);
  assert.equal(paths!['/api/v1/namespaces/{namespace}/pods/{name}/eviction']!.post!['x-kubernetes-group-version-kind'], {
    group: 'policy',
    version: 'v1',
    kind: 'Eviction',
  });
  assert.equal(Object.keys(paths!['/api/v1/nodes']!), ['get', 'parameters'], 'only what the kind allows');
  assert.ok(document('apps/v1').paths!['/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale']!.put);
});

test('a patch lists its parameters and its forms; the strategic one only for built-in kinds', () => {
  const patch = document('apps/v1').paths!['/apis/apps/v1/namespaces/{namespace}/deployments/{name}']!.patch!;
  const parameters = (patch.parameters as unknown as { name: string; in: string }[]).map(({ name }) => name);
  assert.equal(parameters, ['dryRun', 'fieldManager', 'fieldValidation', 'force']);
  assert.equal(Object.keys(patch.requestBody!.content!), [
    'application/apply-patch+yaml',
    'application/json-patch+json',
    'application/merge-patch+json',
    'application/strategic-merge-patch+json',
  ]);
  const custom = document('example.com/v2').paths!['/apis/example.com/v2/namespaces/{namespace}/widgets/{name}']!.patch!;
  assert.not.ok('application/strategic-merge-patch+json' in custom.requestBody!.content!);
});

test('schemas carry kinds, texts and what patches need', () => {
  const schemas = document('apps/v1').components!.schemas!;
  const deployment = schemas['io.k8s.api.apps.v1.Deployment']!;
  assert.equal(deployment['x-kubernetes-group-version-kind'], [{ group: 'apps', kind: 'Deployment', version: 'v1' }]);
  assert.equal(deployment.properties!.metadata!.allOf, [
    { $ref: '#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta' },
  ]);
  assert.type(deployment.description, 'string');
  const { containers } = schemas['io.k8s.api.core.v1.PodSpec']!.properties!;
  assert.is(containers!['x-kubernetes-patch-strategy'], 'merge');
  assert.is(containers!['x-kubernetes-patch-merge-key'], 'name');
  assert.is(containers!['x-kubernetes-list-type'], 'map');
  assert.equal(containers!['x-kubernetes-list-map-keys'], ['name']);
  assert.equal(containers!.items, { allOf: [{ $ref: '#/components/schemas/io.k8s.api.core.v1.Container' }] });
  assert.is(schemas['io.k8s.api.apps.v1.DeploymentSpec']!.properties!.strategy!['x-kubernetes-patch-strategy'], 'retainKeys');
  assert.equal(schemas['io.k8s.api.core.v1.ResourceRequirements']!.properties!.limits!.additionalProperties, {
    allOf: [{ $ref: '#/components/schemas/io.k8s.apimachinery.pkg.api.resource.Quantity' }],
  });
});

test('every reference leads somewhere, and every operation has an id of its own', () => {
  for (const groupVersion of ['v1', 'apps/v1', 'example.com/v2']) {
    const made = document(groupVersion);
    const text = JSON.stringify(made);
    for (const [, name] of text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)) {
      assert.ok(made.components!.schemas![name!], `${groupVersion}: ${name}`);
    }
    const ids = [...text.matchAll(/"operationId":"([^"]+)"/g)].map(([, id]) => id);
    assert.is(new Set(ids).size, ids.length, groupVersion);
  }
});

test('an unknown group and version has no paths', () => {
  assert.equal(document('nothing/v1').paths, {});
});

test('the v2 document says only its version', () => {
  assert.equal([...openApiV2Protobuf], [0x0a, 0x03, 0x32, 0x2e, 0x30]);
});

test('no field repeats what its type says of itself', () => {
  const { components } = openApiV3Document('apps/v1', [deployments]) as unknown as {
    components: {
      schemas: Record<
        string,
        { description?: string; properties?: Record<string, { description?: string; allOf?: { $ref: string }[] }> }
      >;
    };
  };
  const repeated = Object.entries(components.schemas).flatMap(([name, { properties = {} }]) =>
    Object.entries(properties)
      .filter(([, { description, allOf }]) => {
        const of = components.schemas[allOf?.[0]?.$ref.split('/').at(-1) ?? ''];
        return description !== undefined && description === of?.description;
      })
      .map(([field]) => `${name}.${field}`),
  );
  assert.equal(repeated, []);
});

test.run();
