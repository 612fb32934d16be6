/**
 * Sleep that anything may end. Wakes are counted, so that one which comes between looking and sleeping is not lost: the
 * sleeper passes the count it saw before it looked.
 */
import type { Clock } from '../../lib/clock.ts';

/** setTimeout takes no more. */
const sleepMsMax = 2 ** 31 - 1;

export class Waker {
  readonly #clock: Clock;
  readonly #sleepers = new Set<() => void>();
  #count = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get count(): number {
    return this.#count;
  }

  wake(): void {
    this.#count++;
    for (const wake of [...this.#sleepers]) wake();
  }

  /** Until wall time `untilMs`, a wake after `seen` was read, or the signal: resolves in each case. */
  sleep(seen: number, untilMs: number, signal: AbortSignal): Promise<void> {
    const ms = Math.min(untilMs - this.#clock.wallMs(), sleepMsMax);
    if (seen !== this.#count || ms <= 0 || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const end = () => {
        timer.cancel();
        this.#sleepers.delete(end);
        signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = this.#clock.setTimer(ms, end);
      this.#sleepers.add(end);
      signal.addEventListener('abort', end, { once: true });
    });
  }
}
