/**
 * Admission: nobody gives away, by a role or a binding, what they do not have themselves, unless they may `escalate` that
 * role or `bind` it.
 */
import type { KindDefinition } from '../../machinery/kind.ts';
import { forbidden, notFound } from '../../machinery/status.ts';
import type { ClusterRole, KubeObject, PolicyRule, RoleBinding } from '../../machinery/types.ts';
import { type Authorizer, mastersGroup } from '../authorization.ts';
import { groupResource } from '../kind-table.ts';
import { sameJson } from '../kinds/field-errors.ts';
import { rbacGroup } from '../kinds/rbac-validation.ts';
import type { User } from '../types.ts';
import { describeRules, missingRules, quoteList } from './coverage.ts';
import type { RoleIndex } from './role-index.ts';

const everything: PolicyRule[] = [
  { apiGroups: ['*'], resources: ['*'], verbs: ['*'] },
  { nonResourceURLs: ['*'], verbs: ['*'] },
];

export interface Access {
  authorizer: Authorizer;
  roles: RoleIndex;
}

interface RoleWrite {
  user: User;
  kind: KindDefinition;
  next: KubeObject;
  previous: KubeObject | undefined;
}

/** StatusError 403 when the write would give away more than its author has; 404 for a binding to a role that is not there. */
export function admitRoleWrite(access: Access, write: RoleWrite): void {
  const { user, kind, next, previous } = write;
  if (kind.group !== rbacGroup || user.groups.includes(mastersGroup)) return;
  if (previous && sameJson(withoutMetadata(next), withoutMetadata(previous))) return;
  if (kind.plural === 'roles' || kind.plural === 'clusterroles') admitRole(access, write);
  else admitBinding(access, write);
}

function admitRole({ authorizer, roles }: Access, { user, kind, next, previous }: RoleWrite): void {
  const { name, namespace } = next.metadata;
  const { group, resource } = groupResource(kind);
  if (authorizer.decide({ user, verb: 'escalate', group, resource, name, namespace }).allowed) return;
  const { rules, aggregationRule } = next as ClusterRole;
  demandRules(roles, user, kind, next, rules ?? []);
  if (!aggregationRule && !(previous as ClusterRole | undefined)?.aggregationRule) return;
  if (missingRules(roles.rules(user, undefined), everything).length === 0) return;
  throw forbidden(groupResource(kind), name, 'must have cluster-admin privileges to use the aggregationRule');
}

function admitBinding({ authorizer, roles }: Access, { user, kind, next }: RoleWrite): void {
  const { roleRef } = next as RoleBinding;
  const { namespace } = next.metadata;
  const resource = roleRef?.kind === 'ClusterRole' ? 'clusterroles' : 'roles';
  const { name = '' } = roleRef ?? {};
  // What names no role at all is left to validation.
  if (name === '') return;
  if (authorizer.decide({ user, verb: 'bind', group: rbacGroup, resource, name, namespace }).allowed) return;
  const rules = roles.rulesOf(roleRef, namespace);
  if (!rules) throw notFound({ group: rbacGroup, resource }, name);
  demandRules(roles, user, kind, next, rules);
}

function demandRules(
  roles: RoleIndex,
  user: User,
  kind: KindDefinition,
  { metadata }: KubeObject,
  wanted: readonly PolicyRule[],
): void {
  const missing = missingRules(roles.rules(user, metadata.namespace), wanted);
  if (missing.length === 0) return;
  const who = `user ${JSON.stringify(user.name)} (groups=${quoteList(user.groups)})`;
  const why = `${who} is attempting to grant RBAC permissions not currently held:\n${describeRules(missing).join('\n')}`;
  throw forbidden(groupResource(kind), metadata.name, why);
}

function withoutMetadata(object: KubeObject): object {
  const { metadata: _, ...rest } = object;
  return rest;
}
