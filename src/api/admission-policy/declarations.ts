/** Types of what expressions about a write can name: object, oldObject, request, namespaceObject, authorizer. */
import { type CelType, celTypes, listOf, mapOf, objectOf } from '../../cel/index.ts';

const { string, bool, dyn, int, timestamp } = celTypes;

const kindType = objectOf('kubernetes.GroupVersionKind', { group: string, version: string, kind: string });
const resourceType = objectOf('kubernetes.GroupVersionResource', { group: string, version: string, resource: string });
const userType = objectOf('kubernetes.UserInfo', {
  username: string,
  uid: string,
  groups: listOf(string),
  extra: mapOf(string, listOf(string)),
});

const requestType = objectOf('kubernetes.AdmissionRequest', {
  kind: kindType,
  resource: resourceType,
  subResource: string,
  requestKind: kindType,
  requestResource: resourceType,
  requestSubResource: string,
  name: string,
  __namespace__: string,
  operation: string,
  userInfo: userType,
  dryRun: bool,
  options: dyn,
});

const namespaceType = objectOf('kubernetes.Namespace', {
  metadata: objectOf('kubernetes.NamespaceMetadata', {
    name: string,
    generateName: string,
    __namespace__: string,
    labels: mapOf(string, string),
    annotations: mapOf(string, string),
    UID: string,
    creationTimestamp: timestamp,
    deletionGracePeriodSeconds: int,
    deletionTimestamp: timestamp,
    generation: int,
    resourceVersion: string,
    finalizers: listOf(string),
  }),
  spec: objectOf('kubernetes.NamespaceSpec', { finalizers: listOf(string) }),
  status: objectOf('kubernetes.NamespaceStatus', { phase: string }),
});

/** Types of the variables that every expression about a write has. */
export const requestVariables: Readonly<Record<string, CelType>> = { object: dyn, oldObject: dyn, request: requestType };

export const namespaceVariables: Readonly<Record<string, CelType>> = { namespaceObject: namespaceType };

export const authorizerVariables: Readonly<Record<string, CelType>> = {
  authorizer: celTypes.authorizer,
  'authorizer.requestResource': celTypes.resourceCheck,
};
