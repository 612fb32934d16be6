import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { complaints, created, deploymentFields, kindOf, lines, podSpec, updateComplaints, withContainer } from './support.ts';

type Case = [what: string, kind: string, fields: Record<string, unknown>, expected: string[]];

const inTemplate = (spec: object, labels: object = { app: 'web' }) =>
  deploymentFields({ template: { metadata: { labels }, spec } });
const service = (spec: object) => ({ spec: { ports: [{ port: 80 }], ...spec } });
const b64 = (text: string) => Buffer.from(text).toString('base64');

const cases: Case[] = [
  ['no containers', 'Pod', { spec: { containers: [] } }, ['spec.containers: Required value']],
  ['no containers in a template', 'Deployment', inTemplate({}), ['spec.template.spec.containers: Required value']],
  ['no image', 'Pod', withContainer({ image: '' }), ['spec.containers[0].image: Required value']],
  [
    'a name with capitals',
    'Pod',
    withContainer({ name: 'Web' }),
    [
      `spec.containers[0].name: Invalid value: "Web": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`,
    ],
  ],
  [
    'one name twice, also across init containers',
    'Pod',
    {
      spec: {
        containers: [
          { name: 'a', image: 'x' },
          { name: 'a', image: 'x' },
        ],
        initContainers: [{ name: 'a', image: 'x' }],
      },
    },
    ['spec.containers[1].name: Duplicate value: "a"', 'spec.initContainers[0].name: Duplicate value: "a"'],
  ],
  [
    'ports',
    'Pod',
    withContainer({ ports: [{ containerPort: 0 }, { containerPort: 70000 }, { containerPort: 1, protocol: 'X' }] }),
    [
      'spec.containers[0].ports[0].containerPort: Required value',
      'spec.containers[0].ports[1].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive',
      'spec.containers[0].ports[2].protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"',
    ],
  ],
  [
    'one port name twice',
    'Pod',
    withContainer({
      ports: [
        { name: 'http', containerPort: 1 },
        { name: 'http', containerPort: 2 },
      ],
    }),
    ['spec.containers[0].ports[1].name: Duplicate value: "http"'],
  ],
  [
    "a pod with user ids of its own that shares what is the machine's",
    'Pod',
    { spec: podSpec({ hostUsers: false, hostNetwork: true, hostPID: true, hostIPC: true }) },
    [
      'spec.hostNetwork: Forbidden: when `pod.Spec.HostUsers` is false',
      'spec.HostPID: Forbidden: when `pod.Spec.HostUsers` is false',
      'spec.HostIPC: Forbidden: when `pod.Spec.HostUsers` is false',
    ],
  ],
  ['a pod with user ids of its own', 'Pod', { spec: podSpec({ hostUsers: false }) }, []],
  [
    'all of /proc',
    'Pod',
    withContainer({ securityContext: { procMount: 'Unmasked' } }),
    ['spec.containers[0].securityContext.procMount: Invalid value: "Unmasked": `hostUsers` must be false to use `Unmasked`'],
  ],
  ['all of its own /proc', 'Pod', withContainer({ securityContext: { procMount: 'Unmasked' } }, { hostUsers: false }), []],
  [
    'image volumes',
    'Pod',
    {
      spec: podSpec({
        volumes: [
          { name: 'a', image: {} },
          { name: 'b', image: { reference: 'x:1', pullPolicy: 'Sometimes' } },
          { name: 'c', image: { reference: 'x:1' }, emptyDir: {} },
          { name: 'd', image: { reference: 'x:1', pullPolicy: 'Never' } },
        ],
      }),
    },
    [
      'spec.volumes[0].image.reference: Required value',
      'spec.volumes[1].image.pullPolicy: Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"',
      'spec.volumes[2].emptyDir: Forbidden: may not specify more than 1 volume type',
    ],
  ],
  [
    'an image volume of a template without a reference',
    'Deployment',
    inTemplate({ ...podSpec(), volumes: [{ name: 'a', image: {} }] }),
    [],
  ],
  [
    'recursively read-only mounts',
    'Pod',
    withContainer(
      {
        volumeMounts: [
          { name: 'a', mountPath: '/1', recursiveReadOnly: 'Enabled' },
          { name: 'a', mountPath: '/2', recursiveReadOnly: 'IfPossible', readOnly: true, mountPropagation: 'HostToContainer' },
          { name: 'a', mountPath: '/3', recursiveReadOnly: 'Sometimes', readOnly: true },
          { name: 'a', mountPath: '/4', recursiveReadOnly: 'Enabled', readOnly: true, mountPropagation: 'None' },
          { name: 'a', mountPath: '/5', recursiveReadOnly: 'Disabled' },
        ],
      },
      { volumes: [{ name: 'a' }] },
    ),
    [
      'spec.containers[0].volumeMounts.recursiveReadOnly: Forbidden: may only be specified when readOnly is true',
      'spec.containers[0].volumeMounts.recursiveReadOnly: Forbidden: may only be specified when mountPropagation is None or not specified',
      'spec.containers[0].volumeMounts.recursiveReadOnly: Unsupported value: "Sometimes": supported values: "Disabled", "Enabled", "IfPossible"',
    ],
  ],
  [
    'policies for groups',
    'Pod',
    { spec: podSpec({ securityContext: { fsGroupChangePolicy: 'Never', supplementalGroupsPolicy: 'Loose' } }) },
    [
      'spec.securityContext.fsGroupChangePolicy: Unsupported value: "Never": supported values: "Always", "OnRootMismatch"',
      'spec.securityContext.supplementalGroupsPolicy: Unsupported value: "Loose": supported values: "Merge", "Strict"',
    ],
  ],
  [
    'trust bundles',
    'Pod',
    {
      spec: podSpec({
        volumes: [
          {
            name: 'a',
            projected: {
              sources: [
                { clusterTrustBundle: { name: 'x', signerName: 'a/b', path: 'one' } },
                { clusterTrustBundle: { path: 'one' } },
                { clusterTrustBundle: { name: 'X', path: '../two', labelSelector: {} } },
                { clusterTrustBundle: { signerName: '', path: '' } },
                { clusterTrustBundle: { name: 'example.com:signer:x', path: 'three', optional: true } },
              ],
            },
          },
        ],
      }),
    },
    [
      'spec.volumes[0].projected.sources[0].clusterTrustBundlePEM: Invalid value: {"name":"x","signerName":"a/b","path":"one"}: only one of name and signerName may be used',
      'spec.volumes[0].projected.sources[1].clusterTrustBundlePEM: Required value: either name or signerName must be specified',
      'spec.volumes[0].projected: Invalid value: "one": conflicting duplicate paths',
      `spec.volumes[0].projected.sources[2].clusterTrustBundlePEM.name: Invalid value: "X": not a valid clustertrustbundlename: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`,
      'spec.volumes[0].projected.sources[2].clusterTrustBundlePEM.labelSelector: Invalid value: {}: labelSelector must be unset if name is specified',
      `spec.volumes[0].projected.sources[2].clusterTrustBundlePEM.path: Invalid value: "../two": must not contain '..'`,
      'spec.volumes[0].projected.sources[3].clusterTrustBundlePEM.signerName: Required value: must be a valid signer name',
      'spec.volumes[0].projected.sources[3].clusterTrustBundlePEM.path: Required value',
    ],
  ],
  [
    'environment',
    'Pod',
    withContainer({
      env: [
        { name: '' },
        { name: 'A=B' },
        { name: 'C', valueFrom: {} },
        { name: 'D', value: 'x', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
        { name: 'E', valueFrom: { fieldRef: { fieldPath: 'spec.foo' } } },
        { name: 'F', valueFrom: { secretKeyRef: { name: 's' } } },
      ],
    }),
    [
      'spec.containers[0].env[0].name: Required value',
      `spec.containers[0].env[1].name: Invalid value: "A=B": a valid environment variable name must consist only of printable ASCII characters other than '='`,
      'spec.containers[0].env[2].valueFrom: Invalid value: "": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`',
      'spec.containers[0].env[3].valueFrom: Invalid value: "": may not be specified when `value` is not empty',
      'spec.containers[0].env[4].valueFrom.fieldRef.fieldPath: Invalid value: "spec.foo": error converting fieldPath: field label not supported: spec.foo',
      'spec.containers[0].env[5].valueFrom.secretKeyRef.key: Required value',
    ],
  ],
  [
    'mounts',
    'Pod',
    withContainer(
      {
        volumeMounts: [
          { name: 'x', mountPath: '/x' },
          { name: 'data', mountPath: '/x', subPath: '../up' },
          { name: 'data', mountPath: '' },
        ],
      },
      { volumes: [{ name: 'data' }] },
    ),
    [
      'spec.containers[0].volumeMounts[0].name: Not found: "x"',
      'spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/x": must be unique',
      `spec.containers[0].volumeMounts[1].subPath: Invalid value: "../up": must not contain '..'`,
      'spec.containers[0].volumeMounts[2].mountPath: Required value',
    ],
  ],
  [
    'volumes',
    'Pod',
    {
      spec: podSpec({
        volumes: [
          { name: 'a', emptyDir: {}, hostPath: { path: '/' } },
          { name: 'a' },
          { name: 'b', secret: { defaultMode: 0o1000 } },
          { name: 'c', configMap: { name: 'c', items: [{ key: 'k', path: '/abs' }] } },
          { name: 'd', emptyDir: { sizeLimit: '-1' } },
        ],
      }),
    },
    [
      'spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type',
      'spec.volumes[1].name: Duplicate value: "a"',
      'spec.volumes[2].secret.secretName: Required value',
      'spec.volumes[2].secret.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive',
      'spec.volumes[3].configMap.items[0].path: Invalid value: "/abs": must be a relative path',
      'spec.volumes[4].emptyDir.sizeLimit: Forbidden: SizeLimit field must be a valid resource quantity',
    ],
  ],
  [
    'more requested than allowed',
    'Pod',
    withContainer({ resources: { requests: { cpu: '2' }, limits: { cpu: '1' } } }),
    ['spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1'],
  ],
  [
    'unknown and negative resources',
    'Deployment',
    inTemplate({ containers: [{ name: 'a', image: 'x', resources: { limits: { foo: '1', cpu: '-1' } } }] }),
    [
      'spec.template.spec.containers[0].resources.limits[foo]: Invalid value: "foo": must be a standard resource type or fully qualified',
      'spec.template.spec.containers[0].resources.limits[foo]: Invalid value: "foo": must be a standard resource for containers',
      'spec.template.spec.containers[0].resources.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0',
    ],
  ],
  [
    'probes',
    'Pod',
    withContainer({
      livenessProbe: {},
      readinessProbe: { exec: { command: ['x'] }, tcpSocket: { port: 80 } },
      startupProbe: { httpGet: { port: 0 }, successThreshold: 2, periodSeconds: -1 },
    }),
    [
      'spec.containers[0].livenessProbe: Required value: must specify a handler type',
      'spec.containers[0].readinessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type',
      'spec.containers[0].startupProbe.httpGet.port: Invalid value: 0: must be between 1 and 65535, inclusive',
      'spec.containers[0].startupProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0',
      'spec.containers[0].startupProbe.successThreshold: Invalid value: 2: must be 1',
    ],
  ],
  [
    'probes of init containers',
    'Pod',
    {
      spec: podSpec({
        initContainers: [
          { name: 'i', image: 'x', livenessProbe: { exec: { command: ['x'] } } },
          { name: 'j', image: 'x', restartPolicy: 'Always', livenessProbe: { exec: { command: ['x'] } } },
        ],
      }),
    },
    ['spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always'],
  ],
  [
    'policies',
    'Pod',
    { spec: podSpec({ restartPolicy: 'Sometimes', dnsPolicy: 'Guess' }) },
    [
      'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "Never", "OnFailure"',
      'spec.dnsPolicy: Unsupported value: "Guess": supported values: "ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"',
    ],
  ],
  [
    'a toleration without a key',
    'Pod',
    { spec: podSpec({ tolerations: [{ operator: 'Equal' }] }) },
    [
      'spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty, which means "match all values and all keys"',
    ],
  ],
  [
    'a pull policy',
    'Pod',
    withContainer({ imagePullPolicy: 'Maybe' }),
    ['spec.containers[0].imagePullPolicy: Unsupported value: "Maybe": supported values: "Always", "IfNotPresent", "Never"'],
  ],
  [
    'a deployment that does not choose its pods',
    'Deployment',
    inTemplate(podSpec(), { app: 'other' }),
    ['spec.template.metadata.labels: Invalid value: {"app":"other"}: `selector` does not match template `labels`'],
  ],
  ['a deployment without selector', 'Deployment', deploymentFields({ selector: undefined }), ['spec.selector: Required value']],
  [
    'a deployment that chooses everything',
    'Deployment',
    deploymentFields({ selector: {} }),
    ['spec.selector: Invalid value: {}: empty selector is invalid for deployment'],
  ],
  [
    'a deployment whose pods end',
    'Deployment',
    inTemplate(podSpec({ restartPolicy: 'Never' })),
    ['spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'],
  ],
  [
    'negative replicas',
    'Deployment',
    deploymentFields({ replicas: -1 }),
    ['spec.replicas: Invalid value: -1: must be greater than or equal to 0'],
  ],
  [
    'a rolling update that cannot move',
    'Deployment',
    deploymentFields({ strategy: { rollingUpdate: { maxUnavailable: 0, maxSurge: '0%' } } }),
    ['spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0'],
  ],
  [
    'Recreate with parameters',
    'Deployment',
    deploymentFields({ strategy: { type: 'Recreate', rollingUpdate: {} } }),
    ["spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"],
  ],
  [
    'a deadline that passes before pods are available',
    'Deployment',
    deploymentFields({ minReadySeconds: 600 }),
    ['spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds'],
  ],
  ['a service without ports', 'Service', { spec: {} }, ['spec.ports: Required value']],
  ['a headless service without ports', 'Service', { spec: { clusterIP: 'None' } }, []],
  [
    'ports of a service',
    'Service',
    service({ ports: [{ port: 0 }, { name: 'a', port: 80, nodePort: 30000 }, { name: 'a', port: 80 }] }),
    [
      'spec.ports[0].name: Required value',
      'spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive',
      'spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive',
      "spec.ports[1].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
      'spec.ports[2].name: Duplicate value: "a"',
      'spec.ports[2]: Duplicate value: {"port":80,"protocol":"TCP"}',
    ],
  ],
  [
    'a type of service',
    'Service',
    service({ type: 'Magic' }),
    ['spec.type: Unsupported value: "Magic": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"'],
  ],
  [
    'a headless node port',
    'Service',
    service({ type: 'NodePort', clusterIP: 'None' }),
    [`spec.clusterIPs[0]: Invalid value: "None": may not be set to 'None' for NodePort services`],
  ],
  ['an external name without the name', 'Service', { spec: { type: 'ExternalName' } }, ['spec.externalName: Required value']],
  ['tls without a key', 'Secret', { type: 'kubernetes.io/tls', data: { 'tls.crt': '' } }, ['data[tls.key]: Required value']],
  [
    'docker settings that are no JSON',
    'Secret',
    { type: 'kubernetes.io/dockerconfigjson', data: { '.dockerconfigjson': b64('no') } },
    ['data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": must be valid JSON'],
  ],
  [
    'a login without user and password',
    'Secret',
    { type: 'kubernetes.io/basic-auth' },
    ['data[username]: Required value', 'data[password]: Required value'],
  ],
  ['ssh without key', 'Secret', { type: 'kubernetes.io/ssh-auth' }, ['data[ssh-privatekey]: Required value']],
  [
    'a secret above the bound',
    'Secret',
    { stringData: { a: 'x'.repeat(1024 * 1024 + 1) } },
    ['data: Too long: may not be more than 1048576 bytes'],
  ],
  [
    'one key in both maps',
    'ConfigMap',
    { data: { a: 'x' }, binaryData: { a: 'eA==' } },
    ['data[a]: Invalid value: "a": duplicate of key present in binaryData'],
  ],
  [
    'a key with a slash',
    'ConfigMap',
    { data: { 'a/b': '' } },
    [
      `data[a/b]: Invalid value: "a/b": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')`,
    ],
  ],
  [
    'an event about another namespace',
    'Event',
    { involvedObject: { namespace: 'other' } },
    ['involvedObject.namespace: Invalid value: "other": does not match event.namespace'],
  ],
  [
    'two taints of one key and effect',
    'Node',
    {
      spec: {
        taints: [
          { key: 'k', effect: 'NoSchedule' },
          { key: 'k', effect: 'NoSchedule', value: 'v' },
        ],
      },
    },
    [
      'spec.taints[1]: Duplicate value: {"key":"k","effect":"NoSchedule","value":"v"}: taints must be unique by key and effect pair',
    ],
  ],
  [
    'an address that is none',
    'Endpoints',
    { subsets: [{ addresses: [{ ip: 'x' }], ports: [{ port: 1 }] }] },
    ['subsets[0].addresses[0].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'],
  ],
  [
    'a slice of another family',
    'EndpointSlice',
    { addressType: 'IPv4', endpoints: [{ addresses: ['::2'] }, { addresses: [] }] },
    [
      'endpoints[0].addresses[0]: Invalid value: "::2": must be a valid IPv4 address',
      'endpoints[1].addresses: Required value: must contain at least 1 address',
    ],
  ],
  [
    'a lease of no time',
    'Lease',
    { spec: { leaseDurationSeconds: 0 } },
    ['spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0'],
  ],
];

for (const [what, kind, fields, expected] of cases) {
  test(`${kind}: ${what}`, () => assert.equal(complaints(kind, fields), expected));
}

test('a quantity that is none is named, or refused as undecodable where its size is needed', () => {
  assert.throws(() => complaints('Pod', withContainer({ resources: { limits: { cpu: 'lots' } } })), /quantities must match/);
  assert.match(
    complaints(
      'Deployment',
      inTemplate({ containers: [{ name: 'a', image: 'x', resources: { limits: { cpu: 'lots' } } }] }),
    )[0] ?? '',
    /^spec\.template\.spec\.containers\[0\]\.resources\.limits\[cpu\]: Invalid value: "lots": quantities must match/,
  );
});

test('a workload selector is immutable', () => {
  const labels = { app: 'web', tier: 'x' };
  const template = { metadata: { labels }, spec: podSpec() };
  for (const kind of ['Deployment', 'ReplicaSet']) {
    assert.equal(
      updateComplaints(
        kind,
        deploymentFields({ template }),
        deploymentFields({ template, selector: { matchLabels: { tier: 'x' } } }),
      ),
      ['spec.selector: Invalid value: {"matchLabels":{"tier":"x"}}: field is immutable'],
    );
  }
});

test('of a pod, image, deadline and further tolerations may change', () => {
  const before = { spec: podSpec({ tolerations: [{ key: 'a', operator: 'Exists' }] }) };
  const after = {
    spec: {
      containers: [{ name: 'web', image: 'web:2' }],
      activeDeadlineSeconds: 5,
      tolerations: [
        { key: 'a', operator: 'Exists' },
        { key: 'b', operator: 'Exists' },
      ],
      // An update sends back what the server had filled in.
      imagePullPolicy: undefined,
    },
  };
  assert.equal(updateComplaints('Pod', before, after), []);
});

test('of a pod, nothing else may change', () => {
  const changed = updateComplaints('Pod', { spec: podSpec() }, { spec: podSpec({ hostname: 'other' }) });
  assert.is(changed.length, 1);
  assert.match(
    changed[0] ?? '',
    /^spec: Forbidden: pod updates may not change fields other than `spec.containers\[\*\].image`,.*\nchanged: spec\.hostname$/s,
  );
  assert.equal(
    updateComplaints('Pod', { spec: podSpec({ activeDeadlineSeconds: 5 }) }, { spec: podSpec({ activeDeadlineSeconds: 6 }) }),
    ['spec.activeDeadlineSeconds: Invalid value: 6: must be less than or equal to previous value'],
  );
  assert.equal(updateComplaints('Pod', { spec: podSpec({ tolerations: [{ operator: 'Exists' }] }) }, { spec: podSpec() }), [
    'spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds',
  ]);
  const two = {
    spec: {
      containers: [
        { name: 'web', image: 'web:1' },
        { name: 'b', image: 'b' },
      ],
    },
  };
  assert.equal(updateComplaints('Pod', { spec: podSpec() }, two), [
    'spec.containers: Forbidden: pod updates may not add or remove containers',
  ]);
});

test('a cluster IP stays', () => {
  const spec = (clusterIP: string) => ({ spec: { ports: [{ port: 80 }], clusterIP, clusterIPs: [clusterIP] } });
  assert.equal(updateComplaints('Service', spec('10.43.0.9'), spec('10.43.0.10')), [
    'spec.clusterIPs[0]: Invalid value: ["10.43.0.10"]: may not change once set',
  ]);
  assert.equal(updateComplaints('Service', spec('10.43.0.9'), { spec: { type: 'ExternalName', externalName: 'x.y' } }), []);
});

test('the type of a secret and immutable data stay', () => {
  assert.equal(updateComplaints('Secret', {}, { type: 'mine' }), ['type: Invalid value: "mine": field is immutable']);
  assert.equal(updateComplaints('ConfigMap', { immutable: true, data: { a: '1' } }, { data: { a: '2' } }), [
    'immutable: Forbidden: field is immutable when `immutable` is set',
    'data: Forbidden: field is immutable when `immutable` is set',
  ]);
});

test("a node's range and a slice's family stay", () => {
  assert.equal(updateComplaints('Node', { spec: { podCIDR: '10.42.0.0/24' } }, { spec: { podCIDR: '10.42.1.0/24' } }), [
    'spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid',
  ]);
  assert.equal(updateComplaints('EndpointSlice', { addressType: 'IPv4' }, { addressType: 'IPv6' }), [
    'addressType: Invalid value: "IPv6": field is immutable',
  ]);
});

test('a namespace says Terminating exactly while it is being deleted', () => {
  const kind = kindOf('Namespace');
  const active = created('Namespace');
  const terminating = { ...active, status: { phase: 'Terminating' } };
  assert.equal(lines(kind.validateStatusUpdate?.(terminating, active) ?? []), [
    'status.Phase: Invalid value: "Terminating": may only be \'Active\' if `deletionTimestamp` is empty',
  ]);
});

test('counts in a status fit each other', () => {
  const before = created('ReplicaSet', deploymentFields());
  const after = { ...before, status: { replicas: 1, readyReplicas: 2, availableReplicas: -1 } };
  assert.equal(lines(kindOf('ReplicaSet').validateStatusUpdate?.(after, before) ?? []), [
    'status.availableReplicas: Invalid value: -1: must be greater than or equal to 0',
    'status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas',
  ]);
});

test.run();
