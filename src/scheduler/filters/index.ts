/** All filters, cheapest and most telling first: a pod that a node refuses for two reasons is told the first. */
import type { Filter, FilterName } from '../types.ts';
import { nodePorts, nodeResourcesFit } from './capacity.ts';
import { nodeAffinity, nodeName, nodeUnschedulable, taintToleration } from './placement.ts';

export const filters: readonly { name: FilterName; test: Filter }[] = [
  { name: 'NodeUnschedulable', test: nodeUnschedulable },
  { name: 'NodeName', test: nodeName },
  { name: 'TaintToleration', test: taintToleration },
  { name: 'NodeAffinity', test: nodeAffinity },
  { name: 'NodePorts', test: nodePorts },
  { name: 'NodeResourcesFit', test: nodeResourcesFit },
];
