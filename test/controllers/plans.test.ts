/** The smaller plans, as tables. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { planEndpoints } from '../../src/controllers/endpoints/plan.ts';
import { endpointsPerSliceMax, planSlices, type SliceContent } from '../../src/controllers/endpointslice/plan.ts';
import { planDependent } from '../../src/controllers/garbage-collector/plan.ts';
import { nextPodCidr } from '../../src/controllers/node-ipam/plan.ts';
import { planPodGc } from '../../src/controllers/pod-gc/plan.ts';
import { rankForDeletion } from '../../src/controllers/replicaset/plan.ts';
import { evictionTimeMs } from '../../src/controllers/taint-eviction/plan.ts';
import type { EndpointSlice, KubeObject, Pod, Service, Toleration } from '../../src/machinery/types.ts';
import { nodeNamed, serviceNamed } from './cluster.ts';

interface PodTraits {
  node?: string;
  phase?: string;
  readySince?: string;
  cost?: number;
  restarts?: number;
  created?: string;
  ip?: string;
  ports?: [name: string, port: number][];
}

function podWith(name: string, traits: PodTraits = {}): Pod {
  const { node, phase = 'Running', readySince, cost, restarts = 0, created = '2030-01-01T00:00:00Z', ip, ports } = traits;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'default',
      uid: name,
      creationTimestamp: created,
      labels: { app: 'web' },
      ...(cost === undefined ? {} : { annotations: { 'controller.kubernetes.io/pod-deletion-cost': String(cost) } }),
    },
    spec: {
      ...(node ? { nodeName: node } : {}),
      containers: [
        { name: 'c', ports: (ports ?? [['http', 80]]).map(([port, containerPort]) => ({ name: port, containerPort })) },
      ],
    },
    status: {
      phase,
      ...(ip ? { podIP: ip } : {}),
      conditions: readySince ? [{ type: 'Ready', status: 'True', lastTransitionTime: readySince }] : [],
      containerStatuses: [{ name: 'c', restartCount: restarts, image: '', imageID: '', ready: false }],
    },
  };
}

const ready = { node: 'a', readySince: '2030-01-01T00:00:00Z' };
const rankTable: [why: string, goes: PodTraits, stays: PodTraits][] = [
  ['a pod without a node', {}, { node: 'a' }],
  ['a pending pod', { node: 'a', phase: 'Pending' }, { node: 'a' }],
  ['a pod that is not ready', { node: 'a' }, ready],
  ['a pod that costs less', { ...ready, cost: -5 }, ready],
  ['a pod on the fuller node', { ...ready, node: 'full' }, { ...ready, node: 'b' }],
  ['a pod ready for a shorter time', { ...ready, readySince: '2030-01-02T00:00:00Z' }, ready],
  ['a pod with more restarts', { ...ready, restarts: 3 }, ready],
  ['the younger pod', { ...ready, created: '2030-01-03T00:00:00Z' }, ready],
];
for (const [why, goes, stays] of rankTable) {
  test(`a ReplicaSet that shrinks deletes first ${why}`, () => {
    // Names are against it: only the trait may decide.
    const pods = [podWith('a-stays', stays), podWith('z-goes', goes)];
    const related = [...pods, podWith('x', { ...ready, node: 'full' }), podWith('y', { ...ready, node: 'full' })];
    assert.is(rankForDeletion(pods, related)[0]?.metadata.name, 'z-goes');
  });
}

function sliceFrom(content: SliceContent, name: string): EndpointSlice {
  return { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata: { name, labels: content.labels }, ...content };
}

const manyPods = (count: number, from = 0) =>
  Array.from({ length: count }, (_, index) =>
    podWith(`p-${String(from + index).padStart(4, '0')}`, {
      ...ready,
      ip: `10.0.${Math.floor((from + index) / 250)}.${(from + index) % 250}`,
    }),
  );

test('slices hold at most 100 endpoints, and a change of one pod touches one slice', () => {
  const service = serviceNamed('svc', 'web');
  const pods = manyPods(250);
  const first = planSlices(service, pods, []);
  assert.equal(
    first.create.map(({ endpoints }) => endpoints.length),
    [100, 100, 50],
  );
  const slices = first.create.map((content, index) => sliceFrom(content, `svc-${index}`));
  assert.equal(planSlices(service, pods, slices), { create: [], update: [], delete: [] });
  const less = planSlices(
    service,
    pods.filter((_, index) => index !== 120),
    slices,
  );
  assert.equal([less.create.length, less.update.length, less.delete.length], [0, 1, 0]);
  assert.is(less.update[0]?.slice.metadata.name, 'svc-1');
  const more = planSlices(service, [...pods, ...manyPods(60, 250)], slices);
  assert.equal(
    more.create.map(({ endpoints }) => endpoints.length),
    [10],
  );
  assert.equal(
    more.update.map(({ content }) => content.endpoints.length),
    [endpointsPerSliceMax],
  );
});

test('a service without pods keeps one empty slice', () => {
  const service = serviceNamed('svc', 'web');
  const full = planSlices(service, manyPods(150), []).create.map((content, index) => sliceFrom(content, `svc-${index}`));
  const plan = planSlices(service, [], full);
  assert.is(plan.create.length, 1);
  assert.is(plan.delete.length, 2);
  const empty = plan.create.map((content) => sliceFrom(content, 'svc-x'));
  assert.equal(planSlices(service, [], empty), { create: [], update: [], delete: [] });
});

test('pods that name a port differently are in subsets and slices of their own', () => {
  const service = serviceNamed('svc', 'web');
  const pods = [
    podWith('a', { ...ready, ip: '10.0.0.1', ports: [['http', 80]] }),
    podWith('b', { ...ready, ip: '10.0.0.2', ports: [['http', 8080]] }),
    podWith('c', { ...ready, ip: '10.0.0.3', ports: [['other', 80]] }),
  ];
  const { subsets } = planEndpoints(service, pods);
  assert.equal(
    subsets.map(({ addresses, ports }) => [addresses?.map(({ ip }) => ip), ports?.map(({ port }) => port)]),
    [
      [['10.0.0.1'], [80]],
      [['10.0.0.2'], [8080]],
    ],
  );
  assert.equal(
    planSlices(service, pods, [])
      .create.map(({ endpoints, ports }) => [endpoints[0]?.addresses[0], ports[0]?.port])
      .sort(),
    [
      ['10.0.0.1', 80],
      ['10.0.0.2', 8080],
    ],
  );
});

test('publishNotReadyAddresses takes in what is not ready; a headless service is labelled', () => {
  const service: Service = serviceNamed('svc', 'web');
  service.spec = { ...service.spec, publishNotReadyAddresses: true, clusterIP: 'None' };
  const pods = [podWith('a', { node: 'n', ip: '10.0.0.1' })];
  const { subsets, labels } = planEndpoints(service, pods);
  assert.equal(subsets[0]?.addresses?.[0]?.ip, '10.0.0.1');
  assert.is(labels['service.kubernetes.io/headless'], '');
  const [slice] = planSlices(service, pods, []).create;
  assert.equal(slice?.endpoints[0]?.conditions, { ready: true, serving: false, terminating: false });
});

const owned = (count: number, finalizers: string[] = []): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: {
    name: 'x',
    finalizers,
    ownerReferences: Array.from({ length: count }, (_, index) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      name: `${index}`,
      uid: `${index}`,
    })),
  },
});
const gcTable: [string, KubeObject, string[], boolean, unknown][] = [
  ['all owners gone', owned(2), ['absent', 'absent'], false, { type: 'delete', policy: 'Background' }],
  ['an owner lives', owned(1), ['present'], true, { type: 'none' }],
  ['an owner of a kind nobody knows', owned(1), ['unknown'], false, { type: 'none' }],
  [
    'one of two gone',
    owned(2),
    ['present', 'absent'],
    false,
    { type: 'dropReferences', ownerReferences: owned(1).metadata.ownerReferences },
  ],
  ['an owner waits, with dependents of its own', owned(1), ['waiting'], true, { type: 'delete', policy: 'Foreground' }],
  ['an owner waits, without', owned(1), ['waiting'], false, { type: 'delete', policy: 'Background' }],
  ['its own finalizer orphans', owned(1, ['orphan']), ['absent'], true, { type: 'delete', policy: 'Orphan' }],
];
for (const [why, object, states, hasDependents, expected] of gcTable) {
  test(`garbage collection: ${why}`, () => {
    assert.equal(
      planDependent(object, ({ uid }) => states[Number(uid)] as 'absent', hasDependents),
      expected,
    );
  });
}

test('ranges for nodes are the lowest that are free, until none is', () => {
  assert.is(nextPodCidr('10.42.0.0/16', new Set()), '10.42.0.0/24');
  assert.is(nextPodCidr('10.42.0.0/16', new Set(['10.42.0.0/24', '10.42.2.0/24'])), '10.42.1.0/24');
  assert.is(nextPodCidr('10.42.7.0/23', new Set(['10.42.6.0/24'])), '10.42.7.0/24');
  assert.is(nextPodCidr('10.42.6.0/23', new Set(['10.42.6.0/24', '10.42.7.0/24'])), undefined);
  assert.throws(() => nextPodCidr('10.42.0.0/28', new Set()), /not an IPv4 range/);
});

const tolerate = (seconds?: number): Toleration => ({
  key: 'k',
  operator: 'Exists',
  ...(seconds === undefined ? {} : { tolerationSeconds: seconds }),
});
const evictionTable: [string, Toleration[], number | undefined][] = [
  ['none: at once', [], 1_000_000],
  ['for ever: never', [tolerate()], undefined],
  ['for 60 s from the taint on', [tolerate(60)], 960_000],
  ['the shortest counts', [tolerate(60), tolerate(10)], 910_000],
  ['of another effect: at once', [{ ...tolerate(), effect: 'NoSchedule' }], 1_000_000],
  ['of another key: at once', [{ key: 'other', operator: 'Exists' }], 1_000_000],
  ['everything', [{ operator: 'Exists' }], undefined],
];
for (const [why, tolerations, atMs] of evictionTable) {
  test(`NoExecute with tolerations: ${why}`, () => {
    const node = nodeNamed('n');
    node.spec = { taints: [{ key: 'k', effect: 'NoExecute', timeAdded: new Date(900_000).toISOString() }] };
    const pod = podWith('p');
    if (pod.spec) pod.spec.tolerations = tolerations;
    assert.is(evictionTimeMs(pod, node, 1_000_000), atMs);
  });
}

test('of too many finished pods the oldest go; a deleted pod without a node goes', () => {
  const pods = ['3', '1', '2'].map((day) =>
    podWith(`done-${day}`, { node: 'n', phase: 'Succeeded', created: `2030-01-0${day}T00:00:00Z` }),
  );
  const unscheduled = podWith('unscheduled');
  unscheduled.metadata.deletionTimestamp = '2030-01-01T00:00:00Z';
  const plan = planPodGc([...pods, unscheduled, podWith('runs', { node: 'n' })], () => false, 1);
  assert.equal(
    plan.finished.map(({ metadata }) => metadata.name),
    ['done-1', 'done-2'],
  );
  assert.equal(
    plan.unscheduled.map(({ metadata }) => metadata.name),
    ['unscheduled'],
  );
  assert.equal(plan.orphaned, []);
});

test.run();
