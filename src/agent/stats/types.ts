/**
 * The body of `/stats/summary`: Kubernetes' stats API v1alpha1, as its clients (metrics servers, dashboards) read it. Bytes are
 * bytes, times RFC 3339, processor use nanoseconds (cores) or nanoseconds of work in a second (usageNanoCores).
 */

export interface CpuStats {
  time: string;
  usageNanoCores?: number;
  usageCoreNanoSeconds: number;
}

export interface MemoryStats {
  time: string;
  /** Only where there is a limit. */
  availableBytes?: number;
  usageBytes: number;
  workingSetBytes: number;
  rssBytes: number;
  pageFaults: number;
  majorPageFaults: number;
}

export interface SwapStats {
  time: string;
  swapAvailableBytes?: number;
  swapUsageBytes: number;
}

export interface InterfaceStats {
  name: string;
  rxBytes: number;
  rxErrors: number;
  txBytes: number;
  txErrors: number;
}

/** The default interface's counters, and all interfaces. */
export type NetworkStats = Partial<InterfaceStats> & { time: string; interfaces: InterfaceStats[] };

export interface FsStats {
  time: string;
  availableBytes?: number;
  capacityBytes?: number;
  usedBytes?: number;
  inodesFree?: number;
  inodes?: number;
  inodesUsed?: number;
}

export interface VolumeStats extends FsStats {
  name: string;
}

export interface ContainerStats {
  name: string;
  startTime: string;
  cpu?: CpuStats;
  memory?: MemoryStats;
  swap?: SwapStats;
  rootfs?: FsStats;
  logs?: FsStats;
}

export interface PodStats {
  podRef: { name: string; namespace: string; uid: string };
  startTime: string;
  containers: ContainerStats[];
  cpu?: CpuStats;
  memory?: MemoryStats;
  swap?: SwapStats;
  network?: NetworkStats;
  volume?: VolumeStats[];
  'ephemeral-storage'?: FsStats;
  process_stats?: { process_count: number };
}

export interface NodeStats {
  nodeName: string;
  systemContainers: ContainerStats[];
  startTime: string;
  cpu: CpuStats;
  memory: MemoryStats;
  swap?: SwapStats;
  network?: NetworkStats;
  fs?: FsStats;
  runtime?: { imageFs: FsStats; containerFs: FsStats };
  rlimit?: { time: string; maxpid: number; curproc: number };
}

export interface Summary {
  node: NodeStats;
  pods: PodStats[];
}
