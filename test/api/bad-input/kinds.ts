/** Mistakes that people make with each kind; test/kinds/wrongs.ts has one more for every kind. */
import { at, type BadInput, configMap, patch, post, put } from './case.ts';

const made = (path: string, spec: object, name = 'new') => post(path, { metadata: { name }, spec });
const rule = (backend: object) => ({ rules: [{ http: { paths: [{ path: '/', pathType: 'Prefix', backend }] } }] });

export const kinds: BadInput[] = [
  [
    'a service without ports',
    made(at.services, { selector: { app: 'web' } }),
    [422, 'Invalid', 'Service "new" is invalid: spec.ports: Required value', ['spec.ports FieldValueRequired']],
  ],
  [
    'a service port that is too large',
    made(at.services, { ports: [{ port: 70_000 }] }),
    [
      422,
      'Invalid',
      'Service "new" is invalid: [spec.ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive, spec.ports[0].targetPort: Invalid value: 70000: must be between 1 and 65535, inclusive]',
      ['spec.ports[0].port FieldValueInvalid', 'spec.ports[0].targetPort FieldValueInvalid'],
    ],
  ],
  [
    'two service ports without names',
    made(at.services, { ports: [{ port: 80 }, { port: 81 }] }),
    [
      422,
      'Invalid',
      'Service "new" is invalid: [spec.ports[0].name: Required value, spec.ports[1].name: Required value]',
      ['spec.ports[0].name FieldValueRequired', 'spec.ports[1].name FieldValueRequired'],
    ],
  ],
  [
    'two service ports of one name',
    made(at.services, {
      ports: [
        { name: 'a', port: 80 },
        { name: 'a', port: 81 },
      ],
    }),
    [
      422,
      'Invalid',
      'Service "new" is invalid: spec.ports[1].name: Duplicate value: "a"',
      ['spec.ports[1].name FieldValueDuplicate'],
    ],
  ],
  [
    'an unknown service type',
    made(at.services, { type: 'Magic', ports: [{ port: 80 }] }),
    [
      422,
      'Invalid',
      'Service "new" is invalid: spec.type: Unsupported value: "Magic": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
      ['spec.type FieldValueNotSupported'],
    ],
  ],
  [
    'a service address that is none',
    made(at.services, { clusterIP: '10.0.0', ports: [{ port: 80 }] }),
    [
      422,
      'Invalid',
      'Service "new" is invalid: spec.clusterIPs: Invalid value: ["10.0.0"]: failed to allocate IP 10.0.0: the provided IP is not in the valid range 10.43.0.0/16',
      ['spec.clusterIPs FieldValueInvalid'],
    ],
  ],
  [
    'a service address out of range',
    made(at.services, { clusterIP: '192.168.7.7', ports: [{ port: 80 }] }),
    [
      422,
      'Invalid',
      'Service "new" is invalid: spec.clusterIPs: Invalid value: ["192.168.7.7"]: failed to allocate IP 192.168.7.7: the provided IP is not in the valid range 10.43.0.0/16',
      ['spec.clusterIPs FieldValueInvalid'],
    ],
  ],
  [
    'a node port out of range',
    made(at.services, { type: 'NodePort', ports: [{ port: 80, nodePort: 80 }] }),
    [
      422,
      'Invalid',
      'Service "new" is invalid: spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767',
      ['spec.ports[0].nodePort FieldValueInvalid'],
    ],
  ],
  [
    'an external name that is missing',
    made(at.services, { type: 'ExternalName' }),
    [422, 'Invalid', 'Service "new" is invalid: spec.externalName: Required value', ['spec.externalName FieldValueRequired']],
  ],
  [
    'another address of a service',
    patch(`${at.services}/svc`, 'merge', { spec: { clusterIP: '10.43.99.99' } }),
    [
      422,
      'Invalid',
      'Service "svc" is invalid: spec.clusterIPs[0]: Invalid value: ["10.43.99.99"]: may not change once set',
      ['spec.clusterIPs[0] FieldValueInvalid'],
    ],
  ],
  [
    'a key of a config map with a slash',
    post(at.configMaps, configMap('new', { data: { 'a/b': '' } })),
    [
      422,
      'Invalid',
      "ConfigMap \"new\" is invalid: data[a/b]: Invalid value: \"a/b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
      ['data[a/b] FieldValueInvalid'],
    ],
  ],
  [
    'a key of a config map twice',
    post(at.configMaps, configMap('new', { data: { a: '' }, binaryData: { a: '' } })),
    [
      422,
      'Invalid',
      'ConfigMap "new" is invalid: data[a]: Invalid value: "a": duplicate of key present in binaryData',
      ['data[a] FieldValueInvalid'],
    ],
  ],
  [
    'a config map that is too large',
    post(at.configMaps, configMap('new', { data: { a: 'x'.repeat(1024 * 1024 + 1) } })),
    [422, 'Invalid', 'ConfigMap "new" is invalid: : Too long: may not be more than 1048576 bytes', ['FieldValueTooLong']],
  ],
  [
    'other data of an immutable config map',
    patch(`${at.configMaps}/fixed`, 'merge', { data: { a: 'c' } }),
    [
      422,
      'Invalid',
      'ConfigMap "fixed" is invalid: data: Forbidden: field is immutable when `immutable` is set',
      ['data FieldValueForbidden'],
    ],
  ],
  [
    'an immutable config map made mutable',
    patch(`${at.configMaps}/fixed`, 'merge', { immutable: false }),
    [
      422,
      'Invalid',
      'ConfigMap "fixed" is invalid: immutable: Forbidden: field is immutable when `immutable` is set',
      ['immutable FieldValueForbidden'],
    ],
  ],
  [
    'another type of a secret',
    patch(`${at.secrets}/sec`, 'merge', { type: 'kubernetes.io/tls' }),
    [
      422,
      'Invalid',
      'Secret "sec" is invalid: [data[tls.crt]: Required value, data[tls.key]: Required value, type: Invalid value: "kubernetes.io/tls": field is immutable]',
      ['data[tls.crt] FieldValueRequired', 'data[tls.key] FieldValueRequired', 'type FieldValueInvalid'],
    ],
  ],
  [
    'a certificate without a key',
    post(at.secrets, configMap('new', { type: 'kubernetes.io/tls', data: {} })),
    [
      422,
      'Invalid',
      'Secret "new" is invalid: [data[tls.crt]: Required value, data[tls.key]: Required value]',
      ['data[tls.crt] FieldValueRequired', 'data[tls.key] FieldValueRequired'],
    ],
  ],
  [
    'registry credentials that are none',
    post(at.secrets, configMap('new', { type: 'kubernetes.io/dockerconfigjson', stringData: { '.dockerconfigjson': 'x' } })),
    [
      422,
      'Invalid',
      'Secret "new" is invalid: data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": must be valid JSON',
      ['data[.dockerconfigjson] FieldValueInvalid'],
    ],
  ],
  [
    'an ingress without rules',
    made(at.ingresses, {}),
    [
      422,
      'Invalid',
      'Ingress.networking.k8s.io "new" is invalid: spec: Invalid value: []: either `defaultBackend` or `rules` must be specified',
      ['spec FieldValueInvalid'],
    ],
  ],
  [
    'an ingress path without a type',
    made(at.ingresses, {
      rules: [{ http: { paths: [{ path: '/', backend: { service: { name: 'a', port: { number: 80 } } } }] } }],
    }),
    [
      422,
      'Invalid',
      'Ingress.networking.k8s.io "new" is invalid: spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified',
      ['spec.rules[0].http.paths[0].pathType FieldValueRequired'],
    ],
  ],
  [
    'an ingress backend without a port',
    made(at.ingresses, rule({ service: { name: 'a' } })),
    [
      422,
      'Invalid',
      'Ingress.networking.k8s.io "new" is invalid: spec.rules[0].http.paths[0].backend: Required value: port name or number is required',
      ['spec.rules[0].http.paths[0].backend FieldValueRequired'],
    ],
  ],
  [
    'an ingress host that is an address',
    made(at.ingresses, { rules: [{ host: '10.0.0.1' }] }),
    [
      422,
      'Invalid',
      'Ingress.networking.k8s.io "new" is invalid: spec.rules[0].host: Invalid value: "10.0.0.1": must be a DNS name, not an IP address',
      ['spec.rules[0].host FieldValueInvalid'],
    ],
  ],
  [
    'a claim without a size',
    made(at.claims, { accessModes: ['ReadWriteOnce'], resources: {} }),
    [
      422,
      'Invalid',
      'PersistentVolumeClaim "new" is invalid: spec.resources[storage]: Required value',
      ['spec.resources[storage] FieldValueRequired'],
    ],
  ],
  [
    'a claim without access modes',
    made(at.claims, { resources: { requests: { storage: '1Gi' } } }),
    [
      422,
      'Invalid',
      'PersistentVolumeClaim "new" is invalid: spec.accessModes: Required value: at least 1 access mode is required',
      ['spec.accessModes FieldValueRequired'],
    ],
  ],
  [
    'a claim with an unknown access mode',
    made(at.claims, { accessModes: ['ReadSometimes'], resources: { requests: { storage: '1Gi' } } }),
    [
      422,
      'Invalid',
      'PersistentVolumeClaim "new" is invalid: spec.accessModes: Unsupported value: "ReadSometimes": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"',
      ['spec.accessModes FieldValueNotSupported'],
    ],
  ],
  [
    'another class of a claim',
    patch(`${at.claims}/claim`, 'merge', { spec: { storageClassName: 'other' } }),
    [
      422,
      'Invalid',
      'PersistentVolumeClaim "claim" is invalid: spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims',
      ['spec FieldValueForbidden'],
    ],
  ],
  [
    'a volume without a capacity',
    made(at.volumes, { accessModes: ['ReadWriteOnce'], hostPath: { path: '/x' } }),
    [422, 'Invalid', 'PersistentVolume "new" is invalid: spec.capacity: Required value', ['spec.capacity FieldValueRequired']],
  ],
  [
    'an autoscaler without a target',
    made(at.autoscalers, { maxReplicas: 3 }),
    [
      422,
      'Invalid',
      'HorizontalPodAutoscaler.autoscaling "new" is invalid: [spec.scaleTargetRef.kind: Required value, spec.scaleTargetRef.name: Required value]',
      ['spec.scaleTargetRef.kind FieldValueRequired', 'spec.scaleTargetRef.name FieldValueRequired'],
    ],
  ],
  [
    'an autoscaler with too small a maximum',
    made(at.autoscalers, { scaleTargetRef: { kind: 'Deployment', name: 'web' }, minReplicas: 3, maxReplicas: 2 }),
    [
      422,
      'Invalid',
      'HorizontalPodAutoscaler.autoscaling "new" is invalid: spec.maxReplicas: Invalid value: 2: must be greater than or equal to `minReplicas`',
      ['spec.maxReplicas FieldValueInvalid'],
    ],
  ],
  [
    'a budget with both bounds',
    made(at.budgets, { minAvailable: 1, maxUnavailable: 1 }),
    [
      422,
      'Invalid',
      'PodDisruptionBudget.policy "new" is invalid: spec: Invalid value: {"minAvailable":1,"maxUnavailable":1}: minAvailable and maxUnavailable cannot be both set',
      ['spec FieldValueInvalid'],
    ],
  ],
  [
    'a budget that is no number',
    made(at.budgets, { minAvailable: 'half' }),
    [
      422,
      'Invalid',
      "PodDisruptionBudget.policy \"new\" is invalid: spec.minAvailable: Invalid value: \"half\": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
      ['spec.minAvailable FieldValueInvalid'],
    ],
  ],
  [
    'a network policy of an unknown type',
    made(at.networkPolicies, { podSelector: {}, policyTypes: ['Sideways'] }),
    [
      422,
      'Invalid',
      'NetworkPolicy.networking.k8s.io "new" is invalid: spec.policyTypes[0]: Unsupported value: "Sideways": supported values: "Egress", "Ingress"',
      ['spec.policyTypes[0] FieldValueNotSupported'],
    ],
  ],
  [
    'a network policy with a bad block',
    made(at.networkPolicies, { podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.0/99' } }] }] }),
    [
      422,
      'Invalid',
      'NetworkPolicy.networking.k8s.io "new" is invalid: spec.ingress[0].from[0].ipBlock.cidr: Invalid value: "10.0.0.0/99": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)',
      ['spec.ingress[0].from[0].ipBlock.cidr FieldValueInvalid'],
    ],
  ],
  [
    'a rule without verbs',
    post(at.roles, { metadata: { name: 'new' }, rules: [{ apiGroups: [''], resources: ['pods'] }] }),
    [
      422,
      'Invalid',
      'Role.rbac.authorization.k8s.io "new" is invalid: rules[0].verbs: Required value: verbs must contain at least one value',
      ['rules[0].verbs FieldValueRequired'],
    ],
  ],
  [
    'a role with a path',
    post(at.roles, { metadata: { name: 'new' }, rules: [{ verbs: ['get'], nonResourceURLs: ['/metrics'] }] }),
    [
      422,
      'Invalid',
      'Role.rbac.authorization.k8s.io "new" is invalid: rules[0].nonResourceURLs: Invalid value: ["/metrics"]: namespaced rules cannot apply to non-resource URLs',
      ['rules[0].nonResourceURLs FieldValueInvalid'],
    ],
  ],
  [
    'a rule with resources and paths',
    post(at.clusterRoles, {
      metadata: { name: 'new' },
      rules: [{ verbs: ['get'], apiGroups: [''], resources: ['pods'], nonResourceURLs: ['/x'] }],
    }),
    [
      422,
      'Invalid',
      'ClusterRole.rbac.authorization.k8s.io "new" is invalid: rules[0].nonResourceURLs: Invalid value: ["/x"]: rules cannot apply to both regular resources and non-resource URLs',
      ['rules[0].nonResourceURLs FieldValueInvalid'],
    ],
  ],
  [
    'a binding of an unknown subject',
    post(at.roleBindings, {
      metadata: { name: 'new' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'r' },
      subjects: [{ kind: 'Robot', name: 'x' }],
    }),
    [
      422,
      'Invalid',
      'RoleBinding.rbac.authorization.k8s.io "new" is invalid: subjects[0].kind: Unsupported value: "Robot": supported values: "Group", "ServiceAccount", "User"',
      ['subjects[0].kind FieldValueNotSupported'],
    ],
  ],
  [
    'a binding to nothing',
    post(at.roleBindings, {
      metadata: { name: 'new' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: '' },
    }),
    [
      422,
      'Invalid',
      'RoleBinding.rbac.authorization.k8s.io "new" is invalid: roleRef.name: Required value',
      ['roleRef.name FieldValueRequired'],
    ],
  ],
  [
    'a binding to another role',
    put(`${at.roleBindings}/binding`, {
      metadata: { name: 'binding' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'edit' },
    }),
    [
      422,
      'Invalid',
      'RoleBinding.rbac.authorization.k8s.io "binding" is invalid: roleRef: Invalid value: {"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"edit"}: cannot change roleRef',
      ['roleRef FieldValueInvalid'],
    ],
  ],
  [
    'a priority reserved for the system',
    post(at.priorityClasses, { metadata: { name: 'new' }, value: 1_000_000_001 }),
    [
      422,
      'Invalid',
      'PriorityClass.scheduling.k8s.io "new" is invalid: value: Forbidden: maximum allowed value of a user defined priority is 1000000000',
      ['value FieldValueForbidden'],
    ],
  ],
  [
    'a storage class without a provisioner',
    post(at.storageClasses, configMap('new')),
    [
      422,
      'Invalid',
      'StorageClass.storage.k8s.io "new" is invalid: provisioner: Required value',
      ['provisioner FieldValueRequired'],
    ],
  ],
  [
    'a limit below its minimum',
    made(at.limits, { limits: [{ type: 'Container', min: { cpu: '2' }, max: { cpu: '1' } }] }),
    [
      422,
      'Invalid',
      'LimitRange "new" is invalid: [spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1, spec.limits[0].defaultRequest[cpu]: Invalid value: "1": min value 2 is greater than default request value 1, spec.limits[0].default[cpu]: Invalid value: "1": min value 2 is greater than default value 1]',
      [
        'spec.limits[0].min[cpu] FieldValueInvalid',
        'spec.limits[0].defaultRequest[cpu] FieldValueInvalid',
        'spec.limits[0].default[cpu] FieldValueInvalid',
      ],
    ],
  ],
  [
    'a quota with a negative bound',
    made(at.quotas, { hard: { pods: '-1' } }),
    [
      422,
      'Invalid',
      'ResourceQuota "new" is invalid: spec.hard[pods]: Invalid value: "-1": must be greater than or equal to 0',
      ['spec.hard[pods] FieldValueInvalid'],
    ],
  ],
];
