/** What the status of a policy says of its expressions, checked against the kinds that it names. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { typeWarnings } from '../../src/api/admission-policy/type-checking.ts';
import { customKinds } from '../../src/api/custom-resources/custom-kind.ts';
import { KindTable } from '../../src/api/kind-table.ts';
import { kinds } from '../../src/api/kinds/index.ts';
import type { CustomResourceDefinition } from '../../src/machinery/custom/definition.ts';

const string = { type: 'string' } as const;
const gadgets = {
  metadata: { name: 'gadgets.example.com' },
  spec: {
    group: 'example.com',
    scope: 'Namespaced',
    names: { plural: 'gadgets', kind: 'Gadget' },
    versions: [
      {
        ...{ name: 'v1', served: true, storage: true },
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: { spec: { type: 'object', properties: { color: string } }, limit: { type: 'integer' } },
          },
        },
      },
    ],
  },
} as unknown as CustomResourceDefinition;
const table = new KindTable(kinds);
table.setCustom(customKinds(gadgets, undefined));

const rule = (group: string, version: string, ...resources: string[]) => ({
  ...{ apiGroups: [group], apiVersions: [version], resources, operations: ['*'] },
});
const warningsOf = (resourceRules: object[], expressions: string[], more: object = {}) => {
  const validations = expressions.map((expression) => ({ expression }));
  return typeWarnings({ matchConstraints: { resourceRules }, validations, ...more } as never, table);
};

test('a field that a kind does not have is pointed at, for each kind that is named, in their order', () => {
  const rules = [rule('apps', 'v1', 'replicasets', 'deployments', 'deployments/scale'), rule('', 'v1', 'configmaps')];
  const pointed = "ERROR: <input>:1:7: undefined field 'replicas'\n | object.replicas > 1\n | ......^";
  assert.equal(warningsOf(rules, ['true', 'object.replicas > 1']), [
    {
      fieldRef: 'spec.validations[1].expression',
      warning: ['/v1, Kind=ConfigMap', 'apps/v1, Kind=Deployment', 'apps/v1, Kind=ReplicaSet']
        .map((title) => `${title}: ${pointed}\n`)
        .join('\n'),
    },
  ]);
});

test('what fits is not complained about', () => {
  const fine = [
    'object.spec.replicas <= 5 && oldObject.metadata.labels.exists(k, k == "a")',
    "object.metadata.namespace == 'x' && object.metadata.creationTimestamp > timestamp('2020-01-01T00:00:00Z')",
    "object.spec.template.spec.containers.all(c, c.image.startsWith('a') && quantity(c.resources.limits['cpu']).isInteger())",
    "object.spec.template.spec.containers.all(c, c.ports.all(p, p.containerPort < 1024) && c.env.all(e, e.name != 'A'))",
    "authorizer.requestResource.check('get').allowed() && request.userInfo.username != '' && namespaceObject.metadata.name != ''",
  ];
  assert.equal(warningsOf([rule('apps', 'v1', 'deployments')], fine), []);
  const gadget = ["object.spec.color == 'red' && object.limit < 3 && object.metadata.labels['a'] == 'b'"];
  assert.equal(warningsOf([rule('example.com', 'v1', 'gadgets')], gadget), []);
});

test('types, variables, parameters and messages are looked at', () => {
  const paramKind = { apiVersion: 'example.com/v1', kind: 'Gadget' };
  const told = typeWarnings(
    {
      paramKind,
      matchConstraints: { resourceRules: [rule('apps', 'v1', 'deployments')] },
      variables: [
        { name: 'count', expression: 'object.spec.replicas' },
        { name: 'wrong', expression: 'object.nothing' },
      ],
      validations: [
        { expression: "variables.count > 'a'", messageExpression: "'at most ' + params.limit" },
        { expression: 'variables.wrong == 1 && variables.count < params.limit' },
        { expression: 'params.spec.size == 1' },
      ],
    } as never,
    table,
  );
  assert.equal(
    told.map(({ fieldRef, warning }) => `${fieldRef} ${warning.split('\n')[0]}`),
    [
      "spec.validations[0].expression apps/v1, Kind=Deployment: ERROR: <input>:1:17: found no matching overload for '_>_' applied to '(int, string)'",
      "spec.validations[0].messageExpression apps/v1, Kind=Deployment: ERROR: <input>:1:12: found no matching overload for '_+_' applied to '(string, int)'",
      "spec.validations[2].expression apps/v1, Kind=Deployment: ERROR: <input>:1:12: undefined field 'size'",
    ],
  );
});

test('nothing is said of what cannot be known: wildcards, kinds that nobody serves', () => {
  const wrong = ['object.nothing == 1'];
  assert.equal(
    warningsOf([rule('*', 'v1', 'deployments'), rule('apps', '*', 'deployments'), rule('apps', 'v1', '*')], wrong),
    [],
  );
  assert.equal(warningsOf([rule('example.com', 'v1', 'unknowns')], wrong), []);
});

test.run();
