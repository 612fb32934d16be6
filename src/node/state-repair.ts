/**
 * What a peer does whose state is not to be trusted: it stops serving, and replaces its store by a snapshot of another member.
 * The log, the vote and the term stay as they are, since only the state that follows from the log went wrong; so the peer goes
 * on as a voter and breaks no promise. See docs/adr/0003-state-repair.md for why this is sound.
 */
import type { Entry } from '../consensus/types.ts';
import { type Clock, delay } from '../lib/clock.ts';
import { abortable, type Deferred, deferred } from '../lib/deferred.ts';
import type { Logger } from '../lib/logger.ts';
import type { LogPosition } from '../store/store.ts';

/** Entries that come during an attempt wait here; beyond that the attempt is given up and begun anew. */
const heldEntriesMax = 20_000;
const heldBytesMax = 64 << 20;
const retryMs = 1_000;
const attemptTimeoutMs = 120_000;

/** The store, as far as a repair needs it. */
export interface RepairedStore {
  readonly applied: LogPosition;
  restore(meta: LogPosition, chunks: AsyncIterable<Uint8Array>): Promise<void>;
}

export interface OfferedSnapshot extends LogPosition {
  from: string;
  chunks: AsyncIterable<Uint8Array>;
}

export interface StateRepairOptions {
  store: RepairedStore;
  /** Applies to the store and settles who waits; resolves when more may come. */
  apply: (entries: Entry[]) => Promise<void>;
  /** A snapshot of a member that trusts its own state. */
  fetch: (signal: AbortSignal) => Promise<OfferedSnapshot>;
  /** The reason not to serve; undefined when the state is trusted again. */
  onChange: (reason: string | undefined) => void;
  clock: Clock;
  logger: Logger;
}

interface Attempt {
  readonly abort: AbortController;
  readonly ended: Deferred<void>;
  held: Entry[];
  heldBytes: number;
  /** The last entry that consensus handed out: it is committed, and in this peer's log on disk. */
  lastIndex: number;
  /** Waits until `lastIndex` has reached its index. */
  reached: { index: number; settled: Deferred<void> } | undefined;
}

export class StateRepair {
  readonly #options: StateRepairOptions;
  readonly #stop = new AbortController();
  #reason: string | undefined;
  #loop: Promise<void> | undefined;
  #looping = false;
  #attempt: Attempt | undefined;
  #foreign = 0;

  constructor(options: StateRepairOptions) {
    this.#options = options;
  }

  /** Why this peer does not serve. */
  get reason(): string | undefined {
    return this.#reason;
  }

  /** Stops serving and repairs until it succeeds. Does nothing while a repair is under way. */
  distrust(reason: string): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#options.logger.error({ reason }, 'the state of this peer is not to be trusted: it stops serving and is replaced');
    this.#options.onChange(reason);
    if (!this.#looping) this.#loop = this.#repair();
  }

  /** Resolves when the state is trusted. Rejects when the repair is stopped. */
  async settled(): Promise<void> {
    while (this.#reason !== undefined) {
      this.#stop.signal.throwIfAborted();
      await this.#loop;
    }
  }

  /** Committed entries: to the store at once, or behind the snapshot that is on its way. */
  async take(entries: Entry[]): Promise<void> {
    const attempt = this.#attempt;
    if (!attempt) return this.#options.apply(entries);
    attempt.held.push(...entries);
    for (const { data } of entries) attempt.heldBytes += data.byteLength;
    attempt.lastIndex = entries.at(-1)?.index ?? attempt.lastIndex;
    if (attempt.reached && attempt.reached.index <= attempt.lastIndex) attempt.reached.settled.resolve();
    if (attempt.held.length <= heldEntriesMax && attempt.heldBytes <= heldBytesMax) return;
    attempt.abort.abort(new Error('too many entries came meanwhile'));
    await attempt.ended.promise;
  }

  /** Consensus is about to restore a snapshot of the leader: that repairs too. Resolves when nothing is in its way. */
  async beforeRestore(): Promise<void> {
    this.#foreign++;
    this.#attempt?.abort.abort(new Error('the leader sends a snapshot'));
    await this.#attempt?.ended.promise;
  }

  afterRestore(restored: boolean): void {
    this.#foreign--;
    if (restored) this.#trust('the leader');
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('stopped'));
    await this.#loop;
  }

  #trust(from: string): void {
    if (this.#reason === undefined) return;
    const reason = this.#reason;
    this.#reason = undefined;
    this.#options.logger.info({ reason, from, index: this.#options.store.applied.index }, 'the state was replaced by a snapshot');
    this.#options.onChange(undefined);
  }

  async #repair(): Promise<void> {
    const { clock, logger } = this.#options;
    this.#looping = true;
    while (this.#reason !== undefined && !this.#stop.signal.aborted) {
      try {
        if (this.#foreign === 0) this.#trust(await this.#replace());
      } catch (error) {
        logger.warn({ error }, 'the state could not be replaced yet; the next attempt follows');
      }
      if (this.#reason !== undefined) await delay(clock, retryMs, this.#stop.signal).catch(() => undefined);
    }
    this.#looping = false;
  }

  async #replace(): Promise<string> {
    const { store } = this.#options;
    const abort = new AbortController();
    const signal = AbortSignal.any([abort.signal, this.#stop.signal, AbortSignal.timeout(attemptTimeoutMs)]);
    const lastIndex = store.applied.index;
    const attempt: Attempt = { abort, ended: deferred(), held: [], heldBytes: 0, lastIndex, reached: undefined };
    this.#attempt = attempt;
    try {
      const { from, index, term, chunks } = await this.#options.fetch(signal);
      // Entries up to there are not held, and the log may not have them any more.
      if (index < lastIndex) throw new Error(`the snapshot ends at ${index}, this peer has applied ${lastIndex}`);
      await store.restore({ index, term }, this.#inLog(attempt, index, chunks, signal));
      return from;
    } finally {
      // Also after a failure: the old state takes them then, and stays in step with consensus.
      const held = attempt.held.filter((entry) => entry.index > store.applied.index);
      this.#attempt = undefined;
      if (held.length > 0) await this.#options.apply(held);
      attempt.ended.resolve();
    }
  }

  /** The chunks; the end comes only when this peer's own log holds everything up to `index`. */
  async *#inLog(attempt: Attempt, index: number, chunks: AsyncIterable<Uint8Array>, signal: AbortSignal) {
    for await (const chunk of chunks) {
      signal.throwIfAborted();
      yield chunk;
    }
    if (attempt.lastIndex >= index) return;
    attempt.reached = { index, settled: deferred() };
    await abortable(attempt.reached.settled.promise, signal);
  }
}
