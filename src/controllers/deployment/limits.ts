/** maxSurge and maxUnavailable as numbers of pods, and what follows from them. Pure. */
import type { Deployment, ReplicaSet } from '../../machinery/types.ts';

export interface Limits {
  /** Pods wanted. */
  replicas: number;
  /** Pods above `replicas` that a rolling update may create. */
  surge: number;
  /** Pods below `replicas` that a rolling update may miss. */
  unavailable: number;
}

/** Percentages of the surge are rounded up, of the unavailable down; both 0 would never end, so then one may be missing. */
export function limitsOf({ spec }: Deployment): Limits {
  const replicas = spec?.replicas ?? 1;
  if (isRecreate(spec)) return { replicas, surge: 0, unavailable: 0 };
  const { maxSurge = '25%', maxUnavailable = '25%' } = spec?.strategy?.rollingUpdate ?? {};
  const surge = amount(maxSurge, replicas, Math.ceil);
  const unavailable = amount(maxUnavailable, replicas, Math.floor);
  if (surge === 0 && unavailable === 0) return { replicas, surge: 0, unavailable: Math.min(1, replicas) };
  return { replicas, surge, unavailable: Math.min(unavailable, replicas) };
}

export function isRecreate(spec: Deployment['spec']): boolean {
  return spec?.strategy?.type === 'Recreate';
}

function amount(value: string | number, of: number, round: (value: number) => number): number {
  if (typeof value === 'number') return Math.max(0, value);
  const number = Number.parseFloat(value);
  if (Number.isNaN(number)) return 0;
  return Math.max(0, value.endsWith('%') ? round((number * of) / 100) : Math.trunc(number));
}

export function sizeOf(replicaSet: ReplicaSet | undefined): number {
  return replicaSet?.spec?.replicas ?? 0;
}

/**
 * Available pods that stay: a ReplicaSet whose status is behind its spec may still count pods that it is about to delete, and
 * it deletes those that are not available first.
 */
export function availableOf(replicaSet: ReplicaSet | undefined): number {
  return Math.min(replicaSet?.status?.availableReplicas ?? 0, sizeOf(replicaSet));
}

export function sum(replicaSets: readonly ReplicaSet[], of: (replicaSet: ReplicaSet) => number): number {
  return replicaSets.reduce((total, replicaSet) => total + of(replicaSet), 0);
}
