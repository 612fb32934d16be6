import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { kinds } from '../../src/api/kinds/index.ts';
import { qosClassOf } from '../../src/machinery/qos.ts';
import type { Deployment, Namespace, Pod, PodSpec, Secret, Service } from '../../src/machinery/types.ts';
import { examples } from './examples.ts';
import { created, deploymentFields, kindOf, object, plain, podSpec, updated, withContainer } from './support.ts';

const richPod = {
  spec: {
    hostNetwork: true,
    serviceAccount: 'robot',
    initContainers: [{ name: 'init', image: 'init' }],
    containers: [
      {
        name: 'web',
        image: 'registry.example:5000/web',
        ports: [{ containerPort: 80 }],
        env: [
          { name: 'NODE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
          { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } },
        ],
        resources: { limits: { cpu: '0.5', memory: '1024Mi' }, requests: { cpu: '100m' } },
        livenessProbe: { httpGet: { port: 80 } },
        readinessProbe: { grpc: { port: 80 } },
        lifecycle: { preStop: { httpGet: { port: 80 } } },
      },
    ],
    volumes: [
      { name: 'none' },
      { name: 'secret', secret: { secretName: 's' } },
      { name: 'config', configMap: { name: 'c' } },
      { name: 'host', hostPath: { path: '/' } },
      { name: 'down', downwardAPI: { items: [{ path: 'p', fieldRef: { fieldPath: 'metadata.name' } }] } },
      { name: 'all', projected: { sources: [{ serviceAccountToken: { path: 't' } }] } },
    ],
  },
};

const samples: Record<string, Record<string, unknown>> = {
  Pod: richPod,
  Deployment: deploymentFields(),
  ReplicaSet: deploymentFields(),
  Service: { spec: { type: 'LoadBalancer', sessionAffinity: 'ClientIP', ports: [{ port: 80 }] } },
  Endpoints: { subsets: [{ addresses: [{ ip: '10.0.0.1' }], ports: [{ port: 80 }] }] },
  EndpointSlice: { addressType: 'IPv4', endpoints: [{ addresses: ['10.0.0.1'] }], ports: [{ port: 80 }] },
  Node: { spec: { podCIDR: '10.42.0.0/24' }, status: { capacity: { cpu: '2000m' } } },
  Secret: { data: { key: 'dmFsdWU=' } },
  RoleBinding: { roleRef: { kind: 'Role', name: 'r' }, subjects: [{ kind: 'User', name: 'u' }] },
  ClusterRoleBinding: { roleRef: { kind: 'ClusterRole', name: 'r' }, subjects: [{ kind: 'Group', name: 'g' }] },
};

function exampleOf(kind: string): Record<string, unknown> {
  const { name, fields = {} } = examples[kind] ?? {};
  return name ? { metadata: { name }, ...fields } : fields;
}

for (const kind of kinds) {
  test(`defaults of ${kind.kind} change nothing the second time, and a defaulted object is valid`, () => {
    const once = created(kind.kind, samples[kind.kind] ?? exampleOf(kind.kind));
    if (kind.kind === 'Event') (once as unknown as { involvedObject: object }).involvedObject = { namespace: 'default' };
    const twice = structuredClone(once);
    kind.setDefaults(twice);
    assert.equal(plain(twice), once);
    assert.equal(kind.validate(once), []);
  });

  test(`defaults of ${kind.kind} bear an object that has nothing but metadata`, () => {
    assert.not.throws(() => kind.setDefaults(object(kind.kind)));
  });
}

test('a pod gets what tools rely on', () => {
  const { spec } = created('Pod', { spec: podSpec() }) as Pod;
  assert.equal(spec, {
    containers: [
      {
        name: 'web',
        image: 'web:1',
        imagePullPolicy: 'IfNotPresent',
        terminationMessagePath: '/dev/termination-log',
        terminationMessagePolicy: 'File',
        resources: {},
      },
    ],
    restartPolicy: 'Always',
    terminationGracePeriodSeconds: 30,
    dnsPolicy: 'ClusterFirst',
    schedulerName: 'default-scheduler',
    securityContext: {},
    enableServiceLinks: true,
    serviceAccountName: 'default',
    serviceAccount: 'default',
  });
});

test('parts of a container and volumes are filled in', () => {
  const { spec } = created('Pod', richPod) as Pod;
  const [container] = (spec as PodSpec).containers;
  assert.equal(container?.imagePullPolicy, 'Always');
  assert.equal(container?.ports, [{ containerPort: 80, protocol: 'TCP', hostPort: 80 }]);
  assert.equal(container?.env?.[0]?.valueFrom?.fieldRef, { fieldPath: 'spec.nodeName', apiVersion: 'v1' });
  assert.equal(container?.env?.[1]?.valueFrom?.resourceFieldRef, { resource: 'limits.cpu', divisor: '0' });
  assert.equal(container?.resources, { limits: { cpu: '500m', memory: '1Gi' }, requests: { cpu: '100m', memory: '1Gi' } });
  assert.equal(container?.livenessProbe, {
    httpGet: { port: 80, path: '/', scheme: 'HTTP' },
    timeoutSeconds: 1,
    periodSeconds: 10,
    successThreshold: 1,
    failureThreshold: 3,
  });
  assert.equal(container?.readinessProbe?.grpc, { port: 80, service: '' });
  assert.equal(container?.lifecycle?.preStop?.httpGet, { port: 80, path: '/', scheme: 'HTTP' });
  assert.equal(spec?.serviceAccountName, 'robot');
  assert.equal(spec?.volumes, [
    { name: 'none', emptyDir: {} },
    { name: 'secret', secret: { secretName: 's', defaultMode: 420 } },
    { name: 'config', configMap: { name: 'c', defaultMode: 420 } },
    { name: 'host', hostPath: { path: '/', type: '' } },
    {
      name: 'down',
      downwardAPI: { defaultMode: 420, items: [{ path: 'p', fieldRef: { fieldPath: 'metadata.name', apiVersion: 'v1' } }] },
    },
    { name: 'all', projected: { defaultMode: 420, sources: [{ serviceAccountToken: { path: 't', expirationSeconds: 3600 } }] } },
  ]);
});

for (const [image, policy] of [
  ['web', 'Always'],
  ['web:latest', 'Always'],
  ['host:5000/web', 'Always'],
  ['host:5000/web:1', 'IfNotPresent'],
  [`web@sha256:${'0'.repeat(64)}`, 'IfNotPresent'],
] as const) {
  test(`image ${image} is pulled ${policy}`, () => {
    const { spec } = created('Pod', withContainer({ image })) as Pod;
    assert.is(spec?.containers[0]?.imagePullPolicy, policy);
  });
}

test('templates keep requests, service account and links open for the pods made from them', () => {
  const fields = deploymentFields({
    template: {
      metadata: { labels: { app: 'web' } },
      spec: { containers: [{ name: 'web', image: 'web:1', resources: { limits: { cpu: '1' } } }] },
    },
  });
  const { spec } = created('Deployment', fields) as Deployment;
  assert.equal(spec?.template.spec?.containers[0]?.resources, { limits: { cpu: '1' } });
  assert.not('serviceAccountName' in (spec?.template.spec ?? {}));
  assert.not('enableServiceLinks' in (spec?.template.spec ?? {}));
});

test('a deployment gets its strategy, history and deadline', () => {
  const { spec } = created('Deployment', deploymentFields()) as Deployment;
  assert.is(spec?.replicas, 1);
  assert.equal(spec?.strategy, { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '25%', maxSurge: '25%' } });
  assert.is(spec?.revisionHistoryLimit, 10);
  assert.is(spec?.progressDeadlineSeconds, 600);
});

test('zero replicas are a wish, not a gap', () => {
  const { spec } = created('Deployment', deploymentFields({ replicas: 0 })) as Deployment;
  assert.is(spec?.replicas, 0);
});

test('a service gets type, protocol, target port and policies', () => {
  const { spec } = created('Service', { spec: { ports: [{ port: 80 }] } }) as Service;
  assert.equal(spec, {
    ports: [{ port: 80, protocol: 'TCP', targetPort: 80 }],
    sessionAffinity: 'None',
    type: 'ClusterIP',
    internalTrafficPolicy: 'Cluster',
  });
});

test('a namespace gets its label, finalizer and phase, and updates cannot take the finalizer away', () => {
  const namespace = created('Namespace') as Namespace;
  assert.equal(namespace.metadata.labels, { 'kubernetes.io/metadata.name': 'a' });
  assert.equal(namespace.spec, { finalizers: ['kubernetes'] });
  assert.equal(namespace.status, { phase: 'Active' });
  assert.equal((updated(namespace, { spec: {} }) as Namespace).spec, { finalizers: ['kubernetes'] });
});

test('stringData goes into data and is not stored', () => {
  const secret = created('Secret', { data: { a: 'b2xk', b: 'b2xk' }, stringData: { a: 'new' } }) as Secret;
  assert.equal(secret.data, { a: 'bmV3', b: 'b2xk' });
  assert.not('stringData' in secret);
  assert.is(secret.type, 'Opaque');
});

test('data that is no base64 is a bad request', () => {
  assert.throws(
    () => created('Secret', { data: { a: 'ab!d' } }),
    /Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte 2/,
  );
});

test('a new pod is Pending whatever its creator says, and its class follows from its resources', () => {
  const pod = created('Pod', { spec: podSpec(), status: { phase: 'Running', podIP: '1.2.3.4' } }) as Pod;
  assert.equal(pod.status, { phase: 'Pending', qosClass: 'BestEffort' });
});

test('whoever writes a status need not repeat the class nor the second form of the address', () => {
  const pod = created('Pod', { spec: podSpec() }) as Pod;
  pod.status = { phase: 'Running', podIP: '10.42.0.7' };
  kindOf('Pod').setDefaults(pod);
  assert.is(pod.status.qosClass, 'BestEffort');
  assert.equal(pod.status.podIPs, [{ ip: '10.42.0.7' }]);
});

test('classes of service', () => {
  const spec = (...resources: object[]) => ({ containers: resources.map((r) => ({ name: 'c', resources: r })) }) as PodSpec;
  const full = { limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '1000m', memory: '1Gi' } };
  assert.is(qosClassOf(spec({})), 'BestEffort');
  assert.is(qosClassOf(spec({ requests: { cpu: '0' } })), 'BestEffort');
  assert.is(qosClassOf(spec(full)), 'Guaranteed');
  assert.is(qosClassOf(spec(full, {})), 'Burstable');
  assert.is(qosClassOf(spec({ ...full, requests: { cpu: '1', memory: '1' } })), 'Burstable');
  assert.is(qosClassOf(spec({ limits: { cpu: '1' } })), 'Burstable');
});

test('grace: asked for, of the object, none where nothing runs', () => {
  const grace = kindOf('Pod').gracePeriodSeconds!;
  const running = created('Pod', { spec: podSpec({ nodeName: 'n', terminationGracePeriodSeconds: 7 }) }) as Pod;
  assert.is(grace(running, undefined), 7);
  assert.is(grace(running, 3), 3);
  assert.is(grace(running, 0), 0);
  assert.is(grace(running, -5), 1);
  assert.is(grace({ ...running, metadata: { ...running.metadata, deletionGracePeriodSeconds: 4 } }, undefined), 4);
  assert.is(grace(created('Pod', { spec: podSpec() }), 5), 0);
  assert.is(grace({ ...running, status: { phase: 'Succeeded' } } as Pod, 5), 0);
});

test('an image volume is pulled by the tag of its image', () => {
  const references = ['web:1', 'web', 'web:latest', 'host:5000/web', 'web@sha256:1', 'web:1'];
  const volumes = references.map((reference, at) => ({ name: `v${at}`, image: { reference } }));
  Object.assign(volumes.at(-1)!.image, { pullPolicy: 'Never' });
  const { spec } = created('Pod', { spec: podSpec({ volumes }) }) as Pod;
  assert.equal(
    spec?.volumes?.map(({ image }) => image?.pullPolicy),
    ['IfNotPresent', 'Always', 'Always', 'Always', 'IfNotPresent', 'Never'],
  );
});

test.run();
