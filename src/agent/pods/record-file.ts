/** One pod's record on disk: writes come one after the other, those that wait are gathered into one. */
import { type PodRecord, writeRecord } from './record.ts';

export class RecordFile {
  readonly #file: string;
  readonly #record: PodRecord;
  #writing: Promise<void> | undefined;
  #waiting: Promise<void> | undefined;
  #closed = false;

  constructor(file: string, record: PodRecord) {
    this.#file = file;
    this.#record = record;
  }

  /** Resolves when the record as it is now is on disk. After `close` it does nothing. */
  save(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    if (!this.#writing) return this.#start();
    this.#waiting ??= this.#writing
      .catch(() => {}) // Told to whoever asked for that write.
      .then(() => {
        this.#waiting = undefined;
        return this.#closed ? undefined : this.#start();
      });
    return this.#waiting;
  }

  /** Nothing is written any more once this resolves: the folder may be removed. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#writing?.catch(() => {}); // Told to whoever asked for that write.
  }

  #start(): Promise<void> {
    const writing = writeRecord(this.#file, this.#record).finally(() => {
      if (this.#writing === writing) this.#writing = undefined;
    });
    this.#writing = writing;
    return writing;
  }
}
