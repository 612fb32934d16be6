/**
 * The queue of a control loop: keys that need a look. A key added many times is handled once; a key added while it is being
 * handled is handled once more afterwards; one key is never handled by two workers at the same time.
 * The idea is client-go's work queue. Its size is bounded by the number of distinct keys, that is by the objects watched.
 */
import type { Clock, Timer } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { isReason } from './status.ts';

export interface WorkQueueOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** First delay of `retry`; it doubles with each further failure. */
  readonly retryMsMin?: number;
  readonly retryMsMax?: number;
}

export type WorkHandler = (key: string, signal: AbortSignal) => Promise<void>;

export class WorkQueue {
  readonly #options: WorkQueueOptions;
  /** Waiting for a worker, in order of arrival. */
  readonly #waiting = new Set<string>();
  readonly #running = new Set<string>();
  /** Added while running: goes back to waiting when the run ends. */
  readonly #again = new Set<string>();
  readonly #later = new Map<string, { atMs: number; timer: Timer }>();
  readonly #failures = new Map<string, number>();
  #wake: (() => void) | undefined;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  /** Keys waiting now, not counting those that run or wait for their time. */
  get size(): number {
    return this.#waiting.size;
  }

  /** True when no key waits, runs or is due later. */
  get idle(): boolean {
    return this.#waiting.size === 0 && this.#running.size === 0 && this.#later.size === 0;
  }

  add(key: string): void {
    if (this.#running.has(key)) {
      this.#again.add(key);
      return;
    }
    this.#waiting.add(key);
    this.#wake?.();
  }

  /** Adds the key after `delayMs`. Of several calls for one key the earliest time counts. */
  addAfter(key: string, delayMs: number): void {
    if (delayMs <= 0) {
      this.add(key);
      return;
    }
    const { clock } = this.#options;
    const atMs = clock.monotonicMs() + delayMs;
    const planned = this.#later.get(key);
    if (planned && planned.atMs <= atMs) return;
    planned?.timer.cancel();
    const timer = clock.setTimer(delayMs, () => {
      this.#later.delete(key);
      this.add(key);
    });
    this.#later.set(key, { atMs, timer });
  }

  /** Adds the key after its back-off: 10 ms, doubled for each `retry` since the last `forget`, at most 30 s. */
  retry(key: string): void {
    const { retryMsMin = 10, retryMsMax = 30_000 } = this.#options;
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    this.addAfter(key, Math.min(retryMsMax, retryMsMin * 2 ** Math.min(failures, 30)));
  }

  /** The key is in order again: its next `retry` starts from the shortest delay. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /**
   * Hands keys to `handler`, at most `workers` at a time, until the signal. A handler that rejects gets its key again after
   * the back-off. Resolves when the signal is aborted and every handler has ended; never rejects.
   */
  async run(workers: number, handler: WorkHandler, signal: AbortSignal): Promise<void> {
    const jobs = new Set<Promise<void>>();
    const onAbort = () => this.#wake?.();
    signal.addEventListener('abort', onAbort, { once: true });
    while (!signal.aborted) {
      const key = jobs.size < workers ? this.#take() : undefined;
      if (key === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
        continue;
      }
      const job = this.#handle(key, handler, signal).finally(() => {
        jobs.delete(job);
        this.#wake?.();
      });
      jobs.add(job);
    }
    signal.removeEventListener('abort', onAbort);
    for (const { timer } of this.#later.values()) timer.cancel();
    this.#later.clear();
    await Promise.all(jobs);
  }

  #take(): string | undefined {
    for (const key of this.#waiting) {
      this.#waiting.delete(key);
      this.#running.add(key);
      return key;
    }
    return undefined;
  }

  async #handle(key: string, handler: WorkHandler, signal: AbortSignal): Promise<void> {
    try {
      await handler(key, signal);
      this.forget(key);
    } catch (error) {
      if (!signal.aborted) {
        // Somebody else wrote first: the normal course of optimistic concurrency, not worth a line.
        const { logger } = this.#options;
        if (isReason(error, 'Conflict')) logger.debug({ key, error }, 'conflict, trying again');
        else logger.warn({ key, error }, 'failed, trying again');
        this.retry(key);
      }
    } finally {
      this.#running.delete(key);
      if (this.#again.delete(key)) this.add(key);
    }
  }
}
