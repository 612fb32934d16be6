/** Controllers and scheduler against the real API in this process: its defaults, validation, admission, deletion and watches. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createApi } from '../../src/api/index.ts';
import { kinds } from '../../src/api/kinds/index.ts';
import { startControllers } from '../../src/controllers/index.ts';
import { silentLogger } from '../../src/lib/logger.ts';
import { seededRandom } from '../../src/lib/random.ts';
import type { Client } from '../../src/machinery/client.ts';
import { Informer } from '../../src/machinery/informer.ts';
import * as r from '../../src/machinery/resources.ts';
import { isReason, serviceUnavailable } from '../../src/machinery/status.ts';
import type { Deployment, Namespace, Pod } from '../../src/machinery/types.ts';
import { Decisions, startScheduler } from '../../src/scheduler/index.ts';
import { MemoryCluster } from '../api/memory-cluster.ts';
import { ManualClock } from '../client/manual-clock.ts';
import { deploymentNamed, FakeHealth, isReady, nodeNamed, serviceNamed } from './cluster.ts';

interface World {
  clock: ManualClock;
  client: Client;
  health: FakeHealth;
  /** Copies for assertions. */
  pods: Informer<Pod>;
  deployments: Informer<Deployment>;
  namespaces: Informer<Namespace>;
  warnings: unknown[];
}

let addresses = 0;

/** An agent's report: the pod runs and is ready. */
async function report(client: Client, clock: ManualClock, { metadata: { name, namespace = '' } }: Pod): Promise<void> {
  const lastTransitionTime = `${new Date(clock.wallMs()).toISOString().slice(0, 19)}Z`;
  const status = {
    phase: 'Running',
    podIP: `10.42.0.${++addresses}`,
    conditions: [{ type: 'Ready', status: 'True', lastTransitionTime }],
  };
  await client.patch(r.pods, name, 'strategic', { status }, { namespace, subresource: 'status' });
}

async function withApi(run: (world: World) => Promise<void>): Promise<void> {
  const clock = new ManualClock();
  const random = seededRandom(9);
  const health = new FakeHealth();
  const warnings: unknown[] = [];
  const logger = {
    ...silentLogger,
    warn: (fields: unknown) => void warnings.push(fields),
    error: (fields: unknown) => void warnings.push(fields),
  };
  logger.child = () => logger;
  const connect = () => Promise.reject(serviceUnavailable('no agents here'));
  const api = createApi({
    store: await MemoryCluster.open(),
    kinds,
    agents: { connect },
    nodeHealth: health,
    clock,
    random,
    logger: silentLogger,
    serviceCidr: '10.43.0.0/16',
    nodePortRange: { from: 30_000, to: 32_767 },
  });
  const abort = new AbortController();
  const { signal } = abort;
  const client = api.client();
  await api.bootstrap(signal);
  const common = { client, clock, random, logger };
  const resources = kinds.map(({ group, kind, plural, namespaced, versions }) => {
    return { group, kind, resource: plural, namespaced, version: versions[0].name } as r.Resource;
  });
  const options = {
    apiAddresses: () => [{ ip: '10.0.0.1', port: 6443 }],
    namespacedResources: resources.filter(({ namespaced }) => namespaced),
    ownableResources: resources,
    policyWarnings: api.policyWarnings,
  };
  const pods = new Informer({ ...common, resource: r.pods });
  const deployments = new Informer({ ...common, resource: r.deployments });
  const namespaces = new Informer({ ...common, resource: r.namespaces });
  const ignoreGone = (error: unknown) => {
    if (!isReason(error, 'NotFound')) warnings.push(error);
  };
  pods.onChange(({ type, object }) => {
    if (type === 'deleted' || !object.spec?.nodeName) return;
    const { name, namespace = '' } = object.metadata;
    if (object.metadata.deletionTimestamp) {
      client.delete(r.pods, name, { namespace, gracePeriodSeconds: 0 }).catch(ignoreGone);
    } else if (object.status?.phase === 'Pending') {
      clock.setTimer(100, () => void report(client, clock, object).catch(ignoreGone));
    }
  });
  const ended = [
    startControllers({ ...common, nodeHealth: health, clusterCidr: '10.42.0.0/16', options }, signal),
    startScheduler({ ...common, decisions: new Decisions() }, signal),
    ...[pods, deployments, namespaces].map((informer) => informer.start(signal)),
  ];
  try {
    for (const name of ['one', 'two', 'three']) {
      health.set(name, 'alive');
      const { metadata, spec, status } = nodeNamed(name);
      await client.create(r.nodes, { metadata, spec });
      await client.patch(r.nodes, name, 'merge', { status }, { subresource: 'status' });
    }
    await run({ clock, client, health, pods, deployments, namespaces, warnings });
  } finally {
    abort.abort(new Error('end of test'));
    await Promise.all(ended);
    await api.close();
  }
}

const rolledOut =
  ({ deployments }: World, image: string) =>
  () => {
    const { metadata, spec, status = {} } = deployments.get('default', 'web') ?? { metadata: {} };
    const wanted = spec?.replicas;
    return (
      wanted !== undefined &&
      spec?.template.spec?.containers[0]?.image === image &&
      status.observedGeneration === metadata.generation &&
      [status.updatedReplicas, status.replicas, status.availableReplicas].every((count) => count === wanted)
    );
  };

test('a deployment comes, rolls, loses a machine, and goes', () =>
  withApi(async (world) => {
    const { clock, client, health, pods, warnings } = world;
    const { metadata, spec } = deploymentNamed('web', 3);
    await client.create(r.services, serviceNamed('web'), { namespace: 'default' });
    await client.create(r.deployments, { metadata, spec }, { namespace: 'default' });
    await clock.until(rolledOut(world, 'web:1'), 'rolled out');
    // A write on an old copy is refused and tried again within a moment.
    await clock.advance(1_000);
    assert.equal(new Set(pods.list('default').map(({ spec: { nodeName } = { containers: [] } }) => nodeName)).size, 3);
    const endpoints = await client.get(r.endpoints, 'web', { namespace: 'default' });
    assert.is(endpoints.subsets?.[0]?.addresses?.length, 3);
    const { items: slices } = await client.list(r.endpointSlices, {
      namespace: 'default',
      labelSelector: 'kubernetes.io/service-name=web',
    });
    assert.equal(
      slices.map((slice) => slice.endpoints?.length),
      [3],
    );
    const kubernetes = await client.get(r.endpoints, 'kubernetes', { namespace: 'default' });
    assert.is(kubernetes.subsets?.[0]?.addresses?.[0]?.ip, '10.0.0.1');

    const template = { spec: { containers: [{ name: 'web', image: 'web:2' }] } };
    await client.patch(r.deployments, 'web', 'strategic', { spec: { template } }, { namespace: 'default' });
    await clock.until(rolledOut(world, 'web:2'), 'rolled to the second image');
    const { items: replicaSets } = await client.list(r.replicaSets, { namespace: 'default' });
    assert.is(replicaSets.length, 2);

    health.set('two', 'dead');
    await clock.until(
      () => {
        const left = pods.list('default').filter((pod) => isReady(pod) && pod.spec?.nodeName !== 'two');
        return left.length === 3;
      },
      'replaced elsewhere',
      600_000,
    );

    await client.delete(r.deployments, 'web', { namespace: 'default' });
    await clock.until(() => pods.list('default').length === 0, 'all pods gone');
    await clock.advance(60_000);
    assert.equal(warnings, []);
  }));

test('a namespace goes with its content', () =>
  withApi(async (world) => {
    const { clock, client, namespaces, pods, warnings } = world;
    await client.create(r.namespaces, { metadata: { name: 'shop' } });
    const { metadata, spec } = deploymentNamed('web', 2);
    await client.create(r.deployments, { metadata: { ...metadata, namespace: 'shop' }, spec }, { namespace: 'shop' });
    await clock.until(() => pods.list('shop').filter(isReady).length === 2, 'pods run');
    await client.delete(r.namespaces, 'shop');
    await clock.until(() => namespaces.get(undefined, 'shop') === undefined, 'the namespace is gone', 120_000);
    assert.equal(warnings, []);
  }));

test('leases go as other objects do, with or without what they own; events wait for nobody', () =>
  withApi(async ({ client, clock }) => {
    const involvedObject = { kind: 'Pod', name: 'p', namespace: 'default' };
    for (const propagationPolicy of ['Foreground', 'Orphan'] as const) {
      const options = { namespace: 'default', propagationPolicy };
      await client.create(r.events, { metadata: { name: 'e' }, involvedObject } as never, options);
      await client.delete(r.events, 'e', options);
      assert.equal((await client.list(r.events, { namespace: 'default', fieldSelector: 'metadata.name=e' })).items, []);
      const lease = await client.create(r.leases, { metadata: { name: 'l' }, spec: { holderIdentity: 'me' } }, options);
      const { uid = '' } = lease.metadata;
      const ownerReferences = [{ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', name: 'l', uid, blockOwnerDeletion: true }];
      await client.create(r.configMaps, { metadata: { name: 'c', ownerReferences } }, options);
      await client.delete(r.leases, 'l', options);
      let left: string[] = [];
      const look = async () => {
        const named = [
          await client.list(r.leases, { namespace: 'default' }),
          await client.list(r.configMaps, { namespace: 'default' }),
        ];
        left = named.flatMap(({ items }) => items.map(({ metadata }) => metadata.name)).filter((name) => name.length === 1);
      };
      const wanted = propagationPolicy === 'Orphan' ? 'c' : '';
      await clock.until(() => {
        void look();
        return left.join() === wanted;
      }, `gone by ${propagationPolicy}`);
    }
  }));

test('the status of an admission policy says what its expressions have against the kinds that it names', () =>
  withApi(async ({ client, clock }) => {
    const policies = r.validatingAdmissionPolicies;
    const resourceRules = [{ apiGroups: ['apps'], apiVersions: ['v1'], operations: ['CREATE'], resources: ['deployments'] }];
    const spec = { matchConstraints: { resourceRules }, validations: [{ expression: 'object.replicas > 1' }] };
    await client.create(policies, { metadata: { name: 'p' }, spec } as never);
    const followed = new Informer({ client, clock, random: seededRandom(1), logger: silentLogger, resource: policies });
    const stop = new AbortController();
    const ended = followed.start(stop.signal);
    const status = () => followed.get(undefined, 'p')?.status;
    await clock.until(() => status()?.observedGeneration === 1, 'checked');
    const [warning, ...others] = status()?.typeChecking?.expressionWarnings ?? [];
    assert.equal(others, []);
    assert.is(warning?.fieldRef, 'spec.validations[0].expression');
    assert.match(warning?.warning ?? '', "apps/v1, Kind=Deployment: ERROR: <input>:1:7: undefined field 'replicas'");
    const validations = [{ expression: 'object.spec.replicas > 1' }];
    await client.patch(policies, 'p', 'merge', { spec: { validations } });
    await clock.until(() => status()?.observedGeneration === 2, 'checked again');
    assert.equal(status()?.typeChecking, {});
    stop.abort();
    await ended;
  }));

test.run();
