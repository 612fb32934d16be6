/** Which failures a change of a node may cure. Pure. */
import type { Node } from '../machinery/types.ts';
import type { FilterName } from './types.ts';

export const everything: ReadonlySet<FilterName> = new Set([
  'NodeUnschedulable',
  'NodeName',
  'TaintToleration',
  'NodeAffinity',
  'NodePorts',
  'NodeResourcesFit',
]);

/** A pod left a node. */
export const podGone: ReadonlySet<FilterName> = new Set(['NodePorts', 'NodeResourcesFit']);

/** Empty for changes that do not matter here, such as heartbeats. */
export function curedBy(next: Node, previous: Node): ReadonlySet<FilterName> {
  const cured = new Set<FilterName>();
  if (previous.spec?.unschedulable && !next.spec?.unschedulable) cured.add('NodeUnschedulable');
  if (differ(previous.spec?.taints, next.spec?.taints)) cured.add('TaintToleration');
  if (differ(previous.metadata.labels, next.metadata.labels)) cured.add('NodeAffinity');
  if (differ(previous.status?.allocatable, next.status?.allocatable)) cured.add('NodeResourcesFit');
  if (cured.size === 0) return cured;
  // The filter that failed first may have hidden others on this node.
  return everything;
}

function differ(a: unknown, b: unknown): boolean {
  return JSON.stringify(a ?? null) !== JSON.stringify(b ?? null);
}
