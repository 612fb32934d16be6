/**
 * Brings batches to the disk, one write at a time. All that came during one write goes into the next as a single batch with a
 * single fsync (group commit), so a slow disk makes batches larger, not the queue longer.
 */
import { type LogBatch, type LogStorage, mergeBatches } from './log-batch.ts';

interface Queued {
  batch: LogBatch | undefined;
  done: () => void;
  failed: (error: unknown) => void;
}

export class Persister {
  readonly #storage: LogStorage;
  readonly #onFatal: (error: unknown) => void;
  #queue: Queued[] = [];
  #writing: Promise<void> | undefined;
  #failure: { error: unknown } | undefined;

  /** After a failed write nothing is written any more and no `done` is called: what the disk holds is unknown. */
  constructor(storage: LogStorage, onFatal: (error: unknown) => void) {
    this.#storage = storage;
    this.#onFatal = onFatal;
  }

  /** Calls `done` when this batch and all earlier ones are durable. Undefined: nothing of its own to write. */
  enqueue(batch: LogBatch | undefined, done: () => void, failed: (error: unknown) => void = () => {}): void {
    if (this.#failure) {
      failed(this.#failure.error);
      return;
    }
    this.#queue.push({ batch, done, failed });
    this.#start();
  }

  /** As `enqueue`; rejects when the disk fails. */
  write(batch: LogBatch): Promise<void> {
    return new Promise((resolve, reject) => this.enqueue(batch, resolve, reject));
  }

  /** Resolves when no write is under way. */
  async idle(): Promise<void> {
    while (this.#writing) await this.#writing;
  }

  #start(): void {
    this.#writing ??= this.#run().finally(() => {
      this.#writing = undefined;
      if (this.#queue.length > 0) this.#start();
    });
  }

  async #run(): Promise<void> {
    const queued = this.#queue;
    this.#queue = [];
    try {
      const batches = queued.flatMap(({ batch }) => batch ?? []);
      if (batches.length > 0) await this.#storage.write(batches.reduce(mergeBatches));
    } catch (error) {
      this.#failure = { error };
      for (const { failed } of [...queued, ...this.#queue]) failed(error);
      this.#queue = [];
      return this.#onFatal(error);
    }
    for (const { done } of queued) done();
  }
}
