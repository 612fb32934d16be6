/**
 * The roles and bindings that every cluster has and clients expect. Source: the Kubernetes page "Using RBAC Authorization",
 * default roles. `admin`, `edit` and `view` gather what others add by label.
 */
import type { ClusterRole, ClusterRoleBinding, PolicyRule } from '../../machinery/types.ts';
import { rbacGroup } from '../kinds/rbac-validation.ts';

export const autoUpdateAnnotation = 'rbac.authorization.kubernetes.io/autoupdate';

export type DefaultRole = Pick<ClusterRole, 'metadata' | 'rules' | 'aggregationRule'>;
export type DefaultBinding = Pick<ClusterRoleBinding, 'metadata' | 'roleRef' | 'subjects'>;

const reading = ['get', 'list', 'watch'];
const writing = ['create', 'delete', 'deletecollection', 'patch', 'update'];

const resources = (group: string, names: string[], verbs: string[]): PolicyRule => ({
  apiGroups: [group],
  resources: names,
  verbs,
});
const paths = (names: string[]): PolicyRule => ({ nonResourceURLs: names, verbs: ['get'] });

function metadataOf(name: string, labels: Record<string, string> = {}): ClusterRole['metadata'] {
  return {
    name,
    labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults', ...labels },
    annotations: { [autoUpdateAnnotation]: 'true' },
  };
}

const role = (name: string, rules: PolicyRule[], labels?: Record<string, string>): DefaultRole => ({
  metadata: metadataOf(name, labels),
  rules,
});

const aggregateLabel = (to: string) => `rbac.authorization.k8s.io/aggregate-to-${to}`;

/** A role made of all that carry its label. */
const aggregated = (name: string, labels?: Record<string, string>): DefaultRole => ({
  metadata: metadataOf(name, labels),
  rules: [],
  aggregationRule: { clusterRoleSelectors: [{ matchLabels: { [aggregateLabel(name)]: 'true' } }] },
});

const workloads = [
  ['controllerrevisions', 'daemonsets', 'daemonsets/status', 'deployments', 'deployments/scale', 'deployments/status'],
  ['replicasets', 'replicasets/scale', 'replicasets/status', 'statefulsets', 'statefulsets/scale', 'statefulsets/status'],
].flat();
const writableWorkloads = workloads.filter((name) => name !== 'controllerrevisions' && !name.endsWith('/status'));

const viewRules: PolicyRule[] = [
  resources(
    '',
    [
      ...['bindings', 'configmaps', 'endpoints', 'events', 'limitranges', 'namespaces', 'namespaces/status'],
      ...['persistentvolumeclaims', 'persistentvolumeclaims/status', 'pods', 'pods/log', 'pods/status'],
      ...['replicationcontrollers', 'replicationcontrollers/scale', 'replicationcontrollers/status'],
      ...['resourcequotas', 'resourcequotas/status', 'serviceaccounts', 'services', 'services/status'],
    ],
    reading,
  ),
  resources('apps', workloads, reading),
  resources('autoscaling', ['horizontalpodautoscalers', 'horizontalpodautoscalers/status'], reading),
  resources('batch', ['cronjobs', 'cronjobs/status', 'jobs', 'jobs/status'], reading),
  resources('discovery.k8s.io', ['endpointslices'], reading),
  resources('networking.k8s.io', ['ingresses', 'ingresses/status', 'networkpolicies'], reading),
  resources('policy', ['poddisruptionbudgets', 'poddisruptionbudgets/status'], reading),
];

const editRules: PolicyRule[] = [
  // What `view` leaves out because it gives more than a look.
  resources('', ['pods/attach', 'pods/exec', 'pods/portforward', 'pods/proxy', 'secrets', 'services/proxy'], reading),
  resources('', ['serviceaccounts'], ['impersonate']),
  resources('', ['pods', 'pods/attach', 'pods/exec', 'pods/portforward', 'pods/proxy'], writing),
  resources('', ['pods/eviction'], ['create']),
  resources(
    '',
    [
      ...['configmaps', 'events', 'persistentvolumeclaims', 'replicationcontrollers', 'replicationcontrollers/scale'],
      ...['secrets', 'serviceaccounts', 'services', 'services/proxy'],
    ],
    writing,
  ),
  resources('', ['serviceaccounts/token'], ['create']),
  resources('apps', writableWorkloads, writing),
  resources('autoscaling', ['horizontalpodautoscalers'], writing),
  resources('batch', ['cronjobs', 'jobs'], writing),
  resources('networking.k8s.io', ['ingresses', 'networkpolicies'], writing),
  resources('policy', ['poddisruptionbudgets'], writing),
  resources('coordination.k8s.io', ['leases'], [...reading, ...writing]),
];

const adminRules: PolicyRule[] = [
  resources('authorization.k8s.io', ['localsubjectaccessreviews'], ['create']),
  resources(rbacGroup, ['rolebindings', 'roles'], [...reading, ...writing]),
];

/** As the node authorizer has it, for whoever binds it; nothing is bound by default. */
const nodeRules: PolicyRule[] = [
  resources('', ['configmaps', 'endpoints', 'namespaces', 'nodes', 'pods', 'secrets', 'services'], reading),
  resources('', ['nodes', 'nodes/status'], ['create', 'patch', 'update']),
  resources('', ['pods'], ['delete']),
  resources('', ['pods/status'], ['patch', 'update']),
  resources('', ['serviceaccounts/token'], ['create']),
  resources('', ['events'], ['create', 'patch', 'update']),
  resources('coordination.k8s.io', ['leases'], ['create', 'delete', 'get', 'patch', 'update']),
  resources('discovery.k8s.io', ['endpointslices'], reading),
  resources('authentication.k8s.io', ['tokenreviews'], ['create']),
  resources('authorization.k8s.io', ['localsubjectaccessreviews', 'subjectaccessreviews'], ['create']),
];

const health = ['/healthz', '/livez', '/readyz', '/version', '/version/'];

export const defaultRoles: DefaultRole[] = [
  role('cluster-admin', [resources('*', ['*'], ['*']), { nonResourceURLs: ['*'], verbs: ['*'] }]),
  role('system:discovery', [paths(['/api', '/api/*', '/apis', '/apis/*', ...health, '/openapi', '/openapi/*'])]),
  role('system:basic-user', [
    resources('authorization.k8s.io', ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'], ['create']),
    resources('authentication.k8s.io', ['selfsubjectreviews'], ['create']),
  ]),
  role('system:public-info-viewer', [paths(health)]),
  role('system:monitoring', [paths(['/healthz', '/healthz/*', '/livez', '/livez/*', '/metrics', '/readyz', '/readyz/*'])]),
  role('system:service-account-issuer-discovery', [
    paths(['/.well-known/openid-configuration', '/.well-known/openid-configuration/', '/openid/v1/jwks', '/openid/v1/jwks/']),
  ]),
  role('system:auth-delegator', [
    resources('authentication.k8s.io', ['tokenreviews'], ['create']),
    resources('authorization.k8s.io', ['subjectaccessreviews'], ['create']),
  ]),
  role('system:node', nodeRules),
  role('system:node-bootstrapper', [
    resources('certificates.k8s.io', ['certificatesigningrequests'], ['create', 'get', 'list', 'watch']),
  ]),
  role('system:certificates.k8s.io:certificatesigningrequests:nodeclient', [
    resources('certificates.k8s.io', ['certificatesigningrequests/nodeclient'], ['create']),
  ]),
  role('system:certificates.k8s.io:certificatesigningrequests:selfnodeclient', [
    resources('certificates.k8s.io', ['certificatesigningrequests/selfnodeclient'], ['create']),
  ]),
  aggregated('admin'),
  aggregated('edit', { [aggregateLabel('admin')]: 'true' }),
  aggregated('view', { [aggregateLabel('edit')]: 'true' }),
  role('system:aggregate-to-admin', adminRules, { [aggregateLabel('admin')]: 'true' }),
  role('system:aggregate-to-edit', editRules, { [aggregateLabel('edit')]: 'true' }),
  role('system:aggregate-to-view', viewRules, { [aggregateLabel('view')]: 'true' }),
];

const toGroups = (name: string, groups: string[]): DefaultBinding => ({
  metadata: metadataOf(name),
  roleRef: { apiGroup: rbacGroup, kind: 'ClusterRole', name },
  subjects: groups.map((group) => ({ apiGroup: rbacGroup, kind: 'Group', name: group })),
});

export const defaultBindings: DefaultBinding[] = [
  toGroups('cluster-admin', ['system:masters']),
  toGroups('system:discovery', ['system:authenticated']),
  toGroups('system:basic-user', ['system:authenticated']),
  toGroups('system:public-info-viewer', ['system:authenticated', 'system:unauthenticated']),
  toGroups('system:monitoring', ['system:monitoring']),
  toGroups('system:service-account-issuer-discovery', ['system:serviceaccounts']),
];
