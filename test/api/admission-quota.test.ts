/** ResourceQuotas: what counts, what is refused in which words, and that no two writers pass together. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Client } from '../../src/machinery/client.ts';
import type { ResourceQuota } from '../../src/machinery/kind-types.ts';
import * as r from '../../src/machinery/resources.ts';
import { isReason } from '../../src/machinery/status.ts';
import type { Pod } from '../../src/machinery/types.ts';
import { admissionWorld, container, type Fields, namespace, podOf, withResources } from './admission-objects.ts';
import { failureOf } from './widgets.ts';

const test = suite('resource quotas');

const quota = (hard: Fields, spec: Fields = {}, name = 'q') => ({ metadata: { name }, spec: { hard, ...spec } });
const claim = (name: string, storage: string, storageClassName?: string) => ({
  metadata: { name },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage } }, storageClassName },
});
const service = (name: string, spec: Fields) => ({ metadata: { name }, spec: { ports: [{ port: 80 }], ...spec } });

async function used(client: Client, name = 'q', of = namespace) {
  return (await client.get<ResourceQuota>(r.resourceQuotas, name, { namespace: of })).status?.used;
}

test('of 50 creations at once exactly as many pass as the quota has room for', async () => {
  const { client, make, run } = await admissionWorld();
  await make('ResourceQuota', quota({ pods: '20' }));
  const outcomes = await Promise.allSettled(Array.from({ length: 50 }, (_, index) => run(podOf(`p${index}`))));
  const failures = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []));
  assert.is(outcomes.length - failures.length, 20);
  for (const failure of failures) {
    assert.ok(isReason(failure, 'Forbidden'), String(failure));
    assert.match(failure.message, /is forbidden: exceeded quota: q, requested: pods=1, used: pods=20, limited: pods=20$/);
  }
  assert.equal(await used(client), { pods: '20' });
  assert.is((await client.list(r.pods, { namespace })).items.length, 20);
});

test('a writer on another peer that was quicker is counted', async () => {
  const { client, store, make, run, refusedWith } = await admissionWorld();
  await make('ResourceQuota', quota({ pods: '2' }));
  await run(podOf('a'));
  let once = true;
  store.beforeWrite = () => {
    if (!once) return;
    once = false;
    const key = '/registry/core/resourcequotas/default/q';
    const value = Buffer.from(
      Buffer.from(store.get(key)?.value ?? [])
        .toString()
        .replace('"used":{"pods":"1"}', '"used":{"pods":"2"}'),
    );
    store.writeElsewhere({ conditions: [], operations: [{ type: 'put', key, value }] });
  };
  const why = 'pods "b" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2';
  assert.is(await refusedWith(run(podOf('b'))), why);
  assert.equal(await used(client), { pods: '2' });
});

test('many quotas at once: each write is counted in all, and none waits in a circle', async () => {
  const { client, make, run } = await admissionWorld();
  for (const name of ['one', 'two', 'three']) await make('ResourceQuota', quota({ pods: '100' }, {}, name));
  await make('ResourceQuota', quota({ 'count/configmaps': '100' }, {}, 'maps'));
  await Promise.all(
    Array.from({ length: 30 }, (_, index) => [
      run(podOf(`p${index}`)),
      make('ConfigMap', { metadata: { name: `c${index}` } }),
    ]).flat(),
  );
  for (const name of ['one', 'two', 'three']) assert.equal(await used(client, name), { pods: '30' });
  assert.equal(await used(client, 'maps'), { 'count/configmaps': '30' });
});

interface Taking {
  what: string;
  hard: Fields;
  kind: string;
  object: Fields;
  /** Of the names in `hard`. */
  used: Fields;
}

const big = withResources({ cpu: '500m', memory: '1Gi' }, { cpu: '1', memory: '2Gi' });
const taking: Taking[] = [
  {
    what: 'amounts of a pod, by all their names',
    hard: { cpu: '4', 'requests.cpu': '4', 'limits.cpu': '4', memory: '8Gi', 'requests.memory': '8Gi', 'limits.memory': '8Gi' },
    kind: 'Pod',
    object: podOf('a', big, { containers: [container(big), container({ ...big, name: 'side' })] }),
    used: { cpu: '1', 'requests.cpu': '1', 'limits.cpu': '2', memory: '2Gi', 'requests.memory': '2Gi', 'limits.memory': '4Gi' },
  },
  {
    what: 'the largest init container, beside its sidecars',
    hard: { 'requests.cpu': '10' },
    kind: 'Pod',
    object: podOf('a', withResources({ cpu: '1' }), {
      initContainers: [
        container({ name: 'side', restartPolicy: 'Always', ...withResources({ cpu: '250m' }) }),
        container({ name: 'init', ...withResources({ cpu: '3' }) }),
      ],
    }),
    used: { 'requests.cpu': '3250m' },
  },
  {
    what: 'scratch space, huge pages and devices',
    hard: {
      'requests.ephemeral-storage': '10Gi',
      'limits.ephemeral-storage': '10Gi',
      'hugepages-2Mi': '1Gi',
      'requests.hugepages-2Mi': '1Gi',
      'requests.example.com/gpu': '4',
    },
    kind: 'Pod',
    object: podOf('a', {
      resources: {
        requests: { cpu: '1', memory: '1Gi', 'ephemeral-storage': '1Gi' },
        limits: { 'ephemeral-storage': '2Gi', 'hugepages-2Mi': '4Mi', 'example.com/gpu': '2' },
      },
    }),
    used: {
      'requests.ephemeral-storage': '1Gi',
      'limits.ephemeral-storage': '2Gi',
      'hugepages-2Mi': '4Mi',
      'requests.hugepages-2Mi': '4Mi',
      'requests.example.com/gpu': '2',
    },
  },
  {
    what: 'a service for a port of each machine',
    hard: { services: '5', 'services.nodeports': '5', 'services.loadbalancers': '5' },
    kind: 'Service',
    object: service('a', { type: 'NodePort' }),
    used: { services: '1', 'services.nodeports': '1', 'services.loadbalancers': '0' },
  },
  {
    what: 'a service behind a load balancer that wants no ports of machines',
    hard: { 'services.nodeports': '5', 'services.loadbalancers': '5' },
    kind: 'Service',
    object: service('a', { type: 'LoadBalancer', allocateLoadBalancerNodePorts: false }),
    used: { 'services.nodeports': '0', 'services.loadbalancers': '1' },
  },
  {
    what: 'a claim, in all and in its class',
    hard: {
      persistentvolumeclaims: '5',
      'requests.storage': '100Gi',
      'gold.storageclass.storage.k8s.io/requests.storage': '50Gi',
      'gold.storageclass.storage.k8s.io/persistentvolumeclaims': '5',
      'tin.storageclass.storage.k8s.io/requests.storage': '50Gi',
    },
    kind: 'PersistentVolumeClaim',
    object: claim('a', '10Gi', 'gold'),
    used: {
      persistentvolumeclaims: '1',
      'requests.storage': '10Gi',
      'gold.storageclass.storage.k8s.io/requests.storage': '10Gi',
      'gold.storageclass.storage.k8s.io/persistentvolumeclaims': '1',
      'tin.storageclass.storage.k8s.io/requests.storage': '0',
    },
  },
  {
    what: 'objects by the name of their resource',
    hard: { 'count/deployments.apps': '3', 'count/secrets': '3', secrets: '3' },
    kind: 'Secret',
    object: { metadata: { name: 'a' } },
    used: { 'count/deployments.apps': '0', 'count/secrets': '1', secrets: '1' },
  },
];

for (const { what, hard, kind, object, used: expected } of taking) {
  test(`counted: ${what}`, async () => {
    const { client, make } = await admissionWorld();
    await client.create(r.namespaces, { metadata: { name: 'empty' } });
    await client.create(r.serviceAccounts, { metadata: { name: 'default' } }, { namespace: 'empty' });
    await make('ResourceQuota', quota({ ...hard }), 'empty');
    await make(kind, object, 'empty');
    assert.equal(await used(client, 'q', 'empty'), expected);
  });
}

test('what was there before the quota counts', async () => {
  const { make, run, refusedWith } = await admissionWorld();
  await run(podOf('a', withResources({ cpu: '1' })));
  await run(podOf('b', withResources({ cpu: '500m' })));
  await make('ResourceQuota', quota({ cpu: '2' }));
  const why = 'pods "c" is forbidden: exceeded quota: q, requested: cpu=600m, used: cpu=1500m, limited: cpu=2';
  assert.is(await refusedWith(run(podOf('c', withResources({ cpu: '600m' })))), why);
  await run(podOf('c', withResources({ cpu: '0.5' })));
});

interface Refusal {
  what: string;
  hard: Fields;
  spec?: Fields;
  kind: string;
  object: Fields;
  why: string;
}

const refusals: Refusal[] = [
  {
    what: 'several amounts at once',
    hard: { 'requests.cpu': '200m', 'limits.memory': '1Gi', pods: '5' },
    kind: 'Pod',
    object: podOf('a', big),
    why: 'pods "a" is forbidden: exceeded quota: q, requested: limits.memory=2Gi,requests.cpu=500m, used: limits.memory=0,requests.cpu=0, limited: limits.memory=1Gi,requests.cpu=200m',
  },
  {
    what: 'amounts that are not said',
    hard: { 'limits.cpu': '2', 'requests.memory': '2Gi', cpu: '2' },
    kind: 'Pod',
    object: podOf('a', withResources({ cpu: '1' }), {
      initContainers: [container({ name: 'init', ...withResources({ cpu: '1', memory: '1Gi' }) })],
      containers: [container(withResources({ cpu: '1' })), container({ name: 'side' })],
    }),
    why: 'pods "a" is forbidden: failed quota: q: must specify cpu for: side; limits.cpu for: app,init,side; requests.memory for: app,side',
  },
  {
    what: 'a number of objects',
    hard: { 'count/deployments.apps': '0' },
    kind: 'Deployment',
    object: {
      metadata: { name: 'a' },
      spec: {
        selector: { matchLabels: { a: 'b' } },
        template: { metadata: { labels: { a: 'b' } }, spec: { containers: [container()] } },
      },
    },
    why: 'deployments.apps "a" is forbidden: exceeded quota: q, requested: count/deployments.apps=1, used: count/deployments.apps=0, limited: count/deployments.apps=0',
  },
  {
    what: 'storage of one class',
    hard: { 'gold.storageclass.storage.k8s.io/requests.storage': '5Gi' },
    kind: 'PersistentVolumeClaim',
    object: claim('a', '6Gi', 'gold'),
    why: 'persistentvolumeclaims "a" is forbidden: exceeded quota: q, requested: gold.storageclass.storage.k8s.io/requests.storage=6Gi, used: gold.storageclass.storage.k8s.io/requests.storage=0, limited: gold.storageclass.storage.k8s.io/requests.storage=5Gi',
  },
  {
    what: 'another quota',
    hard: { resourcequotas: '1' },
    kind: 'ResourceQuota',
    object: quota({ pods: '1' }, {}, 'second'),
    why: 'resourcequotas "second" is forbidden: exceeded quota: q, requested: resourcequotas=1, used: resourcequotas=1, limited: resourcequotas=1',
  },
];

for (const { what, hard, spec, kind, object, why } of refusals) {
  test(`refused: ${what}`, async () => {
    const { make, refusedWith } = await admissionWorld();
    await make('ResourceQuota', quota(hard, spec));
    assert.is(await refusedWith(make(kind, object)), why);
  });
}

const plain = podOf('a');
const urgent = podOf('a', {}, { priorityClassName: 'urgent' });
const ending = podOf('a', {}, { activeDeadlineSeconds: 60 });
const far = podOf(
  'a',
  {},
  {
    affinity: {
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { topologyKey: 'a', labelSelector: { matchLabels: { a: 'b' } }, namespaces: ['other'] },
        ],
      },
    },
  },
);
const sized = podOf('a', withResources({ cpu: '1' }));
const byClass = (operator: string, values?: string[]) => ({
  scopeSelector: { matchExpressions: [{ scopeName: 'PriorityClass', operator, values }] },
});
const scopes: [string, Fields, { in: Fields; out: Fields }][] = [
  ['BestEffort', { scopes: ['BestEffort'] }, { in: plain, out: sized }],
  ['NotBestEffort', { scopes: ['NotBestEffort'] }, { in: sized, out: plain }],
  ['Terminating', { scopes: ['Terminating'] }, { in: ending, out: plain }],
  ['NotTerminating', { scopes: ['NotTerminating'] }, { in: plain, out: ending }],
  ['both of two', { scopes: ['NotTerminating', 'BestEffort'] }, { in: plain, out: sized }],
  ['PriorityClass In', byClass('In', ['urgent']), { in: urgent, out: plain }],
  ['PriorityClass NotIn', byClass('NotIn', ['urgent']), { in: plain, out: urgent }],
  ['PriorityClass Exists', byClass('Exists'), { in: urgent, out: plain }],
  ['PriorityClass DoesNotExist', byClass('DoesNotExist'), { in: plain, out: urgent }],
  ['CrossNamespacePodAffinity', { scopes: ['CrossNamespacePodAffinity'] }, { in: far, out: plain }],
];

for (const [name, spec, pods] of scopes) {
  test(`scope ${name}`, async () => {
    const { make, run, refusedWith } = await admissionWorld();
    await make('PriorityClass', { metadata: { name: 'urgent' }, value: 7 });
    await make('ResourceQuota', quota({ pods: '0' }, spec));
    await run({ ...(pods.out as typeof plain), metadata: { name: 'out' } });
    assert.match(await refusedWith(run(pods.in as typeof plain)), /exceeded quota: q, requested: pods=1/);
    await make('ConfigMap', { metadata: { name: 'not-a-pod' } });
  });
}

test('a change is refused only when it takes more', async () => {
  const { client, make, refusedWith } = await admissionWorld();
  // The cluster's own service is there.
  await make('ResourceQuota', quota({ 'services.nodeports': '1', services: '2' }));
  await client.create(r.services, service('a', {}) as never, { namespace });
  await client.patch(r.services, 'a', 'merge', { spec: { type: 'NodePort' } }, { namespace });
  assert.equal(await used(client), { 'services.nodeports': '1', services: '2' });
  const ports = [
    { name: 'a', port: 80 },
    { name: 'b', port: 81 },
  ];
  assert.match(
    await refusedWith(client.patch(r.services, 'a', 'merge', { spec: { ports } }, { namespace })),
    /services "a" is forbidden: exceeded quota: q, requested: services.nodeports=1, used: services.nodeports=1, limited: services.nodeports=1/,
  );
  await client.patch(r.services, 'a', 'merge', { metadata: { labels: { a: 'b' } } }, { namespace });
});

test('a trial run and a refusal take nothing', async () => {
  const { client, make, run } = await admissionWorld();
  await make('ResourceQuota', quota({ pods: '1' }));
  await run(podOf('a'));
  await client.delete(r.pods, 'a', { namespace });
  // Given back by the controller, which does not run here.
  assert.is((await failureOf(client.create<Pod>(r.pods, podOf('b') as never, { namespace, dryRun: true }))).code, 403);
  await client.patch(r.resourceQuotas, 'q', 'merge', { spec: { hard: { pods: '2' } } }, { namespace });
  await client.create<Pod>(r.pods, podOf('b') as never, { namespace, dryRun: true });
  assert.equal(await used(client), { pods: '1' });
  await run(podOf('c'));
  assert.equal(await used(client), { pods: '2' });
});

test('quotas are of their namespace', async () => {
  const { client, make, run } = await admissionWorld();
  await client.create(r.namespaces, { metadata: { name: 'other' } });
  await client.create(r.serviceAccounts, { metadata: { name: 'default' } }, { namespace: 'other' });
  await make('ResourceQuota', quota({ pods: '0' }));
  await run(podOf('a'), 'other');
});

test.run();
