/**
 * Runs one task again and again: the next run starts `intervalMs` after the previous one ended, so runs never overlap.
 * An error of the task is given to `onError` and does not end the repetition.
 */
import type { Clock, Timer } from './clock.ts';

export interface RepeatingTaskOptions {
  readonly clock: Clock;
  readonly intervalMs: number;
  readonly run: (signal: AbortSignal) => Promise<void> | void;
  readonly onError: (error: unknown) => void;
}

export class RepeatingTask {
  readonly #options: RepeatingTaskOptions;
  #abort: AbortController | undefined;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;

  constructor(options: RepeatingTaskOptions) {
    this.#options = options;
  }

  /** Starts with a run at once. Does nothing when already started. */
  start(): void {
    if (this.#abort) return;
    this.#abort = new AbortController();
    this.#loop(this.#abort.signal);
  }

  /** Resolves when the run under way, if any, has ended. */
  async stop(): Promise<void> {
    this.#abort?.abort(new Error('stopped'));
    this.#abort = undefined;
    this.#timer?.cancel();
    await this.#running;
  }

  #loop(signal: AbortSignal): void {
    const { clock, intervalMs, run, onError } = this.#options;
    this.#running = (async () => {
      try {
        await run(signal);
      } catch (error) {
        if (!signal.aborted) onError(error);
      }
    })();
    void this.#running.then(() => {
      if (!signal.aborted) this.#timer = clock.setTimer(intervalMs, () => this.#loop(signal));
    });
  }
}
