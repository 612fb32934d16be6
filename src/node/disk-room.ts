/**
 * Watches how much room the disk of the data folder has. While it has too little, the cluster takes nothing new (growth.ts), so that
 * what is left serves to delete things and to change the members. A file that holds room back is given up when others, such as images or pods,
 * fill the disk all the same: the log and the state can go on for a while then, and clean up.
 */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, rmSync, statfsSync, statSync, writeSync } from 'node:fs';
import { errorMessage } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';

const mib = 2 ** 20;
/** Low is below this part of the disk, within bounds. */
const lowPart = 1 / 20;
const lowBytesMax = 512 * mib;
const lowBytesMin = 16 * mib;
/** Enough again at this multiple of what is low, so that the state does not flap. */
const enough = 1.25;
const reserveBytesMax = 64 * mib;

export interface DiskFigures {
  totalBytes: number;
  /** What the daemon may still write. */
  freeBytes: number;
}

/** What to do about the figures. */
export interface DiskPlan {
  low: boolean;
  /** What the reserve should be, in bytes; 0: none. */
  reserveBytes: number;
}

/** Below this much free room the disk is low. */
export function lowBytesOf(totalBytes: number): number {
  return Math.max(lowBytesMin, Math.min(lowBytesMax, Math.floor(totalBytes * lowPart)));
}

/** Pure. `wasLow` and `reserveBytes` as they were; the reserve is not part of what is free. */
export function planDisk({ totalBytes, freeBytes }: DiskFigures, wasLow: boolean, reserveBytes: number): DiskPlan {
  const lowBytes = lowBytesOf(totalBytes);
  const low = freeBytes < (wasLow ? lowBytes * enough : lowBytes);
  const fullReserve = Math.min(reserveBytesMax, lowBytes);
  if (freeBytes < lowBytes / 4) return { low, reserveBytes: 0 };
  const hasRoom = freeBytes - (fullReserve - reserveBytes) >= lowBytes * enough;
  return { low, reserveBytes: hasRoom ? fullReserve : reserveBytes };
}

export interface DiskState extends DiskFigures {
  low: boolean;
  /** Below this the disk is low. */
  lowBytes: number;
  /** Held back in a file. */
  reserveBytes: number;
}

export class DiskRoom {
  readonly #dataDir: string;
  readonly #logger: Logger;
  readonly #reserve: string;
  #state: DiskState;

  /** Looks once, so that a daemon on a full disk has the reserve to start with. Makes the folder if need be. */
  constructor(dataDir: string, logger: Logger) {
    this.#dataDir = dataDir;
    this.#logger = logger;
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    this.#reserve = `${dataDir}/reserve`;
    const figures = this.#measure();
    const lowBytes = lowBytesOf(figures.totalBytes);
    this.#state = { ...figures, lowBytes, low: false, reserveBytes: this.#reserveBytes() };
    this.look();
  }

  get state(): DiskState {
    return this.#state;
  }

  /** To be called every now and then. */
  look(): void {
    const before = this.#state;
    let figures = this.#measure();
    const plan = planDisk(figures, before.low, before.reserveBytes);
    let reserveBytes = before.reserveBytes;
    if (plan.reserveBytes !== reserveBytes) {
      reserveBytes = this.#keep(plan.reserveBytes);
      figures = this.#measure();
    }
    this.#state = { ...figures, lowBytes: lowBytesOf(figures.totalBytes), low: plan.low, reserveBytes };
    if (plan.low === before.low) return;
    if (plan.low) this.#logger.error({ ...this.#state }, 'the disk has too little room');
    else this.#logger.info({ ...this.#state }, 'the disk has enough room again');
  }

  #measure(): DiskFigures {
    const { bsize, blocks, bavail } = statfsSync(this.#dataDir);
    return { totalBytes: blocks * bsize, freeBytes: bavail * bsize };
  }

  #reserveBytes(): number {
    return existsSync(this.#reserve) ? statSync(this.#reserve).size : 0;
  }

  /** Makes the reserve `bytes` long, or as long as it was when the disk does not take it. Gives its length. */
  #keep(bytes: number): number {
    if (bytes === 0) {
      rmSync(this.#reserve, { force: true });
      return 0;
    }
    try {
      const handle = openSync(this.#reserve, 'w', 0o600);
      try {
        // Written, not only truncated to that length: room counts when the disk has given it.
        const zeros = Buffer.alloc(mib);
        for (let written = 0; written < bytes; ) written += writeSync(handle, zeros, 0, Math.min(mib, bytes - written));
        fsyncSync(handle);
      } finally {
        closeSync(handle);
      }
      return bytes;
    } catch (error) {
      rmSync(this.#reserve, { force: true });
      this.#logger.warn({ error: errorMessage(error), bytes }, 'no room could be held back on the disk');
      return 0;
    }
  }
}
