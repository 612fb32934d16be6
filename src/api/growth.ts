/**
 * What is still taken while the voters' disks have too little room: everything that makes the state smaller or lets the cluster go
 * on. As with etcd's alarm for space, deletions work; unlike there, machines may also report, and small changes are taken.
 */
import { failure } from '../machinery/status.ts';
import type { KubeObject } from '../machinery/types.ts';
import type { NamedTarget, RegistryContext } from './registry-types.ts';

/** An update may make an object larger by so much: a number of replicas, a label, and what managedFields say of it. */
export const growthAllowedBytes = 1024;

/**
 * Throws StatusError 507 when `next`, of `bytes`, would take room that is not there; `before` is the size of what it replaces,
 * undefined for a creation. Without Retry-After: stock clients would wait for it ten times without a word, and a full disk needs a person.
 * The reason is the one for which programs try again by themselves.
 */
export function admitGrowth(
  context: RegistryContext,
  target: NamedTarget,
  before: number | undefined,
  next: { object: KubeObject; bytes: number },
): void {
  const refusal = context.growthRefusal?.();
  if (refusal === undefined) return;
  const { kind } = target.resolved;
  if (next.object.metadata.deletionTimestamp || kind.group === 'coordination.k8s.io') return;
  if (before !== undefined && (target.subresource === 'status' || next.bytes <= before + growthAllowedBytes)) return;
  throw failure(507, 'ServiceUnavailable', `${refusal}: nothing new is stored until there is room; deleting works`);
}
