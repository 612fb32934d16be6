/** Sentences from decisions, in the words that people know from Kubernetes. Pure. */
import { unreachable } from '../lib/assert.ts';
import type { Decision, Failure } from './types.ts';

/** `0/3 nodes are available: 1 node(s) had untolerated taint {k: v}, 2 Insufficient cpu.` */
export function explainUnschedulable({ nodes }: Decision): string {
  if (nodes.length === 0) return 'no nodes available to schedule pods';
  const counts = new Map<string, number>();
  for (const { failure } of nodes) {
    for (const reason of failure ? reasonsOf(failure) : []) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }
  const parts = [...counts].map(([reason, count]) => `${count} ${reason}`).sort();
  return `0/${nodes.length} nodes are available: ${parts.join(', ')}.`;
}

/** One or more: a node may be short of several resources. */
export function reasonsOf(failure: Failure): string[] {
  switch (failure.filter) {
    case 'NodeUnschedulable':
      return ['node(s) were unschedulable'];
    case 'NodeName':
      return ["node(s) didn't match the requested node name"];
    case 'TaintToleration':
      return [`node(s) had untolerated taint {${failure.taint.key}: ${failure.taint.value}}`];
    case 'NodeAffinity':
      return ["node(s) didn't match Pod's node affinity/selector"];
    case 'NodePorts':
      return ["node(s) didn't have free ports for the requested pod ports"];
    case 'NodeResourcesFit':
      return failure.short.map(({ resource }) => (resource === 'pods' ? 'Too many pods' : `Insufficient ${resource}`));
    default:
      return unreachable(failure, 'reasonsOf');
  }
}
