/**
 * What folders of pods hold, counted in the background: that takes long where there are many files, and nobody who asks for numbers
 * waits for it longer than a moment. Until a count has ended, what the one before it gave is told.
 */
import { statfs } from 'node:fs/promises';
import { type Clock, delay } from '../../lib/clock.ts';
import { errorCode } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import type { DiskMeter } from '../eviction/disk-meter.ts';

export interface FolderCount {
  usedBytes: number;
  inodesUsed: number;
}

export interface FileSystem {
  availableBytes: number;
  capacityBytes: number;
  inodesFree: number;
  inodes: number;
}

export interface DiskStatsOptions {
  disk: Pick<DiskMeter, 'measure'>;
  clock: Clock;
  logger: Logger;
  /** Ends what is being counted. */
  signal: AbortSignal;
}

/** What was counted is told for this long. Folders that were not counted yet need not wait for that. */
const countedMs = 15_000;
/** At most a tenth of the time is spent with counting. */
const restPerCount = 9;
const waitMs = 2_000;
/** In one command. */
const foldersMax = 1_000;

export class DiskStats {
  readonly #options: DiskStatsOptions;
  #counts: ReadonlyMap<string, FolderCount> = new Map();
  #counting: Promise<void> | undefined;
  #endedMs = Number.NEGATIVE_INFINITY;
  #tookMs = 0;

  constructor(options: DiskStatsOptions) {
    this.#options = options;
  }

  /** Of the folders those that were counted. Rejects with the signal's reason. */
  async counts(folders: readonly string[]): Promise<ReadonlyMap<string, FolderCount>> {
    const { clock, signal } = this.#options;
    const unknown = folders.some((folder) => !this.#counts.has(folder));
    const restMs = Math.max(this.#tookMs * restPerCount, unknown ? 0 : countedMs);
    if (clock.monotonicMs() - this.#endedMs >= restMs) this.#counting ??= this.#count(folders);
    if (this.#counting) {
      const waited = new AbortController();
      const late = delay(clock, waitMs, AbortSignal.any([waited.signal, signal]));
      try {
        await Promise.race([this.#counting, late]);
      } finally {
        waited.abort(new Error('counted'));
        late.catch(() => undefined); // Nobody waits for it any more.
      }
    }
    return this.#counts;
  }

  async #count(folders: readonly string[]): Promise<void> {
    const { clock, logger, signal, disk } = this.#options;
    const beganMs = clock.monotonicMs();
    const counts = new Map<string, FolderCount>();
    try {
      for (let at = 0; at < folders.length; at += foldersMax) {
        const part = folders.slice(at, at + foldersMax);
        const bytes = await disk.measure(part, 'bytes', signal);
        const inodes = await disk.measure(part, 'inodes', signal);
        for (const folder of part) {
          counts.set(folder, { usedBytes: bytes?.get(folder) ?? 0, inodesUsed: inodes?.get(folder) ?? 0 });
        }
        if (!bytes || !inodes) return;
      }
      this.#counts = counts;
    } catch (error) {
      if (!signal.aborted) logger.warn({ error, folders: folders.length }, 'what pods hold on disk was not counted');
    } finally {
      this.#counting = undefined;
      this.#endedMs = clock.monotonicMs();
      this.#tookMs = this.#endedMs - beganMs;
    }
  }
}

/** The file system that holds a folder; undefined when the folder is not there. */
export async function fileSystemOf(folder: string): Promise<FileSystem | undefined> {
  try {
    const { bavail, blocks, bsize, ffree, files } = await statfs(folder);
    return { availableBytes: bavail * bsize, capacityBytes: blocks * bsize, inodesFree: ffree, inodes: files };
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
