/** Filters on what a node has left: resources and host ports. */
import type { NodeState } from '../node-state.ts';
import type { PodNeeds } from '../pod-needs.ts';
import type { Filter, Shortage } from '../types.ts';

/** A resource of which the pod asks nothing never fails it, also on a node that is over-committed. */
export const nodeResourcesFit: Filter = (needs, node) => {
  const short = [...shortages(needs, node)];
  return short.length > 0 ? { filter: 'NodeResourcesFit', short } : undefined;
};

function* shortages({ requests, others }: PodNeeds, node: NodeState): Iterable<Shortage> {
  const { requested, requestedOthers, allocatable, podCount } = node;
  if (podCount + 1 > allocatable.pods) yield { resource: 'pods', wanted: 1, used: podCount, allocatable: allocatable.pods };
  const amounts = [
    ['cpu', 'cpuMilli'],
    ['memory', 'memoryBytes'],
    ['ephemeral-storage', 'ephemeralStorageBytes'],
  ] as const;
  for (const [resource, field] of amounts) {
    const wanted = requests[field];
    if (wanted > 0 && requested[field] + wanted > allocatable[field]) {
      yield { resource, wanted, used: requested[field], allocatable: allocatable[field] };
    }
  }
  for (const [resource, wanted] of others) {
    const used = requestedOthers.get(resource) ?? 0;
    const has = allocatable.others.get(resource) ?? 0;
    if (wanted > 0 && used + wanted > has) yield { resource, wanted, used, allocatable: has };
  }
}

export const nodePorts: Filter = ({ hostPorts }, node) => {
  for (const { protocol, port, ip } of hostPorts) {
    if (node.isPortTaken(protocol, port, ip)) return { filter: 'NodePorts', port, protocol };
  }
  return undefined;
};
