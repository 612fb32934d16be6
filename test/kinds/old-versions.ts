/**
 * Kinds in the versions that Kubernetes has given up: what is written through the old one, what of it is seen through the
 * current one, what through the old one again, and of what the writer is warned.
 */

type Fields = Record<string, unknown>;

export interface OldVersionCase {
  /** `apiVersion kind`. */
  old: string;
  current: string;
  plural: string;
  cluster?: true;
  name?: string;
  fields: Fields;
  /** Fields seen through the current version; `null` is one that is not there. */
  now: Fields;
  /** Fields seen through the old one. */
  back: Fields;
  /** The releases. */
  warned: [deprecated: string, removed: string];
  /** What to use instead, unless it is the current version. */
  instead?: string;
}

const pod = { containers: [{ name: 'c', image: 'i' }] };
const template = { metadata: { labels: { app: 'a', tier: 'b' } }, spec: pod };
const chosen = { matchLabels: { app: 'a', tier: 'b' } };
const selector = chosen;
const most = 2 ** 31 - 1;
const rules = [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }];
const rbac = 'rbac.authorization.k8s.io';
const reference = (kind: string) => ({ apiGroup: rbac, kind, name: 'view' });
const subjects = [{ kind: 'User', apiGroup: rbac, name: 'jane' }];
const scaled = { maxReplicas: 3, scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' } };
const flat = [
  { type: 'Resource', resource: { name: 'cpu', targetAverageUtilization: 60 } },
  { type: 'Pods', pods: { metricName: 'hits', targetAverageValue: '5' } },
  { type: 'Object', object: { metricName: 'load', target: { kind: 'Service', name: 'web' }, targetValue: '2' } },
  { type: 'External', external: { metricName: 'queue', targetValue: '7' } },
];
const nested = [
  { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 60 } } },
  { type: 'Pods', pods: { metric: { name: 'hits' }, target: { type: 'AverageValue', averageValue: '5' } } },
  {
    type: 'Object',
    object: {
      metric: { name: 'load' },
      describedObject: { kind: 'Service', name: 'web' },
      target: { type: 'Value', value: '2' },
    },
  },
  { type: 'External', external: { metric: { name: 'queue' }, target: { type: 'Value', value: '7' } } },
];
const oldBackend = { serviceName: 'web', servicePort: 80 };
const backend = { service: { name: 'web', port: { number: 80 } } };
const oldIngress = {
  spec: {
    backend: { serviceName: 'web', servicePort: 'http' },
    rules: [{ host: 'a.example', http: { paths: [{ path: '/x', backend: oldBackend }] } }],
  },
};
const nowIngress = {
  spec: {
    backend: null,
    defaultBackend: { service: { name: 'web', port: { name: 'http' } } },
    rules: [{ host: 'a.example', http: { paths: [{ path: '/x', pathType: 'ImplementationSpecific', backend }] } }],
  },
};
const backIngress = {
  spec: {
    defaultBackend: null,
    backend: { serviceName: 'web', servicePort: 'http' },
    rules: [{ host: 'a.example', http: { paths: [{ path: '/x', pathType: 'ImplementationSpecific', backend: oldBackend }] } }],
  },
};
const rolling = (amount: unknown) => ({ type: 'RollingUpdate', rollingUpdate: { maxUnavailable: amount, maxSurge: amount } });
const warnedApps = (deprecated: string): [string, string] => [deprecated, '1.16'];

export const oldVersionCases: OldVersionCase[] = [
  {
    ...{ old: 'extensions/v1beta1 Deployment', current: 'apps/v1', plural: 'deployments', warned: warnedApps('1.8') },
    fields: { spec: { template, rollbackTo: { revision: 1 } } },
    now: {
      spec: {
        ...{ selector, replicas: 1, revisionHistoryLimit: most, progressDeadlineSeconds: most, rollbackTo: null },
        strategy: rolling(1),
      },
    },
    back: { spec: { selector, strategy: rolling(1) } },
  },
  {
    ...{ old: 'apps/v1beta1 Deployment', current: 'apps/v1', plural: 'deployments', warned: warnedApps('1.8') },
    fields: { spec: { template } },
    now: { spec: { selector, replicas: 1, revisionHistoryLimit: 2, progressDeadlineSeconds: 600, strategy: rolling('25%') } },
    back: { spec: { selector, revisionHistoryLimit: 2 } },
  },
  {
    ...{ old: 'apps/v1beta2 Deployment', current: 'apps/v1', plural: 'deployments', warned: warnedApps('1.9') },
    fields: { spec: { selector, template } },
    now: { spec: { selector, revisionHistoryLimit: 10, progressDeadlineSeconds: 600, strategy: rolling('25%') } },
    back: { spec: { selector, revisionHistoryLimit: 10 } },
  },
  {
    ...{ old: 'extensions/v1beta1 DaemonSet', current: 'apps/v1', plural: 'daemonsets', warned: warnedApps('1.8') },
    fields: { spec: { template, templateGeneration: 3 } },
    now: { spec: { selector, updateStrategy: { type: 'OnDelete', rollingUpdate: null }, templateGeneration: null } },
    back: { spec: { selector, updateStrategy: { type: 'OnDelete' } } },
  },
  {
    ...{ old: 'apps/v1beta2 DaemonSet', current: 'apps/v1', plural: 'daemonsets', warned: warnedApps('1.9') },
    fields: { spec: { selector, template } },
    now: { spec: { selector, updateStrategy: { type: 'RollingUpdate' } } },
    back: { spec: { selector } },
  },
  {
    ...{ old: 'extensions/v1beta1 ReplicaSet', current: 'apps/v1', plural: 'replicasets', warned: warnedApps('1.8') },
    fields: { spec: { template } },
    now: { spec: { selector, replicas: 1 } },
    back: { spec: { selector } },
  },
  {
    ...{ old: 'apps/v1beta2 ReplicaSet', current: 'apps/v1', plural: 'replicasets', warned: warnedApps('1.9') },
    fields: { spec: { selector, template } },
    now: { spec: { replicas: 1 } },
    back: { spec: { selector } },
  },
  {
    ...{ old: 'apps/v1beta1 StatefulSet', current: 'apps/v1', plural: 'statefulsets', warned: warnedApps('1.8') },
    fields: { spec: { serviceName: 's', template } },
    now: { spec: { selector, updateStrategy: { type: 'OnDelete' }, podManagementPolicy: 'OrderedReady' } },
    back: { spec: { selector, updateStrategy: { type: 'OnDelete' } } },
  },
  {
    ...{ old: 'apps/v1beta2 StatefulSet', current: 'apps/v1', plural: 'statefulsets', warned: warnedApps('1.9') },
    fields: { spec: { serviceName: 's', selector, template } },
    now: { spec: { updateStrategy: { type: 'RollingUpdate' } } },
    back: { spec: { selector } },
  },
  {
    ...{ old: 'apps/v1beta1 ControllerRevision', current: 'apps/v1', plural: 'controllerrevisions', warned: warnedApps('1.8') },
    fields: { revision: 3, data: { a: 1 } },
    now: { revision: 3, data: { a: 1 } },
    back: { revision: 3 },
  },
  {
    ...{
      old: 'extensions/v1beta1 NetworkPolicy',
      current: 'networking.k8s.io/v1',
      plural: 'networkpolicies',
      warned: warnedApps('1.9'),
    },
    fields: { spec: { podSelector: {}, ingress: [{ ports: [{ port: 80 }] }] } },
    now: { spec: { policyTypes: ['Ingress'], ingress: [{ ports: [{ port: 80, protocol: 'TCP' }] }] } },
    back: { spec: { policyTypes: ['Ingress'] } },
  },
  {
    ...{ old: 'extensions/v1beta1 Ingress', current: 'networking.k8s.io/v1', plural: 'ingresses', warned: ['1.14', '1.22'] },
    ...{ fields: oldIngress, now: nowIngress, back: backIngress },
  },
  {
    ...{
      old: 'networking.k8s.io/v1beta1 Ingress',
      current: 'networking.k8s.io/v1',
      plural: 'ingresses',
      warned: ['1.19', '1.22'],
    },
    ...{ fields: oldIngress, now: nowIngress, back: backIngress },
  },
  {
    ...{ old: 'networking.k8s.io/v1beta1 IngressClass', current: 'networking.k8s.io/v1', plural: 'ingressclasses' },
    ...{ cluster: true, warned: ['1.19', '1.22'], fields: { spec: { controller: 'a.example/b' } } },
    now: { spec: { controller: 'a.example/b' } },
    back: { spec: { controller: 'a.example/b' } },
  },
  {
    ...{ old: 'batch/v1beta1 CronJob', current: 'batch/v1', plural: 'cronjobs', warned: ['1.21', '1.25'] },
    fields: {
      spec: { schedule: '0 1 * * *', jobTemplate: { spec: { template: { spec: { ...pod, restartPolicy: 'Never' } } } } },
    },
    now: { spec: { concurrencyPolicy: 'Allow', suspend: false, successfulJobsHistoryLimit: 3, failedJobsHistoryLimit: 1 } },
    back: { spec: { schedule: '0 1 * * *', concurrencyPolicy: 'Allow' } },
  },
  {
    ...{
      old: 'policy/v1beta1 PodDisruptionBudget',
      current: 'policy/v1',
      plural: 'poddisruptionbudgets',
      warned: ['1.21', '1.25'],
    },
    fields: { spec: { minAvailable: 1, selector: chosen } },
    now: { spec: { minAvailable: 1, selector: chosen } },
    back: { spec: { minAvailable: 1, selector: chosen } },
  },
  {
    ...{ old: 'autoscaling/v2beta1 HorizontalPodAutoscaler', current: 'autoscaling/v2', plural: 'horizontalpodautoscalers' },
    warned: ['1.22', '1.25'],
    fields: { spec: { ...scaled, metrics: flat } },
    now: { spec: { minReplicas: 1, metrics: nested } },
    back: { spec: { minReplicas: 1, metrics: flat } },
  },
  {
    ...{ old: 'autoscaling/v2beta2 HorizontalPodAutoscaler', current: 'autoscaling/v2', plural: 'horizontalpodautoscalers' },
    warned: ['1.23', '1.26'],
    fields: { spec: { ...scaled, metrics: nested } },
    now: { spec: { minReplicas: 1, metrics: nested } },
    back: { spec: { metrics: nested } },
  },
  ...(['Role', 'ClusterRole'] as const).map(
    (kind): OldVersionCase => ({
      ...{ old: `${rbac}/v1beta1 ${kind}`, current: `${rbac}/v1`, plural: `${kind.toLowerCase()}s`, warned: ['1.17', '1.22'] },
      ...(kind === 'ClusterRole' ? { cluster: true } : {}),
      ...{ fields: { rules }, now: { rules }, back: { rules } },
    }),
  ),
  ...(['RoleBinding', 'ClusterRoleBinding'] as const).map(
    (kind): OldVersionCase => ({
      ...{ old: `${rbac}/v1beta1 ${kind}`, current: `${rbac}/v1`, plural: `${kind.toLowerCase()}s`, warned: ['1.17', '1.22'] },
      ...(kind === 'ClusterRoleBinding' ? { cluster: true } : {}),
      fields: { roleRef: { kind: 'ClusterRole', name: 'view' }, subjects: [{ kind: 'User', name: 'jane' }] },
      now: { roleRef: reference('ClusterRole'), subjects },
      back: { roleRef: reference('ClusterRole'), subjects },
    }),
  ),
  {
    ...{ old: 'storage.k8s.io/v1beta1 StorageClass', current: 'storage.k8s.io/v1', plural: 'storageclasses', cluster: true },
    ...{ warned: ['1.19', '1.22'], fields: { provisioner: 'a.example/b' } },
    now: { provisioner: 'a.example/b', reclaimPolicy: 'Delete', volumeBindingMode: 'Immediate' },
    back: { reclaimPolicy: 'Delete', volumeBindingMode: 'Immediate' },
  },
  {
    ...{ old: 'storage.k8s.io/v1beta1 CSIDriver', current: 'storage.k8s.io/v1', plural: 'csidrivers', cluster: true },
    ...{ warned: ['1.19', '1.22'], fields: { spec: {} } },
    now: { spec: { attachRequired: true, podInfoOnMount: false, fsGroupPolicy: 'ReadWriteOnceWithFSType' } },
    back: { spec: { attachRequired: true } },
  },
  {
    ...{
      old: 'storage.k8s.io/v1beta1 VolumeAttachment',
      current: 'storage.k8s.io/v1',
      plural: 'volumeattachments',
      cluster: true,
    },
    warned: ['1.19', '1.22'],
    fields: { spec: { attacher: 'a.example', nodeName: 'n', source: { persistentVolumeName: 'v' } } },
    now: { spec: { attacher: 'a.example', nodeName: 'n' } },
    back: { spec: { source: { persistentVolumeName: 'v' } } },
  },
  {
    ...{
      old: 'scheduling.k8s.io/v1beta1 PriorityClass',
      current: 'scheduling.k8s.io/v1',
      plural: 'priorityclasses',
      cluster: true,
    },
    ...{ warned: ['1.14', '1.22'], fields: { value: 7 } },
    now: { value: 7, preemptionPolicy: 'PreemptLowerPriority' },
    back: { value: 7, preemptionPolicy: 'PreemptLowerPriority' },
  },
  {
    ...{ old: 'node.k8s.io/v1beta1 RuntimeClass', current: 'node.k8s.io/v1', plural: 'runtimeclasses', cluster: true },
    ...{ warned: ['1.20', '1.25'], fields: { handler: 'runc' }, now: { handler: 'runc' }, back: { handler: 'runc' } },
  },
  {
    ...{ old: 'apiextensions.k8s.io/v1beta1 CustomResourceDefinition', current: 'apiextensions.k8s.io/v1' },
    ...{ plural: 'customresourcedefinitions', cluster: true, name: 'gears.example.com', warned: ['1.16', '1.22'] },
    fields: {
      spec: {
        ...{ group: 'example.com', version: 'v1', names: { plural: 'gears', kind: 'Gear' } },
        validation: { openAPIV3Schema: { properties: { spec: { type: 'object' } } } },
        ...{ subresources: { status: {} }, additionalPrinterColumns: [{ name: 'Size', type: 'string', JSONPath: '.spec.size' }] },
      },
    },
    now: {
      spec: {
        ...{ scope: 'Namespaced', version: null, validation: null, conversion: { strategy: 'None' } },
        names: { plural: 'gears', kind: 'Gear', singular: 'gear', listKind: 'GearList' },
        versions: [
          {
            ...{ name: 'v1', served: true, storage: true, subresources: { status: {} } },
            schema: { openAPIV3Schema: { properties: { spec: { type: 'object' } } } },
            additionalPrinterColumns: [{ name: 'Size', type: 'string', jsonPath: '.spec.size' }],
          },
        ],
      },
    },
    back: {
      spec: {
        ...{ version: 'v1', scope: 'Namespaced', subresources: { status: {} } },
        additionalPrinterColumns: [{ name: 'Size', type: 'string', JSONPath: '.spec.size' }],
      },
    },
  },
  {
    ...{ old: 'settings.k8s.io/v1alpha1 PodPreset', current: 'settings.k8s.io/v1alpha1', plural: 'podpresets' },
    ...{ warned: ['1.19', '1.20'], instead: 'the pod template of the workload' },
    fields: { spec: { selector: chosen, env: [{ name: 'A', value: 'b' }] } },
    now: { spec: { env: [{ name: 'A', value: 'b' }] } },
    back: { spec: { selector: chosen } },
  },
];
