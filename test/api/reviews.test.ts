/** Questions about access, acting as somebody else, and what pods get from their service account. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { namespaces, pods, type Resource, serviceAccounts } from '../../src/machinery/resources.ts';
import type { KubeObject, Pod } from '../../src/machinery/types.ts';
import { type ListeningApi, listeningApi } from './listening.ts';
import { failureOf, testRegistry } from './widgets.ts';

const test = suite<{ it: ListeningApi }>('reviews');
test.before.each(async (context) => {
  context.it = await listeningApi();
});
test.after.each(({ it }) => it.close());

const json = { 'content-type': 'application/json' };
const access = '/apis/authorization.k8s.io/v1';
const identity = '/apis/authentication.k8s.io/v1';

async function post(it: ListeningApi, path: string, body: object, headers = {}) {
  return it.request(path, { method: 'POST', headers: { ...json, ...headers }, body: JSON.stringify(body) });
}

test('a subject access review says who may, and stores nothing', async ({ it }) => {
  const { revision } = it.store;
  const ask = async (spec: object) => {
    const answer = await post(it, `${access}/subjectaccessreviews`, { spec });
    assert.is(answer.code, 201, answer.text);
    return answer.json<{ status: { allowed: boolean } }>().status.allowed;
  };
  assert.ok(await ask({ user: 'x', groups: ['system:masters'], resourceAttributes: { verb: 'delete', resource: 'nodes' } }));
  assert.not(await ask({ user: 'x', resourceAttributes: { verb: 'get', resource: 'pods', namespace: 'default' } }));
  assert.ok(await ask({ groups: ['system:authenticated'], nonResourceAttributes: { verb: 'get', path: '/api' } }));
  assert.ok(
    await ask({ user: 'system:node:a', groups: ['system:nodes'], resourceAttributes: { verb: 'get', resource: 'services' } }),
  );
  assert.is(it.store.revision, revision);
  assert.is((await it.request(`${access}/subjectaccessreviews`)).code, 405);
});

test('questions that make no sense', async ({ it }) => {
  const verb = 'get';
  const table: [path: string, spec: object, code: number, message: RegExp][] = [
    ['subjectaccessreviews', { user: 'x' }, 422, /exactly one of nonResourceAttributes or resourceAttributes must be specified/],
    ['subjectaccessreviews', { resourceAttributes: { verb } }, 422, /at least one of user or group must be specified/],
    [
      'selfsubjectaccessreviews',
      { resourceAttributes: {}, nonResourceAttributes: {} },
      422,
      /cannot be specified in combination/,
    ],
    ['selfsubjectrulesreviews', {}, 400, /no namespace on request/],
    ['namespaces/default/localsubjectaccessreviews', { user: 'x', resourceAttributes: { namespace: 'b' } }, 422, /must match/],
    ['namespaces/default/localsubjectaccessreviews', { user: 'x', nonResourceAttributes: {} }, 422, /disallowed on this kind/],
  ];
  for (const [path, spec, code, message] of table) {
    const answer = await post(it, `${access}/${path}`, { spec });
    assert.is(answer.code, code, answer.text);
    assert.match(answer.text, message);
  }
});

test('a token review knows good tokens and their audiences', async ({ it }) => {
  const path = '/api/v1/namespaces/default/serviceaccounts/default/token';
  const made = await post(it, path, { spec: { audiences: ['vault'] } });
  const { token } = made.json<{ status: { token: string } }>().status;
  const review = async (spec: object) =>
    (await post(it, `${identity}/tokenreviews`, { spec })).json<{ status: Record<string, unknown> }>().status;
  const good = await review({ token, audiences: ['vault', 'db'] });
  assert.is(good.authenticated, true);
  assert.equal(good.audiences, ['vault']);
  assert.is((good.user as { username: string }).username, 'system:serviceaccount:default:default');
  assert.is((await review({ token })).authenticated, undefined);
  assert.is((await review({ token: `${token}x`, audiences: ['vault'] })).authenticated, undefined);
});

test('a bearer token counts only when it is good, and only for this API', async ({ it }) => {
  const path = '/api/v1/namespaces/default/serviceaccounts/default/token';
  const tokenFor = async (audiences: string[]) =>
    (await post(it, path, { spec: { audiences } })).json<{ status: { token: string } }>().status.token;
  const as = (authorization: string, at: string) => it.request(at, { headers: { authorization } }, it.agents.nobody);
  const own = await tokenFor([]);
  assert.is((await as(`Bearer ${own}`, '/api')).code, 200);
  assert.is((await as(`bearer ${own}`, '/.well-known/openid-configuration')).code, 200);
  assert.is((await as(`Bearer ${own}`, '/openid/v1/jwks')).headers['content-type'], 'application/jwk-set+json');
  assert.is((await as(`Bearer ${own}`, '/api/v1/secrets')).code, 403);
  assert.is((await as(`Bearer ${await tokenFor(['vault'])}`, '/api')).code, 401);
  assert.is((await as('Bearer nonsense', '/version')).code, 401);
  assert.is((await as('Basic YTpi', '/api')).code, 403);
});

test('acting as somebody else needs the right to each part of them', async ({ it }) => {
  const who = async (headers: Record<string, string>, agent = it.agents.admin) => {
    const body = JSON.stringify({});
    const answer = await it.request(
      `${identity}/selfsubjectreviews`,
      { method: 'POST', headers: { ...json, ...headers }, body },
      agent,
    );
    return answer.code === 201
      ? answer.json<{ status: { userInfo: Record<string, unknown> } }>().status.userInfo
      : `${answer.code} ${answer.json<{ message: string }>().message}`;
  };
  assert.equal(await who({ 'impersonate-user': 'bob', 'impersonate-group': 'team' }), {
    username: 'bob',
    groups: ['team', 'system:authenticated'],
  });
  assert.equal(await who({ 'impersonate-user': 'bob', 'impersonate-uid': '7', 'impersonate-extra-scope%2fa': 'x' }), {
    username: 'bob',
    uid: '7',
    groups: ['system:authenticated'],
    extra: { 'scope/a': ['x'] },
  });
  const account = (await who({ 'impersonate-user': 'system:serviceaccount:default:a' })) as { groups: string[] };
  assert.equal(account.groups, ['system:serviceaccounts', 'system:serviceaccounts:default', 'system:authenticated']);
  assert.match(String(await who({ 'impersonate-group': 'team' })), /^500 .*without impersonating a user/);

  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  const apiGroup = 'rbac.authorization.k8s.io';
  const rules = [{ apiGroups: [''], resources: ['users'], resourceNames: ['bob'], verbs: ['impersonate'] }];
  await post(it, `${rbac}/clusterroles`, { metadata: { name: 'be-bob' }, rules });
  const roleRef = { apiGroup, kind: 'ClusterRole', name: 'be-bob' };
  const subjects = [{ apiGroup, kind: 'User', name: 'alice' }];
  await post(it, `${rbac}/clusterrolebindings`, { metadata: { name: 'be-bob' }, roleRef, subjects });
  const alice = it.as(await it.authority.issue('CN=alice'));
  assert.equal(await who({ 'impersonate-user': 'bob' }, alice), { username: 'bob', groups: ['system:authenticated'] });
  const denied = (resource: string, name: string, group = '') =>
    `403 ${resource}${group ? `.${group}` : ''} "${name}" is forbidden: User "alice" cannot impersonate resource "${resource}" in API group "${group}" at the cluster scope`;
  assert.is(await who({ 'impersonate-user': 'root' }, alice), denied('users', 'root'));
  const masters = { 'impersonate-user': 'bob', 'impersonate-group': 'system:masters' };
  assert.is(await who(masters, alice), denied('groups', 'system:masters'));
  const uid = { 'impersonate-user': 'bob', 'impersonate-uid': '7' };
  assert.is(await who(uid, alice), denied('uids', '7', 'authentication.k8s.io'));
});

test('a pod gets the folder of its account in every container that has none', async () => {
  const { client } = await testRegistry();
  const namespace = 'default';
  const path = '/var/run/secrets/kubernetes.io/serviceaccount';
  const own = { name: 'own', mountPath: path };
  const make = (name: string, spec: object) =>
    client.create(pods, { metadata: { name }, spec: { containers: [{ name: 'a', image: 'i' }], ...spec } } as Pod, { namespace });
  const { spec } = await make('plain', { initContainers: [{ name: 'i', image: 'i' }] });
  const [volume] = spec?.volumes ?? [];
  assert.match(volume?.name ?? '', /^kube-api-access-[a-z0-9]{5}$/);
  const mount = { name: volume?.name, readOnly: true, mountPath: path };
  assert.equal(spec?.containers[0]?.volumeMounts, [mount]);
  assert.equal(spec?.initContainers?.[0]?.volumeMounts, [mount]);
  const kept = await make('kept', {
    containers: [{ name: 'a', image: 'i', volumeMounts: [own] }],
    volumes: [{ name: 'own', emptyDir: {} }],
  });
  assert.is(kept.spec?.volumes?.length, 1);
  assert.is((await make('without', { automountServiceAccountToken: false })).spec?.volumes, undefined);

  const imagePullSecrets = [{ name: 'pull' }];
  const account = { metadata: { name: 'quiet' }, automountServiceAccountToken: false, imagePullSecrets };
  await client.create(serviceAccounts, account, { namespace });
  const quiet = await make('quiet', { serviceAccountName: 'quiet' });
  assert.is(quiet.spec?.volumes, undefined);
  assert.equal(quiet.spec?.imagePullSecrets, imagePullSecrets);
  const loud = await make('loud', { serviceAccountName: 'quiet', automountServiceAccountToken: true });
  assert.is(loud.spec?.volumes?.length, 1);
  const refused = await failureOf(make('lost', { serviceAccountName: 'x' }));
  assert.is(refused.code, 403);
  assert.is(
    refused.message,
    'pods "lost" is forbidden: error looking up service account default/x: serviceaccount "x" not found',
  );
});

test('a pod in a namespace that is just being made waits for the default account', async ({ it }) => {
  const client = it.api.client();
  await client.create(namespaces, { metadata: { name: 'fresh' } });
  const spec = { containers: [{ name: 'a', image: 'i' }] };
  const made = client.create(pods as Resource<KubeObject>, { metadata: { name: 'p' }, spec } as never, { namespace: 'fresh' });
  await client.create(serviceAccounts, { metadata: { name: 'default' } }, { namespace: 'fresh' });
  assert.is((await made).metadata.name, 'p');
});

test.run();
