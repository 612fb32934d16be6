/** What is left of a namespace on its way out, as conditions that say why it is still there. Pure. */
import type { Namespace } from '../../machinery/types.ts';
import { withCondition } from '../conditions.ts';
import { timeMs } from '../pod-state.ts';

type Conditions = NonNullable<NonNullable<Namespace['status']>['conditions']>;

export const finalizer = 'kubernetes';

export interface Remaining {
  /** `pods`, `deployments.apps`. */
  resource: string;
  count: number;
  /** Finalizers that hold some of them. */
  finalizers: readonly string[];
}

/** True when this controller has work: the namespace is going and its finalizer still stands. */
export function isGoing(namespace: Namespace): boolean {
  return namespace.metadata.deletionTimestamp !== undefined && (namespace.spec?.finalizers ?? []).includes(finalizer);
}

export function planConditions(namespace: Namespace, remaining: readonly Remaining[], nowMs: number): Conditions {
  const content = remaining.map(({ resource, count }) => `${resource} has ${count} resource instances`);
  const held = remaining.flatMap(({ finalizers }) => finalizers);
  const holders = [...new Set(held)]
    .sort()
    .map((name) => `${name} in ${held.filter((each) => each === name).length} resource instances`);
  const conditions = withCondition(
    namespace.status?.conditions as Conditions | undefined,
    {
      type: 'NamespaceContentRemaining',
      status: content.length > 0 ? 'True' : 'False',
      reason: content.length > 0 ? 'SomeResourcesRemain' : 'ContentRemoved',
      message:
        content.length > 0 ? `Some resources are remaining: ${content.sort().join(', ')}` : 'All content successfully removed',
    },
    nowMs,
  );
  return withCondition(
    conditions,
    {
      type: 'NamespaceFinalizersRemaining',
      status: holders.length > 0 ? 'True' : 'False',
      reason: holders.length > 0 ? 'SomeFinalizersRemain' : 'ContentHasNoFinalizers',
      message:
        holders.length > 0
          ? `Some content in the namespace has finalizers remaining: ${holders.join(', ')}`
          : 'All content-preserving finalizers finished',
    },
    nowMs,
  );
}

/** Milliseconds until the next look: soon at first, every 5 s when pods take long to stop. */
export function recheckMs(namespace: Namespace, nowMs: number): number {
  const sinceMs = nowMs - (timeMs(namespace.metadata.deletionTimestamp) ?? nowMs);
  return Math.min(5_000, Math.max(100, sinceMs / 4));
}
