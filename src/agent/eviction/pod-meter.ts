/** What one pod uses of this machine: only what is asked for is measured. */
import type { Pod } from '../../machinery/types.ts';
import { containersOf } from '../pods/pod-context.ts';
import type { PodPaths, PodRecord } from '../pods/record.ts';
import type { Cgroups, ImageStore } from '../types.ts';
import type { DiskMeter } from './disk-meter.ts';
import type { PodUsage } from './rank.ts';
import type { DiskUsage } from './storage-limits.ts';
import type { ScarceResource } from './types.ts';

export interface PodPlace {
  readonly uid: string;
  readonly record: Pick<PodRecord, 'containers'>;
  readonly paths: Pick<PodPaths, 'dir' | 'volumes'>;
  pod(): Pod;
}

export interface PodMeterOptions {
  cgroups: Pick<Cgroups, 'podUsage' | 'podProcesses' | 'containerMemory'>;
  images: Pick<ImageStore, 'writableLayer'>;
  disk: DiskMeter;
}

export class PodMeter {
  readonly #options: PodMeterOptions;

  constructor(options: PodMeterOptions) {
    this.#options = options;
  }

  /** Undefined when it cannot be told now. Rejects with the signal's reason. */
  async usage(place: PodPlace, resource: ScarceResource, signal: AbortSignal): Promise<PodUsage | undefined> {
    const { cgroups } = this.#options;
    const { uid } = place;
    const none = { memory: 0, 'ephemeral-storage': 0, inodes: 0, pids: 0, containers: new Map() };
    if (resource === 'pids') {
      const pids = await cgroups.podProcesses(uid);
      return pids === undefined ? undefined : { ...none, pids };
    }
    if (resource === 'memory') return this.#memory(place, none);
    const disk = await this.disk(place, resource === 'inodes' ? 'inodes' : 'bytes', signal);
    if (!disk) return undefined;
    const total = [...disk.volumes.values(), ...disk.containers.values()].reduce((sum, units) => sum + units, 0);
    const containers = new Map([...disk.containers].map(([name, units]) => [name, { ...none, [resource]: units }]));
    return { ...none, [resource]: total, containers };
  }

  /** Writable layers and logs by container, emptyDirs on disk by volume. */
  async disk(place: PodPlace, what: 'bytes' | 'inodes', signal: AbortSignal): Promise<DiskUsage | undefined> {
    const { images, disk } = this.#options;
    const folders = diskFolders(place, (id) => images.writableLayer(id));
    const all = [...folders.volumes.values(), ...[...folders.containers.values()].flat()];
    const counts = await disk.measure(all, what, signal);
    if (!counts) return undefined;
    const sum = (paths: string[]) => paths.reduce((units, path) => units + (counts.get(path) ?? 0), 0);
    return {
      volumes: new Map([...folders.volumes].map(([name, path]) => [name, sum([path])])),
      containers: new Map([...folders.containers].map(([name, paths]) => [name, sum(paths)])),
    };
  }

  async #memory({ uid, pod, record }: PodPlace, none: PodUsage): Promise<PodUsage | undefined> {
    const { cgroups } = this.#options;
    const usage = await cgroups.podUsage(uid);
    if (!usage) return undefined;
    const containers = new Map<string, typeof none>();
    for (const { name } of containersOf(pod())) {
      const run = record.containers[name]?.current;
      const memory = run?.state === 'running' ? await cgroups.containerMemory(uid, run.id) : undefined;
      if (memory !== undefined) containers.set(name, { ...none, memory });
    }
    return { ...none, memory: usage.memory.workingSetBytes, containers };
  }
}

/** Where a pod's data lies on disk. Pure. */
export function diskFolders(
  { pod, record, paths }: Pick<PodPlace, 'pod' | 'record' | 'paths'>,
  writableLayer: (containerId: string) => string,
): { volumes: Map<string, string>; containers: Map<string, string[]> } {
  const onDisk = (pod().spec?.volumes ?? []).filter(({ emptyDir }) => emptyDir && emptyDir.medium !== 'Memory');
  const volumes = new Map(onDisk.map(({ name }) => [name, `${paths.volumes}/${name}`]));
  const containers = new Map<string, string[]>();
  for (const { name } of containersOf(pod())) {
    const run = record.containers[name]?.current;
    if (run) containers.set(name, [`${paths.dir}/${name}`, ...(run.state === 'running' ? [writableLayer(run.id)] : [])]);
  }
  return { volumes, containers };
}
