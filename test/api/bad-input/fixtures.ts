/** What is there before the bad requests come. */
import { at, configMap, deployment, pod, podSpec, template } from './case.ts';

const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' };

export const fixtures: [path: string, body: object][] = [
  [at.configMaps, configMap('here', { data: { a: 'b' } })],
  [at.configMaps, configMap('fixed', { data: { a: 'b' }, immutable: true })],
  [at.configMaps, { metadata: { name: 'leaving', finalizers: ['test.kontiki/wait'] } }],
  [at.secrets, configMap('sec', { stringData: { a: 'b' } })],
  [at.pods, pod(podSpec(), 'p')],
  [at.pods, pod(podSpec({ nodeName: 'n1' }), 'bound')],
  [at.services, { metadata: { name: 'svc' }, spec: { clusterIP: '10.43.7.7', ports: [{ port: 80 }] } }],
  [at.deployments, deployment({}, 'web')],
  [
    at.statefulSets,
    { metadata: { name: 'db' }, spec: { serviceName: 'db', selector: { matchLabels: { app: 'web' } }, template: template() } },
  ],
  [at.jobs, { metadata: { name: 'job' }, spec: { template: { spec: podSpec({ restartPolicy: 'Never' }) } } }],
  [
    at.claims,
    {
      metadata: { name: 'claim' },
      spec: { storageClassName: 'slow', accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
    },
  ],
  [at.roleBindings, { metadata: { name: 'binding' }, roleRef, subjects: [] }],
  [at.namespaces, configMap('ending')],
];
