/** ValidatingAdmissionPolicy: which writes are judged, by which rules, with which parameters, and what the answer says. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { AdmissionPlugin, AdmissionRequest } from '../../src/api/admission/types.ts';
import { celMatchConditions } from '../../src/api/admission-policy/match-conditions.ts';
import type { ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding } from '../../src/machinery/kind-types.ts';
import { configMaps, events, namespaces, type Resource } from '../../src/machinery/resources.ts';
import type { KubeObject } from '../../src/machinery/types.ts';
import { failureOf as statusOf, testRegistry, type Widget, widgets } from './widgets.ts';

type Failure = Awaited<ReturnType<typeof statusOf>> & { details?: { causes?: { field?: string; message?: string }[] } };
const failureOf = (promise: Promise<unknown>): Promise<Failure> => statusOf(promise);

const test = suite('admission policies');
const namespace = 'default';

const policies: Resource<ValidatingAdmissionPolicy & KubeObject> = {
  group: 'admissionregistration.k8s.io',
  version: 'v1',
  resource: 'validatingadmissionpolicies',
  kind: 'ValidatingAdmissionPolicy',
  namespaced: false,
};
const bindings: Resource<ValidatingAdmissionPolicyBinding & KubeObject> = {
  ...policies,
  type: undefined,
  resource: 'validatingadmissionpolicybindings',
  kind: 'ValidatingAdmissionPolicyBinding',
};

type Spec = Partial<NonNullable<ValidatingAdmissionPolicy['spec']>>;
type BindingSpec = Partial<NonNullable<ValidatingAdmissionPolicyBinding['spec']>>;

const widgetRule = { apiGroups: ['test.kontiki'], apiVersions: ['v1'], operations: ['CREATE', 'UPDATE'], resources: ['widgets'] };

async function cluster(spec: Spec = {}, binding: BindingSpec = {}, plugins: AdmissionPlugin[] = []) {
  const made = await testRegistry({ plugins });
  const { client } = made;
  const policy = {
    metadata: { name: 'small' },
    spec: { matchConstraints: { resourceRules: [widgetRule] }, validations: [{ expression: 'object.spec.size < 10' }], ...spec },
  };
  const put = async () => {
    await client.create(policies, policy as never);
    const bound = { policyName: 'small', validationActions: ['Deny'], ...binding };
    await client.create(bindings, { metadata: { name: 'everywhere' }, spec: bound } as never);
  };
  const widget = (size: number, more: Partial<Widget> = {}) =>
    client.create(widgets, { metadata: { generateName: 'w-' }, spec: { size }, ...more } as Widget, { namespace });
  return { ...made, put, widget };
}

test('a rule that does not hold denies, with its message and reason', async () => {
  const { client, put } = await cluster({
    validations: [
      { expression: 'object.spec.size < 10', message: 'too big', reason: 'Forbidden' },
      { expression: 'object.spec.size != 5', messageExpression: "'size ' + string(object.spec.size) + ' is odd'" },
      { expression: 'object.spec.size > 0' },
    ],
  });
  await put();
  const create = (size: number) => client.create(widgets, { metadata: { name: 'w' }, spec: { size } } as Widget, { namespace });
  const denied = "ValidatingAdmissionPolicy 'small' with binding 'everywhere' denied request:";
  const forbidden = await failureOf(create(11));
  assert.is(forbidden.message, `widgets.test.kontiki "w" is forbidden: ${denied} too big`);
  assert.equal([forbidden.code, forbidden.reason], [403, 'Forbidden']);
  const invalid = await failureOf(create(5));
  assert.is(invalid.message, `widgets.test.kontiki "w" is forbidden: ${denied} size 5 is odd`);
  assert.equal([invalid.code, invalid.reason], [422, 'Invalid']);
  assert.equal(invalid.details?.causes, [{ message: `${denied} size 5 is odd` }]);
  assert.match((await failureOf(create(0))).message, /failed expression: object.spec.size > 0$/);
  const made = await create(7);
  assert.match((await failureOf(client.update(widgets, { ...made, spec: { size: 12 } }, { namespace }))).message, /too big/);
  await client.delete(widgets, 'w', { namespace });
});

test('oldObject, request and namespaceObject are what they are', async () => {
  const { client, put, widget } = await cluster({
    matchConstraints: { resourceRules: [{ ...widgetRule, operations: ['*'] }] },
    validations: [
      { expression: "request.operation != 'UPDATE' || object.spec.size >= oldObject.spec.size", message: 'shrinks' },
      { expression: "request.operation != 'CREATE' || oldObject == null", message: 'old on create' },
      { expression: "request.operation != 'DELETE' || object == null && oldObject.spec.size < 5", message: 'keeps' },
      { expression: "request.namespace == 'default' && request.kind.kind == 'Widget' && request.resource.resource == 'widgets'" },
      { expression: "namespaceObject.metadata.name == 'default' && size(namespaceObject.metadata.UID) > 0" },
      { expression: "'system:masters' in request.userInfo.groups && !request.dryRun" },
      { expression: "authorizer.requestResource.check('create').allowed()" },
      { expression: "!authorizer.serviceAccount('default', 'nobody').group('').resource('secrets').check('get').allowed()" },
    ],
  });
  await put();
  const made = await widget(6);
  assert.match((await failureOf(client.update(widgets, { ...made, spec: { size: 5 } }, { namespace }))).message, /shrinks$/);
  assert.match((await failureOf(client.delete(widgets, made.metadata.name, { namespace }))).message, /keeps$/);
  const small = await widget(0);
  await client.delete(widgets, small.metadata.name, { namespace });
});

test('selectors are part of what the authorizer is asked', async () => {
  const asNode = (selector: string) =>
    `authorizer.group('').resource('pods').fieldSelector('${selector}').check('list').allowed()`;
  const { clientOf, put } = await cluster({
    validations: [
      { expression: asNode('spec.nodeName=n1') },
      { expression: `!${asNode('spec.nodeName=n2')} && !${asNode('=,=')}` },
    ],
    matchConstraints: {
      resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['events'] }],
    },
  });
  await put();
  const node = clientOf({ name: 'system:node:n1', groups: ['system:nodes', 'system:authenticated'] });
  const involvedObject = { kind: 'Pod', name: 'p', namespace };
  await node.create(events, { metadata: { name: 'e' }, involvedObject } as never, { namespace });
});

test('variables build on each other and are only run when they are asked for', async () => {
  const { put, widget } = await cluster({
    variables: [
      { name: 'size', expression: 'object.spec.size' },
      { name: 'double', expression: 'variables.size * 2' },
      { name: 'broken', expression: 'object.spec.nothing' },
    ],
    validations: [
      { expression: 'variables.double < 10', messageExpression: "'double is ' + string(variables.double)" },
      { expression: 'variables.size != 3 || variables.broken == 1' },
    ],
  });
  await put();
  await widget(4);
  assert.match((await failureOf(widget(5))).message, /denied request: double is 10$/);
  const broken = await failureOf(widget(3));
  assert.match(
    broken.message,
    /denied request: expression 'variables.size != 3 \|\| variables.broken == 1' resulted in error: composited variable "broken" fails to evaluate: no such key: nothing$/,
  );
});

test('failurePolicy Ignore lets errors pass, not denials', async () => {
  const spec: Spec = {
    failurePolicy: 'Ignore',
    validations: [{ expression: 'object.spec.nothing == 1' }, { expression: 'object.spec.size < 10', message: 'too big' }],
  };
  const { put, widget } = await cluster(spec);
  await put();
  await widget(1);
  assert.match((await failureOf(widget(11))).message, /too big$/);
});

test('match conditions: one that does not hold decides, an error denies unless it is to be ignored', async () => {
  const { put, widget } = await cluster({
    matchConditions: [
      { name: 'fails', expression: 'object.spec.size > 20 && object.spec.nothing == 1' },
      { name: 'red', expression: "object.spec.color == 'red'" },
    ],
    validations: [{ expression: 'false', message: 'never' }],
  });
  await put();
  await widget(1);
  await widget(21);
  const red = (size: number) => widget(size, { spec: { size, color: 'red' } });
  assert.match((await failureOf(red(21))).message, /resulted in error: no such key: nothing$/);
  await red(1);
});

test('rules, exclusions and selectors say which writes are meant', async () => {
  const { client, put, widget } = await cluster({
    matchConstraints: {
      resourceRules: [{ ...widgetRule, apiVersions: ['v1beta1'] }],
      excludeResourceRules: [{ ...widgetRule, apiVersions: ['*'], resourceNames: ['free'] }],
      objectSelector: { matchLabels: { judged: 'yes' } },
      namespaceSelector: { matchLabels: { strict: 'yes' } },
    },
    validations: [{ expression: 'object.spec.paint == "blue"', message: 'not blue' }],
  });
  await put();
  const judged = (name: string, color: string) =>
    client.create(widgets, { metadata: { name, labels: { judged: 'yes' } }, spec: { color } } as unknown as Widget, {
      namespace,
    });
  await judged('a', 'red');
  const space = await client.get(namespaces, namespace);
  await client.update(namespaces, { ...space, metadata: { ...space.metadata, labels: { strict: 'yes' } } });
  await widget(1);
  // The rule names the old version: it is the same objects, and they are shown in it.
  assert.match((await failureOf(judged('b', 'red'))).message, /not blue$/);
  await judged('b', 'blue');
  await judged('free', 'red');
});

test('matchPolicy Exact only means the version that is named', async () => {
  const exact = { resourceRules: [{ ...widgetRule, apiVersions: ['v1beta1'] }], matchPolicy: 'Exact' as const };
  const { put, widget } = await cluster({ matchConstraints: exact, validations: [{ expression: 'false' }] });
  await put();
  await widget(1);
});

test('parameters by name and by selector', async () => {
  const spec: Spec = {
    paramKind: { apiVersion: 'v1', kind: 'ConfigMap' },
    validations: [
      {
        expression: "params == null || object.spec.size < int(params.data['most'])",
        messageExpression: "'at most ' + params.data['most']",
      },
    ],
  };
  const named = await cluster(spec, { paramRef: { name: 'limits', parameterNotFoundAction: 'Deny' } });
  await named.put();
  const configMap = (name: string, most: string, labels = {}) => ({ metadata: { name, labels }, data: { most } });
  assert.match(
    (await failureOf(named.widget(1))).message,
    /denied request: failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction$/,
  );
  await named.client.create(configMaps, configMap('limits', '5'), { namespace });
  await named.widget(4);
  assert.match((await failureOf(named.widget(5))).message, /at most 5$/);

  const selected = await cluster(spec, {
    paramRef: { selector: { matchLabels: { limits: 'yes' } }, namespace: 'kube-system', parameterNotFoundAction: 'Allow' },
  });
  await selected.put();
  await selected.widget(100);
  await selected.client.create(configMaps, configMap('a', '9', { limits: 'yes' }), { namespace: 'kube-system' });
  await selected.client.create(configMaps, configMap('b', '7', { limits: 'yes' }), { namespace: 'kube-system' });
  await selected.widget(6);
  assert.match((await failureOf(selected.widget(8))).message, /at most 7$/);

  const unknown = await cluster(
    { ...spec, paramKind: { apiVersion: 'x/v1', kind: 'Nope' } },
    { paramRef: { name: 'x', parameterNotFoundAction: 'Allow' } },
  );
  await unknown.put();
  assert.match(
    (await failureOf(unknown.widget(1))).message,
    /failed to find resource referenced by paramKind: 'x\/v1, Kind=Nope'$/,
  );
});

test('Warn warns and lets the write pass; Audit does neither', async () => {
  const warnings: string[] = [];
  const spy: AdmissionPlugin = {
    name: 'Spy',
    handles: ({ target }) => target.resolved.kind.plural === 'widgets',
    validate: (request) => void warnings.push(...request.warnings),
  };
  const { put, widget } = await cluster(
    { validations: [{ expression: 'false', message: 'beware' }] },
    { validationActions: ['Warn', 'Audit'] },
    [spy],
  );
  await put();
  await widget(1);
  assert.equal(warnings, ["Validation failed for ValidatingAdmissionPolicy 'small' with binding 'everywhere': beware"]);
});

test('a policy cannot lock up policies, and without a binding it is not in force', async () => {
  const { client, widget } = await cluster();
  const everything = { apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: ['*'] };
  const spec = { matchConstraints: { resourceRules: [everything] }, validations: [{ expression: 'false' }] };
  await client.create(policies, { metadata: { name: 'closed' }, spec } as never);
  await widget(1);
  await client.create(bindings, {
    metadata: { name: 'b' },
    spec: { policyName: 'closed', validationActions: ['Deny'] },
  } as never);
  await failureOf(widget(1));
  await client.delete(bindings, 'b');
  await widget(1);
});

test('what an expression costs is bounded', async () => {
  const nested = 'lists.range(200).all(a, lists.range(200).all(b, lists.range(200).all(c, a + b + c >= 0)))';
  const { put, widget } = await cluster({ validations: [{ expression: nested }] });
  await put();
  assert.match((await failureOf(widget(1))).message, /resulted in error: operation cancelled: actual cost limit exceeded$/);
});

test('expressions are checked when the policy is written', async () => {
  const { put } = await cluster({
    matchConditions: [{ name: 'a', expression: 'variables.x' }],
    variables: [{ name: 'later', expression: 'variables.size' }],
    validations: [
      { expression: 'params.x == 1' },
      { expression: '1 + 1', messageExpression: 'true' },
      { expression: 'request.nope == 1' },
    ],
    auditAnnotations: [{ key: 'k', valueExpression: '1' }],
  });
  const { details } = await failureOf(put());
  const causes = (details?.causes ?? []).map(({ field, message }) => `${field}: ${message}`);
  assert.equal(causes, [
    `spec.matchConditions[0].expression: Invalid value: "variables.x": compilation failed: ERROR: <input>:1:1: undeclared reference to 'variables' (in container '')\n | variables.x\n | ^`,
    `spec.variables[0].expression: Invalid value: "variables.size": compilation failed: ERROR: <input>:1:10: undefined field 'size'\n | variables.size\n | .........^`,
    `spec.validations[0].expression: Invalid value: "params.x == 1": compilation failed: ERROR: <input>:1:1: undeclared reference to 'params' (in container '')\n | params.x == 1\n | ^`,
    'spec.validations[1].expression: Invalid value: "1 + 1": must evaluate to bool',
    'spec.validations[1].messageExpression: Invalid value: "true": must evaluate to string',
    `spec.validations[2].expression: Invalid value: "request.nope == 1": compilation failed: ERROR: <input>:1:8: undefined field 'nope'\n | request.nope == 1\n | .......^`,
    'spec.auditAnnotations[0].valueExpression: Invalid value: "1": must evaluate to one of [string null_type]',
  ]);
});

test('what is no expression of a policy is checked as well', async () => {
  const { put } = await cluster({
    variables: [{ name: 'a-b', expression: '1' }],
    validations: [
      { expression: 'true\n&& true' },
      { expression: 'true', message: 'two\nlines' },
      { expression: 'true', reason: 'Because' },
    ],
    auditAnnotations: [
      { key: 'k', valueExpression: "'x'" },
      { key: 'k', valueExpression: ' ' },
    ],
  });
  const { details } = await failureOf(put());
  assert.equal(
    (details?.causes ?? []).map(({ field, message }) => `${field}: ${message}`),
    [
      'spec.variables[0].name: Invalid value: "a-b": name is not a valid CEL identifier',
      'spec.auditAnnotations[1].key: Duplicate value: "k"',
      'spec.auditAnnotations[1].valueExpression: Required value: valueExpression is not specified',
      'spec.validations[0].message: Required value: message must be specified if expression contains line breaks',
      'spec.validations[1].message: Invalid value: "two\\nlines": message must not contain line breaks',
      'spec.validations[2].reason: Unsupported value: "Because": supported values: "Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized"',
    ],
  );
});

test('the match conditions of webhooks are the same language', async () => {
  const { authorizer } = await cluster();
  const conditions = celMatchConditions(authorizer);
  assert.is(conditions.complaint("object.spec.size > 1 && request.operation == 'CREATE'"), undefined);
  assert.match(conditions.complaint('nope') ?? '', /^compilation failed: ERROR: <input>:1:1: undeclared reference to 'nope'/);
  assert.is(conditions.complaint('1'), 'must evaluate to bool');
  const resolved = { kind: { group: '', kind: 'X', plural: 'xs', versions: [] }, version: { name: 'v1' } };
  const request = {
    operation: 'CREATE',
    target: { resolved, user: { name: 'u', groups: [] }, name: 'x' },
    object: { kind: 'Other', metadata: { name: 'x' }, spec: { size: 3 } },
    dryRun: false,
    options: {},
    warnings: [],
  } as unknown as AdmissionRequest;
  const { version } = request.target.resolved;
  const hold = (...expressions: string[]) =>
    conditions.hold(
      expressions.map((expression) => ({ name: 'c', expression })),
      request,
      version,
    );
  assert.is(hold('object.spec.size == 3', "request.name == 'x'"), true);
  assert.is(hold('object.nope == 1', 'false'), false);
  assert.throws(() => hold('object.nope == 1', 'true'), /expression 'object.nope == 1' resulted in error: no such key: nope/);
});

test.run();
