/** Sets of fields: their form, their algebra, what they hold of an object, and what differs between two. */
import './generated.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededRandom } from '../../src/lib/random.ts';
import { compare, fieldsOf } from '../../src/machinery/apply/compare.ts';
import { complaintsOf } from '../../src/machinery/apply/configuration.ts';
import {
  difference,
  type FieldSet,
  FieldSetBuilder,
  fieldSetComplaint,
  intersection,
  pathsOf,
  sameSet,
  sorted,
  union,
} from '../../src/machinery/apply/field-set.ts';
import { extractFields, merge, removeFields } from '../../src/machinery/apply/merge.ts';
import { shapeOf } from '../../src/machinery/apply/shapes.ts';

const deployment = shapeOf('apps.v1.Deployment');
const service = shapeOf('core.v1.Service');
const web = 'k:{"name":"web"}';

test('a configuration becomes the fields that Kubernetes would show for it', () => {
  const config = {
    metadata: { labels: { app: 'a' }, finalizers: ['x/1'], annotations: {} },
    spec: {
      replicas: 3,
      selector: { matchLabels: { app: 'a' } },
      template: {
        spec: {
          containers: [
            { name: 'web', command: ['a', 'b'], ports: [{ containerPort: 8080 }, { containerPort: 80, protocol: 'UDP' }] },
          ],
        },
      },
    },
  };
  assert.equal(
    JSON.stringify(sorted(fieldsOf(config, deployment))),
    JSON.stringify({
      'f:metadata': { 'f:annotations': {}, 'f:finalizers': { 'v:"x/1"': {} }, 'f:labels': { 'f:app': {} } },
      'f:spec': {
        'f:replicas': {},
        'f:selector': {},
        'f:template': {
          'f:spec': {
            'f:containers': {
              [web]: {
                '.': {},
                'f:command': {},
                'f:name': {},
                'f:ports': {
                  'k:{"containerPort":80,"protocol":"UDP"}': { '.': {}, 'f:containerPort': {}, 'f:protocol': {} },
                  'k:{"containerPort":8080,"protocol":"TCP"}': { '.': {}, 'f:containerPort': {} },
                },
              },
            },
          },
        },
      },
    }),
  );
});

test('a new object is owned by its creator with its maps and lists, but not with structs that are always there', () => {
  const { added } = compare(
    {},
    {
      metadata: { labels: { a: '1' } },
      spec: { strategy: { rollingUpdate: { maxSurge: 1 } }, template: { spec: { containers: [{ name: 'web' }] } } },
    },
    deployment,
  );
  assert.equal(sorted(added), {
    'f:metadata': { 'f:labels': { '.': {}, 'f:a': {} } },
    'f:spec': {
      'f:strategy': { 'f:rollingUpdate': { '.': {}, 'f:maxSurge': {} } },
      'f:template': { 'f:spec': { 'f:containers': { [web]: { '.': {}, 'f:name': {} } } } },
    },
  });
});

test('differences: added, modified, removed; the order of keyed lists is none, that of atomic lists is', () => {
  const port = (port: number, more = {}) => ({ port, ...more });
  const before = { spec: { type: 'ClusterIP', selector: { a: '1' }, ports: [port(1), port(2)], externalIPs: ['1', '2'] } };
  const after = { spec: { selector: { b: '1' }, ports: [port(2, { name: 'x' }), port(3)], externalIPs: ['2', '1'] } };
  const found = compare(before, after, service);
  assert.equal(pathsOf(found.added), [
    '.spec.ports[port=3,protocol="TCP"]',
    '.spec.ports[port=2,protocol="TCP"].name',
    '.spec.ports[port=3,protocol="TCP"].port',
  ]);
  assert.equal(pathsOf(found.modified), ['.spec.externalIPs', '.spec.selector']);
  assert.equal(pathsOf(found.removed), [
    '.spec.type',
    '.spec.ports[port=1,protocol="TCP"]',
    '.spec.ports[port=1,protocol="TCP"].port',
  ]);
  const reordered = compare(before, { spec: { ...before.spec, ports: [port(2), port(1)] } }, service);
  assert.equal(pathsOf(union(union(reordered.added, reordered.modified), reordered.removed)), []);
});

test('lists merge in the order of the configuration, and what only the live list has keeps its place', () => {
  const list = (names: string) => ({ spec: { template: { spec: { containers: [...names].map((name) => ({ name })) } } } });
  for (const [live, config, expected] of [
    ['ax', 'ab', 'axb'],
    ['x', 'b', 'xb'],
    ['axb', 'ba', 'xba'],
    ['ax', 'na', 'nax'],
    ['axby', 'bac', 'xbyac'],
    ['', 'ab', 'ab'],
    ['ab', '', 'ab'],
  ] as const) {
    assert.equal(merge(list(live), list(config), deployment), list(expected), `${live} + ${config}`);
  }
  const prototype = JSON.parse('{"metadata":{"labels":{"__proto__":"x"}}}') as object;
  assert.is(JSON.stringify(merge({ metadata: { labels: {} } }, prototype, deployment)), JSON.stringify(prototype));
});

test('keys sort by their members, numbers as numbers, and paths read as kubectl prints them', () => {
  const set = { 'f:b': {}, 'k:{"port":443}': {}, 'k:{"port":80}': {}, 'f:a': { 'v:"x"': {}, '.': {} } };
  assert.equal(Object.keys(sorted(set)), ['f:a', 'f:b', 'k:{"port":80}', 'k:{"port":443}']);
  assert.equal(pathsOf(set), ['.a', '.b', '[port=80]', '[port=443]', '.a[="x"]']);
});

test('a configuration that cannot be owned is told why', () => {
  const spec = {
    replcas: 1,
    template: { spec: { containers: [{ name: 'a', foo: 1 }, { image: 'x' }, { name: 'a' }] } },
  };
  assert.equal(complaintsOf({ spec }, deployment), [
    '.spec.replcas: field not declared in schema',
    '.spec.template.spec.containers[name="a"].foo: field not declared in schema',
    '.spec.template.spec.containers: element 1: associative list with keys has an element that omits key field "name" (and doesn\'t have default value)',
    '.spec.template.spec.containers: duplicate entries for key [name="a"]',
  ]);
});

test('fields that a caller sent are checked', () => {
  assert.is(fieldSetComplaint({ 'f:a': { '.': {}, 'k:{"a":1}': {}, 'v:1': {}, 'i:0': {} } }), undefined);
  for (const bad of [[], 1, { a: {} }, { 'f:a': 1 }, { 'k:[]': {} }, { 'k:{': {} }, { 'v:x': {} }, { 'i:x': {} }]) {
    assert.type(fieldSetComplaint(bad), 'string', JSON.stringify(bad));
  }
});

/** Random paths of few steps, so that sets meet. */
function randomSet(random: ReturnType<typeof seededRandom>): FieldSet {
  const builder = new FieldSetBuilder();
  for (let count = random.int(9); count > 0; count--) {
    builder.add(Array.from({ length: 1 + random.int(4) }, () => `f:${'abc'[random.int(3)]}`));
  }
  return builder.set;
}

test('the algebra of sets holds for random sets, and inputs stay as they are', () => {
  const random = seededRandom(11);
  for (let round = 0; round < 2000; round++) {
    const [a, b] = [randomSet(random), randomSet(random)];
    const before = JSON.stringify([a, b]);
    const [left, right] = [new Set(pathsOf(a)), new Set(pathsOf(b))];
    const expect = (set: FieldSet, paths: Iterable<string>) => {
      assert.equal([...pathsOf(set)].sort(), [...paths].sort(), before);
    };
    expect(union(a, b), new Set([...left, ...right]));
    expect(
      intersection(a, b),
      [...left].filter((path) => right.has(path)),
    );
    expect(
      difference(a, b),
      [...left].filter((path) => !right.has(path)),
    );
    assert.ok(sameSet(union(difference(a, b), intersection(a, b)), a), before);
    assert.is(union(a, a), a);
    assert.is(difference(a, difference(b, a)), a, 'nothing shared');
    assert.is(JSON.stringify([a, b]), before);
  }
});

test('fields can be taken out, and taken alone', () => {
  const object = { spec: { replicas: 1, template: { spec: { containers: [{ name: 'web', image: 'i' }, { name: 'b' }] } } } };
  const fields = { 'f:spec': { 'f:template': { 'f:spec': { 'f:containers': { [web]: { 'f:image': {} } } } } } };
  assert.equal(removeFields(object, fields, deployment), {
    spec: { replicas: 1, template: { spec: { containers: [{ name: 'web' }, { name: 'b' }] } } },
  });
  assert.equal(extractFields(object, fields, deployment), {
    spec: { template: { spec: { containers: [{ name: 'web', image: 'i' }] } } },
  });
});

test.run();
