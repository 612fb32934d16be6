/** What a line of the tables says: what is asked, and how it is refused. */
import type { Ask } from '../listening.ts';

/** Code, reason (undefined where Kubernetes gives none), message, and for each cause `FIELD REASON`. */
export type Refusal = [code: number, reason: string | undefined, message: string, causes?: string[]];

export type BadInput = [name: string, ask: Ask & { path: string }, refusal: Refusal];

const json = { 'content-type': 'application/json' };
const text = (body: unknown) => (typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body));

/** A string is sent as it is, everything else as JSON. */
export const post = (path: string, body: unknown, headers: Record<string, string> = json) => ({
  method: 'POST',
  path,
  body: text(body),
  headers,
});
export const put = (path: string, body: unknown) => ({ method: 'PUT', path, body: text(body), headers: json });
export const get = (path: string, headers: Record<string, string> = {}) => ({ method: 'GET', path, headers });
export const remove = (path: string, body?: unknown) => ({
  method: 'DELETE',
  path,
  headers: json,
  ...(body === undefined ? {} : { body: text(body) }),
});

export const yaml = (path: string, body: string) => post(path, body, { 'content-type': 'application/yaml' });

export function patch(path: string, type: 'json' | 'merge' | 'strategic' | 'apply', body: unknown) {
  const suffix = type === 'apply' ? 'apply-patch+yaml' : `${type === 'strategic' ? 'strategic-merge' : type}-patch+json`;
  return { method: 'PATCH', path, body: text(body), headers: { 'content-type': `application/${suffix}` } };
}

const core = '/api/v1/namespaces/default';
export const at = {
  configMaps: `${core}/configmaps`,
  secrets: `${core}/secrets`,
  pods: `${core}/pods`,
  services: `${core}/services`,
  claims: `${core}/persistentvolumeclaims`,
  accounts: `${core}/serviceaccounts`,
  limits: `${core}/limitranges`,
  quotas: `${core}/resourcequotas`,
  namespaces: '/api/v1/namespaces',
  nodes: '/api/v1/nodes',
  volumes: '/api/v1/persistentvolumes',
  deployments: '/apis/apps/v1/namespaces/default/deployments',
  statefulSets: '/apis/apps/v1/namespaces/default/statefulsets',
  daemonSets: '/apis/apps/v1/namespaces/default/daemonsets',
  replicaSets: '/apis/apps/v1/namespaces/default/replicasets',
  jobs: '/apis/batch/v1/namespaces/default/jobs',
  cronJobs: '/apis/batch/v1/namespaces/default/cronjobs',
  ingresses: '/apis/networking.k8s.io/v1/namespaces/default/ingresses',
  networkPolicies: '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies',
  autoscalers: '/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers',
  budgets: '/apis/policy/v1/namespaces/default/poddisruptionbudgets',
  roles: '/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles',
  roleBindings: '/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings',
  clusterRoles: '/apis/rbac.authorization.k8s.io/v1/clusterroles',
  priorityClasses: '/apis/scheduling.k8s.io/v1/priorityclasses',
  storageClasses: '/apis/storage.k8s.io/v1/storageclasses',
};

export const configMap = (name: string, more: object = {}) => ({ metadata: { name }, ...more });
export const podSpec = (more: object = {}, container: object = {}) => ({
  containers: [{ name: 'app', image: 'registry.test/app:1', ...container }],
  ...more,
});
export const pod = (spec: object, name = 'new') => ({ metadata: { name }, spec });
export const template = (more: object = {}) => ({ metadata: { labels: { app: 'web' } }, spec: podSpec(more) });
export const deployment = (spec: object = {}, name = 'new') => ({
  metadata: { name },
  spec: { selector: { matchLabels: { app: 'web' } }, template: template(), ...spec },
});
