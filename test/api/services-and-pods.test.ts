/** What is more than storing: addresses and ports of Services, binding and evicting Pods, and what an agent may write. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodes, pods, services } from '../../src/machinery/resources.ts';
import type { Pod, Service } from '../../src/machinery/types.ts';
import { failureOf, testRegistry } from './widgets.ts';

const namespace = 'default';
const inDefault = { namespace };

const service = (name: string, spec: Service['spec'] = {}) => ({
  metadata: { name },
  spec: { ports: [{ port: 80, protocol: 'TCP' }], ...spec },
});

test('the kubernetes Service has the first address of the range, and bootstrapping again changes nothing', async () => {
  const { client } = await testRegistry();
  const { spec } = await client.get(services, 'kubernetes', inDefault);
  assert.is(spec?.clusterIP, '10.43.0.1');
  assert.equal(spec?.clusterIPs, ['10.43.0.1']);
});

test('each Service gets an address of its own; a wanted one is honoured or refused', async () => {
  const { client } = await testRegistry();
  const taken = new Set<string | undefined>();
  for (let i = 0; i < 10; i++) {
    const { spec } = await client.create(services, service(`s${i}`), inDefault);
    assert.match(spec?.clusterIP ?? '', /^10\.43\.\d+\.\d+$/);
    taken.add(spec?.clusterIP);
  }
  assert.is(taken.size, 10);
  const wanted = await client.create(services, service('wanted', { clusterIP: '10.43.0.10' }), inDefault);
  assert.is(wanted.spec?.clusterIP, '10.43.0.10');
  const again = await failureOf(client.create(services, service('again', { clusterIP: '10.43.0.10' }), inDefault));
  assert.is(again.code, 422);
  assert.match(again.message, /failed to allocate IP 10\.43\.0\.10: provided IP is already allocated/);
  const outside = await failureOf(client.create(services, service('outside', { clusterIP: '10.99.0.10' }), inDefault));
  assert.match(outside.message, /the provided IP is not in the valid range/);
  const headless = await client.create(services, service('headless', { clusterIP: 'None' }), inDefault);
  assert.is(headless.spec?.clusterIP, 'None');
});

test('two peers that choose the same address at once: one of them chooses again', async () => {
  const { client, store } = await testRegistry({ serviceCidr: '10.43.0.0/28' });
  store.beforeWrite = () => {
    store.beforeWrite = undefined;
    const free = Array.from({ length: 13 }, (_, i) => `/claims/clusterip/10.43.0.${i + 2}`).slice(0, 12);
    for (const key of free)
      store.writeElsewhere({ conditions: [], operations: [{ type: 'put', key, value: Buffer.from('{}') }] });
  };
  const { spec } = await client.create(services, service('s'), inDefault);
  assert.is(spec?.clusterIP, '10.43.0.14');
  const full = await failureOf(client.create(services, service('t'), inDefault));
  assert.is(full.code, 500);
});

test('an address is free again after its Service', async () => {
  const { client } = await testRegistry();
  await client.create(services, service('a', { clusterIP: '10.43.0.20' }), inDefault);
  await client.delete(services, 'a', inDefault);
  const { spec } = await client.create(services, service('b', { clusterIP: '10.43.0.20' }), inDefault);
  assert.is(spec?.clusterIP, '10.43.0.20');
});

test('a replacement that leaves out address and node port keeps them', async () => {
  const { client } = await testRegistry();
  const made = await client.create(services, service('a', { type: 'NodePort' }), inDefault);
  const port = made.spec?.ports?.[0]?.nodePort;
  assert.ok(port && port >= 30_000 && port <= 30_003);
  const { resourceVersion: _, ...metadata } = made.metadata;
  const replaced = await client.update(services, { ...made, metadata, spec: { type: 'NodePort', ports: [{ port: 80 }] } });
  assert.is(replaced.spec?.clusterIP, made.spec?.clusterIP);
  assert.is(replaced.spec?.ports?.[0]?.nodePort, port);
});

test('node ports are unique for each protocol, bounded by their range, and given back when the type changes', async () => {
  const { client } = await testRegistry();
  const nodePort = (name: string, port: number, protocol = 'TCP') =>
    client.create(services, service(name, { type: 'NodePort', ports: [{ port: 80, protocol, nodePort: port }] }), inDefault);
  await nodePort('a', 30_001);
  await nodePort('udp', 30_001, 'UDP');
  const taken = await failureOf(nodePort('b', 30_001));
  assert.match(taken.message, /spec\.ports\[0\]\.nodePort: Invalid value: 30001: provided port is already allocated/);
  const outside = await failureOf(nodePort('c', 80));
  assert.match(outside.message, /provided port is not in the valid range\. The range of valid ports is 30000-30003/);
  const plain = await client.patch(services, 'a', 'merge', { spec: { type: 'ClusterIP' } }, inDefault);
  assert.is(plain.spec?.ports?.[0]?.nodePort, undefined);
  await nodePort('b', 30_001);
});

test('a Service that becomes an ExternalName gives its address back', async () => {
  const { client, store } = await testRegistry();
  const made = await client.create(services, service('a'), inDefault);
  const key = `/claims/clusterip/${made.spec?.clusterIP}`;
  assert.ok(store.get(key));
  const patch = { spec: { type: 'ExternalName', externalName: 'example.org', clusterIP: null, clusterIPs: null } };
  const external = await client.patch(services, 'a', 'merge', patch, inDefault);
  assert.is(external.spec?.clusterIP, undefined);
  assert.is(store.get(key), undefined);
});

const pod = (name: string, spec: object = {}) => ({
  metadata: { name },
  spec: { containers: [{ name: 'c', image: 'busybox' }], ...spec } as Pod['spec'],
});
const bind = (nodeName: string) => ({ metadata: {}, target: { kind: 'Node', name: nodeName } });

test('binding gives a pod its node and says so, once', async () => {
  const { client, clock } = await testRegistry();
  await client.create(pods, pod('p'), inDefault);
  const options = { namespace, subresource: 'binding', name: 'p' };
  await client.create(pods, bind('node-1'), options);
  const { spec, status } = await client.get(pods, 'p', inDefault);
  assert.is(spec?.nodeName, 'node-1');
  const scheduled = status?.conditions?.find(({ type }) => type === 'PodScheduled');
  assert.is(scheduled?.status, 'True');
  assert.is(Date.parse(scheduled?.lastTransitionTime ?? ''), Math.floor(clock.wallMs() / 1000) * 1000);
  const again = await failureOf(client.create(pods, bind('node-2'), options));
  assert.is(again.code, 409);
  assert.match(again.message, /pod p is already assigned to node "node-1"/);
  assert.is((await failureOf(client.create(pods, bind('node-1'), { ...options, name: 'q' }))).code, 404);
});

test('an eviction deletes the pod with the grace it asks for', async () => {
  const { client } = await testRegistry();
  await client.create(pods, pod('p', { nodeName: 'node-1' }), inDefault);
  const eviction = { metadata: { name: 'p' }, deleteOptions: { gracePeriodSeconds: 7 } };
  await client.create(pods, eviction, { namespace, subresource: 'eviction', name: 'p' });
  const evicted = await client.get(pods, 'p', inDefault);
  assert.is(evicted.metadata.deletionGracePeriodSeconds, 7);
  const { type, status, reason, message } = evicted.status?.conditions?.at(-1) ?? {};
  assert.equal([type, status, reason, message], ['DisruptionTarget', 'True', 'EvictionByEvictionAPI', 'Eviction API: evicting']);
});

test('an agent writes its own node and the status of its own pods, and nothing else', async () => {
  const { client, clientOf } = await testRegistry();
  const agent = clientOf({ name: 'system:node:node-1', groups: ['system:nodes'] });
  const forbidden = async (promise: Promise<unknown>) => assert.is((await failureOf(promise)).code, 403);
  await agent.create(nodes, { metadata: { name: 'node-1' } });
  await forbidden(agent.create(nodes, { metadata: { name: 'node-2' } }));
  await client.create(pods, pod('mine', { nodeName: 'node-1' }), inDefault);
  await client.create(pods, pod('other', { nodeName: 'node-2' }), inDefault);
  const status = { status: { phase: 'Running' } };
  await agent.patch(pods, 'mine', 'merge', status, { namespace, subresource: 'status' });
  await forbidden(agent.patch(pods, 'other', 'merge', status, { namespace, subresource: 'status' }));
  await forbidden(agent.patch(pods, 'mine', 'merge', { metadata: { labels: { a: 'b' } } }, inDefault));
  await forbidden(agent.delete(pods, 'other', inDefault));
  await agent.delete(pods, 'mine', { namespace, gracePeriodSeconds: 0 });
  const denied = await failureOf(agent.delete(services, 'kubernetes', inDefault));
  assert.is(
    denied.message,
    'services "kubernetes" is forbidden: User "system:node:node-1" cannot delete resource "services" in API group "" in the namespace "default"',
  );
});

test.run();
