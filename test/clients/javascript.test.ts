/** The official JavaScript client through its main verbs: typed objects, patches, apply, watches, streams, errors. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { PassThrough } from 'node:stream';
import {
  ApiException,
  AppsV1Api,
  CoreV1Api,
  Exec,
  KubernetesObjectApi,
  Log,
  PatchStrategy,
  PortForward,
  setHeaderOptions,
  type V1ConfigMap,
  type V1Status,
  Watch,
} from '@kubernetes/client-node';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { channels } from '../../src/machinery/stream-frames.ts';
import { exited, startWorld, type World } from '../streams/support.ts';
import { startCluster, type TestCluster, until } from './cluster.ts';

interface Context {
  cluster: TestCluster;
  world: World;
  core: CoreV1Api;
  apps: AppsV1Api;
}

const test = suite<Context>('JavaScript client');
const namespace = 'default';
const labels = { app: 'web' };
const spec = { containers: [{ name: 'app', image: 'registry.test/app:1' }] };

test.before(async (context) => {
  context.world = await startWorld();
  context.cluster = await startCluster({ agents: context.world.agents });
  context.core = context.cluster.config.makeApiClient(CoreV1Api);
  context.apps = context.cluster.config.makeApiClient(AppsV1Api);
});
test.after(async ({ cluster, world }) => {
  await cluster.close();
  await world.close();
});

async function refusal(asked: Promise<unknown>): Promise<{ code: number; status: V1Status }> {
  try {
    await asked;
  } catch (error) {
    assert.instance(error, ApiException, String(error));
    const { code, body } = error as ApiException<string | V1Status>;
    return { code, status: typeof body === 'string' ? JSON.parse(body) : body };
  }
  throw new Error('it was not refused');
}

test('typed objects come back with types: times are dates, defaults are there', async ({ core, apps }) => {
  const body = { metadata: { name: 'typed' }, data: { a: 'b' } };
  const made = await core.createNamespacedConfigMap({ namespace, body });
  assert.instance(made.metadata?.creationTimestamp, Date);
  assert.equal(made.data, { a: 'b' });
  const deployment = {
    metadata: { name: 'web' },
    spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
  };
  const created = await apps.createNamespacedDeployment({ namespace, body: deployment });
  assert.is(created.spec?.replicas, 1);
  assert.is(created.spec?.strategy?.rollingUpdate?.maxSurge, '25%');
  const scaled = await apps.readNamespacedDeploymentScale({ namespace, name: 'web' });
  assert.is(scaled.spec?.replicas, 1);
  await apps.replaceNamespacedDeploymentScale({ namespace, name: 'web', body: { ...scaled, spec: { replicas: 3 } } });
  assert.is((await apps.readNamespacedDeployment({ namespace, name: 'web' })).spec?.replicas, 3);
});

test('lists come in pages, by selectors', async ({ core }) => {
  for (const name of ['page-1', 'page-2', 'page-3']) {
    await core.createNamespacedConfigMap({ namespace, body: { metadata: { name, labels: { set: 'pages' } } } });
  }
  const names: (string | undefined)[] = [];
  let token: string | undefined;
  do {
    const page = await core.listNamespacedConfigMap({
      namespace,
      labelSelector: 'set=pages',
      limit: 2,
      ...(token ? { _continue: token } : {}),
    });
    names.push(...page.items.map(({ metadata }) => metadata?.name));
    token = page.metadata?._continue;
  } while (token);
  assert.equal(names, ['page-1', 'page-2', 'page-3']);
  const one = await core.listNamespacedConfigMap({ namespace, fieldSelector: 'metadata.name=page-2' });
  assert.is(one.items.length, 1);
});

test('every type of patch, and apply with its conflicts', async ({ core, cluster }) => {
  const name = 'patched';
  await core.createNamespacedConfigMap({ namespace, body: { metadata: { name }, data: { a: '1' } }, fieldManager: 'maker' });
  const typed = (type: string) => setHeaderOptions('Content-Type', type);
  const operations = [{ op: 'add', path: '/data/b', value: '2' }];
  await core.patchNamespacedConfigMap({ namespace, name, body: operations }, typed(PatchStrategy.JsonPatch));
  await core.patchNamespacedConfigMap({ namespace, name, body: { data: { c: '3' } } }, typed(PatchStrategy.MergePatch));
  const patched = await core.patchNamespacedConfigMap(
    { namespace, name, body: { data: { a: null } } },
    typed(PatchStrategy.StrategicMergePatch),
  );
  assert.equal(patched.data, { b: '2', c: '3' });
  const objects = KubernetesObjectApi.makeApiClient(cluster.config);
  const applied: V1ConfigMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data: { c: 'mine' } };
  const { code, status } = await refusal(
    objects.patch(applied, undefined, undefined, 'me', false, PatchStrategy.ServerSideApply),
  );
  assert.is(code, 409);
  assert.match(status.message ?? '', /^Apply failed with 1 conflict: conflict with "[^"]+" using v1: \.data\.c$/);
  assert.is(status.details?.causes?.[0]?.reason, 'FieldManagerConflict');
  const forced = (await objects.patch(applied, undefined, undefined, 'me', true, PatchStrategy.ServerSideApply)) as V1ConfigMap;
  assert.is(forced.data?.c, 'mine');
  assert.ok(forced.metadata?.managedFields?.some(({ manager, operation }) => manager === 'me' && operation === 'Apply'));
});

test('errors are ApiExceptions with a Status', async ({ core }) => {
  const missing = await refusal(core.readNamespacedConfigMap({ namespace, name: 'nothing' }));
  assert.is(missing.code, 404);
  assert.is(missing.status.reason, 'NotFound');
  const invalid = await refusal(core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'Upper' } } }));
  assert.is(invalid.code, 422);
  assert.is(invalid.status.details?.causes?.[0]?.field, 'metadata.name');
  const body = { metadata: { name: 'typed' } };
  assert.is((await refusal(core.createNamespacedConfigMap({ namespace, body }))).status.reason, 'AlreadyExists');
  const stale = { metadata: { name: 'typed', resourceVersion: '1' } };
  assert.is(
    (await refusal(core.replaceNamespacedConfigMap({ namespace, name: 'typed', body: stale }))).status.reason,
    'Conflict',
  );
});

test('a watch tells what happens, and ends when it is asked to', async ({ core, cluster }) => {
  const seen: string[] = [];
  const { metadata } = await core.listNamespacedConfigMap({ namespace });
  const ended = Promise.withResolvers<unknown>();
  const query = { resourceVersion: metadata?.resourceVersion, labelSelector: 'watched=yes' };
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  const tell = (type: string, { metadata: { name } }: { metadata: { name: string } }) => seen.push(`${type} ${name}`);
  const watch = await new Watch(cluster.config).watch(path, query, tell, (error) => ended.resolve(error));
  const body = { metadata: { name: 'seen', labels: { watched: 'yes' } } };
  await core.createNamespacedConfigMap({ namespace, body });
  await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'unseen' } } });
  await core.deleteNamespacedConfigMap({ namespace, name: 'seen' });
  await until('both events', () => seen.length === 2);
  assert.equal(seen, ['ADDED seen', 'DELETED seen']);
  watch.abort();
  await ended.promise;
});

test('initial events end with a bookmark that says so', async ({ core, cluster }) => {
  await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'initial', labels: { initial: 'yes' } } } });
  const seen: string[] = [];
  const query = {
    sendInitialEvents: true,
    resourceVersionMatch: 'NotOlderThan',
    allowWatchBookmarks: true,
    labelSelector: 'initial=yes',
  };
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  const watch = await new Watch(cluster.config).watch(
    path,
    query,
    (type, { metadata }) =>
      seen.push(`${type} ${metadata.name ?? ''} ${metadata.annotations?.['k8s.io/initial-events-end'] ?? ''}`.trim()),
    () => {},
  );
  await until('the bookmark', () => seen.length === 2);
  assert.equal(seen, ['ADDED initial', 'BOOKMARK  true']);
  watch.abort();
});

test('exec, logs and port-forward reach the machine of the pod', async ({ core, cluster, world }) => {
  await core.createNamespacedPod({ namespace, body: { metadata: { name: 'web' }, spec: { ...spec, nodeName: 'n1' } } });
  const pod = await core.readNamespacedPod({ namespace, name: 'web' });
  await core.replaceNamespacedPodStatus({ namespace, name: 'web', body: { ...pod, status: { phase: 'Running' } } });
  world.onSession = async (session) => {
    session.write(channels.stdout, `heard ${await session.stdinText()}`);
    session.write(channels.stderr, 'oh');
    session.end(exited(3));
  };
  const [stdout, stderr, stdin] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const done = Promise.withResolvers<V1Status>();
  await new Exec(cluster.config).exec(namespace, 'web', 'app', ['cat'], stdout, stderr, stdin, false, done.resolve);
  stdin.end('words');
  const status = await done.promise;
  assert.is(status.details?.causes?.[0]?.message, '3');
  await until('all output', () => stdout.readableLength > 0 && stderr.readableLength > 0);
  assert.is(String(stdout.read()), 'heard words');
  assert.is(String(stderr.read()), 'oh');

  const log = new PassThrough();
  await new Log(cluster.config).log(namespace, 'web', 'app', log, { tailLines: 5 });
  const [text] = await once(log, 'data');
  assert.match(String(text), /^log of \/logs?\//);

  world.onSession = async ({ socket }) => {
    const [chunk] = await once(socket, 'data');
    socket.end(`echo ${chunk}`);
  };
  const forward = new PortForward(cluster.config);
  const server = createServer((socket) => void forward.portForward(namespace, 'web', [80], socket, null, socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.write('hello');
  const [answer] = await once(socket, 'data');
  assert.is(String(answer), 'echo hello');
  socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

test.run();
