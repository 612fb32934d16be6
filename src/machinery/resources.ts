/** The resources that our own code talks to through the Client, each with the type of its objects. */
import { type CustomResourceDefinition, definitionGroup, storageVersionOf } from './custom/definition.ts';
import type * as k from './kind-types.ts';
import type * as t from './types.ts';

/** Names one resource at one version. `T` is the type of its objects. */
export interface Resource<T extends t.KubeObject = t.KubeObject> {
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly kind: string;
  readonly namespaced: boolean;
  /** Never set: carries the type. */
  readonly type?: T;
}

function resource<T extends t.KubeObject>(group: string, kind: string, plural: string, namespaced = true): Resource<T> {
  return { group, version: 'v1', resource: plural, kind, namespaced };
}

export const namespaces = resource<t.Namespace>('', 'Namespace', 'namespaces', false);
export const nodes = resource<t.Node>('', 'Node', 'nodes', false);
export const pods = resource<t.Pod>('', 'Pod', 'pods');
export const services = resource<t.Service>('', 'Service', 'services');
export const endpoints = resource<t.Endpoints>('', 'Endpoints', 'endpoints');
export const configMaps = resource<t.ConfigMap>('', 'ConfigMap', 'configmaps');
export const secrets = resource<t.Secret>('', 'Secret', 'secrets');
export const serviceAccounts = resource<t.ServiceAccount>('', 'ServiceAccount', 'serviceaccounts');
export const events = resource<t.Event>('', 'Event', 'events');
export const replicaSets = resource<t.ReplicaSet>('apps', 'ReplicaSet', 'replicasets');
export const deployments = resource<t.Deployment>('apps', 'Deployment', 'deployments');
export const endpointSlices = resource<t.EndpointSlice>('discovery.k8s.io', 'EndpointSlice', 'endpointslices');
export const leases = resource<t.Lease>('coordination.k8s.io', 'Lease', 'leases');
export const resourceQuotas = resource<k.ResourceQuota>('', 'ResourceQuota', 'resourcequotas');
export const persistentVolumeClaims = resource<k.PersistentVolumeClaim>('', 'PersistentVolumeClaim', 'persistentvolumeclaims');
export const certificateSigningRequests = resource<k.CertificateSigningRequest>(
  'certificates.k8s.io',
  'CertificateSigningRequest',
  'certificatesigningrequests',
  false,
);
export const validatingAdmissionPolicies = resource<k.ValidatingAdmissionPolicy>(
  'admissionregistration.k8s.io',
  'ValidatingAdmissionPolicy',
  'validatingadmissionpolicies',
  false,
);
export const persistentVolumes = resource<k.PersistentVolume>('', 'PersistentVolume', 'persistentvolumes', false);
export const runtimeClasses = resource<k.RuntimeClass>('node.k8s.io', 'RuntimeClass', 'runtimeclasses', false);
export const priorityClasses = resource<k.PriorityClass>('scheduling.k8s.io', 'PriorityClass', 'priorityclasses', false);

const rbacGroup = 'rbac.authorization.k8s.io';
export const roles = resource<t.Role>(rbacGroup, 'Role', 'roles');
export const roleBindings = resource<t.RoleBinding>(rbacGroup, 'RoleBinding', 'rolebindings');
export const clusterRoles = resource<t.ClusterRole>(rbacGroup, 'ClusterRole', 'clusterroles', false);
export const clusterRoleBindings = resource<t.ClusterRoleBinding>(rbacGroup, 'ClusterRoleBinding', 'clusterrolebindings', false);

export const customResourceDefinitions = resource<CustomResourceDefinition>(
  definitionGroup,
  'CustomResourceDefinition',
  'customresourcedefinitions',
  false,
);

/** `apps/v1`, or `v1` for the core group. */
export function apiVersionOf(of: { group: string; version: string }): string {
  return of.group ? `${of.group}/${of.version}` : of.version;
}

/** The objects that a definition stands for, in the version in which they are stored. */
export function definedResource(definition: CustomResourceDefinition): Resource {
  const { spec } = definition;
  const version = storageVersionOf(definition)?.name ?? '';
  const { kind, plural } = spec.names;
  return { group: spec.group, version, resource: plural, kind, namespaced: spec.scope === 'Namespaced' };
}
