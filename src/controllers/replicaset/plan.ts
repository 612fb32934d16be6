/**
 * What a ReplicaSet needs now: how many pods to create, which to delete, and its status. Pure.
 * The order of deletion is that of the Kubernetes documentation, "ReplicaSet", section "Scaling a ReplicaSet".
 */
import type { Pod, ReplicaSet } from '../../machinery/types.ts';
import { withCondition, withoutCondition } from '../conditions.ts';
import { isActive, isAvailable, isReady, readySinceMs, timeMs } from '../pod-state.ts';

export type ReplicaSetStatus = NonNullable<ReplicaSet['status']>;

/** At most this many pods are created or deleted in one go. */
const burstMax = 500;
const deletionCostAnnotation = 'controller.kubernetes.io/pod-deletion-cost';

export interface ReplicaSetPlan {
  create: number;
  delete: Pod[];
}

export interface ReplicaSetInput {
  replicaSet: ReplicaSet;
  /** Owned by it, finished and deleted ones too. */
  pods: readonly Pod[];
  /** Pods of its siblings (ReplicaSets of the same owner) and its own: two of these on one node are doubled up. */
  related: readonly Pod[];
}

export function planReplicas({ replicaSet, pods, related }: ReplicaSetInput): ReplicaSetPlan {
  if (replicaSet.metadata.deletionTimestamp) return { create: 0, delete: [] };
  const active = pods.filter(isActive);
  const surplus = active.length - wantedReplicas(replicaSet);
  if (surplus < 0) return { create: Math.min(-surplus, burstMax), delete: [] };
  if (surplus === 0) return { create: 0, delete: [] };
  return { create: 0, delete: rankForDeletion(active, related).slice(0, Math.min(surplus, burstMax)) };
}

export function wantedReplicas({ spec }: ReplicaSet): number {
  return spec?.replicas ?? 1;
}

/** The pods in the order in which they go. */
export function rankForDeletion(pods: readonly Pod[], related: readonly Pod[]): Pod[] {
  const onNode = new Map<string, number>();
  for (const pod of related) {
    const node = pod.spec?.nodeName;
    if (node && isActive(pod)) onNode.set(node, (onNode.get(node) ?? 0) + 1);
  }
  const ranked = pods.map((pod) => ({ pod, rank: rankOf(pod, onNode) }));
  ranked.sort((a, b) => {
    for (let index = 0; index < a.rank.length; index++) {
      const difference = (a.rank[index] as number) - (b.rank[index] as number);
      if (difference) return difference;
    }
    return a.pod.metadata.name < b.pod.metadata.name ? -1 : 1;
  });
  return ranked.map(({ pod }) => pod);
}

const phaseRank: Record<string, number> = { Pending: 0, Unknown: 1, Running: 2 };

/** Smaller goes first, compared number by number. */
function rankOf(pod: Pod, onNode: ReadonlyMap<string, number>): number[] {
  const cost = Number.parseInt(pod.metadata.annotations?.[deletionCostAnnotation] ?? '0', 10);
  const restarts = pod.status?.containerStatuses?.reduce((most, { restartCount }) => Math.max(most, restartCount), 0) ?? 0;
  return [
    pod.spec?.nodeName ? 1 : 0,
    phaseRank[pod.status?.phase ?? 'Pending'] ?? 0,
    isReady(pod) ? 1 : 0,
    Number.isNaN(cost) ? 0 : cost,
    -(onNode.get(pod.spec?.nodeName ?? '') ?? 0),
    -(readySinceMs(pod) ?? 0),
    -restarts,
    -(timeMs(pod.metadata.creationTimestamp) ?? 0),
  ];
}

export interface Failure {
  reason: 'FailedCreate' | 'FailedDelete';
  message: string;
}

/** `failure` is that of the writes just tried; undefined when none failed. */
export function planStatus(
  replicaSet: ReplicaSet,
  pods: readonly Pod[],
  nowMs: number,
  failure: Failure | undefined,
): ReplicaSetStatus {
  const { spec, status, metadata } = replicaSet;
  const minReadySeconds = spec?.minReadySeconds ?? 0;
  const templateLabels = Object.entries(spec?.template?.metadata?.labels ?? {});
  const active = pods.filter(isActive);
  const labelled = active.filter((pod) => templateLabels.every(([key, value]) => pod.metadata.labels?.[key] === value));
  const count = (test: (pod: Pod) => boolean) => active.filter(test).length;
  const conditions = failure
    ? withCondition(status?.conditions, { type: 'ReplicaFailure', status: 'True', ...failure }, nowMs)
    : withoutCondition(status?.conditions, 'ReplicaFailure');
  return {
    replicas: active.length,
    fullyLabeledReplicas: labelled.length,
    readyReplicas: count(isReady),
    availableReplicas: count((pod) => isAvailable(pod, minReadySeconds, nowMs)),
    observedGeneration: metadata.generation ?? 0,
    ...(conditions.length > 0 ? { conditions } : {}),
  };
}

/** Milliseconds until the next pod becomes available by waiting; undefined when none does. */
export function nextAvailabilityMs(replicaSet: ReplicaSet, pods: readonly Pod[], nowMs: number): number | undefined {
  const minReadyMs = (replicaSet.spec?.minReadySeconds ?? 0) * 1000;
  if (minReadyMs === 0) return undefined;
  let soonest: number | undefined;
  for (const pod of pods) {
    const sinceMs = isActive(pod) ? readySinceMs(pod) : undefined;
    if (sinceMs === undefined) continue;
    const waitMs = sinceMs + minReadyMs - nowMs;
    if (waitMs > 0) soonest = Math.min(soonest ?? waitMs, waitMs);
  }
  return soonest;
}
