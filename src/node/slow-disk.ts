/**
 * A leader whose disk is slow holds up the whole cluster: every write waits for its fsync, or for its place in the pipeline.
 * So the log's writes are measured, and a leader whose median stays above the threshold gives its office to a voter with a
 * better disk. Once in a while only: when all disks are slow, handing around the office helps nobody.
 */
import type { LogBatch, LogStorage, StoredLog } from '../consensus/index.ts';
import type { ConsensusStatus } from '../consensus/types.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { RepeatingTask } from '../lib/repeating-task.ts';

export const slowMs = 250;
const slowForMs = 5_000;
const cooldownMs = 60_000;
const lookIntervalMs = 500;
const transferTimeoutMs = 3_000;
/** The median is of the writes of the last `windowMs`, at most so many. */
const samplesMax = 31;
const windowMs = 10_000;
/** A voter that far behind would first have to catch up. */
const closeEntries = 1_000;

/** A log storage that knows how long its writes take; the one under way counts with its age. */
export class MeasuredLogStorage implements LogStorage {
  readonly #storage: LogStorage;
  readonly #clock: Clock;
  #samples: { endedMs: number; tookMs: number }[] = [];
  #beganMs: number | undefined;

  constructor(storage: LogStorage, clock: Clock) {
    this.#storage = storage;
    this.#clock = clock;
  }

  load(): Promise<StoredLog | undefined> {
    return this.#storage.load();
  }

  async write(batch: LogBatch): Promise<void> {
    const beganMs = this.#clock.monotonicMs();
    this.#beganMs = beganMs;
    try {
      await this.#storage.write(batch);
    } finally {
      const endedMs = this.#clock.monotonicMs();
      this.#beganMs = undefined;
      this.#samples.push({ endedMs, tookMs: endedMs - beganMs });
      if (this.#samples.length > samplesMax) this.#samples.shift();
    }
  }

  /** The median of the latest writes; 0 when there were none. */
  medianMs(): number {
    const nowMs = this.#clock.monotonicMs();
    this.#samples = this.#samples.filter(({ endedMs }) => nowMs - endedMs <= windowMs);
    const took = this.#samples.map(({ tookMs }) => tookMs);
    if (this.#beganMs !== undefined) took.push(nowMs - this.#beganMs);
    took.sort((a, b) => a - b);
    return took[took.length >> 1] ?? 0;
  }
}

/** What the others are like, as their heartbeats say. */
export interface VoterHealth {
  alive: boolean;
  /** The median of its log's writes; undefined: it did not say. */
  syncMs: number | undefined;
}

/** The voter that should lead instead, the most advanced of those that can; undefined: nobody can. Pure. */
export function betterLeader(
  status: ConsensusStatus,
  health: (peer: string) => VoterHealth,
  ownSyncMs: number,
): string | undefined {
  const can = status.membership.voters.filter((peer) => {
    const { alive, syncMs } = health(peer);
    const progress = status.progress[peer];
    const close = progress?.active === true && progress.match + closeEntries >= status.lastIndex;
    return peer !== status.id && alive && close && syncMs !== undefined && syncMs <= slowMs && syncMs * 2 <= ownSyncMs;
  });
  return can.sort((a, b) => (status.progress[b]?.match ?? 0) - (status.progress[a]?.match ?? 0))[0];
}

export interface DiskHandoverOptions {
  medianMs: () => number;
  status: () => ConsensusStatus;
  health: (peer: string) => VoterHealth;
  transfer: (to: string, signal: AbortSignal) => Promise<void>;
  clock: Clock;
  logger: Logger;
}

export class DiskHandover {
  readonly #options: DiskHandoverOptions;
  readonly #task: RepeatingTask;
  #slowSinceMs: number | undefined;
  #triedMs = Number.NEGATIVE_INFINITY;

  constructor(options: DiskHandoverOptions) {
    this.#options = options;
    const { clock, logger } = options;
    const onError = (error: unknown) => logger.warn({ error }, 'a leader with a slow disk could not hand over');
    this.#task = new RepeatingTask({ clock, intervalMs: lookIntervalMs, run: (signal) => this.#look(signal), onError });
  }

  start(): void {
    this.#task.start();
  }

  stop(): Promise<void> {
    return this.#task.stop();
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { medianMs, status, health, transfer, clock, logger } = this.#options;
    const nowMs = clock.monotonicMs();
    const syncMs = medianMs();
    if (syncMs <= slowMs) {
      this.#slowSinceMs = undefined;
      return;
    }
    this.#slowSinceMs ??= nowMs;
    if (nowMs - this.#slowSinceMs < slowForMs || nowMs - this.#triedMs < cooldownMs) return;
    const current = status();
    if (current.role !== 'leader') return;
    const to = betterLeader(current, health, syncMs);
    if (to === undefined) return;
    this.#triedMs = nowMs;
    logger.warn({ syncMs: Math.round(syncMs), to }, 'the disk of this leader is slow: another voter takes over');
    const late = new AbortController();
    const timer = clock.setTimer(transferTimeoutMs, () => late.abort(new Error('the other voter did not take over in time')));
    try {
      await transfer(to, AbortSignal.any([signal, late.signal]));
    } finally {
      timer.cancel();
    }
  }
}
