import './generated.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { checkObject, pruneUnknown, schema } from '../../src/machinery/schemas.ts';

const deployment = (spec: object) => ({ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'd' }, spec });
const check = (spec: object) => checkObject(deployment(spec), 'apps.v1.Deployment');

test('the schemas know types, formats, merge keys and quantities', () => {
  const container = schema('core.v1.Container')!;
  assert.is(container.fields.ports!.mergeKey, 'containerPort');
  assert.equal(container.fields.ports!.listKeys, ['containerPort', 'protocol']);
  assert.is(schema('core.v1.ResourceRequirements')!.fields.limits!.type, 'quantity');
  assert.is(schema('core.v1.Secret')!.fields.data!.type, 'bytes');
  assert.is(schema('core.v1.ServicePort')!.fields.targetPort!.type, 'intOrString');
  assert.is(schema('coordination.v1.LeaseSpec')!.fields.renewTime!.type, 'microtime');
  assert.ok(schema('apps.v1.DeploymentSpec')!.fields.selector!.required);
  assert.is(schema('v1.Pod'), schema('core.v1.Pod'));
  assert.is(schema('core.v1.Nothing'), undefined);
});

test('every kind that the cluster serves has a schema and a list', () => {
  const served = ['Namespace', 'Node', 'Pod', 'Service', 'Endpoints', 'ConfigMap', 'Secret', 'ServiceAccount', 'Event'].map(
    (kind) => `core.v1.${kind}`,
  );
  for (const name of [
    ...served,
    'apps.v1.Deployment',
    'apps.v1.ReplicaSet',
    'discovery.v1.EndpointSlice',
    'coordination.v1.Lease',
  ]) {
    assert.ok(schema(name)?.fields.metadata, name);
    assert.ok(schema(`${name}List`)?.fields.items, `${name}List`);
  }
});

test('unknown fields are named by their path', () => {
  const found = check({
    template: { spec: { containers: [{ name: 'a', foo: 1 }], nodeSelectors: {} } },
    replica: 1,
    constructor: 1,
  });
  assert.equal(found.unknownFields, [
    'spec.template.spec.containers[0].foo',
    'spec.template.spec.nodeSelectors',
    'spec.replica',
    'spec.constructor',
  ]);
  assert.equal(found.errors, []);
});

test('type errors use the words of the reference implementation', () => {
  const errors: [object, string][] = [
    [{ replicas: '3' }, 'json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32'],
    [{ replicas: 1.5 }, 'json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32'],
    [
      { replicas: 3e9 },
      'json: cannot unmarshal number 3000000000 into Go struct field DeploymentSpec.spec.replicas of type int32',
    ],
    [{ paused: 'yes' }, 'json: cannot unmarshal string into Go struct field DeploymentSpec.spec.paused of type bool'],
    [
      { template: [] },
      'json: cannot unmarshal array into Go struct field DeploymentSpec.spec.template of type v1.PodTemplateSpec',
    ],
    [
      { template: { spec: { containers: {} } } },
      'json: cannot unmarshal object into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container',
    ],
    [
      { template: { spec: { containers: [{ name: 1 }] } } },
      'json: cannot unmarshal number into Go struct field Container.spec.template.spec.containers.name of type string',
    ],
    [
      { template: { spec: { containers: [{ name: 'a', imagePullPolicy: true }] } } },
      'json: cannot unmarshal bool into Go struct field Container.spec.template.spec.containers.imagePullPolicy of type v1.PullPolicy',
    ],
    [
      { selector: { matchLabels: { a: 1 } } },
      'json: cannot unmarshal number into Go struct field LabelSelector.spec.selector.matchLabels of type string',
    ],
    [
      { template: { spec: { containers: [{ resources: { limits: { cpu: 'lots' } } }] } } },
      "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    ],
  ];
  for (const [spec, message] of errors) assert.equal(check(spec).errors, [message]);
  assert.equal(checkObject([], 'core.v1.Pod').errors, ['json: cannot unmarshal array into Go value of type v1.Pod']);
});

test('texts with a form are checked: base64, times', () => {
  assert.equal(checkObject({ data: { a: 'YQ==', b: '' } }, 'core.v1.Secret').errors, []);
  assert.equal(checkObject({ data: { a: 'YQ=!' } }, 'core.v1.Secret').errors, ['illegal base64 data at input byte 2']);
  assert.equal(checkObject({ metadata: { creationTimestamp: '2030-01-01T00:00:00Z' } }, 'core.v1.Secret').errors, []);
  assert.match(checkObject({ metadata: { creationTimestamp: 'today' } }, 'core.v1.Secret').errors[0]!, /^parsing time "today"/);
});

test('nulls, numbers for quantities and numbers or names for ports are fine', () => {
  const container = {
    name: 'a',
    resources: { limits: { cpu: 1 } },
    livenessProbe: { httpGet: { port: 'http' }, tcpSocket: { port: 80 } },
  };
  const found = check({ replicas: null, template: { metadata: { creationTimestamp: null }, spec: { containers: [container] } } });
  assert.equal(found, { unknownFields: [], errors: [] });
});

test('pruning drops unknown fields and nulls, and gives nulls in maps and lists their zero value', () => {
  const object = {
    metadata: { labels: { a: null, b: 'x' }, creationTimestamp: null, foo: 1 },
    spec: { containers: [null, { name: 'a', bar: 1, args: ['x', null] }], tolerations: null },
  };
  pruneUnknown(object, 'core.v1.Pod');
  assert.equal(object, { metadata: { labels: { a: '', b: 'x' } }, spec: { containers: [{}, { name: 'a', args: ['x', ''] }] } });
});

test('an object that is nested without end is refused, not followed', () => {
  let deep: object = {};
  for (let level = 0; level < 2000; level++) deep = { not: deep };
  assert.equal(checkObject(deep, 'apiextensions.v1.JSONSchemaProps').errors, ['exceeded max depth']);
});

test.run();
