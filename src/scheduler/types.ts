/** The words of the scheduler: what a filter answers, what a decision holds. Decisions are data; texts are made from them in explain.ts. */
import type { NodeState } from './node-state.ts';
import type { PodNeeds } from './pod-needs.ts';

export type FilterName = 'NodeUnschedulable' | 'NodeName' | 'TaintToleration' | 'NodeAffinity' | 'NodePorts' | 'NodeResourcesFit';

/** Why a node cannot take a pod, with the numbers. */
export type Failure =
  | { filter: 'NodeUnschedulable' }
  | { filter: 'NodeName'; wanted: string }
  | { filter: 'TaintToleration'; taint: { key: string; value: string; effect: string } }
  | { filter: 'NodeAffinity'; because: 'selector' | 'affinity' }
  | { filter: 'NodePorts'; port: number; protocol: string }
  | { filter: 'NodeResourcesFit'; short: Shortage[] };

export interface Shortage {
  /** cpu, memory, ephemeral-storage, pods, or a resource that only some nodes have. */
  resource: string;
  /** In thousandths of a core, bytes, or pieces. */
  wanted: number;
  used: number;
  allocatable: number;
}

/** Undefined: the node passes. */
export type Filter = (needs: PodNeeds, node: NodeState) => Failure | undefined;

export type ScoreName = 'LeastAllocated' | 'BalancedAllocation' | 'Spread' | 'NodeAffinity' | 'TaintToleration' | 'ImageLocality';

/** Points from 0 to 100 for each node, in the order given. */
export type Score = (needs: PodNeeds, nodes: readonly NodeState[]) => number[];

export interface NodeVerdict {
  node: string;
  /** Of the first filter that failed; missing when all passed. */
  failure?: Failure;
  /** Points before weighting, for nodes that passed all filters. */
  scores?: Partial<Record<ScoreName, number>>;
  total?: number;
}

export interface Decision {
  pod: { namespace: string; name: string; uid: string };
  /** Missing: no node can take it. */
  node?: string;
  nodes: NodeVerdict[];
}
