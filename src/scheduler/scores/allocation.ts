/** Points for how full a node would be with the pod on it. */
import type { NodeState } from '../node-state.ts';
import type { PodNeeds } from '../pod-needs.ts';
import type { Score } from '../types.ts';

/** Shares of CPU and memory in use with the pod there, 0 to 1. */
function shares({ assumed: more }: PodNeeds, { assumed, allocatable }: NodeState): [number, number] {
  const share = (used: number, of: number) => (of > 0 ? Math.min(1, used / of) : 1);
  return [
    share(assumed.cpuMilli + more.cpuMilli, allocatable.cpuMilli),
    share(assumed.memoryBytes + more.memoryBytes, allocatable.memoryBytes),
  ];
}

/** More for an emptier node. */
export const leastAllocated: Score = (needs, nodes) =>
  nodes.map((node) => {
    const [cpu, memory] = shares(needs, node);
    return 100 * (1 - (cpu + memory) / 2);
  });

/** More when CPU and memory are used up alike, so that neither is left over alone. */
export const balancedAllocation: Score = (needs, nodes) =>
  nodes.map((node) => {
    const [cpu, memory] = shares(needs, node);
    return 100 * (1 - Math.abs(cpu - memory) / 2);
  });
