/**
 * In-place resize, the pure part: what differs between the resources a pod asks for, those this machine has promised (allocated)
 * and those in force for a run. Only cpu and memory of containers and sidecars; the rest never changes while a pod lives.
 */
import { quantityMilli } from '../../machinery/quantity.ts';
import type { Container, Pod, PodCondition, PodSpec } from '../../machinery/types.ts';
import type { CgroupLimits } from '../types.ts';
import type { Shortage } from './ledger.ts';
import type { PodRecord } from './record.ts';

export type Resources = NonNullable<Container['resources']>;

const units = ['cpu', 'memory'] as const;
const lists = ['containers', 'initContainers'] as const;

/** Of a resize that is not in force yet. */
export interface ResizeState {
  /** Why this machine has not taken it up. */
  pending?: { reason: 'Deferred' | 'Infeasible'; message: string };
  /** It was taken up, but containers do not have it yet. */
  inProgress: boolean;
  /** What the last try to put it in force failed with. */
  failure?: string;
}

/** Conditions that are there only while a resize is under way. */
export const resizeConditions = ['PodResizePending', 'PodResizeInProgress'];

export function resizeConditionsOf({ pending, inProgress, failure }: ResizeState): Omit<PodCondition, 'status'>[] {
  return [
    ...(pending ? [{ type: 'PodResizePending', ...pending }] : []),
    ...(inProgress ? [{ type: 'PodResizeInProgress', ...(failure ? { reason: 'Error', message: failure } : {}) }] : []),
  ];
}

/** The amounts that differ: `limits.memory`. Compared as numbers: `1` and `1000m` are the same. */
export function changedAmounts(now: Resources | undefined, before: Resources | undefined): ('cpu' | 'memory')[] {
  const value = (resources: Resources | undefined, kind: 'requests' | 'limits', unit: 'cpu' | 'memory') => {
    const text = resources?.[kind]?.[unit];
    return text === undefined ? undefined : quantityMilli(text);
  };
  return units.filter((unit) =>
    (['requests', 'limits'] as const).some((kind) => value(now, kind, unit) !== value(before, kind, unit)),
  );
}

/** Of the containers whose resources may change, those that are not as in `before`. */
export function changedContainers(now: PodSpec, before: PodSpec): Container[] {
  const known = new Map(lists.flatMap((list) => (before[list] ?? []).map(({ name, resources }) => [name, resources])));
  return resizable(now).filter(({ name, resources }) => known.has(name) && changedAmounts(resources, known.get(name)).length > 0);
}

/** Containers and sidecars. */
export function resizable(spec: PodSpec): Container[] {
  return [...(spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always'), ...spec.containers];
}

/** `pod` with the resources that `of` gives for a container's name; undefined: those it has. */
export function withResources(pod: Pod, of: (name: string) => Resources | undefined): Pod {
  const spec = { ...pod.spec! };
  for (const list of lists) {
    const containers = spec[list];
    if (!containers) continue;
    spec[list] = containers.map((container) => {
      const resources = of(container.name);
      return resources ? { ...container, resources } : container;
    });
  }
  return { ...pod, spec };
}

/** The resources of each container by its name. */
export function resourcesIn(pod: Pod): (name: string) => Resources | undefined {
  const known = new Map(lists.flatMap((list) => (pod.spec?.[list] ?? []).map(({ name, resources = {} }) => [name, resources])));
  return (name) => known.get(name);
}

/** The pod with the resources that its runs have now. */
export function inForce(pod: Pod, record: Pick<PodRecord, 'containers'>): Pod {
  return withResources(pod, (name) => {
    const run = record.containers[name]?.current;
    return run?.state === 'running' ? run.resources : undefined;
  });
}

/** True when the container said that such a change needs a new run. */
export function restartsFor({ resizePolicy = [] }: Container, changed: readonly string[]): boolean {
  return resizePolicy.some((policy) => policy.restartPolicy === 'RestartContainer' && changed.includes(policy.resourceName));
}

/** Limits under which both fit: in force while containers change from one to the other. */
export function looser(a: CgroupLimits, b: CgroupLimits): CgroupLimits {
  const quota = a.cpuQuotaMicros && b.cpuQuotaMicros ? Math.max(a.cpuQuotaMicros, b.cpuQuotaMicros) : undefined;
  const memory = a.memoryLimitBytes && b.memoryLimitBytes ? Math.max(a.memoryLimitBytes, b.memoryLimitBytes) : undefined;
  return {
    ...b,
    cpuShares: Math.max(a.cpuShares, b.cpuShares),
    cpuQuotaMicros: quota,
    memoryLimitBytes: memory,
  };
}

/** A memory limit that is to be lowered while a container runs. */
export interface MemoryDecrease {
  /** `pod`, or `container "name"`. */
  of: string;
  limitBytes: number;
  usageBytes: number;
}

/** Below what is in use the kernel would kill (version 2 of cgroups) or refuse (version 1). Undefined: nothing against it. */
export function memoryDecreaseRefusal(decreases: readonly MemoryDecrease[]): string | undefined {
  const reasons = decreases
    .filter(({ limitBytes, usageBytes }) => usageBytes >= limitBytes)
    .map((one) => `attempting to set ${one.of} memory limit (${one.limitBytes}) below current usage (${one.usageBytes})`);
  if (reasons.length === 0) return undefined;
  return `cannot decrease memory limits: ${reasons.length === 1 ? reasons[0] : `[${reasons.join(', ')}]`}`;
}

/** Why the machine does not take up a resize now, or ever. */
export function resizeRefusal({ resource, requested, used, capacity }: Shortage): NonNullable<ResizeState['pending']> {
  if (requested > capacity) {
    const message = `Node didn't have enough capacity: ${resource}, requested: ${requested}, capacity: ${capacity}`;
    return { reason: 'Infeasible', message };
  }
  const message = `Node didn't have enough resource: ${resource}, requested: ${requested}, used: ${used}, capacity: ${capacity}`;
  return { reason: 'Deferred', message };
}
