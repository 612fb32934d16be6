/** Feeds committed entries to the state machine, in order, one call at a time; what gathers meanwhile goes in the next call. */
import type { Entry, StateMachine } from './types.ts';

export class Applier {
  readonly #stateMachine: StateMachine;
  readonly #onApplied: (index: number) => void;
  readonly #onFatal: (error: unknown) => void;
  #queue: Entry[] = [];
  #running: Promise<void> | undefined;
  #stopped = false;

  /** An entry that cannot be applied is fatal: this peer must not skip it. */
  constructor(stateMachine: StateMachine, onApplied: (index: number) => void, onFatal: (error: unknown) => void) {
    this.#stateMachine = stateMachine;
    this.#onApplied = onApplied;
    this.#onFatal = onFatal;
  }

  /** Bounded by the core, which hands out only so many unconfirmed entries. */
  enqueue(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    this.#queue.push(...entries);
    this.#start();
  }

  /** Resolves when everything enqueued is applied. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running;
  }

  /** Resolves when the call under way, if any, is over. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.idle();
  }

  #start(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      if (this.#queue.length > 0 && !this.#stopped) this.#start();
    });
  }

  async #run(): Promise<void> {
    const entries = this.#queue;
    this.#queue = [];
    try {
      await this.#stateMachine.apply(entries);
    } catch (error) {
      this.#stopped = true;
      return this.#onFatal(error);
    }
    this.#onApplied(entries.at(-1)!.index);
  }
}
