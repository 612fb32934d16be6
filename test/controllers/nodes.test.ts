/** What happens when machines come, fall silent, come back and go. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as r from '../../src/machinery/resources.ts';
import type { Node } from '../../src/machinery/types.ts';
import { Cluster, deploymentNamed, isReady, nodeNamed, serviceNamed } from './cluster.ts';

async function withCluster(run: (cluster: Cluster) => Promise<void>): Promise<void> {
  const cluster = new Cluster();
  try {
    for (const name of ['one', 'two', 'three']) await cluster.addNode(name);
    await cluster.clock.until(() => cluster.client.all(r.nodes).every(({ spec }) => spec?.podCIDR), 'nodes are set up');
    await run(cluster);
  } finally {
    await cluster.stop();
  }
}

const ready = (node: Node | undefined) => node?.status?.conditions?.find(({ type }) => type === 'Ready')?.status;
const taintsOf = (node: Node | undefined) =>
  (node?.spec?.taints ?? []).map(({ key, effect }) => `${key.split('/')[1]}:${effect}`).sort();

function postReady(cluster: Cluster, name: string): Promise<unknown> {
  const status = { conditions: [{ type: 'Ready', status: 'True', reason: 'KubeletReady' }] };
  return cluster.client.patch(r.nodes, name, 'merge', { status }, { subresource: 'status' });
}

/** Pods that leave an unready node after some seconds, as the API's admission gives to all. */
function withTolerations(seconds: number) {
  const deployment = deploymentNamed('web', 3);
  const podSpec = deployment.spec?.template.spec;
  if (podSpec) {
    podSpec.tolerations = ['not-ready', 'unreachable'].map((name) => ({
      key: `node.kubernetes.io/${name}`,
      operator: 'Exists',
      effect: 'NoExecute',
      tolerationSeconds: seconds,
    }));
  }
  return deployment;
}

test('the pods of a machine that dies leave their service at once and are replaced elsewhere when their time is over', () =>
  withCluster(async (cluster) => {
    const { client, clock, health } = cluster;
    await client.create(r.services, serviceNamed('web'));
    await client.create(r.deployments, withTolerations(20));
    await clock.until(() => cluster.isRolledOut('web'), 'rolled out');
    const lost = cluster.pods().find(({ spec }) => spec?.nodeName === 'two');
    cluster.silent.add('two');
    health.set('two', 'dead');
    await clock.advance(100);
    const node = client.find(r.nodes, 'two');
    assert.is(ready(node), 'Unknown');
    assert.equal(taintsOf(node), ['unreachable:NoExecute', 'unreachable:NoSchedule']);
    assert.equal(cluster.events('NodeNotReady').includes('Node two status is now: NodeNotReady'), true);
    const left = client.find(r.pods, lost?.metadata.name ?? '', 'default');
    assert.not(left && isReady(left));
    const addresses = client.find(r.endpoints, 'web', 'default')?.subsets?.[0]?.addresses ?? [];
    assert.is(addresses.length, 2);
    await clock.advance(15_000);
    assert.is(cluster.pods().length, 3, 'nobody is evicted before the time');
    await clock.until(() => cluster.readyPods().length === 3, 'a replacement');
    assert.not(cluster.readyPods().some(({ spec }) => spec?.nodeName === 'two'));
    assert.ok(
      cluster.events('TaintManagerEviction').some((message) => message.startsWith('Marking for deletion Pod default/web-')),
    );
  }));

test('a machine that comes back in time keeps its pods and loses its taints', () =>
  withCluster(async (cluster) => {
    const { client, clock, health } = cluster;
    await client.create(r.deployments, withTolerations(20));
    await clock.until(() => cluster.isRolledOut('web'), 'rolled out');
    const before = cluster.pods().map(({ metadata }) => metadata.name);
    health.set('two', 'dead');
    await clock.advance(5_000);
    health.set('two', 'alive');
    await postReady(cluster, 'two');
    await clock.advance(60_000);
    assert.equal(taintsOf(client.find(r.nodes, 'two')), []);
    assert.equal(
      cluster.pods().map(({ metadata }) => metadata.name),
      before,
    );
    assert.ok(
      cluster.events('TaintManagerEviction').some((message) => message.startsWith('Cancelling deletion of Pod default/web-')),
    );
  }));

test('a pod without toleration leaves a tainted node at once', () =>
  withCluster(async (cluster) => {
    const { client, clock } = cluster;
    await client.create(r.deployments, withTolerations(300));
    await clock.until(() => cluster.isRolledOut('web'), 'rolled out');
    const node = structuredClone(client.find(r.nodes, 'one') as Node);
    node.spec = { ...node.spec, taints: [{ key: 'maintenance', value: 'now', effect: 'NoExecute' }] };
    await client.update(r.nodes, node);
    await clock.until(
      () => cluster.isRolledOut('web') && !cluster.readyPods().some(({ spec }) => spec?.nodeName === 'one'),
      'moved',
    );
    assert.equal(
      client.find(r.nodes, 'one')?.spec?.taints?.map(({ key }) => key),
      ['maintenance'],
      "others' taints stay",
    );
  }));

test('when no node is ready nothing is evicted; when one recovers, the pods of the others go there', () =>
  withCluster(async (cluster) => {
    const { client, clock, health } = cluster;
    await client.create(r.deployments, withTolerations(5));
    await clock.until(() => cluster.isRolledOut('web'), 'rolled out');
    for (const name of ['one', 'two', 'three']) {
      cluster.silent.add(name);
      health.set(name, 'dead');
    }
    await clock.advance(60_000);
    assert.is(cluster.pods().filter(({ metadata }) => metadata.deletionTimestamp).length, 0);
    cluster.silent.delete('one');
    health.set('one', 'alive');
    await postReady(cluster, 'one');
    await clock.until(() => cluster.pods().filter(({ metadata }) => metadata.deletionTimestamp).length === 2, 'two evicted');
  }));

test('an agent that says Ready although its machine counts as dead is not overruled all the time', () =>
  withCluster(async (cluster) => {
    const { client, clock, health } = cluster;
    health.set('two', 'dead');
    await clock.advance(100);
    const writes = () =>
      client.calls.filter(
        ({ resource, verb, subresource }) => resource === 'nodes' && verb === 'update' && subresource === 'status',
      ).length;
    const before = writes();
    for (let second = 0; second < 10; second++) {
      await postReady(cluster, 'two');
      await clock.advance(1_000);
    }
    assert.is(writes() - before, 2, 'every five seconds, not every time');
  }));

test('a machine whose agent is silent counts as lost after ten seconds, not before', () =>
  withCluster(async (cluster) => {
    const { client, clock, health } = cluster;
    health.set('two', 'alive', false);
    await clock.advance(9_000);
    assert.is(ready(client.find(r.nodes, 'two')), 'True');
    await clock.advance(2_000);
    assert.is(ready(client.find(r.nodes, 'two')), 'Unknown');
  }));

test('a new leader gives a machine that it has not heard of some time', () =>
  withCluster(async (cluster) => {
    const { client, clock } = cluster;
    await client.create(r.nodes, nodeNamed('unheard'));
    await clock.advance(14_000);
    assert.is(ready(client.find(r.nodes, 'unheard')), 'True');
    await clock.advance(2_000);
    assert.is(ready(client.find(r.nodes, 'unheard')), 'Unknown');
  }));

test('a node says in taints what its conditions say', () =>
  withCluster(async (cluster) => {
    const { client, clock } = cluster;
    await cluster.addNode('new', ({ status }) => {
      if (status) status.conditions = [];
    });
    await clock.advance(10);
    assert.equal(taintsOf(client.find(r.nodes, 'new')), ['not-ready:NoSchedule']);
    const conditions = [
      { type: 'Ready', status: 'False' },
      { type: 'DiskPressure', status: 'True' },
    ];
    await client.patch(r.nodes, 'new', 'merge', { status: { conditions } }, { subresource: 'status' });
    await client.patch(r.nodes, 'new', 'merge', { spec: { unschedulable: true } });
    await clock.advance(1_000);
    assert.equal(taintsOf(client.find(r.nodes, 'new')), [
      'disk-pressure:NoSchedule',
      'not-ready:NoExecute',
      'not-ready:NoSchedule',
      'unschedulable:NoSchedule',
    ]);
  }));

test('each node has a range of its own, and a freed one is given again', () =>
  withCluster(async (cluster) => {
    const { client, clock } = cluster;
    await Promise.all(Array.from({ length: 20 }, (_, index) => cluster.addNode(`more-${index}`)));
    await clock.until(() => client.all(r.nodes).every(({ spec }) => spec?.podCIDR), 'all have a range');
    const ranges = client.all(r.nodes).map(({ spec }) => spec?.podCIDR);
    assert.is(new Set(ranges).size, 23);
    assert.ok(ranges.every((range) => /^10\.42\.\d+\.0\/24$/.test(range ?? '')));
    const freed = client.find(r.nodes, 'two')?.spec?.podCIDR;
    await client.delete(r.nodes, 'two');
    await cluster.addNode('late');
    await clock.until(() => client.find(r.nodes, 'late')?.spec?.podCIDR !== undefined, 'it has a range');
    assert.is(client.find(r.nodes, 'late')?.spec?.podCIDR, freed);
  }));

test('the pods of a node that is deleted are removed without their agent, and replaced', () =>
  withCluster(async (cluster) => {
    const { client, clock } = cluster;
    await client.create(r.deployments, withTolerations(300));
    await clock.until(() => cluster.isRolledOut('web'), 'rolled out');
    cluster.silent.add('two');
    await client.delete(r.nodes, 'two');
    await clock.advance(10_000);
    assert.is(cluster.pods().length, 3, 'a node may be about to come back');
    await clock.until(() => cluster.isRolledOut('web') && cluster.pods().every(({ spec }) => spec?.nodeName !== 'two'), 'moved');
  }));

test('the service kubernetes follows the machines that serve the API', () =>
  withCluster(async (cluster) => {
    const { client, clock, health } = cluster;
    cluster.apiAddresses = ['10.0.0.2', '10.0.0.1'].map((ip) => ({ ip, port: 6443 }));
    const service = serviceNamed('kubernetes');
    service.spec = { clusterIP: '10.43.0.1', ports: [{ name: 'https', port: 443, targetPort: 6443, protocol: 'TCP' }] };
    await client.create(r.services, service);
    const ips = () => client.find(r.endpoints, 'kubernetes', 'default')?.subsets?.[0]?.addresses?.map(({ ip }) => ip);
    const sliceIps = () =>
      client.find(r.endpointSlices, 'kubernetes', 'default')?.endpoints?.flatMap(({ addresses }) => addresses);
    await clock.until(() => sliceIps() !== undefined, 'endpoints');
    assert.equal(ips(), ['10.0.0.1', '10.0.0.2']);
    assert.equal(sliceIps(), ['10.0.0.1', '10.0.0.2']);
    cluster.apiAddresses = [{ ip: '10.0.0.2', port: 6443 }];
    health.set('one', 'dead');
    await clock.until(() => sliceIps()?.length === 1, 'one is gone');
    assert.equal(ips(), ['10.0.0.2']);
    cluster.apiAddresses = [];
    await clock.advance(20_000);
    assert.equal(ips(), ['10.0.0.2'], 'not knowing any is no reason to remove the last');
  }));

test('a namespace goes with everything in it, and says meanwhile what is left', () =>
  withCluster(async (cluster) => {
    const { client, clock } = cluster;
    await client.create(r.namespaces, { metadata: { name: 'shop' } });
    await clock.until(() => client.find(r.serviceAccounts, 'default', 'shop') !== undefined, 'its service account');
    const deployment = deploymentNamed('web', 3);
    deployment.metadata.namespace = 'shop';
    await client.create(r.deployments, deployment);
    await client.create(r.configMaps, { metadata: { name: 'held', namespace: 'shop', finalizers: ['example.com/hold'] } });
    await clock.until(() => cluster.readyPods('shop').length === 3, 'pods run');
    await client.delete(r.namespaces, 'shop');
    await clock.until(() => client.all(r.pods, 'shop').length === 0, 'pods are gone');
    await clock.advance(1_000);
    const namespace = client.find(r.namespaces, 'shop');
    assert.is(namespace?.status?.phase, 'Terminating');
    assert.match(
      namespace?.status?.conditions?.find(({ type }) => type === 'NamespaceFinalizersRemaining')?.message ?? '',
      'example.com/hold in 1 resource instances',
    );
    await client.patch(r.configMaps, 'held', 'merge', { metadata: { finalizers: [] } }, { namespace: 'shop' });
    await clock.until(() => client.find(r.namespaces, 'shop') === undefined, 'the namespace is gone');
    assert.is(client.all(r.replicaSets, 'shop').length + client.all(r.deployments, 'shop').length, 0);
  }));

test('the service account default comes back when it is deleted', () =>
  withCluster(async (cluster) => {
    const { client, clock } = cluster;
    await client.create(r.namespaces, { metadata: { name: 'shop' } });
    const uid = () => client.find(r.serviceAccounts, 'default', 'shop')?.metadata.uid;
    await clock.until(() => uid() !== undefined, 'there');
    const first = uid();
    await client.delete(r.serviceAccounts, 'default', { namespace: 'shop' });
    await clock.until(() => uid() !== undefined && uid() !== first, 'there again');
  }));

test.run();
