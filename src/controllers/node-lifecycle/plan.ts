/**
 * A node's conditions and taints, from what its agent has written last and what the gossip table knows of its machine. Pure.
 * The taints are those of the Kubernetes documentation, "Taints and Tolerations", "Taint based Evictions".
 */
import type { NodeHealthView } from '../../machinery/node-health.ts';
import type { Node, NodeCondition, Taint } from '../../machinery/types.ts';
import { timestamp } from '../pod-state.ts';
import { same } from '../same.ts';

export const taints = {
  notReady: 'node.kubernetes.io/not-ready',
  unreachable: 'node.kubernetes.io/unreachable',
  unschedulable: 'node.kubernetes.io/unschedulable',
  memoryPressure: 'node.kubernetes.io/memory-pressure',
  diskPressure: 'node.kubernetes.io/disk-pressure',
  pidPressure: 'node.kubernetes.io/pid-pressure',
  networkUnavailable: 'node.kubernetes.io/network-unavailable',
} as const;

const pressure: Record<string, string> = {
  MemoryPressure: taints.memoryPressure,
  DiskPressure: taints.diskPressure,
  PIDPressure: taints.pidPressure,
  NetworkUnavailable: taints.networkUnavailable,
};
const ours = new Set<string>(Object.values(taints));

export type Lost = 'machineSilent' | 'agentSilent' | 'neverHeard';

const lostMessages: Record<Lost, string> = {
  machineSilent: 'The machine is not heard any more.',
  agentSilent: 'The machine is heard, but its agent does not answer.',
  neverHeard: 'The machine has not been heard since this leader started.',
};

/** How long each kind of silence must last, in milliseconds. */
export interface Patience {
  agentSilenceMs: number;
  unheardNodeMs: number;
}

/** What the controller remembers of one node, on the monotonic clock. */
export interface Observations {
  agentSilentSinceMs: number | undefined;
  /** When this leader began to look at the node. */
  watchedSinceMs: number;
}

/** Why the node counts as lost now, or after how many milliseconds it will if nothing is heard. */
export function judgeHealth(
  health: NodeHealthView | undefined,
  seen: Observations,
  patience: Patience,
  nowMs: number,
): { lost?: Lost; recheckMs?: number } {
  if (!health) return after('neverHeard', seen.watchedSinceMs + patience.unheardNodeMs - nowMs);
  if (health.verdict === 'dead') return { lost: 'machineSilent' };
  if (health.agentReady || seen.agentSilentSinceMs === undefined) return {};
  return after('agentSilent', seen.agentSilentSinceMs + patience.agentSilenceMs - nowMs);
}

function after(lost: Lost, leftMs: number): { lost?: Lost; recheckMs?: number } {
  return leftMs <= 0 ? { lost } : { recheckMs: leftMs };
}

export function readiness(node: Node): 'True' | 'False' | 'Unknown' | undefined {
  return conditionOf(node, 'Ready')?.status as 'True' | 'False' | 'Unknown' | undefined;
}

function conditionOf(node: Node, type: string): NodeCondition | undefined {
  return node.status?.conditions?.find((condition) => condition.type === type);
}

/** The conditions of a lost node: all that its agent said is unknown now. Undefined when they say so already. */
export function lostConditions(node: Node, lost: Lost, nowMs: number): NodeCondition[] | undefined {
  const types = new Set(['Ready', ...(node.status?.conditions?.map(({ type }) => type) ?? [])]);
  let changed = false;
  const conditions = [...types].map((type): NodeCondition => {
    const previous = conditionOf(node, type);
    if (previous?.status === 'Unknown') return previous;
    changed = true;
    return {
      ...previous,
      type,
      status: 'Unknown',
      reason: 'NodeStatusUnknown',
      message: lostMessages[lost],
      lastTransitionTime: timestamp(nowMs),
    };
  });
  return changed ? conditions : undefined;
}

/** The taints that the node's conditions ask for, beside those that others have put there. Undefined when they stand already. */
export function planTaints(node: Node, nowMs: number): Taint[] | undefined {
  const wanted = new Map<string, Taint>();
  const want = (key: string, effect: 'NoSchedule' | 'NoExecute') => wanted.set(`${key} ${effect}`, { key, effect });
  const ready = readiness(node);
  if (ready === 'Unknown') {
    want(taints.unreachable, 'NoSchedule');
    want(taints.unreachable, 'NoExecute');
  } else if (ready !== 'True') {
    want(taints.notReady, 'NoSchedule');
    // A machine that has just joined has no pods to lose; one that says it is not ready has.
    if (ready === 'False') want(taints.notReady, 'NoExecute');
  }
  for (const [type, key] of Object.entries(pressure)) if (conditionOf(node, type)?.status === 'True') want(key, 'NoSchedule');
  if (node.spec?.unschedulable) want(taints.unschedulable, 'NoSchedule');

  const before = node.spec?.taints ?? [];
  const kept = before.filter(({ key, effect }) => !ours.has(key) || wanted.delete(`${key} ${effect}`));
  const added = [...wanted.values()].map((taint) =>
    taint.effect === 'NoExecute' ? { ...taint, timeAdded: timestamp(nowMs) } : taint,
  );
  const next = [...kept, ...added];
  return same(next, before) ? undefined : next;
}
