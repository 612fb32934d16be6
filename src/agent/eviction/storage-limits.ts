/** Limits of a pod on the machine's disk, and what exceeds them, in Kubernetes' words. Pure. */
import { formatBytes, quantityValue } from '../../machinery/quantity.ts';
import type { PodSpec } from '../../machinery/types.ts';

export interface NamedLimit {
  name: string;
  /** As written in the spec. */
  limit: string;
}

export interface StorageLimits {
  /** emptyDirs on disk with a sizeLimit. */
  volumes: NamedLimit[];
  /** Containers with a limit for ephemeral-storage. */
  containers: NamedLimit[];
}

/** Bytes by volume and by container (its writable layer and its logs). */
export interface DiskUsage {
  volumes: ReadonlyMap<string, number>;
  containers: ReadonlyMap<string, number>;
}

/** emptyDirs in memory need no counting: their file system is as large as the limit. */
export function sizedVolumes(spec: PodSpec): NamedLimit[] {
  return (spec.volumes ?? []).flatMap(({ name, emptyDir }) => {
    const limit = emptyDir?.medium === 'Memory' ? undefined : emptyDir?.sizeLimit;
    return limit !== undefined && quantityValue(limit) > 0 ? [{ name, limit: String(limit) }] : [];
  });
}

export function storageLimits(spec: PodSpec): StorageLimits {
  const containers = spec.containers.flatMap(({ name, resources }) => {
    const limit = resources?.limits?.['ephemeral-storage'];
    return limit !== undefined && quantityValue(limit) > 0 ? [{ name, limit: String(limit) }] : [];
  });
  return { volumes: sizedVolumes(spec), containers };
}

export function hasLimits({ volumes, containers }: StorageLimits): boolean {
  return volumes.length + containers.length > 0;
}

/** Why the pod has to go; undefined while it keeps within its limits. */
export function exceededLimit(limits: StorageLimits, usage: DiskUsage): string | undefined {
  const above = (used: ReadonlyMap<string, number>) => (each: NamedLimit) =>
    (used.get(each.name) ?? 0) > quantityValue(each.limit);
  const volume = limits.volumes.find(above(usage.volumes));
  if (volume) return `Usage of EmptyDir volume "${volume.name}" exceeds the limit "${volume.limit}". `;
  if (limits.containers.length > 0) {
    // The limits of those that have one bound all of the pod.
    const total = limits.containers.reduce((sum, { limit }) => sum + quantityValue(limit), 0);
    const used = [...usage.volumes.values(), ...usage.containers.values()].reduce((sum, bytes) => sum + bytes, 0);
    if (used > total) {
      const text = limits.containers.length === 1 ? limits.containers[0]!.limit : formatBytes(total);
      return `Pod ephemeral local storage usage exceeds the total limit of containers ${text}. `;
    }
  }
  const container = limits.containers.find(above(usage.containers));
  return container && `Container ${container.name} exceeded its local ephemeral storage limit "${container.limit}". `;
}
