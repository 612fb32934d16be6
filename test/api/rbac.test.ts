/** Rules, what covers what, and decisions from the index: tables of requests and answers. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { systemUser } from '../../src/api/authentication.ts';
import { describeRules, missingRules } from '../../src/api/rbac/coverage.ts';
import { autoUpdateAnnotation } from '../../src/api/rbac/default-roles.ts';
import { reconcileDefaultRoles } from '../../src/api/rbac/reconcile.ts';
import { ruleAllowsPath, ruleAllowsResource } from '../../src/api/rbac/rules.ts';
import type { User } from '../../src/api/types.ts';
import {
  clusterRoleBindings,
  clusterRoles,
  configMaps,
  pods,
  type Resource,
  roleBindings,
  roles,
  runtimeClasses,
  secrets,
  services,
} from '../../src/machinery/resources.ts';
import type { PolicyRule } from '../../src/machinery/types.ts';
import { failureOf, testRegistry } from './widgets.ts';

const test = suite('rbac');
const group = 'rbac.authorization.k8s.io';
const rule = (verbs: string[], resources: string[], more: Partial<PolicyRule> = {}): PolicyRule => ({
  apiGroups: [''],
  resources,
  verbs,
  ...more,
});

type Asked = { verb: string; group?: string; resource: string; subresource?: string; name?: string };
const resourceTable: [rule: PolicyRule, asked: Asked, allowed: boolean][] = [
  [rule(['get'], ['pods']), { verb: 'get', resource: 'pods' }, true],
  [rule(['get'], ['pods']), { verb: 'list', resource: 'pods' }, false],
  [rule(['get'], ['pods']), { verb: 'get', resource: 'pods', subresource: 'log' }, false],
  [rule(['get'], ['pods/log']), { verb: 'get', resource: 'pods', subresource: 'log' }, true],
  [rule(['get'], ['pods/log']), { verb: 'get', resource: 'pods' }, false],
  [rule(['get'], ['*/log']), { verb: 'get', resource: 'pods', subresource: 'log' }, true],
  [rule(['get'], ['*/log']), { verb: 'get', resource: 'pods', subresource: 'status' }, false],
  [rule(['get'], ['*/log']), { verb: 'get', resource: 'log' }, false],
  [rule(['get'], ['*']), { verb: 'get', resource: 'pods', subresource: 'log' }, true],
  [rule(['*'], ['pods']), { verb: 'impersonate', resource: 'pods' }, true],
  [rule(['get'], ['pods']), { verb: 'get', group: 'apps', resource: 'pods' }, false],
  [rule(['get'], ['pods'], { apiGroups: ['*'] }), { verb: 'get', group: 'apps', resource: 'pods' }, true],
  [rule(['get'], ['pods'], { resourceNames: ['a'] }), { verb: 'get', resource: 'pods', name: 'a' }, true],
  [rule(['get'], ['pods'], { resourceNames: ['a'] }), { verb: 'get', resource: 'pods', name: 'b' }, false],
  [rule(['list'], ['pods'], { resourceNames: ['a'] }), { verb: 'list', resource: 'pods' }, false],
  [{ nonResourceURLs: ['*'], verbs: ['*'] }, { verb: 'get', resource: 'pods' }, false],
];

for (const [given, asked, allowed] of resourceTable) {
  test(`${JSON.stringify(given)} ${allowed ? 'allows' : 'refuses'} ${JSON.stringify(asked)}`, () => {
    assert.is(ruleAllowsResource(given, { group: '', ...asked }), allowed);
  });
}

const pathTable: [patterns: string[], path: string, allowed: boolean][] = [
  [['/healthz'], '/healthz', true],
  [['/healthz'], '/healthz/ping', false],
  [['/healthz/*'], '/healthz/ping', true],
  [['/healthz/*'], '/healthz', false],
  [['/api*'], '/apis/apps', true],
  [['*'], '/anything', true],
  [['/a', '/b'], '/b', true],
];

for (const [patterns, path, allowed] of pathTable) {
  test(`paths ${patterns} ${allowed ? 'allow' : 'refuse'} ${path}`, () => {
    const given = { nonResourceURLs: patterns, verbs: ['get'] };
    assert.is(ruleAllowsPath(given, { verb: 'get', path }), allowed);
    assert.is(ruleAllowsPath(given, { verb: 'post', path }), false);
  });
}

const coverage: [owned: PolicyRule[], wanted: PolicyRule[], missing: string[]][] = [
  [[rule(['get', 'list'], ['pods', 'secrets'])], [rule(['get'], ['pods']), rule(['list'], ['secrets'])], []],
  [[rule(['get'], ['pods'])], [rule(['get', 'list'], ['pods'])], ['{APIGroups:[""], Resources:["pods"], Verbs:["list"]}']],
  [[rule(['*'], ['*'])], [rule(['get'], ['pods/log'])], []],
  [[rule(['get'], ['*/log'])], [rule(['get'], ['pods/log'])], []],
  [[rule(['get'], ['pods'])], [rule(['*'], ['pods'])], ['{APIGroups:[""], Resources:["pods"], Verbs:["*"]}']],
  [
    [rule(['get'], ['pods'], { resourceNames: ['a'] })],
    [rule(['get'], ['pods'])],
    ['{APIGroups:[""], Resources:["pods"], Verbs:["get"]}'],
  ],
  [[rule(['get'], ['pods'])], [rule(['get'], ['pods'], { resourceNames: ['a'] })], []],
  [
    [rule(['get'], ['pods'], { resourceNames: ['a'] })],
    [rule(['get'], ['pods'], { resourceNames: ['a', 'b'] })],
    ['{APIGroups:[""], Resources:["pods"], ResourceNames:["b"], Verbs:["get"]}'],
  ],
  [[], [rule(['get', 'list'], ['pods'])], ['{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}']],
  [[{ nonResourceURLs: ['/a/*'], verbs: ['get'] }], [{ nonResourceURLs: ['/a/b', '/a/*'], verbs: ['get'] }], []],
  [
    [{ nonResourceURLs: ['/a/b'], verbs: ['get'] }],
    [{ nonResourceURLs: ['/a/*'], verbs: ['get'] }],
    ['{NonResourceURLs:["/a/*"], Verbs:["get"]}'],
  ],
];

for (const [owned, wanted, missing] of coverage) {
  test(`${JSON.stringify(owned)} for ${JSON.stringify(wanted)} lacks ${missing.length}`, () => {
    assert.equal(describeRules(missingRules(owned, wanted)), missing);
  });
}

test('rules that multiply beyond all bounds are taken as missing, soon', () => {
  const many = Array.from({ length: 1_000 }, (_, index) => `r${index}`);
  const missing = missingRules([rule(['*'], many)], [rule(many, many)]);
  assert.is(missing.length, 1);
});

const alice: User = { name: 'alice', groups: ['team', 'system:authenticated'] };
const inDefault = { namespace: 'default' };
const user = (name: string) => ({ kind: 'User', apiGroup: group, name });
const ref = (kind: 'Role' | 'ClusterRole', name: string) => ({ apiGroup: group, kind, name });

test('a decision is new right after the write on this peer, and asks the store nothing', async () => {
  const { client, authorizer, store } = await testRegistry();
  const may = (verb: string, namespace?: string) =>
    authorizer.decide({ user: alice, verb, group: '', resource: 'pods', namespace }).allowed;
  await client.create(roles, { metadata: { name: 'r' }, rules: [rule(['get'], ['pods'])] }, inDefault);
  assert.not(may('get', 'default'));
  const binding = { metadata: { name: 'b' }, roleRef: ref('Role', 'r'), subjects: [user('alice')] };
  await client.create(roleBindings, binding, inDefault);
  assert.ok(may('get', 'default'));
  assert.not(may('get', 'kube-system'));
  assert.not(may('get'));
  const { barriers } = store;
  await client.patch(roles, 'r', 'merge', { rules: [rule(['list'], ['pods'])] }, inDefault);
  assert.not(may('get', 'default'));
  assert.ok(may('list', 'default'));
  assert.is(store.barriers, barriers);
  await client.patch(roleBindings, 'b', 'merge', { subjects: [{ kind: 'Group', apiGroup: group, name: 'team' }] }, inDefault);
  assert.ok(may('list', 'default'));
  await client.delete(roleBindings, 'b', inDefault);
  assert.not(may('list', 'default'));
  const everywhere = { metadata: { name: 'c' }, roleRef: ref('ClusterRole', 'view'), subjects: [user('alice')] };
  await client.create(clusterRoleBindings, everywhere);
  assert.ok(may('list', 'kube-system'));
  assert.ok(may('list'));
});

test('the reason of a decision names binding, role and subject', async () => {
  const { client, authorizer } = await testRegistry();
  const subjects = [{ kind: 'ServiceAccount', name: 'robot', namespace: 'default' }];
  await client.create(roleBindings, { metadata: { name: 'b' }, roleRef: ref('ClusterRole', 'view'), subjects }, inDefault);
  const robot = { name: 'system:serviceaccount:default:robot', groups: [] };
  const { reason } = authorizer.decide({ user: robot, verb: 'get', group: '', resource: 'pods', namespace: 'default' });
  assert.is(reason, 'RBAC: allowed by RoleBinding "b/default" of ClusterRole "view" to ServiceAccount "robot/default"');
});

test('nobody gives away what they do not have', async () => {
  const { client, clientOf } = await testRegistry();
  const grants = [rule(['get'], ['pods']), { apiGroups: [group], resources: ['*'], verbs: ['create', 'update', 'get', 'patch'] }];
  await client.create(roles, { metadata: { name: 'own' }, rules: grants }, inDefault);
  await client.create(
    roleBindings,
    { metadata: { name: 'own' }, roleRef: ref('Role', 'own'), subjects: [user('alice')] },
    inDefault,
  );
  const as = clientOf(alice);
  await as.create(roles, { metadata: { name: 'less' }, rules: [rule(['get'], ['pods'])] }, inDefault);
  const more = [rule(['get', 'delete'], ['pods', 'secrets'])];
  const refused = await failureOf(as.create(roles, { metadata: { name: 'more' }, rules: more }, inDefault));
  assert.is(refused.code, 403);
  assert.is(
    refused.message,
    `roles.${group} "more" is forbidden: user "alice" (groups=["team" "system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n` +
      '{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}\n{APIGroups:[""], Resources:["secrets"], Verbs:["get" "delete"]}',
  );
  assert.is((await failureOf(as.patch(roles, 'less', 'merge', { rules: more }, inDefault))).code, 403);
  assert.is(
    (await failureOf(as.patch(roles, 'own', 'json', [{ op: 'add', path: '/rules/-', value: more[0] }], inDefault))).code,
    403,
  );
  // What does not change the rules is nobody's gain.
  await client.create(roles, { metadata: { name: 'big' }, rules: more }, inDefault);
  await as.patch(roles, 'big', 'merge', { metadata: { labels: { a: 'b' } } }, inDefault);

  const bind = (name: string, roleRef: ReturnType<typeof ref>) =>
    as.create(roleBindings, { metadata: { name }, roleRef, subjects: [user('bob')] }, inDefault);
  await bind('less', ref('Role', 'less'));
  assert.is((await failureOf(bind('admins', ref('ClusterRole', 'cluster-admin')))).code, 403);
  const missing = await failureOf(bind('missing', ref('ClusterRole', 'nothing')));
  assert.equal([missing.code, missing.message], [404, `clusterroles.${group} "nothing" not found`]);

  const special = [
    { apiGroups: [group], resources: ['clusterroles'], resourceNames: ['cluster-admin'], verbs: ['bind'] },
    { apiGroups: [group], resources: ['roles'], verbs: ['escalate'] },
  ];
  await client.patch(roles, 'own', 'merge', { rules: [...grants, ...special] }, inDefault);
  await bind('admins', ref('ClusterRole', 'cluster-admin'));
  assert.is((await failureOf(bind('edits', ref('ClusterRole', 'edit')))).code, 403);
  await as.create(roles, { metadata: { name: 'more' }, rules: more }, inDefault);
});

test('an apply that creates needs the right to create, not only to patch', async () => {
  const { client, clientOf } = await testRegistry();
  await client.create(roles, { metadata: { name: 'own' }, rules: [rule(['get', 'patch'], ['configmaps'])] }, inDefault);
  const subjects = [user('alice')];
  await client.create(roleBindings, { metadata: { name: 'own' }, roleRef: ref('Role', 'own'), subjects }, inDefault);
  const config = (value: string) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, data: { k: value } });
  const apply = (value: string) =>
    clientOf(alice).patch(configMaps, 'a', 'apply', config(value), { ...inDefault, fieldManager: 'test' });
  const refused = await failureOf(apply('1'));
  assert.is(refused.code, 403);
  assert.is(
    refused.message,
    'configmaps "a" is forbidden: User "alice" cannot create resource "configmaps" in API group "" in the namespace "default"',
  );
  await client.create(configMaps, { metadata: { name: 'a' } }, inDefault);
  assert.equal((await apply('2')).data, { k: '2' });
});

test('an agent reads the secrets that pods of its node name, by name, and no others', async () => {
  const { client, clientOf, authorizer } = await testRegistry();
  for (const name of ['named', 'other', 'late']) await client.create(secrets, { metadata: { name } }, inDefault);
  const containers = [{ name: 'a', image: 'x', env: [{ name: 'X', valueFrom: { secretKeyRef: { name: 'named', key: 'k' } } }] }];
  const pod = { metadata: { name: 'p' }, spec: { nodeName: 'n1', containers, automountServiceAccountToken: false } };
  const agent = (node: string) => ({ name: `system:node:${node}`, groups: ['system:nodes'] });
  await client.create(pods, pod, inDefault);
  const get = (node: string, name: string) => clientOf(agent(node)).get(secrets, name, inDefault);
  assert.is((await get('n1', 'named')).metadata.name, 'named');
  assert.is((await failureOf(get('n2', 'named'))).code, 403);
  assert.is((await failureOf(get('n1', 'other'))).code, 403);
  assert.is((await failureOf(clientOf(agent('n1')).list(secrets, inDefault))).code, 403);
  const watching = { user: agent('n1'), verb: 'watch', group: '', resource: 'secrets', namespace: 'default', name: 'named' };
  assert.is(authorizer.decide(watching).allowed, true);
  await client.delete(pods, 'p', { ...inDefault, gracePeriodSeconds: 0 });
  assert.is((await failureOf(get('n1', 'named'))).code, 403);
});

test('an aggregation rule needs everything', async () => {
  const { client, clientOf } = await testRegistry();
  const rules = [{ apiGroups: [group], resources: ['clusterroles'], verbs: ['create'] }];
  await client.create(clusterRoles, { metadata: { name: 'maker' }, rules });
  await client.create(clusterRoleBindings, {
    metadata: { name: 'm' },
    roleRef: ref('ClusterRole', 'maker'),
    subjects: [user('alice')],
  });
  const gathers = { metadata: { name: 'all' }, aggregationRule: { clusterRoleSelectors: [{ matchLabels: { a: 'b' } }] } };
  const refused = await failureOf(clientOf(alice).create(clusterRoles, gathers));
  assert.is(
    refused.message,
    `clusterroles.${group} "all" is forbidden: must have cluster-admin privileges to use the aggregationRule`,
  );
  const admin = { ...systemUser, name: 'root' };
  await clientOf(admin).create(clusterRoles, gathers);
});

test('a binding keeps its role', async () => {
  const { client } = await testRegistry();
  await client.create(roleBindings, { metadata: { name: 'b' }, roleRef: ref('ClusterRole', 'view') }, inDefault);
  const refused = await failureOf(client.patch(roleBindings, 'b', 'merge', { roleRef: { name: 'edit' } }, inDefault));
  assert.is(refused.code, 422);
  assert.match(refused.message, /roleRef: Invalid value: .*: cannot change roleRef/);
});

test('default roles get back what they have lost, keep what was added, and may be left alone', async () => {
  const { client } = await testRegistry();
  const signal = AbortSignal.timeout(10_000);
  const view = await client.get(clusterRoles, 'view');
  assert.ok(view.rules?.some(({ resources }) => resources?.includes('pods')));
  const added = rule(['get'], ['extras']);
  await client.patch(clusterRoles, 'system:basic-user', 'merge', { rules: [added] });
  await client.patch(clusterRoles, 'system:discovery', 'merge', {
    metadata: { annotations: { [autoUpdateAnnotation]: 'false' } },
    rules: [],
  });
  await client.patch(clusterRoleBindings, 'system:basic-user', 'merge', { subjects: [user('alice')] });
  await client.delete(clusterRoles, 'edit');
  await reconcileDefaultRoles(client, signal);
  const basic = await client.get(clusterRoles, 'system:basic-user');
  assert.equal(basic.rules?.[0], added);
  assert.ok((basic.rules?.length ?? 0) > 1);
  assert.equal((await client.get(clusterRoles, 'system:discovery')).rules, []);
  const { subjects = [] } = await client.get(clusterRoleBindings, 'system:basic-user');
  assert.equal(
    subjects.map(({ name }) => name),
    ['alice', 'system:authenticated'],
  );
  const { resourceVersion } = await client.get(clusterRoles, 'edit').then(({ metadata }) => metadata);
  await reconcileDefaultRoles(client, signal);
  assert.is((await client.get(clusterRoles, 'edit')).metadata.resourceVersion, resourceVersion);
});

test('an agent sees the pods of its node: by a selector, or one by one', async () => {
  const { client, clientOf, authorizer } = await testRegistry();
  await client.create(
    pods,
    { metadata: { name: 'mine' }, spec: { nodeName: 'n1', containers: [{ name: 'c', image: 'c' }] } },
    inDefault,
  );
  await client.create(
    pods,
    { metadata: { name: 'other' }, spec: { nodeName: 'n2', containers: [{ name: 'c', image: 'c' }] } },
    inDefault,
  );
  const user = { name: 'system:node:n1', groups: ['system:nodes', 'system:authenticated'] };
  const agent = clientOf(user);
  const listed = await agent.list(pods, { fieldSelector: 'spec.nodeName=n1,metadata.namespace=default' });
  assert.equal(
    listed.items.map(({ metadata }) => metadata.name),
    ['mine'],
  );
  assert.is((await agent.get(pods, 'mine', inDefault)).spec?.nodeName, 'n1');
  for (const refused of [
    agent.list(pods),
    agent.list(pods, inDefault),
    agent.list(pods, { fieldSelector: 'spec.nodeName!=n1' }),
    agent.list(pods, { fieldSelector: 'spec.nodeName=n2' }),
    agent.list(pods, { fieldSelector: 'metadata.name=other' }),
    agent.get(pods, 'other', inDefault),
  ]) {
    assert.is((await failureOf(refused)).code, 403);
  }
  const asked = { user, verb: 'watch', group: '', resource: 'pods', namespace: 'default' };
  assert.not(authorizer.decide({ ...asked, name: 'other' }).allowed);
  assert.ok(authorizer.decide({ ...asked, name: 'mine' }).allowed);
  const subjectAccessReviews = {
    group: 'authorization.k8s.io',
    version: 'v1',
    resource: 'subjectaccessreviews',
    kind: 'SubjectAccessReview',
    namespaced: false,
  };
  const review = await client.create(
    subjectAccessReviews as Resource,
    {
      metadata: { name: '' },
      spec: {
        ...{ user: user.name, groups: user.groups },
        resourceAttributes: {
          ...{ verb: 'list', resource: 'pods' },
          fieldSelector: { requirements: [{ key: 'spec.nodeName', operator: 'In', values: ['n1'] }] },
        },
      },
    } as never,
  );
  assert.ok((review as unknown as { status: { allowed: boolean } }).status.allowed);
});

test('who is nobody sees health, and agents keep what their table says', async () => {
  const { authorizer, clientOf } = await testRegistry();
  const nobody: User = { name: 'system:anonymous', groups: ['system:unauthenticated'] };
  const sees = (of: User, path: string) => authorizer.decidePath({ user: of, verb: 'get', path }).allowed;
  assert.ok(sees(nobody, '/healthz') && sees(nobody, '/version') && sees(nobody, '/readyz'));
  assert.not(sees(nobody, '/api') || sees(nobody, '/metrics') || sees(nobody, '/openid/v1/jwks'));
  assert.ok(sees(alice, '/api') && sees(alice, '/apis/apps/v1') && sees(alice, '/openapi/v3'));
  assert.not(sees(alice, '/metrics'));
  const agent = clientOf({ name: 'system:node:n1', groups: ['system:nodes', 'system:authenticated'] });
  assert.ok((await agent.list(runtimeClasses)).items, 'pods name them');
  assert.ok((await agent.list(services)).items);
  assert.is((await failureOf(agent.list(roles))).code, 403);
});

test.run();
