/** What the eviction of pods speaks of: signals, thresholds, conditions. Names as in the Kubernetes page "Node-pressure Eviction". */

/** In the order in which they are acted on: memory cannot wait. */
export const signals = [
  'memory.available',
  'nodefs.available',
  'nodefs.inodesFree',
  'imagefs.available',
  'imagefs.inodesFree',
  'pid.available',
] as const;
export type Signal = (typeof signals)[number];

export type PressureCondition = 'MemoryPressure' | 'DiskPressure' | 'PIDPressure';

/** What runs short, as messages call it. */
export type ScarceResource = 'memory' | 'ephemeral-storage' | 'inodes' | 'pids';

/** Bytes (or a count of inodes or process numbers), or a share of the capacity from 0 to 1. */
export type Amount = { units: number } | { share: number };

export interface Threshold {
  signal: Signal;
  /** Below this the threshold is met. */
  value: Amount;
  /** How long it must be met before a pod has to go; 0 for a hard threshold. Milliseconds. */
  graceMs: number;
  hard: boolean;
  /** Once met, it counts as met until this much more is available. */
  reclaim?: Amount;
}

export interface EvictionSettings {
  thresholds: Threshold[];
  /** A condition stays this long after the last time a threshold of it was met. */
  transitionMs: number;
  /** The most time a pod gets to end when a soft threshold makes it go. */
  maxPodGraceSeconds: number;
  lookIntervalMs: number;
}

export interface Observation {
  available: number;
  capacity: number;
}

/** A signal that this machine cannot tell is left out: its thresholds are never met. */
export type Observations = Partial<Record<Signal, Observation>>;

export const conditionOf: Record<Signal, PressureCondition> = {
  'memory.available': 'MemoryPressure',
  'nodefs.available': 'DiskPressure',
  'nodefs.inodesFree': 'DiskPressure',
  'imagefs.available': 'DiskPressure',
  'imagefs.inodesFree': 'DiskPressure',
  'pid.available': 'PIDPressure',
};

export const resourceOf: Record<Signal, ScarceResource> = {
  'memory.available': 'memory',
  'nodefs.available': 'ephemeral-storage',
  'nodefs.inodesFree': 'inodes',
  'imagefs.available': 'ephemeral-storage',
  'imagefs.inodesFree': 'inodes',
  'pid.available': 'pids',
};
