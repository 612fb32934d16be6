/** A clock that stands still until a test moves it. Between timers it lets everything that can run, run. */
import type { Clock } from '../../src/lib/clock.ts';

/** Everything already under way (promises, immediates) goes on until it waits for something. */
export async function settle(): Promise<void> {
  for (let round = 0; round < 12; round++) await new Promise<void>((resolve) => setImmediate(resolve));
}

export class ManualClock implements Clock {
  #nowMs = 0;
  #timers = new Set<{ atMs: number; order: number; callback: () => void }>();
  #order = 0;
  readonly startMs: number;

  constructor(startMs = Date.UTC(2030, 0, 1)) {
    this.startMs = startMs;
  }

  wallMs(): number {
    return this.startMs + this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  setTimer(delayMs: number, callback: () => void) {
    const timer = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, callback };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }

  get timers(): number {
    return this.#timers.size;
  }

  /** Moves time on by `ms`, stopping at every timer on the way. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await settle();
    while (this.#step(endMs)) await settle();
    this.#nowMs = endMs;
  }

  /** Moves from timer to timer until `condition` holds; fails when it does not within `ms` of simulated time. */
  async until(condition: () => boolean, what: string, ms = 60_000): Promise<void> {
    const endMs = this.#nowMs + ms;
    await settle();
    while (!condition()) {
      if (!this.#step(endMs)) throw new Error(`not within ${ms} ms: ${what}`);
      await settle();
    }
  }

  #step(endMs: number): boolean {
    let next: { atMs: number; order: number; callback: () => void } | undefined;
    for (const timer of this.#timers) {
      if (!next || timer.atMs < next.atMs || (timer.atMs === next.atMs && timer.order < next.order)) next = timer;
    }
    if (!next || next.atMs > endMs) return false;
    this.#timers.delete(next);
    this.#nowMs = Math.max(this.#nowMs, next.atMs);
    next.callback();
    return true;
  }
}
