/** One thing that is wrong with each kind: fields that replace those of the example, and the message after `is invalid: `. */
import { podTemplate } from './examples.ts';

const app = { matchLabels: { app: 'web' } };
const template = podTemplate();

export const wrongs: [kind: string, fields: Record<string, unknown>, message: string][] = [
  ['StatefulSet', { spec: { selector: {}, template } }, ''],
  ['StatefulSet', { spec: { selector: app, template, podManagementPolicy: 'Sideways' } }, ''],
  ['DaemonSet', { spec: { selector: app, template, updateStrategy: { rollingUpdate: { maxUnavailable: 1, maxSurge: 1 } } } }, ''],
  ['ControllerRevision', { revision: -1 }, ''],
  ['ReplicationController', { spec: { selector: { app: 'other' }, template } }, ''],
  ['PodTemplate', { template: { spec: { containers: [] } } }, ''],
  ['Job', { spec: { template } }, ''],
  ['Job', { spec: { template: podTemplate('Never'), completionMode: 'Indexed', parallelism: 2 } }, ''],
  ['CronJob', { spec: { schedule: '* * * *', jobTemplate: { spec: { template: podTemplate('Never') } } } }, ''],
  [
    'CronJob',
    { spec: { schedule: '61 * * * *', timeZone: 'Nowhere/Land', jobTemplate: { spec: { template: podTemplate('Never') } } } },
    '',
  ],
  ['PersistentVolume', { spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], local: { path: '/x' } } }, ''],
  ['PersistentVolume', { spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], volumeMode: 'FileSystem' } }, ''],
  ['PersistentVolumeClaim', { spec: { accessModes: ['Sometimes'] } }, ''],
  ['LimitRange', { spec: { limits: [{ type: 'Pod', min: { cpu: '2' }, max: { cpu: '1' } }] } }, ''],
  ['ResourceQuota', { spec: { hard: { cpus: '1' } } }, ''],
  ['HorizontalPodAutoscaler', { spec: { maxReplicas: 1, minReplicas: 2, scaleTargetRef: { kind: 'Deployment' } } }, ''],
  ['PodDisruptionBudget', { spec: { minAvailable: 1, maxUnavailable: '1' } }, ''],
  ['PriorityClass', { value: 2_000_000_000 }, ''],
  ['StorageClass', { provisioner: '', reclaimPolicy: 'Recycle' }, ''],
  ['CSIDriver', { spec: { fsGroupPolicy: 'Never' } }, ''],
  ['CSINode', { spec: { drivers: [{ name: 'a' }] } }, ''],
  ['CSIStorageCapacity', { storageClassName: '' }, ''],
  ['VolumeAttachment', { spec: { attacher: 'a', source: {} } }, ''],
  ['Ingress', { spec: { rules: [{ host: '1.2.3.4', http: { paths: [{ path: 'x', pathType: 'Prefix', backend: {} }] } }] } }, ''],
  ['Ingress', { spec: {} }, ''],
  ['IngressClass', { spec: { controller: 'plain' } }, ''],
  ['NetworkPolicy', { spec: { podSelector: {}, egress: [{ to: [{ ipBlock: { cidr: '10.0.0.0/33' } }, {}] }] } }, ''],
  ['ServiceCIDR', { spec: { cidrs: [] } }, ''],
  ['IPAddress', { spec: {} }, ''],
  ['RuntimeClass', { handler: 'Not.This' }, ''],
  ['CertificateSigningRequest', { spec: { request: 'eA==', signerName: 'nobody', usages: ['tea'] } }, ''],
  ['FlowSchema', { spec: { matchingPrecedence: 20_000, priorityLevelConfiguration: {} } }, ''],
  ['PriorityLevelConfiguration', { spec: { type: 'Limited' } }, ''],
  ['MutatingWebhookConfiguration', { webhooks: [{ name: 'a.b.c' }] }, ''],
  [
    'ValidatingWebhookConfiguration',
    { webhooks: [{ name: 'short', sideEffects: 'None', admissionReviewVersions: ['v1'], clientConfig: { url: 'http://x' } }] },
    '',
  ],
  ['ValidatingAdmissionPolicy', { spec: {} }, ''],
  ['ValidatingAdmissionPolicyBinding', { spec: { policyName: 'a' } }, ''],
  ['PodPreset', { spec: {} }, ''],
];
