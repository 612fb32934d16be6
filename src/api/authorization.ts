/** The question of who may do what, the errors for "no", and the fixed table of what agents may do. */
import type { FieldRequirement } from '../machinery/selectors.ts';
import { failure, forbidden, type StatusError } from '../machinery/status.ts';
import type { PolicyRule } from '../machinery/types.ts';
import type { User } from './types.ts';

export const mastersGroup = 'system:masters';
export const nodesGroup = 'system:nodes';
const nodeUserPrefix = 'system:node:';

/** `verb` is Kubernetes' request verb: get, list, watch, create, update, patch, delete, deletecollection, or a special one. */
export interface ResourceAttributes {
  user: User;
  verb: string;
  group: string;
  resource: string;
  subresource?: string;
  namespace?: string;
  name?: string;
  /** Of a list or watch: what the caller is content with. Left out: everything. */
  fieldSelector?: readonly FieldRequirement[];
}

export interface PathAttributes {
  user: User;
  verb: string;
  path: string;
}

export interface Decision {
  allowed: boolean;
  /** Why, when somebody should be told; else empty. */
  reason: string;
}

/** Decides from memory alone. */
export interface Authorizer {
  decide(attributes: ResourceAttributes): Decision;
  decidePath(attributes: PathAttributes): Decision;
  /** What roles give the user in a namespace and beyond. */
  rulesFor(user: User, namespace: string | undefined): PolicyRule[];
}

/** The node that a user is the agent of. */
export function nodeNameOf(user: User): string | undefined {
  if (!user.groups.includes(nodesGroup) || !user.name.startsWith(nodeUserPrefix)) return undefined;
  return user.name.slice(nodeUserPrefix.length);
}

interface Rule {
  group: string;
  /** With `/subresource` where one is meant. */
  resources: string[];
  verbs: string[];
  /** The object must have the node's name; a creation names it only in its body, where admission looks. */
  ownName?: true;
  /** Only pods that are bound to the node, and what they name. */
  ofItsPods?: true;
  /** Only when the caller is content with the pods that are bound to the node. */
  selectsItsPods?: true;
}

/** Which pods a node has, and which ConfigMaps and Secrets they name. */
export interface NodeReferences {
  has(node: string, resource: string, namespace: string, name: string): boolean;
}

const reading = ['get', 'list', 'watch'];
const writing = ['create', 'update', 'patch', 'delete'];
const nodeRules: Rule[] = [
  // All nodes, unlike Kubernetes: agents make the routes between them themselves.
  { group: '', resources: ['nodes', 'services', 'endpoints', 'namespaces'], verbs: reading },
  { group: '', resources: ['pods', 'configmaps', 'secrets'], verbs: reading, ofItsPods: true },
  { group: '', resources: ['pods'], verbs: ['list', 'watch'], selectsItsPods: true },
  { group: 'discovery.k8s.io', resources: ['endpointslices'], verbs: reading },
  { group: 'node.k8s.io', resources: ['runtimeclasses'], verbs: reading },
  { group: '', resources: ['nodes', 'nodes/status'], verbs: ['create', 'update', 'patch'], ownName: true },
  { group: '', resources: ['pods/status'], verbs: ['update', 'patch'] },
  // Of pods only the mirrors of its static ones: see node-restriction.ts.
  { group: '', resources: ['pods'], verbs: ['create', 'delete'] },
  // Only for pods that run on the node: see node-restriction.ts.
  { group: '', resources: ['serviceaccounts/token'], verbs: ['create'] },
  { group: '', resources: ['events'], verbs: [...reading, ...writing] },
  { group: 'events.k8s.io', resources: ['events'], verbs: [...reading, ...writing] },
  { group: 'coordination.k8s.io', resources: ['leases'], verbs: [...reading, ...writing] },
];

/** True when the user is an agent and its table allows it. */
export function nodeAllows(attributes: ResourceAttributes, references: NodeReferences): boolean {
  const node = nodeNameOf(attributes.user);
  if (node === undefined) return false;
  const { resource, namespace = '', name = '' } = attributes;
  return nodeRules.some((rule) => {
    if (!applies(rule, attributes, node)) return false;
    if (rule.selectsItsPods) return selectsNode(attributes, node);
    return !rule.ofItsPods || references.has(node, resource, namespace, name);
  });
}

const selectsNode = ({ fieldSelector = [] }: ResourceAttributes, node: string) =>
  fieldSelector.some(({ field, operator, value }) => field === 'spec.nodeName' && operator === '=' && value === node);

function applies(rule: Rule, attributes: ResourceAttributes, node: string): boolean {
  const resource = attributes.subresource ? `${attributes.resource}/${attributes.subresource}` : attributes.resource;
  if (rule.group !== attributes.group || !rule.resources.includes(resource) || !rule.verbs.includes(attributes.verb))
    return false;
  return !rule.ownName || attributes.verb === 'create' || attributes.name === node;
}

/** StatusError 403 unless the authorizer allows it. */
export function demandAccess(
  authorizer: Authorizer,
  attributes: ResourceAttributes,
  onDecided?: (decision: Decision) => void,
): void {
  const decision = authorizer.decide(attributes);
  onDecided?.(decision);
  if (!decision.allowed) throw accessDenied(attributes);
}

export function accessDenied(attributes: ResourceAttributes): StatusError {
  const { user, verb, group, resource, subresource, namespace, name } = attributes;
  const full = subresource ? `${resource}/${subresource}` : resource;
  const where = namespace ? `in the namespace ${JSON.stringify(namespace)}` : 'at the cluster scope';
  const why = `User ${JSON.stringify(user.name)} cannot ${verb} resource ${JSON.stringify(full)} in API group ${JSON.stringify(group)} ${where}`;
  return forbidden({ group, resource }, name ?? '', why);
}

export function pathDenied({ user, verb, path }: PathAttributes): StatusError {
  return failure(403, 'Forbidden', `forbidden: User ${JSON.stringify(user.name)} cannot ${verb} path ${JSON.stringify(path)}`);
}
