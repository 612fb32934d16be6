/**
 * Who may do what: the masters everything, agents what their table says, and everybody what bindings give them. What
 * nobody allows is refused.
 */
import {
  type Authorizer,
  type Decision,
  mastersGroup,
  type NodeReferences,
  nodeAllows,
  type PathAttributes,
} from '../authorization.ts';
import type { User } from '../types.ts';
import type { Grant, RoleIndex } from './role-index.ts';
import { ruleAllowsPath, ruleAllowsResource } from './rules.ts';

/** Answered to everybody even before the first roles are there: health must not depend on what the store holds. */
const alwaysReadable = new Set(['/version', '/healthz', '/livez', '/readyz']);
const refused: Decision = { allowed: false, reason: '' };

export function rbacAuthorizer(index: RoleIndex, references: NodeReferences): Authorizer {
  return {
    decide(asked) {
      const { user } = asked;
      if (user.groups.includes(mastersGroup)) return { allowed: true, reason: '' };
      if (nodeAllows(asked, references)) return { allowed: true, reason: '' };
      for (const grant of index.grants(user, asked.namespace)) {
        if (grant.rules.some((rule) => ruleAllowsResource(rule, asked))) return allowedBy(grant);
      }
      return refused;
    },
    decidePath(asked) {
      const { user } = asked;
      if (user.groups.includes(mastersGroup) || isHealth(asked)) return { allowed: true, reason: '' };
      for (const grant of index.grants(user, undefined)) {
        if (grant.rules.some((rule) => ruleAllowsPath(rule, asked))) return allowedBy(grant);
      }
      return refused;
    },
    rulesFor: (user: User, namespace: string | undefined) => index.rules(user, namespace),
  };
}

function isHealth({ verb, path }: PathAttributes): boolean {
  return (verb === 'get' || verb === 'head') && alwaysReadable.has(path.length > 1 ? path.replace(/\/+$/, '') : path);
}

function allowedBy({ binding, subject }: Grant): Decision {
  const { metadata, roleRef } = binding;
  const name = metadata.namespace ? `${metadata.name}/${metadata.namespace}` : metadata.name;
  const who = subject.kind === 'ServiceAccount' ? `${subject.name}/${subject.namespace ?? ''}` : subject.name;
  const kind = metadata.namespace ? 'RoleBinding' : 'ClusterRoleBinding';
  const reason = `RBAC: allowed by ${kind} "${name}" of ${roleRef.kind} "${roleRef.name}" to ${subject.kind} "${who}"`;
  return { allowed: true, reason };
}
