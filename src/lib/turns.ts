/**
 * Lines of those who want the same thing, one line for each key: first come, first served. What waits is bounded by the number of
 * callers; a line is gone as soon as nobody is in it.
 */
import { abortable, type Deferred, deferred } from './deferred.ts';

export class Turns {
  /** Those who wait behind the one whose turn it is. */
  readonly #lines = new Map<string, Set<Deferred<void>>>();

  /** True while it is somebody's turn. */
  isTaken(key: string): boolean {
    return this.#lines.has(key);
  }

  /** Resolves when it is the caller's turn, with what ends it. Rejects with the signal's reason when that is aborted before. */
  async take(key: string, signal?: AbortSignal): Promise<() => void> {
    signal?.throwIfAborted();
    const line = this.#lines.get(key);
    if (!line) this.#lines.set(key, new Set());
    else await this.#wait(key, line, signal);
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      this.#next(key);
    };
  }

  async #wait(key: string, line: Set<Deferred<void>>, signal: AbortSignal | undefined): Promise<void> {
    const turn = deferred<void>();
    line.add(turn);
    try {
      await abortable(turn.promise, signal);
    } catch (error) {
      // Not in the line any more: the turn came in the same moment, and goes to the next.
      if (!line.delete(turn)) this.#next(key);
      throw error;
    }
  }

  #next(key: string): void {
    const line = this.#lines.get(key);
    const [first] = line ?? [];
    if (!line || !first) {
      this.#lines.delete(key);
      return;
    }
    line.delete(first);
    first.resolve();
  }
}
