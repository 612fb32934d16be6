/**
 * Garbage collection by owner: what becomes of one object, given its owners and its dependents. Pure. The rules are those of the
 * Kubernetes documentation, "Garbage Collection" and "Owners and Dependents".
 */
import type { KubeObject, OwnerReference } from '../../machinery/types.ts';

export const foreground = 'foregroundDeletion';
export const orphan = 'orphan';

/** What became of the owner that a reference names. 'unknown': its kind is none that is watched, so nothing may be concluded. */
export type OwnerState = 'present' | 'waiting' | 'absent' | 'unknown';

export type DependentAction =
  | { type: 'none' }
  | { type: 'delete'; policy: 'Background' | 'Foreground' | 'Orphan' }
  /** Some owners are gone, others live: only the references go. */
  | { type: 'dropReferences'; ownerReferences: OwnerReference[] };

export function planDependent(
  object: KubeObject,
  stateOf: (reference: OwnerReference) => OwnerState,
  hasDependents: boolean,
): DependentAction {
  const references = object.metadata.ownerReferences ?? [];
  if (references.length === 0 || object.metadata.deletionTimestamp) return { type: 'none' };
  const states = references.map((reference) => ({ reference, state: stateOf(reference) }));
  const living = states.filter(({ state }) => state === 'present' || state === 'unknown');
  if (living.length === references.length) return { type: 'none' };
  if (living.length > 0) return { type: 'dropReferences', ownerReferences: living.map(({ reference }) => reference) };
  const finalizers = object.metadata.finalizers ?? [];
  const ownerWaits = states.some(({ state }) => state === 'waiting');
  // An owner that waits for its dependents waits for theirs too.
  if (ownerWaits && hasDependents) return { type: 'delete', policy: 'Foreground' };
  if (finalizers.includes(orphan)) return { type: 'delete', policy: 'Orphan' };
  if (finalizers.includes(foreground)) return { type: 'delete', policy: 'Foreground' };
  return { type: 'delete', policy: 'Background' };
}

/** Being deleted in the foreground: stays until its dependents are gone. */
export function isWaiting({ metadata }: KubeObject): boolean {
  return metadata.deletionTimestamp !== undefined && (metadata.finalizers ?? []).includes(foreground);
}

export function isOrphaning({ metadata }: KubeObject): boolean {
  return metadata.deletionTimestamp !== undefined && (metadata.finalizers ?? []).includes(orphan);
}

/** The dependents that hold back an owner which waits. */
export function blockers<T extends KubeObject>(owner: KubeObject, dependents: readonly T[]): T[] {
  return dependents.filter(({ metadata }) =>
    metadata.ownerReferences?.some(({ uid, blockOwnerDeletion }) => uid === owner.metadata.uid && blockOwnerDeletion === true),
  );
}
