import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Deployment, KubeObject, Pod, PodStatus } from '../../src/machinery/types.ts';
import { created, deploymentFields, kindOf, nowMs, object, pod, podSpec, row } from './support.ts';

const at = (secondsAgo: number) => new Date(nowMs - secondsAgo * 1000).toISOString().replace('.000', '');
const aged = (of: KubeObject, fields: object = {}) => ({
  ...of,
  metadata: { ...of.metadata, creationTimestamp: at(90) },
  ...fields,
});

const running = (name: string, fields: object = {}) => ({
  name,
  ready: true,
  restartCount: 0,
  state: { running: {} },
  ...fields,
});
const waiting = (name: string, reason: string) => ({ name, ready: false, restartCount: 0, state: { waiting: { reason } } });
const ended = (name: string, terminated: object) => ({ name, ready: false, restartCount: 0, state: { terminated } });

const two = podSpec({
  containers: [
    { name: 'a', image: 'x' },
    { name: 'b', image: 'x' },
  ],
});
const withInit = podSpec({
  initContainers: [
    { name: 'i', image: 'x' },
    { name: 'side', image: 'x', restartPolicy: 'Always' },
  ],
});
const ready = [{ type: 'Ready', status: 'True' }];
const initialized = [{ type: 'Initialized', status: 'True' }];

const statuses: [what: string, spec: object, status: object, expected: string, count: string][] = [
  ['no status yet', two, { phase: 'Pending' }, 'Pending', '0/2'],
  ['all run', two, { phase: 'Running', containerStatuses: [running('a'), running('b')] }, 'Running', '2/2'],
  ['evicted', two, { phase: 'Failed', reason: 'Evicted' }, 'Evicted', '0/2'],
  [
    'gated',
    two,
    { phase: 'Pending', conditions: [{ type: 'PodScheduled', status: 'False', reason: 'SchedulingGated' }] },
    'SchedulingGated',
    '0/2',
  ],
  [
    'the first container that waits wins',
    two,
    { phase: 'Pending', containerStatuses: [waiting('a', 'ErrImagePull'), waiting('b', 'ContainerCreating')] },
    'ErrImagePull',
    '0/2',
  ],
  [
    'ended without a reason',
    two,
    { phase: 'Running', containerStatuses: [ended('a', { exitCode: 3 }), running('b')] },
    'ExitCode:3',
    '1/2',
  ],
  [
    'ended by a signal',
    two,
    { phase: 'Running', containerStatuses: [ended('a', { exitCode: 137, signal: 9 })] },
    'Signal:9',
    '0/2',
  ],
  [
    'one completed beside one that runs and is ready',
    two,
    { phase: 'Running', conditions: ready, containerStatuses: [ended('a', { exitCode: 0, reason: 'Completed' }), running('b')] },
    'Running',
    '1/2',
  ],
  [
    'one completed beside one that runs',
    two,
    { phase: 'Running', containerStatuses: [ended('a', { exitCode: 0, reason: 'Completed' }), running('b')] },
    'NotReady',
    '1/2',
  ],
  [
    'first init container at work',
    withInit,
    { phase: 'Pending', initContainerStatuses: [{ ...running('i'), ready: false }, waiting('side', 'PodInitializing')] },
    'Init:0/2',
    '0/2',
  ],
  ['init fails', withInit, { phase: 'Pending', initContainerStatuses: [ended('i', { exitCode: 2 })] }, 'Init:ExitCode:2', '0/2'],
  [
    'init fails again and again',
    withInit,
    { phase: 'Pending', initContainerStatuses: [waiting('i', 'CrashLoopBackOff')] },
    'Init:CrashLoopBackOff',
    '0/2',
  ],
  [
    'a sidecar counts as a container',
    withInit,
    {
      phase: 'Running',
      conditions: initialized,
      initContainerStatuses: [ended('i', { exitCode: 0 }), running('side', { started: true })],
      containerStatuses: [running('web')],
    },
    'Running',
    '2/2',
  ],
];

for (const [what, spec, status, expected, count] of statuses) {
  test(`pod status: ${what}`, () => {
    const cells = row({ ...pod({ spec }), status } as Pod);
    assert.is(cells.Status, expected);
    assert.is(cells.Ready, count);
  });
}

test('a pod that is being deleted is Terminating, or Unknown when its node is lost, unless it has ended', () => {
  const deleted = (status: PodStatus) => {
    const of = pod();
    return row({ ...of, metadata: { ...of.metadata, deletionTimestamp: at(1) }, status } as Pod).Status;
  };
  assert.is(deleted({ phase: 'Running' }), 'Terminating');
  assert.is(deleted({ phase: 'Running', reason: 'NodeLost' }), 'Unknown');
  assert.is(deleted({ phase: 'Succeeded' }), 'Succeeded');
});

test('restarts tell when the last one was', () => {
  const container = { ...running('web'), restartCount: 3, lastState: { terminated: { exitCode: 1, finishedAt: at(300) } } };
  const status = { phase: 'Running', containerStatuses: [container] } as unknown as PodStatus;
  assert.is(row({ ...pod(), status } as Pod).Restarts, '3 (5m ago)');
  assert.is(row(pod()).Restarts, '0');
});

test('the wide row of a pod', () => {
  const spec = podSpec({ nodeName: 'n1', readinessGates: [{ conditionType: 'x/y' }, { conditionType: 'x/z' }] });
  const status = {
    phase: 'Running',
    podIPs: [{ ip: '10.42.0.2' }],
    conditions: [{ type: 'x/y', status: 'True' }],
    containerStatuses: [running('web')],
  };
  assert.equal(row(aged(pod({ spec }), { status }), true), {
    Name: 'a',
    Ready: '1/1',
    Status: 'Running',
    Restarts: '0',
    Age: '90s',
    IP: '10.42.0.2',
    Node: 'n1',
    'Nominated Node': '<none>',
    'Readiness Gates': '1/2',
  });
});

test('deployment and replica set', () => {
  const deployment = aged(created('Deployment', deploymentFields({ replicas: 3 })), {
    status: { readyReplicas: 2, updatedReplicas: 3, availableReplicas: 1 },
  }) as Deployment;
  assert.equal(row(deployment, true), {
    Name: 'a',
    Ready: '2/3',
    'Up-to-date': 3,
    Available: 1,
    Age: '90s',
    Containers: 'web',
    Images: 'web:1',
    Selector: 'app=web',
  });
  const replicaSet = aged(created('ReplicaSet', deploymentFields()), { status: { replicas: 1 } });
  assert.equal(row(replicaSet), { Name: 'a', Desired: 1, Current: 1, Ready: 0, Age: '90s' });
});

test('external address and ports of a service by its type', () => {
  const cells = (spec: object, status: object = {}) => {
    const { 'External-IP': external, 'Port(s)': ports } = row({ ...created('Service', { spec }), status } as KubeObject);
    return [external, ports];
  };
  const ports = [{ port: 80 }, { name: 'b', port: 53, protocol: 'UDP' }];
  assert.equal(cells({ ports }), ['<none>', '80/TCP,53/UDP']);
  assert.equal(cells({ type: 'NodePort', ports: [{ port: 80, nodePort: 30080 }], externalIPs: ['1.2.3.4'] }), [
    '1.2.3.4',
    '80:30080/TCP',
  ]);
  assert.equal(cells({ type: 'LoadBalancer', ports }), ['<pending>', '80/TCP,53/UDP']);
  assert.equal(cells({ type: 'LoadBalancer', ports }, { loadBalancer: { ingress: [{ ip: '2.2.2.2' }, { hostname: 'a.b' }] } }), [
    '2.2.2.2,a.b',
    '80/TCP,53/UDP',
  ]);
  assert.equal(cells({ type: 'ExternalName', externalName: 'x.y' }), ['x.y', '<none>']);
});

test('node: readiness, roles and addresses', () => {
  const node = (fields: object) => aged(object('Node', fields as Record<string, unknown>));
  const labels = { 'node-role.kubernetes.io/worker': '', 'node-role.kubernetes.io/control-plane': '' };
  const full = node({
    metadata: { name: 'n1', labels },
    spec: { unschedulable: true },
    status: {
      conditions: [{ type: 'Ready', status: 'True' }],
      addresses: [{ type: 'InternalIP', address: '10.0.0.1' }],
      nodeInfo: { kubeletVersion: 'v1.33.1', osImage: 'Debian', kernelVersion: '6.1', containerRuntimeVersion: 'runc://1' },
    },
  });
  assert.equal(row(full, true), {
    Name: 'n1',
    Status: 'Ready,SchedulingDisabled',
    Roles: 'control-plane,worker',
    Age: '90s',
    Version: 'v1.33.1',
    'Internal-IP': '10.0.0.1',
    'External-IP': '<none>',
    'OS-Image': 'Debian',
    'Kernel-Version': '6.1',
    'Container-Runtime': 'runc://1',
  });
  assert.is(row(node({ status: { conditions: [{ type: 'Ready', status: 'Unknown' }] } })).Status, 'NotReady');
  assert.is(row(node({})).Status, 'Unknown');
  assert.is(row(node({})).Roles, '<none>');
});

test('event: when, what and who', () => {
  const event = object('Event', {
    involvedObject: { kind: 'Pod', name: 'web', fieldPath: 'spec.containers{a}' },
    source: { component: 'agent', host: 'n1' },
    type: 'Normal',
    reason: 'Started',
    message: 'Started container a\n',
    firstTimestamp: at(600),
    lastTimestamp: at(30),
    count: 4,
  });
  assert.equal(row(event, true), {
    'Last Seen': '30s',
    Type: 'Normal',
    Reason: 'Started',
    Object: 'pod/web',
    Subobject: 'spec.containers{a}',
    Source: 'agent, n1',
    Message: 'Started container a',
    'First Seen': '10m',
    Count: 4,
    Name: 'a',
  });
});

test('endpoints show three addresses and how many more', () => {
  const addresses = ['1', '2', '3', '4', '5'].map((last) => ({ ip: `10.0.0.${last}` }));
  const endpoints = object('Endpoints', { subsets: [{ addresses, ports: [{ port: 80 }] }] });
  assert.is(row(endpoints).Endpoints, '10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 2 more...');
  assert.is(row(object('Endpoints')).Endpoints, '<none>');
  const slice = object('EndpointSlice', {
    addressType: 'IPv4',
    endpoints: addresses.map(({ ip }) => ({ addresses: [ip] })),
    ports: [{ port: 80 }],
  });
  assert.equal(row(slice), {
    Name: 'a',
    AddressType: 'IPv4',
    Ports: '80',
    Endpoints: '10.0.0.1,10.0.0.2,10.0.0.3 + 2 more...',
    Age: '<unknown>',
  });
});

test('small kinds', () => {
  assert.equal(row(aged(created('Namespace'))), { Name: 'a', Status: 'Active', Age: '90s' });
  assert.equal(row(aged(object('ConfigMap', { data: { a: '' }, binaryData: { b: '' } }))), { Name: 'a', Data: 2, Age: '90s' });
  assert.equal(row(aged(created('Secret', { stringData: { a: '' } }))), { Name: 'a', Type: 'Opaque', Data: 1, Age: '90s' });
  assert.equal(row(aged(object('ServiceAccount'))), { Name: 'a', Secrets: 0, Age: '90s' });
  assert.equal(row(aged(object('Lease', { spec: { holderIdentity: 'n1' } }))), { Name: 'a', Holder: 'n1', Age: '90s' });
});

test('scale shows and sets replicas', () => {
  const deployment = created('Deployment', deploymentFields({ replicas: 3 }));
  const { scale } = kindOf('Deployment');
  scale?.setReplicas(deployment, 5);
  const shown = scale?.get(deployment);
  assert.equal(shown?.spec, { replicas: 5 });
  assert.equal(shown?.status, { replicas: 0, selector: 'app=web' });
});

test('selectable fields read what their names say', () => {
  const value = (of: KubeObject, field: string) => kindOf(of.kind).selectableFields?.[field]?.(of);
  assert.is(value(pod({ spec: podSpec({ nodeName: 'n' }) }), 'spec.nodeName'), 'n');
  assert.is(value(pod(), 'status.phase'), 'Pending');
  assert.is(value(pod(), 'spec.hostNetwork'), 'false');
  assert.is(value(created('Node'), 'spec.unschedulable'), 'false');
  assert.is(value(object('Event', { involvedObject: { uid: 'u' } }), 'involvedObject.uid'), 'u');
  assert.is(value(created('Secret'), 'type'), 'Opaque');
});

test.run();
