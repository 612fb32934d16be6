/** The smallest useful object of every kind, as a person would write it (spec and the like, without what the server fills in). */

type Fields = Record<string, unknown>;

export const podTemplate = (restartPolicy?: string) => ({
  metadata: { labels: { app: 'web' } },
  spec: { containers: [{ name: 'web', image: 'web:1' }], ...(restartPolicy ? { restartPolicy } : {}) },
});
const selector = { matchLabels: { app: 'web' } };
const workload = { spec: { selector, template: podTemplate() } };
/** Of CN=jane, O=people; its key is gone. */
const certificateRequest = `-----BEGIN CERTIFICATE REQUEST-----
MIHaMIGCAgEAMCAxDzANBgNVBAoMBnBlb3BsZTENMAsGA1UEAwwEamFuZTBZMBMG
ByqGSM49AgEGCCqGSM49AwEHA0IABH8nu6oCmj+nV+sRKdLtod4pbcOhVZIDHZni
lOYq0JMLVThabbp3G4t+/gP4FrdSOgxGd5x+k9yGmydfEN2zBdSgADAKBggqhkjO
PQQDAgNHADBEAiAlUCP3LjGRUTuC25ieT2AVqC7wpxxe5eoByZOnEmDW5QIgWpdC
kDN0AE+k7IRUoskoCwfU+Po3Lr7NXg9G5GGC0RA=
-----END CERTIFICATE REQUEST-----
`;
const rule = { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] };
const webhook = {
  name: 'pods.example.com',
  admissionReviewVersions: ['v1'],
  sideEffects: 'None',
  clientConfig: { url: 'https://example.com/review' },
  rules: [rule],
};

const rbac = 'rbac.authorization.k8s.io';

export interface Example {
  /** Left out: `example`. */
  name?: string;
  fields: Fields;
}

export const examples: Record<string, Example> = {
  ConfigMap: { fields: { data: { key: 'value' } } },
  APIService: {
    name: 'v1.g.example.com',
    fields: {
      spec: {
        group: 'g.example.com',
        version: 'v1',
        groupPriorityMinimum: 100,
        versionPriority: 10,
        service: { name: 's', namespace: 'n' },
      },
    },
  },
  CertificateSigningRequest: {
    fields: {
      spec: {
        request: Buffer.from(certificateRequest).toString('base64'),
        signerName: 'kubernetes.io/kube-apiserver-client',
        usages: ['client auth'],
      },
    },
  },
  ControllerRevision: { fields: { revision: 3, data: { spec: {} } } },
  CronJob: { fields: { spec: { schedule: '*/5 * * * *', jobTemplate: { spec: { template: podTemplate('OnFailure') } } } } },
  Role: { fields: { rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }] } },
  ClusterRole: { fields: { rules: [{ nonResourceURLs: ['/metrics'], verbs: ['get'] }] } },
  RoleBinding: {
    fields: { roleRef: { kind: 'ClusterRole', name: 'view' }, subjects: [{ apiGroup: rbac, kind: 'User', name: 'alice' }] },
  },
  ClusterRoleBinding: {
    fields: { roleRef: { kind: 'ClusterRole', name: 'view' }, subjects: [{ apiGroup: rbac, kind: 'Group', name: 'team' }] },
  },
  CustomResourceDefinition: {
    name: 'wheels.example.com',
    fields: {
      spec: {
        group: 'example.com',
        scope: 'Namespaced',
        names: { plural: 'wheels', kind: 'Wheel' },
        versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } }],
      },
    },
  },
  CSIDriver: { name: 'driver.example.com', fields: { spec: {} } },
  CSINode: { fields: { spec: { drivers: [{ name: 'driver.example.com', nodeID: 'one' }] } } },
  CSIStorageCapacity: { fields: { storageClassName: 'fast', capacity: '1024Mi' } },
  DaemonSet: { fields: workload },
  Deployment: { fields: workload },
  Endpoints: { fields: { subsets: [{ addresses: [{ ip: '10.0.0.1' }], ports: [{ port: 80 }] }] } },
  EndpointSlice: { fields: { addressType: 'IPv4', endpoints: [{ addresses: ['10.0.0.1'] }], ports: [{ port: 80 }] } },
  Event: {
    fields: { involvedObject: { kind: 'Pod', name: 'web', namespace: 'default' }, reason: 'Seen', message: 'it is there' },
  },
  FlowSchema: {
    fields: {
      spec: {
        priorityLevelConfiguration: { name: 'calm' },
        rules: [
          {
            subjects: [{ kind: 'Group', group: { name: 'people' } }],
            nonResourceRules: [{ verbs: ['get'], nonResourceURLs: ['/version'] }],
          },
        ],
      },
    },
  },
  HorizontalPodAutoscaler: {
    fields: { spec: { maxReplicas: 5, scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' } } },
  },
  Ingress: {
    fields: {
      spec: {
        rules: [
          {
            host: 'web.example.com',
            http: { paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name: 'web', port: { number: 80 } } } }] },
          },
        ],
      },
    },
  },
  IngressClass: { fields: { spec: { controller: 'example.com/ingress' } } },
  IPAddress: {
    name: '10.43.0.7',
    fields: { spec: { parentRef: { resource: 'services', namespace: 'default', name: 'web' } } },
  },
  Job: { fields: { spec: { template: podTemplate('Never') } } },
  Lease: { fields: { spec: { holderIdentity: 'me', leaseDurationSeconds: 15 } } },
  LimitRange: { fields: { spec: { limits: [{ type: 'Container', max: { cpu: '2000m' }, min: { memory: '64Mi' } }] } } },
  MutatingWebhookConfiguration: { fields: { webhooks: [webhook] } },
  Namespace: { fields: {} },
  NetworkPolicy: { fields: { spec: { podSelector: selector, ingress: [{ ports: [{ port: 80 }] }] } } },
  Node: { fields: {} },
  PersistentVolume: {
    fields: { spec: { capacity: { storage: '1024Mi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/data' } } },
  },
  PersistentVolumeClaim: {
    fields: { spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1024Mi' } } } },
  },
  Pod: { fields: { spec: podTemplate().spec } },
  PodDisruptionBudget: { fields: { spec: { minAvailable: '50%', selector } } },
  PodPreset: { fields: { spec: { selector, env: [{ name: 'A', value: 'b' }] } } },
  PodTemplate: { fields: { template: podTemplate() } },
  PriorityClass: { fields: { value: 1000, description: 'important' } },
  PriorityLevelConfiguration: {
    fields: { spec: { type: 'Limited', limited: { limitResponse: { type: 'Queue', queuing: {} } } } },
  },
  ReplicaSet: { fields: workload },
  ReplicationController: { fields: { spec: { template: podTemplate() } } },
  ResourceQuota: { fields: { spec: { hard: { pods: '10', 'limits.cpu': '4000m' } } } },
  RuntimeClass: { fields: { handler: 'runc' } },
  Secret: { fields: { data: { key: 'dmFsdWU=' } } },
  Service: { fields: { spec: { selector: { app: 'web' }, ports: [{ port: 80 }] } } },
  ServiceAccount: { fields: {} },
  ServiceCIDR: { fields: { spec: { cidrs: ['10.99.0.0/16'] } } },
  StatefulSet: {
    fields: {
      spec: {
        ...workload.spec,
        serviceName: 'web',
        volumeClaimTemplates: [
          {
            metadata: { name: 'data' },
            spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
          },
        ],
      },
    },
  },
  StorageClass: { fields: { provisioner: 'example.com/disks' } },
  ValidatingAdmissionPolicy: {
    fields: { spec: { matchConstraints: { resourceRules: [rule] }, validations: [{ expression: 'object.spec.replicas < 5' }] } },
  },
  ValidatingAdmissionPolicyBinding: { fields: { spec: { policyName: 'few', validationActions: ['Deny'] } } },
  ValidatingWebhookConfiguration: { fields: { webhooks: [webhook] } },
  VolumeAttachment: {
    fields: { spec: { attacher: 'driver.example.com', nodeName: 'one', source: { persistentVolumeName: 'data' } } },
  },
};
