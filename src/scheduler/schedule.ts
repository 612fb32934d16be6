/** One decision: every node through the filters, those that pass through the scores. Pure; ties are broken by `pick`. */
import { filters } from './filters/index.ts';
import type { NodeState } from './node-state.ts';
import type { PodNeeds } from './pod-needs.ts';
import { scores } from './scores/index.ts';
import type { Decision, NodeVerdict } from './types.ts';

export interface Snapshot {
  nodes: readonly NodeState[];
}

/** `pick(n)` chooses one of n equally good nodes: an integer from 0 to n − 1. */
export function schedule(needs: PodNeeds, { nodes }: Snapshot, pick: (count: number) => number): Decision {
  const { namespace = '', name, uid = '' } = needs.pod.metadata;
  const feasible: NodeState[] = [];
  const verdicts = nodes.map((node): NodeVerdict => {
    for (const { test } of filters) {
      const failure = test(needs, node);
      if (failure) return { node: node.name, failure };
    }
    feasible.push(node);
    return { node: node.name };
  });
  const decision: Decision = { pod: { namespace, name, uid }, nodes: verdicts };
  if (feasible.length === 0) return decision;
  const totals = feasible.map(() => 0);
  const passed = verdicts.filter(({ failure }) => !failure);
  for (const { name: score, weight, rate } of scores) {
    for (const [index, points] of rate(needs, feasible).entries()) {
      const rounded = Math.round(points);
      totals[index] = (totals[index] ?? 0) + weight * rounded;
      const verdict = passed[index] as NodeVerdict;
      verdict.scores = { ...verdict.scores, [score]: rounded };
    }
  }
  for (const [index, verdict] of passed.entries()) verdict.total = totals[index] as number;
  const best = Math.max(...totals);
  const winners = feasible.filter((_, index) => totals[index] === best);
  decision.node = (winners[pick(winners.length)] as NodeState).name;
  return decision;
}
