/** Webhooks that are asked about writes: what they are told, in which order, and what their answers and silences do. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { configMaps, deployments, namespaces, pods } from '../../src/machinery/resources.ts';
import type { ConfigMap } from '../../src/machinery/types.ts';
import { type ListeningApi, listeningApi } from './listening.ts';
import {
  configuration,
  type HookServer,
  hook,
  httpsServer,
  mutatingConfigurations,
  patchOf,
  validatingConfigurations,
  webhookServer,
} from './webhook-servers.ts';
import { failureOf } from './widgets.ts';

const test = suite('admission webhooks');
const namespace = 'default';
const servers: { close(): void }[] = [];
let world: ListeningApi;

const serve = async (...of: Parameters<typeof webhookServer>): Promise<HookServer> => {
  const server = await webhookServer(...of);
  servers.push(server);
  return server;
};
const client = () => world.api.client();
const map = (name: string, data: Record<string, string> = {}) => ({ metadata: { name }, data });
const create = (name: string, data?: Record<string, string>) => client().create(configMaps, map(name, data), { namespace });

test.before(async () => {
  world = await listeningApi();
});

test.after.each(async () => {
  for (const kind of [mutatingConfigurations, validatingConfigurations]) {
    for (const { metadata } of (await client().list(kind)).items) await client().delete(kind, metadata.name);
  }
  for (const { metadata } of (await client().list(configMaps, { namespace })).items) {
    await client().delete(configMaps, metadata.name, { namespace });
  }
  for (const server of servers.splice(0)) server.close();
});

test.after(() => world.close());

test('a validating webhook is told all about a write, and its refusal is the caller’s', async () => {
  const server = await serve(({ operation }) =>
    operation === 'UPDATE' ? { allowed: false, status: { message: 'no changes here', code: 403, reason: 'Forbidden' } } : {},
  );
  await client().create(validatingConfigurations, configuration('judge', hook(server, 'judge.example.com')));
  const user = { name: 'ann', groups: ['system:masters', 'staff'] };
  const made = await world.api.client(user).create(configMaps, map('a', { k: '1' }), { namespace, fieldManager: 'me' });
  const first = server.asked()[0]!;
  assert.is(first.operation, 'CREATE');
  assert.equal(first.kind, { group: '', version: 'v1', kind: 'ConfigMap' });
  assert.equal(first.requestResource, { group: '', version: 'v1', resource: 'configmaps' });
  assert.equal([first.name, first.namespace, first.dryRun], ['a', namespace, false]);
  assert.equal(first.userInfo, { username: 'ann', groups: ['system:masters', 'staff'] });
  assert.equal((first.object as ConfigMap).data, { k: '1' });
  assert.is((first.object as ConfigMap).metadata.uid, made.metadata.uid);
  assert.is(first.oldObject, null);
  assert.equal(first.options, {
    kind: 'CreateOptions',
    apiVersion: 'meta.k8s.io/v1',
    fieldManager: 'me',
    fieldValidation: 'Ignore',
  });
  assert.is(server.paths[0], '/judge.example.com?timeout=30s');

  const refused = await failureOf(client().update(configMaps, { ...made, data: { k: '2' } }, { namespace }));
  assert.equal(
    [refused.code, refused.reason, refused.message],
    [403, 'Forbidden', 'admission webhook "judge.example.com" denied the request: no changes here'],
  );
  assert.equal((server.asked()[1]!.oldObject as ConfigMap).data, { k: '1' });
  assert.is(server.reviews.length, 2, 'a refusal is not asked for twice');
  await client().delete(configMaps, 'a', { namespace });
  assert.is(server.asked()[2]!.operation, 'DELETE');
  assert.is(server.asked()[2]!.object, null);
  assert.is(server.connections(), 1, 'the connection is kept');
});

test('a refusal without explanation is a 400', async () => {
  const server = await serve(() => ({ allowed: false }));
  await client().create(validatingConfigurations, configuration('no', hook(server, 'no.example.com')));
  const { code, message } = await failureOf(create('a'));
  assert.equal([code, message], [400, 'admission webhook "no.example.com" denied the request without explanation']);
});

test('a webhook is asked about what is, not about what this peer has heard so far', async () => {
  const server = await serve();
  const made = await create('a', { k: '1' });
  await client().create(validatingConfigurations, configuration('judge', hook(server, 'judge.example.com')));
  const key = `/registry/core/configmaps/${namespace}/a`;
  const { resourceVersion: _, ...metadata } = made.metadata;
  const value = Buffer.from(JSON.stringify({ ...made, metadata, data: { k: 'elsewhere' } }));
  world.store.writeElsewhere({ conditions: [], operations: [{ type: 'put', key, value }] });
  await client().patch(configMaps, 'a', 'merge', { data: { own: 'x' } }, { namespace });
  assert.is(server.reviews.length, 1);
  assert.equal((server.asked()[0]!.oldObject as ConfigMap).data, { k: 'elsewhere' });
});

test('mutating webhooks run in the order of their configurations; IfNeeded is asked again behind a change', async () => {
  const order: string[] = [];
  const server = await serve((request, path) => {
    const name = path.slice(1).split('.')[0] ?? '';
    order.push(name);
    const { data = {} } = request.object as ConfigMap;
    return patchOf([{ op: 'add', path: `/data/${name}`, value: Object.keys(data).sort().join(',') }]);
  });
  const again = { reinvocationPolicy: 'IfNeeded' };
  await client().create(mutatingConfigurations, configuration('b', hook(server, 'third.example.com')));
  const two = [hook(server, 'first.example.com', again), hook(server, 'second.example.com')];
  await client().create(mutatingConfigurations, configuration('a', ...two));
  const made = (await create('x', { k: '1' })) as ConfigMap;
  assert.equal(order, ['first', 'second', 'third', 'first']);
  assert.equal(made.data, { k: '1', first: 'first,k,second,third', second: 'first,k', third: 'first,k,second' });
});

test('a pod that a webhook gives a container gets the account’s token there too', async () => {
  const container = { name: 'side', image: 'side:1' };
  const server = await serve(() => patchOf([{ op: 'add', path: '/spec/containers/-', value: container }]));
  const rule = { operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] };
  await client().create(mutatingConfigurations, configuration('sidecar', hook(server, 'side.example.com', { rules: [rule] })));
  const spec = { containers: [{ name: 'main', image: 'main:1' }] };
  const pod = await client().create(pods, { metadata: { name: 'p' }, spec }, { namespace });
  assert.equal(
    pod.spec?.containers.map(({ name, volumeMounts }) => [name, volumeMounts?.length]),
    [
      ['main', 1],
      ['side', 1],
    ],
  );
  assert.is(pod.spec?.containers[1]?.terminationMessagePath, '/dev/termination-log');
  assert.is(server.reviews.length, 1);
  await client().delete(pods, 'p', { namespace, gracePeriodSeconds: 0 });
});

test('what is silent, wrong or not to be trusted fails the write, or is ignored, as its policy says', async () => {
  const gone = await webhookServer();
  gone.close();
  const slow = await serve(() => new Promise(() => undefined));
  const odd = await serve(() => ({ uid: 'another' }));
  const stranger = await serve();
  const broken = await httpsServer((_, response) => response.writeHead(500).end('out of order'));
  servers.push(broken);
  const cases: [name: string, hook: object, why: RegExp][] = [
    ['gone', hook(gone, 'gone.example.com'), /dial tcp 127\.0\.0\.1:\d+: connect: connection refused$/],
    ['slow', hook(slow, 'slow.example.com', { timeoutSeconds: 1 }), /\?timeout=1s": context deadline exceeded$/],
    [
      'stranger',
      hook({ ...stranger, caBundle: odd.caBundle }, 'stranger.example.com'),
      /tls: failed to verify certificate: x509: certificate signed by unknown authority$/,
    ],
    [
      'broken',
      hook(broken, 'broken.example.com'),
      /an error on the server \("out of order"\) has prevented the request from succeeding$/,
    ],
  ];
  for (const [name, one, why] of cases) {
    await client().create(validatingConfigurations, configuration(name, one));
    const { code, message } = await failureOf(create('a'));
    assert.is(code, 500);
    assert.ok(
      message.startsWith(`Internal error occurred: failed calling webhook "${name}.example.com": failed to call webhook: `),
      message,
    );
    assert.match(message, why);
    await client().delete(validatingConfigurations, name);
  }
  await client().create(validatingConfigurations, configuration('odd', hook(odd, 'odd.example.com')));
  assert.match(
    (await failureOf(create('a'))).message,
    /received invalid webhook response: expected response\.uid="[-0-9a-f]+", got "another"$/,
  );
  await client().delete(validatingConfigurations, 'odd');
  const ignored = hook(gone, 'gone.example.com', { failurePolicy: 'Ignore' });
  await client().create(mutatingConfigurations, configuration('gone', ignored));
  await create('a');
});

test('a patch that does not apply is an error, and so is one of a webhook that only judges', async () => {
  const server = await serve(() => patchOf([{ op: 'remove', path: '/data/missing' }]));
  await client().create(mutatingConfigurations, configuration('m', hook(server, 'm.example.com')));
  assert.match((await failureOf(create('a'))).message, /webhook "m\.example\.com" answered with a patch that does not apply: /);
  await client().delete(mutatingConfigurations, 'm');
  await client().create(validatingConfigurations, configuration('v', hook(server, 'v.example.com')));
  assert.match((await failureOf(create('a'))).message, /validating webhook may not return response\.patch$/);
});

test('what a patch adds beyond the schema does not stay, and the result is validated', async () => {
  const server = await serve((request) =>
    patchOf([{ op: 'add', path: request.name === 'bad' ? '/metadata/labels' : '/nonsense', value: { 'a b': 'c' } }]),
  );
  await client().create(mutatingConfigurations, configuration('m', hook(server, 'm.example.com')));
  assert.not('nonsense' in (await create('good')));
  assert.is((await failureOf(create('bad'))).code, 422);
});

test('selectors of namespaces and objects, and rules of scope and subresource, choose what is asked about', async () => {
  const server = await serve();
  await client().create(namespaces, { metadata: { name: 'watched', labels: { watch: 'yes' } } });
  const selected = { namespaceSelector: { matchLabels: { watch: 'yes' } } };
  const labelled = { objectSelector: { matchExpressions: [{ key: 'mark', operator: 'Exists' }] } };
  await client().create(
    validatingConfigurations,
    configuration('s', hook(server, 'ns.example.com', selected), hook(server, 'object.example.com', labelled)),
  );
  await create('plain');
  assert.equal(server.paths, []);
  await client().create(configMaps, map('a'), { namespace: 'watched' });
  const marked = await client().create(configMaps, { metadata: { name: 'b', labels: { mark: '' } } }, { namespace });
  assert.equal(server.paths, ['/ns.example.com?timeout=30s', '/object.example.com?timeout=30s']);
  await client().update(configMaps, { ...marked, metadata: { ...marked.metadata, labels: {} } }, { namespace });
  assert.is(server.paths.length, 3, 'a label that goes away does not hide the object');
  await client().delete(validatingConfigurations, 's');

  const rule = (resources: string[], scope = '*') => ({
    operations: ['UPDATE'],
    apiGroups: ['*'],
    apiVersions: ['*'],
    resources,
    scope,
  });
  const rules = { rules: [rule(['deployments/scale'])] };
  await client().create(validatingConfigurations, configuration('t', hook(server, 'scale.example.com', rules)));
  const labels = { app: 'x' };
  const template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'c:1' }] } };
  const spec = { replicas: 1, selector: { matchLabels: labels }, template };
  await client().create(deployments, { metadata: { name: 'd' }, spec }, { namespace });
  await client().patch(deployments, 'd', 'merge', { spec: { replicas: 2 } }, { namespace });
  assert.is(server.paths.length, 3);
  await client().patch(deployments, 'd', 'merge', { spec: { replicas: 3 } }, { namespace, subresource: 'scale' });
  const last = server.asked().at(-1)!;
  assert.equal(last.kind, { group: 'autoscaling', version: 'v1', kind: 'Scale' });
  assert.equal([last.resource.resource, last.subResource], ['deployments', 'scale']);
  assert.is((last.object as { spec?: { replicas?: number } }).spec?.replicas, 3);
});

test('matchPolicy Equivalent shows the object in the version that the rule names', async () => {
  const server = await serve((request) =>
    request.operation === 'CREATE' ? patchOf([{ op: 'replace', path: '/spec/paint', value: 'red' }]) : {},
  );
  const rule = { operations: ['*'], apiGroups: ['test.kontiki'], apiVersions: ['v1beta1'], resources: ['widgets'] };
  const exact = hook(server, 'exact.example.com', { rules: [rule], matchPolicy: 'Exact' });
  const equivalent = hook(server, 'equivalent.example.com', { rules: [rule] });
  await client().create(mutatingConfigurations, configuration('w', exact, equivalent));
  const widgets = { group: 'test.kontiki', version: 'v1', resource: 'widgets', kind: 'Widget', namespaced: true };
  const widget = { metadata: { name: 'w' }, spec: { color: 'blue' } };
  const made = await client().create(widgets, widget, { namespace });
  assert.equal((made as { spec?: object }).spec, { color: 'red' });
  assert.is(server.reviews.length, 1);
  const asked = server.asked()[0]!;
  assert.equal([asked.kind.version, asked.requestKind.version], ['v1beta1', 'v1']);
  assert.equal((asked.object as { spec?: object }).spec, { paint: 'blue' });
});

test('v1beta1, warnings, dry runs and effects', async () => {
  const server = await serve(() => ({ warnings: ['mind the gap'], uid: '' }));
  const old = { admissionReviewVersions: ['v1beta1'] };
  await client().create(validatingConfigurations, configuration('old', hook(server, 'old.example.com', old)));
  const body = JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' } });
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  const headers = { 'content-type': 'application/json' };
  const answer = await world.request(`${path}?dryRun=All`, { method: 'POST', body, headers });
  assert.is(answer.code, 201);
  assert.is(answer.headers.warning, '299 - "mind the gap"');
  assert.is(server.reviews[0]?.apiVersion, 'admission.k8s.io/v1beta1');
  assert.is(server.asked()[0]!.dryRun, true);
  await client().delete(validatingConfigurations, 'old');
  const effects = { admissionReviewVersions: ['v1beta1'], sideEffects: 'Some' };
  await client().create(validatingConfigurations, configuration('some', hook(server, 'some.example.com', effects)));
  const refused = await world.request(`${path}?dryRun=All`, { method: 'POST', body, headers });
  assert.is(refused.json<{ message: string }>().message, 'admission webhook "some.example.com" does not support dry run');
  assert.is(refused.code, 400);
});

test('a webhook for everything cannot keep anybody from removing it', async () => {
  const server = await serve(() => ({ allowed: false }));
  const rules = [{ operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*/*'] }];
  await client().create(validatingConfigurations, configuration('all', hook(server, 'all.example.com', { rules })));
  assert.is((await failureOf(create('a'))).code, 400);
  await client().patch(validatingConfigurations, 'all', 'merge', { metadata: { labels: { a: 'b' } } });
  await client().delete(validatingConfigurations, 'all');
  await create('a');
});

test('match conditions that cannot be evaluated are refused when they are written', async () => {
  const server = await serve();
  const conditions = { matchConditions: [{ name: 'c', expression: 'not(an expression' }] };
  const refused = await failureOf(
    client().create(validatingConfigurations, configuration('c', hook(server, 'c.example.com', conditions))),
  );
  assert.is(refused.code, 422);
  assert.match(refused.message, /webhooks\[0\]\.matchConditions\[0\]\.expression: Invalid value: "not\(an expression": /);
});

test('match conditions decide whether a webhook is asked; one that fails counts as its policy says', async () => {
  const server = await serve();
  const own = await listeningApi();
  const named = (name: string, expression: string, rest: object = {}) =>
    configuration(name, hook(server, `${name}.example.com`, { matchConditions: [{ name: 'c', expression }], ...rest }));
  const make = (name: string) => own.api.client().create(configMaps, map(name), { namespace });
  const troubled = "object.metadata.name == 'trouble' ? object.metadata.annotations['none'] == 'x' : request.name == 'asked'";
  await own.api.client().create(validatingConfigurations, named('v', troubled));
  await make('other');
  assert.is(server.reviews.length, 0);
  await make('asked');
  assert.is(server.reviews.length, 1);
  assert.match((await failureOf(make('trouble'))).message, /match conditions of webhook "v\.example\.com": .*no such key/);
  await own.api.client().delete(validatingConfigurations, 'v');
  await own.api.client().create(validatingConfigurations, named('i', troubled, { failurePolicy: 'Ignore' }));
  await make('trouble');
  await own.close();
});

test.run();
