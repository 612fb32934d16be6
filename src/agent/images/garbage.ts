/**
 * Which images go when the disk fills up or they grow old, as the kubelet decides it: least recently used first, never one that is
 * used or pinned, nor one that came or was used less than the minimum age ago. Pure.
 */
import type { ImageUse } from '../types.ts';

export interface GarbagePolicy {
  /** From this use of the disk on, images go; 100 switches it off. */
  highPercent: number;
  /** Down to this use. */
  lowPercent: number;
  minimumAgeMs: number;
  /** An unused image goes at this age whatever the disk says; 0: never. */
  maximumAgeMs: number;
}

export interface DiskUsage {
  capacityBytes: number;
  /** For unprivileged writers. */
  availableBytes: number;
}

/** Of the disk, in whole percent, rounded up: what is not wholly free is used. */
export function usedPercent({ capacityBytes, availableBytes }: DiskUsage): number {
  return 100 - Math.floor((Math.min(availableBytes, capacityBytes) * 100) / capacityBytes);
}

/** How much has to go; 0 below the high threshold. */
export function bytesToFree(disk: DiskUsage, { highPercent, lowPercent }: GarbagePolicy): number {
  if (highPercent >= 100 || usedPercent(disk) < highPercent) return 0;
  return Math.max(0, Math.floor((disk.capacityBytes * (100 - lowPercent)) / 100) - disk.availableBytes);
}

/** The images that may go, the first one first. `sinceMs`: when this machine's agent began to look, for images it found there. */
export function removable(uses: readonly ImageUse[], policy: GarbagePolicy, nowMs: number, sinceMs: number): ImageUse[] {
  const isOld = ({ addedAtMs, usedAtMs }: ImageUse) => nowMs - Math.max(addedAtMs, usedAtMs, sinceMs) >= policy.minimumAgeMs;
  return uses
    .filter((use) => use.usedBy.length === 0 && !use.pinned && isOld(use))
    .toSorted((a, b) => a.usedAtMs - b.usedAtMs || a.addedAtMs - b.addedAtMs || (a.id < b.id ? -1 : 1));
}

/** Those of the removable ones that have been unused for the maximum age. */
export function outlived(candidates: readonly ImageUse[], { maximumAgeMs }: GarbagePolicy, nowMs: number, sinceMs: number) {
  if (maximumAgeMs <= 0) return [];
  const idleSinceMs = ({ addedAtMs, usedAtMs }: ImageUse) => Math.max(addedAtMs, usedAtMs) || sinceMs;
  return candidates.filter((use) => nowMs - idleSinceMs(use) > maximumAgeMs);
}
