/** Which objects a ResourceQuota is about, and what they take of it together. Source: Kubernetes documentation, "Resource Quotas". Pure. */
import type { ResourceQuota } from './kind-types.ts';
import type { Amounts } from './pod-resources.ts';
import { qosClassOf } from './qos.ts';
import { sumQuantities } from './quantity.ts';
import { countedResource, usageOf } from './quota-usage.ts';
import type { GroupResource } from './status.ts';
import type { KubeObject, Pod, PodSpec } from './types.ts';

type Requirement = NonNullable<NonNullable<NonNullable<ResourceQuota['spec']>['scopeSelector']>['matchExpressions']>[number];

/** What of `usage` the quota limits. */
export function maskAmounts(usage: Amounts, hard: Amounts): Amounts {
  return Object.fromEntries(Object.entries(usage).filter(([name]) => hard[name] !== undefined));
}

/** A quota with scopes is about pods alone, and only about those that are in all of them. */
export function inScopes({ spec }: ResourceQuota, { group, resource }: GroupResource, object: KubeObject): boolean {
  const plain = (spec?.scopes ?? []).map((scopeName): Requirement => ({ scopeName, operator: 'Exists' }));
  const requirements = [...plain, ...(spec?.scopeSelector?.matchExpressions ?? [])];
  if (requirements.length === 0) return true;
  if (group !== '' || resource !== 'pods') return false;
  return requirements.every((requirement) => isInScope(requirement, object as Pod));
}

function isInScope(requirement: Requirement, { spec }: Pod): boolean {
  const pod = spec as PodSpec;
  switch (requirement.scopeName) {
    case 'Terminating':
      return pod.activeDeadlineSeconds != null;
    case 'NotTerminating':
      return pod.activeDeadlineSeconds == null;
    case 'BestEffort':
      return qosClassOf(pod) === 'BestEffort';
    case 'NotBestEffort':
      return qosClassOf(pod) !== 'BestEffort';
    case 'PriorityClass':
      return hasClass(requirement, pod.priorityClassName || undefined);
    case 'CrossNamespacePodAffinity':
      return looksBeyondNamespace(pod);
    default:
      return false;
  }
}

function hasClass({ operator, values = [] }: Requirement, name: string | undefined): boolean {
  if (operator === 'Exists') return name !== undefined;
  if (operator === 'DoesNotExist') return name === undefined;
  const listed = name !== undefined && values.includes(name);
  return operator === 'In' ? listed : !listed;
}

function looksBeyondNamespace({ affinity }: PodSpec): boolean {
  const terms = [affinity?.podAffinity, affinity?.podAntiAffinity].flatMap((rules) => [
    ...(rules?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
    ...(rules?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(({ podAffinityTerm }) => podAffinityTerm),
  ]);
  return terms.some((term) => (term.namespaces?.length ?? 0) > 0 || term.namespaceSelector != null);
}

/** The resources whose objects have to be counted for a quota, each once. */
export function countedResources(hard: Amounts): GroupResource[] {
  const all = Object.keys(hard).map(countedResource);
  const text = ({ group, resource }: GroupResource) => `${group}/${resource}`;
  return [...new Map(all.map((each) => [text(each), each])).values()];
}

/** What a namespace takes of a quota: every name in its spec, also those of which nothing is taken. `nowMs` is wall time. */
export function countUsage(
  quota: ResourceQuota,
  objectsOf: (of: GroupResource) => readonly KubeObject[],
  nowMs: number,
): Amounts {
  const hard = quota.spec?.hard ?? {};
  /** How often each amount occurs: objects are many, different amounts are few. */
  const counts = new Map(Object.keys(hard).map((name) => [name, new Map<string, number>()]));
  for (const of of countedResources(hard)) {
    for (const object of objectsOf(of)) {
      if (!inScopes(quota, of, object)) continue;
      for (const [name, amount] of Object.entries(usageOf(of, object, nowMs))) {
        const seen = counts.get(name);
        seen?.set(amount, (seen.get(amount) ?? 0) + 1);
      }
    }
  }
  return Object.fromEntries([...counts].map(([name, seen]) => [name, sumQuantities(seen)]));
}
