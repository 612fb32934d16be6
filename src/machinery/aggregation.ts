/** What an aggregated ClusterRole holds: the rules of every other ClusterRole that its selectors choose. Pure. */
import { labelSelectorMatches } from './selectors.ts';
import type { ClusterRole, PolicyRule } from './types.ts';

/** In the order of the roles' names, each rule once. Undefined for a role that is not aggregated. */
export function aggregatedRules(role: ClusterRole, all: readonly ClusterRole[]): PolicyRule[] | undefined {
  const selectors = role.aggregationRule?.clusterRoleSelectors;
  if (!selectors) return undefined;
  const chosen = all.filter(
    ({ metadata }) =>
      metadata.name !== role.metadata.name && selectors.some((selector) => labelSelectorMatches(selector, metadata.labels)),
  );
  chosen.sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  const rules = new Map<string, PolicyRule>();
  for (const rule of chosen.flatMap((other) => other.rules ?? [])) rules.set(ruleText(rule), rule);
  return [...rules.values()];
}

/** One text for rules that say the same in the same order. */
export function ruleText({ apiGroups, resources, resourceNames, nonResourceURLs, verbs }: PolicyRule): string {
  return JSON.stringify([apiGroups ?? [], resources ?? [], resourceNames ?? [], nonResourceURLs ?? [], verbs]);
}
