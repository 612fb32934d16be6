/** One thing that is wrong with each kind: fields that replace those of the example, and the message after `is invalid: `. */
import { podTemplate } from './examples.ts';

const app = { matchLabels: { app: 'web' } };
const template = podTemplate();

export const wrongs: [kind: string, fields: Record<string, unknown>, message: string][] = [
  [
    'StatefulSet',
    { spec: { selector: {}, template } },
    'spec.selector: Invalid value: {}: empty selector is invalid for statefulset',
  ],
  [
    'StatefulSet',
    { spec: { selector: app, template, podManagementPolicy: 'Sideways' } },
    "spec.podManagementPolicy: Invalid value: \"Sideways\": must be 'OrderedReady' or 'Parallel'",
  ],
  [
    'DaemonSet',
    { spec: { selector: app, template, updateStrategy: { rollingUpdate: { maxUnavailable: 1, maxSurge: 1 } } } },
    'spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero',
  ],
  [
    'APIService',
    { spec: { group: 'g.example.com', version: 'v1', groupPriorityMinimum: 100, versionPriority: 1001 } },
    'spec.versionPriority: Invalid value: 1001: must be positive and less than 1000',
  ],
  ['ControllerRevision', { revision: -1 }, 'revision: Invalid value: -1: must be greater than or equal to 0'],
  [
    'ReplicationController',
    { spec: { selector: { app: 'other' }, template } },
    'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`',
  ],
  ['PodTemplate', { template: { spec: { containers: [] } } }, 'template.spec.containers: Required value'],
  ['Job', { spec: { template } }, 'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'],
  [
    'Job',
    { spec: { template: podTemplate('Never'), completionMode: 'Indexed', parallelism: 2 } },
    'spec.completions: Required value: when completion mode is Indexed',
  ],
  [
    'CronJob',
    { spec: { schedule: '* * * *', jobTemplate: { spec: { template: podTemplate('Never') } } } },
    'spec.schedule: Invalid value: "* * * *": expected exactly 5 fields, found 4: [* * * *]',
  ],
  [
    'CronJob',
    { spec: { schedule: '61 * * * *', timeZone: 'Nowhere/Land', jobTemplate: { spec: { template: podTemplate('Never') } } } },
    '[spec.schedule: Invalid value: "61 * * * *": end of range (61) above maximum (59): 61, spec.timeZone: Invalid value: "Nowhere/Land": unknown time zone Nowhere/Land]',
  ],
  [
    'PersistentVolume',
    { spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], local: { path: '/x' } } },
    'spec.nodeAffinity: Required value: Local volume requires node affinity',
  ],
  [
    'PersistentVolume',
    { spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], volumeMode: 'FileSystem' } },
    '[spec.volumeMode: Unsupported value: "FileSystem": supported values: "Block", "Filesystem", spec: Required value: must specify a volume type]',
  ],
  [
    'PersistentVolumeClaim',
    { spec: { accessModes: ['Sometimes'] } },
    '[spec.accessModes: Unsupported value: "Sometimes": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod", spec.resources[storage]: Required value]',
  ],
  [
    'LimitRange',
    { spec: { limits: [{ type: 'Pod', min: { cpu: '2' }, max: { cpu: '1' } }] } },
    'spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1',
  ],
  [
    'ResourceQuota',
    { spec: { hard: { cpus: '1' } } },
    'spec.hard[cpus]: Invalid value: "cpus": must be a standard resource for quota',
  ],
  [
    'HorizontalPodAutoscaler',
    { spec: { maxReplicas: 1, minReplicas: 2, scaleTargetRef: { kind: 'Deployment' } } },
    '[spec.maxReplicas: Invalid value: 1: must be greater than or equal to `minReplicas`, spec.scaleTargetRef.name: Required value]',
  ],
  [
    'PodDisruptionBudget',
    { spec: { minAvailable: 1, maxUnavailable: '1' } },
    '[spec: Invalid value: {"minAvailable":1,"maxUnavailable":"1"}: minAvailable and maxUnavailable cannot be both set, spec.maxUnavailable: Invalid value: "1": a valid percent string must be a numeric string followed by an ending \'%\' (e.g. \'1%\',  or \'93%\', regex used for validation is \'[0-9]+%\')]',
  ],
  ['PriorityClass', { value: 2_000_000_000 }, 'value: Forbidden: maximum allowed value of a user defined priority is 1000000000'],
  [
    'StorageClass',
    { provisioner: '', reclaimPolicy: 'Recycle' },
    '[provisioner: Required value, reclaimPolicy: Unsupported value: "Recycle": supported values: "Delete", "Retain"]',
  ],
  [
    'CSIDriver',
    { spec: { fsGroupPolicy: 'Never' } },
    'spec.fsGroupPolicy: Unsupported value: "Never": supported values: "File", "None", "ReadWriteOnceWithFSType"',
  ],
  ['CSINode', { spec: { drivers: [{ name: 'a' }] } }, 'spec.drivers[0].nodeID: Required value'],
  ['CSIStorageCapacity', { storageClassName: '' }, 'storageClassName: Required value'],
  [
    'VolumeAttachment',
    { spec: { attacher: 'a', source: {} } },
    '[spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName, spec.nodeName: Required value]',
  ],
  [
    'Ingress',
    { spec: { rules: [{ host: '1.2.3.4', http: { paths: [{ path: 'x', pathType: 'Prefix', backend: {} }] } }] } },
    '[spec.rules[0].host: Invalid value: "1.2.3.4": must be a DNS name, not an IP address, spec.rules[0].http.paths[0].path: Invalid value: "x": must be an absolute path, spec.rules[0].http.paths[0].backend: Required value: must specify a service or a resource backend]',
  ],
  ['Ingress', { spec: {} }, 'spec: Invalid value: []: either `defaultBackend` or `rules` must be specified'],
  [
    'IngressClass',
    { spec: { controller: 'plain' } },
    'spec.controller: Invalid value: "plain": must be a domain-prefixed path (such as "acme.io/foo")',
  ],
  [
    'NetworkPolicy',
    { spec: { podSelector: {}, egress: [{ to: [{ ipBlock: { cidr: '10.0.0.0/33' } }, {}] }] } },
    '[spec.egress[0].to[0].ipBlock.cidr: Invalid value: "10.0.0.0/33": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64), spec.egress[0].to[1]: Required value: must specify a peer]',
  ],
  ['ServiceCIDR', { spec: { cidrs: [] } }, 'spec.cidrs: Required value: at least one CIDR required'],
  ['IPAddress', { spec: {} }, 'spec.parentRef: Required value'],
  [
    'RuntimeClass',
    { handler: 'Not.This' },
    "handler: Invalid value: \"Not.This\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
  ],
  [
    'CertificateSigningRequest',
    { spec: { request: 'eA==', signerName: 'nobody', usages: ['tea'] } },
    '[spec.request: Invalid value: "eA==": PEM block type must be CERTIFICATE REQUEST, spec.usages[0]: Unsupported value: "tea": supported values: "any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment", "decipher only", "digital signature", "email protection", "encipher only", "ipsec end system", "ipsec tunnel", "ipsec user", "key agreement", "key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime", "server auth", "signing", "timestamping", spec.signerName: Invalid value: "nobody": must be a fully qualified domain and path of the form "example.com/signer-name"]',
  ],
  [
    'FlowSchema',
    { spec: { matchingPrecedence: 20_000, priorityLevelConfiguration: {} } },
    '[spec.matchingPrecedence: Invalid value: 20000: must not be greater than 10000, spec.priorityLevelConfiguration.name: Required value]',
  ],
  [
    'PriorityLevelConfiguration',
    { spec: { type: 'Limited' } },
    'spec.limited: Required value: must not be empty when type is Limited',
  ],
  [
    'MutatingWebhookConfiguration',
    { webhooks: [{ name: 'a.b.c' }] },
    '[webhooks[0].admissionReviewVersions: Required value: must specify one of v1, v1beta1, webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun, webhooks[0].clientConfig: Required value: exactly one of url or service is required]',
  ],
  [
    'ValidatingWebhookConfiguration',
    { webhooks: [{ name: 'short', sideEffects: 'None', admissionReviewVersions: ['v1'], clientConfig: { url: 'http://x' } }] },
    '[webhooks[0].name: Invalid value: "short": should be a domain with at least three segments separated by dots, webhooks[0].clientConfig.url: Invalid value: "http://x": \'https\' is the only allowed URL scheme; desired format: https://host[/path]]',
  ],
  [
    'ValidatingAdmissionPolicy',
    { spec: {} },
    '[spec.matchConstraints: Required value, spec.validations: Required value: validations or auditAnnotations must be non-empty, spec.auditAnnotations: Required value: validations or auditAnnotations must be non-empty]',
  ],
  [
    'ValidatingAdmissionPolicyBinding',
    { spec: { policyName: 'a' } },
    'spec.validationActions: Required value: at least one validation action is required',
  ],
  [
    'CustomResourceDefinition',
    {
      spec: {
        group: 'example.com',
        scope: 'Namespaced',
        names: { plural: 'wheels', kind: 'Wheel' },
        versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { properties: { a: {} } } } }],
      },
    },
    '[spec.validation.openAPIV3Schema.properties[a].type: Required value: must not be empty for specified object fields, spec.validation.openAPIV3Schema.type: Required value: must not be empty at the root]',
  ],
  ['PodPreset', { spec: {} }, 'spec.volumes, env, envFrom, volumeMounts: Required value: must specify at least one'],
];
