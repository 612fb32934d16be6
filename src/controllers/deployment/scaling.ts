/** New sizes of a Deployment's ReplicaSets: for one step of a rolling update, and for a change of the wanted number. Pure. */
import type { Deployment, ReplicaSet } from '../../machinery/types.ts';
import { timeMs } from '../pod-state.ts';
import { availableOf, isRecreate, type Limits, sizeOf, sum } from './limits.ts';
import { desiredReplicasOf, maxReplicasOf } from './revisions.ts';

export interface Resize {
  replicaSet: ReplicaSet;
  replicas: number;
}

/** Oldest first. */
export function byAge(replicaSets: readonly ReplicaSet[]): ReplicaSet[] {
  const age = ({ metadata }: ReplicaSet) => timeMs(metadata.creationTimestamp) ?? 0;
  return [...replicaSets].sort((a, b) => age(a) - age(b) || (a.metadata.name < b.metadata.name ? -1 : 1));
}

/** The size at which the new ReplicaSet fits beside the old ones. */
export function newSize(limits: Limits, recreate: boolean, current: ReplicaSet | undefined, olds: readonly ReplicaSet[]): number {
  const size = sizeOf(current);
  if (recreate || size >= limits.replicas) return limits.replicas;
  const room = limits.replicas + limits.surge - (size + sum(olds, sizeOf));
  return room <= 0 ? size : size + Math.min(room, limits.replicas - size);
}

/**
 * Sizes to which the old ReplicaSets may shrink now: first their pods that are not available, which costs nothing, then as many as
 * are available beyond the minimum.
 */
export function shrinkOlds(limits: Limits, current: ReplicaSet, olds: readonly ReplicaSet[]): Resize[] {
  const minimum = limits.replicas - limits.unavailable;
  const all = sizeOf(current) + sum(olds, sizeOf);
  const missing = sizeOf(current) - availableOf(current);
  let allowed = all - minimum - missing;
  if (allowed <= 0) return [];
  const ordered = byAge(olds);
  const sizes = new Map(ordered.map((replicaSet) => [replicaSet, sizeOf(replicaSet)]));
  for (const replicaSet of ordered) {
    const unhealthy = sizeOf(replicaSet) - availableOf(replicaSet);
    const count = Math.min(allowed, unhealthy);
    sizes.set(replicaSet, sizeOf(replicaSet) - count);
    allowed -= count;
  }
  let spare = Math.min(allowed, availableOf(current) + sum(olds, availableOf) - minimum);
  for (const replicaSet of ordered) {
    const count = Math.max(0, Math.min(spare, sizes.get(replicaSet) ?? 0, availableOf(replicaSet)));
    sizes.set(replicaSet, (sizes.get(replicaSet) ?? 0) - count);
    spare -= count;
  }
  return ordered
    .map((replicaSet) => ({ replicaSet, replicas: sizes.get(replicaSet) ?? 0 }))
    .filter(({ replicaSet, replicas }) => replicas !== sizeOf(replicaSet));
}

/** The wanted number has changed since the ReplicaSets were last sized. */
export function isScaling(limits: Limits, all: readonly ReplicaSet[]): boolean {
  return all.some((replicaSet) => {
    const desired = desiredReplicasOf(replicaSet);
    return sizeOf(replicaSet) > 0 && desired !== undefined && desired !== limits.replicas;
  });
}

/**
 * Sizes after a change of the wanted number. With one active ReplicaSet that one takes it all; in the middle of a rollout each
 * takes its share, and what rounding leaves goes to the largest.
 */
export function rescale(
  deployment: Deployment,
  limits: Limits,
  current: ReplicaSet | undefined,
  olds: readonly ReplicaSet[],
): Resize[] {
  const all = current ? [current, ...olds] : [...olds];
  const active = all.filter((replicaSet) => sizeOf(replicaSet) > 0);
  const only = active.length === 1 ? active[0] : active.length === 0 ? (current ?? byAge(olds).at(-1)) : undefined;
  if (only) return [{ replicaSet: only, replicas: limits.replicas }];
  if (active.length === 0) return [];
  if (isRecreate(deployment.spec) || (current && isSaturated(current, limits.replicas))) {
    return active.filter((replicaSet) => replicaSet !== current).map((replicaSet) => ({ replicaSet, replicas: 0 }));
  }
  return share(deployment, limits, active);
}

function isSaturated(current: ReplicaSet, replicas: number): boolean {
  return (
    sizeOf(current) === replicas &&
    desiredReplicasOf(current) === replicas &&
    (current.status?.availableReplicas ?? 0) === replicas
  );
}

function share(deployment: Deployment, limits: Limits, active: readonly ReplicaSet[]): Resize[] {
  const allowed = limits.replicas > 0 ? limits.replicas + limits.surge : 0;
  const toAdd = allowed - sum(active, sizeOf);
  const aged = byAge(active);
  // Growing prefers the newer of two equal ones, shrinking the older.
  const ordered = (toAdd > 0 ? aged.reverse() : aged).sort((a, b) => sizeOf(b) - sizeOf(a));
  let added = 0;
  const resizes = ordered.map((replicaSet) => {
    const part = toAdd === 0 || toAdd === added ? 0 : fraction(deployment, limits, replicaSet);
    const bounded = toAdd > 0 ? Math.min(part, toAdd - added) : Math.max(part, toAdd - added);
    added += bounded;
    return { replicaSet, replicas: Math.max(0, sizeOf(replicaSet) + bounded) };
  });
  const largest = resizes[0];
  if (largest) largest.replicas = Math.max(0, largest.replicas + toAdd - added);
  return resizes;
}

/** How much this ReplicaSet grows (or shrinks) to keep its share of the Deployment. */
function fraction(deployment: Deployment, limits: Limits, replicaSet: ReplicaSet): number {
  const size = sizeOf(replicaSet);
  if (limits.replicas === 0) return -size;
  const before = maxReplicasOf(replicaSet) || deployment.status?.replicas || limits.replicas + limits.surge;
  return Math.round((size * (limits.replicas + limits.surge)) / before) - size;
}
