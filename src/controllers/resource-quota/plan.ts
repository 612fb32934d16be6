/** What the status of a ResourceQuota should say, and when it should be counted again. Pure. */
import type { ResourceQuota } from '../../machinery/kind-types.ts';
import { countUsage } from '../../machinery/quota.ts';
import { countedResource } from '../../machinery/quota-usage.ts';
import type { GroupResource } from '../../machinery/status.ts';
import type { KubeObject } from '../../machinery/types.ts';
import { same } from '../same.ts';

const recountMs = 300_000;
/** Timestamps have whole seconds. */
const roundingMs = 1_000;

/** True when the status does not say all that the spec asks for. What admission adds to it needs no count. */
export function isUncounted({ spec, status }: ResourceQuota): boolean {
  const hard = spec?.hard ?? {};
  return !same(status?.hard ?? {}, hard) || Object.keys(hard).some((name) => status?.used?.[name] === undefined);
}

/** True when objects of this resource take of the quota. */
export function counts({ spec }: ResourceQuota, { group, resource }: GroupResource): boolean {
  return Object.keys(spec?.hard ?? {}).some((name) => {
    const counted = countedResource(name);
    return counted.group === group && counted.resource === resource;
  });
}

/** True when a change may have given something back. */
export function mayGiveBack(
  type: 'added' | 'updated' | 'deleted',
  object: KubeObject,
  previous: KubeObject | undefined,
): boolean {
  if (type === 'deleted') return true;
  if (!previous) return false;
  const state = ({ metadata, ...rest }: KubeObject) => {
    const { spec, status } = rest as { spec?: unknown; status?: { phase?: string } };
    return { spec, phase: status?.phase, deletionTimestamp: metadata.deletionTimestamp };
  };
  return !same(state(object), state(previous));
}

export interface QuotaPlan {
  status: { hard: Record<string, string>; used: Record<string, string> };
  /** Until the next count that nothing announces. */
  recountInMs: number;
}

export function planQuota(
  quota: ResourceQuota,
  objectsOf: (of: GroupResource) => readonly KubeObject[],
  nowMs: number,
): QuotaPlan {
  let recountInMs = recountMs;
  const watched = (of: GroupResource) => {
    const objects = objectsOf(of);
    for (const { metadata } of objects) {
      if (!metadata.deletionTimestamp) continue;
      const dueMs = Date.parse(metadata.deletionTimestamp) + (metadata.deletionGracePeriodSeconds ?? 0) * 1000;
      if (dueMs >= nowMs) recountInMs = Math.min(recountInMs, dueMs - nowMs + roundingMs);
    }
    return objects;
  };
  const used = countUsage(quota, watched, nowMs);
  return { status: { hard: { ...quota.spec?.hard }, used }, recountInMs };
}
