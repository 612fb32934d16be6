/** Filters on what a node has left: resources and host ports. */
import type { NodeState } from '../node-state.ts';
import type { PodNeeds } from '../pod-needs.ts';
import type { Filter, Shortage } from '../types.ts';

/** A resource of which the pod asks nothing never fails it, also on a node that is over-committed. */
export const nodeResourcesFit: Filter = (needs, node) => {
  const short = [...shortages(needs, node)];
  return short.length > 0 ? { filter: 'NodeResourcesFit', short } : undefined;
};

function* shortages({ requests }: PodNeeds, { requested, allocatable, podCount }: NodeState): Iterable<Shortage> {
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
}

export const nodePorts: Filter = ({ hostPorts }, node) => {
  for (const { protocol, port, ip } of hostPorts) {
    if (node.isPortTaken(protocol, port, ip)) return { filter: 'NodePorts', port, protocol };
  }
  return undefined;
};
