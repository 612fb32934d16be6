/** Decisions as pure functions: filters and scores as tables, the sentences, and the history. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededRandom } from '../../src/lib/random.ts';
import type { Node, Pod, PodSpec } from '../../src/machinery/types.ts';
import { ClusterCache } from '../../src/scheduler/cluster-cache.ts';
import { Decisions } from '../../src/scheduler/decisions.ts';
import { explainUnschedulable } from '../../src/scheduler/explain.ts';
import { needsOf } from '../../src/scheduler/pod-needs.ts';
import { schedule } from '../../src/scheduler/schedule.ts';
import { nodeNamed } from '../controllers/cluster.ts';

const first = () => 0;

function podOf(name: string, spec: Partial<PodSpec> = {}, owner?: string): Pod {
  const ownerReferences = owner ? [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: owner, uid: owner, controller: true }] : [];
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', uid: name, ownerReferences },
    spec: { containers: [{ name: 'c' }], ...spec },
  };
}

const asking = (cpu: string, memory = '1Mi'): Partial<PodSpec> => ({
  containers: [{ name: 'c', resources: { requests: { cpu, memory } } }],
});

function nodeOf(name: string, change: (node: Node) => void = () => {}): Node {
  const node = nodeNamed(name);
  change(node);
  return node;
}

function decide(pod: Pod, nodes: Node[], placed: [Pod, string][] = []) {
  const cache = new ClusterCache();
  for (const node of nodes) cache.setNode(node);
  for (const [other, node] of placed) cache.assume(needsOf(other), node);
  return schedule(needsOf(pod), cache.snapshot(), first);
}

const needing = (resource: string, amount: string): Partial<PodSpec> => ({
  containers: [{ name: 'c', resources: { requests: { [resource]: amount }, limits: { [resource]: amount } } }],
});
const withPages = (amount: string) =>
  nodeOf('n', ({ status }) => {
    if (status) status.allocatable = { ...status.allocatable, 'hugepages-2Mi': amount };
  });

const tainted = nodeOf('n', ({ spec }) => {
  if (spec) spec.taints = [{ key: 'gpu', value: 'yes', effect: 'NoSchedule' }];
});
const cordoned = nodeOf('n', ({ spec }) => {
  if (spec) spec.unschedulable = true;
});
const labelled = nodeOf('n', ({ metadata }) => {
  metadata.labels = { ...metadata.labels, disk: 'ssd', cores: '8' };
});
const requiring = (key: string, operator: string, values?: string[]): Partial<PodSpec> => ({
  affinity: {
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: [{ matchExpressions: [{ key, operator, ...(values ? { values } : {}) }] }],
      },
    },
  },
});
const onPort = (hostPort: number, hostIP?: string): Partial<PodSpec> => ({
  containers: [{ name: 'c', ports: [{ containerPort: 80, hostPort, ...(hostIP ? { hostIP } : {}) }] }],
});
const full = podOf('full', asking('3900m'));

const filterTable: [why: string, pod: Partial<PodSpec>, node: Node, placed: Pod[], reason: string | undefined][] = [
  ['an empty node takes a plain pod', {}, nodeOf('n'), [], undefined],
  ['a cordoned node', {}, cordoned, [], 'node(s) were unschedulable'],
  [
    'a cordoned node, tolerated',
    { tolerations: [{ key: 'node.kubernetes.io/unschedulable', operator: 'Exists' }] },
    cordoned,
    [],
    undefined,
  ],
  ['a taint', {}, tainted, [], 'node(s) had untolerated taint {gpu: yes}'],
  ['a taint, tolerated', { tolerations: [{ key: 'gpu', value: 'yes', effect: 'NoSchedule' }] }, tainted, [], undefined],
  [
    'a taint, another value tolerated',
    { tolerations: [{ key: 'gpu', value: 'no' }] },
    tainted,
    [],
    'node(s) had untolerated taint {gpu: yes}',
  ],
  ['a selector that matches', { nodeSelector: { disk: 'ssd' } }, labelled, [], undefined],
  [
    'a selector that does not',
    { nodeSelector: { disk: 'ssd' } },
    nodeOf('n'),
    [],
    "node(s) didn't match Pod's node affinity/selector",
  ],
  ['affinity In', requiring('disk', 'In', ['hdd', 'ssd']), labelled, [], undefined],
  ['affinity NotIn', requiring('disk', 'NotIn', ['ssd']), labelled, [], "node(s) didn't match Pod's node affinity/selector"],
  ['affinity NotIn on a missing label', requiring('disk', 'NotIn', ['ssd']), nodeOf('n'), [], undefined],
  ['affinity Gt', requiring('cores', 'Gt', ['4']), labelled, [], undefined],
  ['affinity Lt', requiring('cores', 'Lt', ['4']), labelled, [], "node(s) didn't match Pod's node affinity/selector"],
  ['affinity DoesNotExist', requiring('disk', 'DoesNotExist'), nodeOf('n'), [], undefined],
  ['too little CPU', asking('200m'), nodeOf('n'), [full], 'Insufficient cpu'],
  ['just enough CPU', asking('100m'), nodeOf('n'), [full], undefined],
  ['no request fits a full node', {}, nodeOf('n'), [podOf('all', asking('4'))], undefined],
  ['no huge pages', needing('hugepages-2Mi', '4Mi'), withPages('0'), [], 'Insufficient hugepages-2Mi'],
  ['huge pages', needing('hugepages-2Mi', '4Mi'), withPages('4Mi'), [], undefined],
  [
    'huge pages that are taken',
    needing('hugepages-2Mi', '4Mi'),
    withPages('6Mi'),
    [podOf('other', needing('hugepages-2Mi', '4Mi'))],
    'Insufficient hugepages-2Mi',
  ],
  ['a device the node has not', needing('example.com/gpu', '1'), nodeOf('n'), [], 'Insufficient example.com/gpu'],
  ['too little memory', asking('1m', '9Gi'), nodeOf('n'), [], 'Insufficient memory'],
  [
    'a port that is taken',
    onPort(80),
    nodeOf('n'),
    [podOf('p', onPort(80))],
    "node(s) didn't have free ports for the requested pod ports",
  ],
  ['the same port on another address', onPort(80, '10.0.0.1'), nodeOf('n'), [podOf('p', onPort(80, '10.0.0.2'))], undefined],
  [
    'the same port on all addresses',
    onPort(80),
    nodeOf('n'),
    [podOf('p', onPort(80, '10.0.0.2'))],
    "node(s) didn't have free ports for the requested pod ports",
  ],
];
for (const [why, spec, node, placed, reason] of filterTable) {
  test(`filter: ${why}`, () => {
    const decision = decide(
      podOf('p0', spec),
      [node],
      placed.map((pod) => [pod, 'n']),
    );
    assert.is(decision.node, reason ? undefined : 'n');
    if (reason) assert.is(explainUnschedulable(decision), `0/1 nodes are available: 1 ${reason}.`);
  });
}

test('a node holds only as many pods as it says', () => {
  const small = nodeOf('n', ({ status }) => {
    if (status?.allocatable) status.allocatable.pods = '1';
  });
  assert.is(explainUnschedulable(decide(podOf('p'), [small], [[podOf('q'), 'n']])), '0/1 nodes are available: 1 Too many pods.');
});

test('the requests of a pod: containers together, or the largest init container, beside its sidecars', () => {
  const container = (cpu: string, restartPolicy?: string) => ({
    name: cpu,
    resources: { requests: { cpu } },
    ...(restartPolicy ? { restartPolicy } : {}),
  });
  const cpu = (spec: Partial<PodSpec>) => needsOf(podOf('p', spec)).requests.cpuMilli;
  assert.is(cpu({ containers: [container('100m'), container('200m')] }), 300);
  assert.is(cpu({ containers: [container('100m')], initContainers: [container('500m'), container('300m')] }), 500);
  assert.is(cpu({ containers: [container('100m')], initContainers: [container('50m', 'Always'), container('500m')] }), 550);
  assert.is(cpu({ containers: [container('600m')], initContainers: [container('50m', 'Always'), container('500m')] }), 650);
  assert.is(cpu({ containers: [container('100m')], overhead: { cpu: '20m' } }), 120);
});

test('the refusal counts reasons over all nodes, in order', () => {
  const nodes = [tainted, nodeOf('b'), nodeOf('c')];
  const decision = decide(podOf('p', asking('5', '9Gi')), nodes);
  assert.is(
    explainUnschedulable(decision),
    '0/3 nodes are available: 1 node(s) had untolerated taint {gpu: yes}, 2 Insufficient cpu, 2 Insufficient memory.',
  );
  assert.equal(decision.nodes[0]?.failure, {
    filter: 'NodeResourcesFit',
    short: [
      { resource: 'cpu', wanted: 5000, used: 0, allocatable: 4000 },
      { resource: 'memory', wanted: 9 * 1024 ** 3, used: 0, allocatable: 8 * 1024 ** 3 },
    ],
  });
  assert.is(explainUnschedulable(decide(podOf('p'), [])), 'no nodes available to schedule pods');
});

test('replicas of one owner go to different nodes, also when some nodes are fuller', () => {
  const nodes = ['a', 'b', 'c'].map((name) => nodeOf(name));
  const placed: [Pod, string][] = [
    [podOf('x', asking('1500m', '3Gi')), 'a'],
    [podOf('y', asking('700m', '1Gi')), 'b'],
  ];
  for (let replica = 0; replica < 6; replica++) {
    const pod = podOf(`web-${replica}`, asking('100m'), 'web');
    placed.push([pod, decide(pod, nodes, placed).node ?? '']);
  }
  const counts = ['a', 'b', 'c'].map(
    (name) => placed.filter(([pod, node]) => node === name && pod.metadata.name.startsWith('web')).length,
  );
  assert.equal(counts, [2, 2, 2]);
});

test('preferences decide between nodes that can all take the pod', () => {
  const emptier: [Pod, string][] = [[podOf('x', asking('2')), 'a']];
  assert.is(decide(podOf('p', asking('100m')), [nodeOf('a'), nodeOf('b')], emptier).node, 'b');
  const preference = { matchExpressions: [{ key: 'disk', operator: 'In', values: ['ssd'] }] };
  const liking = { affinity: { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 1, preference }] } } };
  assert.is(decide(podOf('p', liking), [nodeOf('a'), labelled]).node, 'n');
  const avoided = nodeOf('a', ({ spec }) => {
    if (spec) spec.taints = [{ key: 'k', effect: 'PreferNoSchedule' }];
  });
  assert.is(decide(podOf('p'), [avoided, nodeOf('b')]).node, 'b');
  const withImage = nodeOf('z', ({ status }) => {
    if (status) status.images = [{ names: ['web:1'], sizeBytes: 800 * 1024 ** 2 }];
  });
  assert.is(decide(podOf('p', { containers: [{ name: 'c', image: 'web:1' }] }), [nodeOf('a'), withImage]).node, 'z');
});

test('a decision shows the points of every node that passed', () => {
  const { nodes, node } = decide(podOf('p'), [nodeOf('a'), cordoned]);
  assert.is(node, 'a');
  assert.equal(Object.keys(nodes[0]?.scores ?? {}).sort(), [
    'BalancedAllocation',
    'ImageLocality',
    'LeastAllocated',
    'NodeAffinity',
    'Spread',
    'TaintToleration',
  ]);
  assert.ok((nodes[0]?.total ?? 0) > 0);
  assert.equal(nodes[1], { node: 'n', failure: { filter: 'NodeUnschedulable' } });
});

test('the cache counts assumed pods, takes them back, and keeps pods of nodes that come later or again', () => {
  const cache = new ClusterCache();
  const state = () => cache.snapshot().nodes[0];
  const pod = podOf('p', { ...asking('1'), nodeName: 'n' });
  cache.setPod(pod);
  cache.setNode(nodeOf('n'));
  assert.is(state()?.requested.cpuMilli, 1000);
  const other = needsOf(podOf('q', { ...asking('500m'), ...onPort(80) }));
  cache.assume(other, 'n');
  assert.is(state()?.podCount, 2);
  cache.setNode(labelled);
  assert.is(state()?.podCount, 2, 'a new state of the node keeps its pods');
  cache.unassume('q');
  cache.unassume('p');
  assert.equal([state()?.podCount, state()?.requested.cpuMilli], [1, 1000], 'only what was assumed is taken back');
  cache.removeNode('n');
  cache.setNode(nodeOf('n'));
  assert.is(state()?.podCount, 1);
  cache.removePod('p');
  assert.equal([state()?.podCount, state()?.requested.cpuMilli], [0, 0]);
});

test('the history of decisions is bounded by pods and by node verdicts', () => {
  const decision = (name: string, nodes: number) => ({
    pod: { namespace: 'n', name, uid: name },
    nodes: Array.from({ length: nodes }, (_, index) => ({ node: `${index}` })),
    atMs: 0,
    attempt: 1,
  });
  const decisions = new Decisions({ podsMax: 3, verdictsMax: 100 });
  for (const name of ['a', 'b', 'c', 'a', 'd']) decisions.record(decision(name, 1));
  assert.equal(
    ['a', 'b', 'c', 'd'].map((name) => decisions.get('n', name) !== undefined),
    [true, false, true, true],
  );
  decisions.record(decision('big', 99));
  assert.is(decisions.size, 2);
  decisions.bindFailed({ namespace: 'n', name: 'big', uid: 'another' }, 'no');
  assert.is(decisions.get('n', 'big')?.bindError, undefined);
  decisions.bindFailed({ namespace: 'n', name: 'big', uid: 'big' }, 'no');
  assert.is(decisions.get('n', 'big')?.bindError, 'no');
});

test('among equal nodes the choice is random, and each is chosen', () => {
  const random = seededRandom(3);
  const cache = new ClusterCache();
  for (const name of ['a', 'b', 'c']) cache.setNode(nodeOf(name));
  const chosen = new Set(
    Array.from({ length: 40 }, () => schedule(needsOf(podOf('p')), cache.snapshot(), (count) => random.int(count)).node),
  );
  assert.equal(chosen, new Set(['a', 'b', 'c']));
});

test.run();
