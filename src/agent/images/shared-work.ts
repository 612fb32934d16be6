/**
 * Work that several callers want at once is done once. Each waits under its own signal; the work itself is aborted when the last
 * of them has given up.
 */
import { abortable } from '../../lib/deferred.ts';

interface Entry<T> {
  promise: Promise<T>;
  abort: AbortController;
  waiters: number;
}

export class SharedWork<T> {
  readonly #entries = new Map<string, Entry<T>>();

  /** The work going on under `key`, or `start`ed now. */
  async run(key: string, signal: AbortSignal, start: (signal: AbortSignal) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const entry = this.#entries.get(key) ?? this.#begin(key, start);
    entry.waiters++;
    try {
      return await abortable(entry.promise, signal);
    } finally {
      if (--entry.waiters === 0) {
        // Nobody may join work that is being given up.
        if (this.#entries.get(key) === entry) this.#entries.delete(key);
        entry.abort.abort(signal.reason);
      }
    }
  }

  #begin(key: string, start: (signal: AbortSignal) => Promise<T>): Entry<T> {
    const abort = new AbortController();
    const entry: Entry<T> = { promise: start(abort.signal), abort, waiters: 0 };
    this.#entries.set(key, entry);
    const forget = () => {
      if (this.#entries.get(key) === entry) this.#entries.delete(key);
    };
    entry.promise.then(forget, forget);
    return entry;
  }
}

/** At most `count` tasks at once; the others wait in order. */
export class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  /** A waiting task that is aborted keeps its turn, and throws when it comes. */
  async run<T>(signal: AbortSignal, task: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      signal.throwIfAborted();
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    }
  }
}
