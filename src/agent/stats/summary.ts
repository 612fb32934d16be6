/** From samples to the body of `/stats/summary`. Pure. */
import type { Pod, Volume } from '../../machinery/types.ts';
import type { CgroupUsage } from '../host/cgroup-usage.ts';
import { timestamp } from '../pods/status.ts';
import type { FileSystem, FolderCount } from './disk-stats.ts';
import type { ContainerSample, PodSample, Rates, Sample, StatsPod } from './sample.ts';
import type {
  ContainerStats,
  CpuStats,
  FsStats,
  InterfaceStats,
  MemoryStats,
  NetworkStats,
  NodeStats,
  PodStats,
  Summary,
  SwapStats,
  VolumeStats,
} from './types.ts';

/** What the disks hold; left out where only processor and memory are asked for. */
export interface DiskSample {
  /** Of the data folder, and of images and what containers write. */
  nodeFs: FileSystem | undefined;
  imageFs: FileSystem | undefined;
  /** Unpacked bytes of all images. */
  imagesBytes: number;
  counts: ReadonlyMap<string, FolderCount>;
  /** By the folder of a volume that has a file system of its own. */
  volumes: ReadonlyMap<string, FileSystem>;
}

export interface SummaryInput {
  nodeName: string;
  sample: Sample;
  rates: Rates;
  disk: DiskSample | undefined;
  writableLayer: (containerId: string) => string;
}

/** The pods that have a cgroup: others use nothing. */
export function summaryOf(input: SummaryInput): Summary {
  const { sample } = input;
  return { node: nodeStats(input), pods: sample.pods.filter(({ usage }) => usage).map((pod) => podStats(pod, input)) };
}

function nodeStats({ nodeName, sample, rates, disk }: SummaryInput): NodeStats {
  const { machine, groups } = sample;
  const time = timestamp(sample.wallMs);
  const cpu = cpuStats('machine', machine.usage, time, rates, machine.bootedAtMs);
  const { availableBytes: _limited, ...memory } = memoryStats(machine.usage, time);
  const names = { pods: 'pods', runtime: 'monitor' } as const;
  const systemContainers = Object.entries(names).flatMap(([name, group]): ContainerStats[] => {
    const usage = groups[group];
    const startTime = timestamp(machine.bootedAtMs);
    const used = usage && usageStats(group, usage, time, rates, machine.bootedAtMs);
    return used ? [{ name, startTime, ...used }] : [];
  });
  const { imageFs } = disk ?? {};
  const written = [...(disk?.counts ?? [])];
  return {
    nodeName,
    systemContainers,
    startTime: timestamp(machine.bootedAtMs),
    cpu,
    memory: { ...memory, availableBytes: Math.max(0, machine.memoryBytes - memory.workingSetBytes) },
    ...(machine.swapBytes > 0 ? { swap: swapStats(machine.usage.swapBytes ?? 0, time, machine.swapBytes) } : {}),
    ...(disk
      ? {
          network: networkStats(machine.interfaces, machine.defaultInterface, time),
          ...(disk.nodeFs ? { fs: usedOf(disk.nodeFs, time) } : {}),
          ...(imageFs
            ? {
                runtime: {
                  imageFs: { ...usedOf(imageFs, time), usedBytes: disk.imagesBytes },
                  containerFs: { ...usedOf(imageFs, time), ...sum(written.map(([, count]) => count)) },
                },
              }
            : {}),
        }
      : {}),
    ...(machine.pids ? { rlimit: { time, maxpid: machine.pids.max, curproc: machine.pids.used } } : {}),
  };
}

function podStats({ place, usage, containers, interfaces }: PodSample, input: SummaryInput): PodStats {
  const { sample, rates, disk } = input;
  const { metadata } = place.pod();
  const time = timestamp(sample.wallMs);
  const { startTime } = place.record;
  const volume = disk && volumeStats(place, disk, time);
  return {
    podRef: { name: metadata.name, namespace: metadata.namespace ?? '', uid: place.uid },
    startTime,
    containers: containers.map((container) => containerStats(place, container, input)),
    ...(usage ? usageStats(place.uid, usage, time, rates, Date.parse(startTime)) : {}),
    ...(disk && interfaces ? { network: networkStats(interfaces, interfaces[0]?.name, time) } : {}),
    ...(volume?.length ? { volume } : {}),
    ...(disk ? { 'ephemeral-storage': ephemeralStorage(place, containers, input, time) } : {}),
    ...(usage ? { process_stats: { process_count: usage.processes } } : {}),
  };
}

function containerStats(place: StatsPod, { name, id, startedAtMs, usage }: ContainerSample, input: SummaryInput): ContainerStats {
  const { sample, rates, disk } = input;
  const time = timestamp(sample.wallMs);
  const { imageFs, nodeFs, counts } = disk ?? {};
  return {
    name,
    startTime: timestamp(startedAtMs),
    ...(usage ? usageStats(id, usage, time, rates, startedAtMs) : {}),
    ...(imageFs ? { rootfs: { time, ...imageFs, ...counts?.get(input.writableLayer(id)) } } : {}),
    ...(nodeFs ? { logs: { time, ...nodeFs, ...counts?.get(logFolder(place, name)) } } : {}),
  };
}

function usageStats(key: string, usage: CgroupUsage, time: string, rates: Rates, startedAtMs: number) {
  const swap = usage.swapBytes === undefined ? {} : { swap: swapStats(usage.swapBytes, time) };
  return { cpu: cpuStats(key, usage, time, rates, startedAtMs), memory: memoryStats(usage, time), ...swap };
}

function cpuStats(key: string, usage: CgroupUsage, time: string, rates: Rates, startedAtMs: number): CpuStats {
  const usageNanoCores = rates(key, usage, startedAtMs);
  return { time, ...(usageNanoCores === undefined ? {} : { usageNanoCores }), usageCoreNanoSeconds: usage.cpuNanos };
}

function memoryStats({ memory }: CgroupUsage, time: string): MemoryStats {
  const { limitBytes, ...amounts } = memory;
  return {
    time,
    ...(limitBytes === undefined ? {} : { availableBytes: Math.max(0, limitBytes - memory.workingSetBytes) }),
    ...amounts,
  };
}

function swapStats(swapUsageBytes: number, time: string, totalBytes?: number): SwapStats {
  return {
    time,
    ...(totalBytes === undefined ? {} : { swapAvailableBytes: Math.max(0, totalBytes - swapUsageBytes) }),
    swapUsageBytes,
  };
}

function networkStats(interfaces: InterfaceStats[], name: string | undefined, time: string): NetworkStats {
  return { time, ...interfaces.find((candidate) => candidate.name === name), interfaces };
}

/** Of a whole file system, with what is used on it. */
function usedOf(fs: FileSystem, time: string): FsStats {
  return {
    time,
    ...fs,
    usedBytes: Math.max(0, fs.capacityBytes - fs.availableBytes),
    inodesUsed: Math.max(0, fs.inodes - fs.inodesFree),
  };
}

function volumeStats(place: StatsPod, { counts, volumes, nodeFs }: DiskSample, time: string): VolumeStats[] {
  return measuredVolumes(place.pod()).flatMap(({ name }) => {
    const folder = volumeFolder(place, name);
    const fs = volumes.get(folder) ?? nodeFs;
    const count = counts.get(folder);
    return count && fs ? [{ time, ...fs, ...count, name }] : [];
  });
}

function ephemeralStorage(place: StatsPod, containers: ContainerSample[], input: SummaryInput, time: string): FsStats {
  const { counts, nodeFs } = input.disk!;
  const onDisk = measuredVolumes(place.pod()).filter(({ emptyDir, configMap }) =>
    emptyDir ? emptyDir.medium !== 'Memory' : configMap,
  );
  const folders = [
    ...containers.flatMap(({ name, id }) => [input.writableLayer(id), logFolder(place, name)]),
    ...onDisk.map(({ name }) => volumeFolder(place, name)),
  ];
  return { time, ...nodeFs, ...sum(folders.flatMap((folder) => counts.get(folder) ?? [])) };
}

function sum(counts: readonly FolderCount[]): FolderCount {
  return counts.reduce(
    (all, { usedBytes, inodesUsed }) => ({ usedBytes: all.usedBytes + usedBytes, inodesUsed: all.inodesUsed + inodesUsed }),
    { usedBytes: 0, inodesUsed: 0 },
  );
}

/** The volumes that the agent makes below the pod's folder: of what lies elsewhere nobody asks here. */
export function measuredVolumes(pod: Pod): Volume[] {
  const made = ({ emptyDir, configMap, secret, downwardAPI, projected }: Volume) =>
    emptyDir ?? configMap ?? secret ?? downwardAPI ?? projected;
  return (pod.spec?.volumes ?? []).filter(made);
}

export const volumeFolder = ({ paths }: StatsPod, volume: string): string => `${paths.volumes}/${volume}`;
export const logFolder = ({ paths }: StatsPod, container: string): string => `${paths.dir}/${container}`;
