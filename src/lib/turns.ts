/**
 * Lets long work give way. What shares one Turns works in slices of a few milliseconds; after a slice the event loop goes round
 * before the next one. Many short pieces that become ready in the same moment count together: they share slices, first come, first served.
 */
import type { Clock } from './clock.ts';

/** A stall of the event loop should stay below 20 ms: a slice, its last piece, and whatever else this round of the loop brings. */
const sliceMs = 5;

export class Turns {
  readonly #clock: Clock;
  /** When the slice under way began; undefined: none. */
  #startedMs: number | undefined;
  readonly #waiting: (() => void)[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether the slice under way has lasted long enough: whoever has more to do should await `next` before it. */
  over(): boolean {
    const nowMs = this.#clock.monotonicMs();
    if (this.#startedMs !== undefined) return nowMs - this.#startedMs >= sliceMs;
    this.#begin(nowMs);
    return false;
  }

  /** Resolves when the caller may work on, at once when nobody waits and the slice is not over. Waits for no more than those before it. */
  next(): Promise<void> {
    if (this.#waiting.length === 0 && !this.over()) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  #begin(nowMs: number): void {
    this.#startedMs = nowMs;
    setImmediate(() => {
      this.#startedMs = undefined;
      if (this.#waiting.length === 0) return;
      this.#begin(this.#clock.monotonicMs());
      this.#admit();
    });
  }

  /** One after the other: a tick comes when all that the last one had to do at once is done. */
  #admit(): void {
    this.#waiting.shift()?.();
    if (this.#waiting.length === 0) return;
    process.nextTick(() => {
      if (!this.over()) this.#admit();
    });
  }
}
