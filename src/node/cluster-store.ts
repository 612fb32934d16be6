/**
 * The cluster's store as this peer offers it: reads from local memory, linearizable after a barrier; writes through consensus,
 * answered when this peer has applied them, and sent again under the same request id until their fate is known.
 */
import type { Entry } from '../consensus/types.ts';
import type { Clock } from '../lib/clock.ts';
import { delay } from '../lib/clock.ts';
import { abortable, type Deferred, deferred } from '../lib/deferred.ts';
import { errorCode } from '../lib/errors.ts';
import type { Random } from '../lib/random.ts';
import { serviceUnavailable } from '../machinery/status.ts';
import { encodeTransaction, type Store } from '../store/index.ts';
import type {
  ClusterStore,
  ListOptions,
  ListResult,
  StoreReader,
  StoreRecord,
  TransactionResult,
  Watch,
  WatchListener,
  Write,
} from '../store/types.ts';

/** A write or barrier that could not be settled in this time is answered with 503: a quorum is missing. */
const patienceMs = 15_000;
const retryMs = { first: 10, most: 500 };
const writesMax = 10_000;
const writeUnconfirmed = 'the write was not confirmed by a quorum of the peers; it may still take effect';
const readUnconfirmed = 'no quorum of the peers confirmed the read; ?resourceVersion=0 reads what this peer has';

/** What cluster-store needs of the peer thread. */
export interface ConsensusDoor {
  propose(data: Uint8Array, signal?: AbortSignal): Promise<{ index: number }>;
  readIndex(signal?: AbortSignal): Promise<number>;
}

export interface ClusterStoreOptions {
  store: Store;
  consensus: ConsensusDoor;
  /** Unique for this start of this peer; request ids begin with it. */
  requestPrefix: string;
  clock: Clock;
  random: Random;
}

interface Waiter {
  reached: number;
  settled: Deferred<void>;
}

export class ReplicatedStore implements ClusterStore {
  readonly #options: ClusterStoreOptions;
  readonly #writes = new Map<string, Deferred<TransactionResult>>();
  #lastRequest = 0;
  #appliedWaiters: Waiter[] = [];
  #revisionWaiters: Waiter[] = [];
  #barrierUnderWay: Promise<void> | undefined;
  #barrierNext: Promise<void> | undefined;
  #suspended: string | undefined;

  constructor(options: ClusterStoreOptions) {
    this.#options = options;
  }

  get local(): StoreReader {
    return this.#options.store;
  }

  get revision(): number {
    return this.#options.store.revision;
  }

  get compactedRevision(): number {
    return this.#options.store.compactedRevision;
  }

  /** With a reason, everything that is asked is refused with 503 until it is called again without. */
  suspend(reason: string | undefined): void {
    this.#suspended = reason;
  }

  #check(): void {
    if (this.#suspended !== undefined) throw serviceUnavailable(`this peer does not serve: ${this.#suspended}`);
  }

  get(key: string): StoreRecord | undefined {
    this.#check();
    return this.#options.store.get(key);
  }

  list(prefix: string, options?: ListOptions): ListResult {
    this.#check();
    return this.#options.store.list(prefix, options);
  }

  watch(prefix: string, afterRevision: number, listener: WatchListener): Watch {
    this.#check();
    return this.#options.store.watch(prefix, afterRevision, listener);
  }

  /** Applies committed entries and settles who waits for them. */
  apply(entries: Entry[]): void {
    this.#options.store.apply(entries, (requestId, result) => this.#writes.get(requestId)?.resolve(result));
    this.notifyApplied();
  }

  /** Settles waiters after the store moved on (also after a restore). */
  notifyApplied(): void {
    const { store } = this.#options;
    this.#appliedWaiters = settle(this.#appliedWaiters, store.applied.index);
    this.#revisionWaiters = settle(this.#revisionWaiters, store.revision);
  }

  async write(transaction: Write, signal?: AbortSignal): Promise<TransactionResult> {
    this.#check();
    if (this.#writes.size >= writesMax) throw serviceUnavailable(`more than ${writesMax} writes are under way on this peer`);
    signal?.throwIfAborted();
    const { requestId = `${this.#options.requestPrefix}-${++this.#lastRequest}` } = transaction;
    // Asked for twice on this peer: the second one learns the same when its turn comes.
    for (let other = this.#writes.get(requestId); other; other = this.#writes.get(requestId)) {
      await abortable(Promise.allSettled([other.promise]), signal);
    }
    const data = encodeTransaction({ ...transaction, requestId });
    const result = deferred<TransactionResult>();
    const onAbort = () => result.reject(signal?.reason);
    const patience = this.#options.clock.setTimer(patienceMs, () => result.reject(serviceUnavailable(writeUnconfirmed)));
    this.#writes.set(requestId, result);
    signal?.addEventListener('abort', onAbort, { once: true });
    // The result comes from the store, by request id, whatever becomes of the proposal's own answer.
    this.#propose(requestId, data).catch((error: unknown) => result.reject(error));
    try {
      return await result.promise;
    } finally {
      patience.cancel();
      signal?.removeEventListener('abort', onAbort);
      this.#writes.delete(requestId);
    }
  }

  /** Proposes until it is known to be in the log, or nobody waits for it any more. Signals are costly: there is none here. */
  async #propose(requestId: string, data: Uint8Array): Promise<void> {
    for (let pauseMs = retryMs.first; this.#writes.has(requestId); pauseMs = Math.min(pauseMs * 2, retryMs.most)) {
      try {
        await this.#options.consensus.propose(data);
        return;
      } catch (error) {
        if (!retryable.has(errorCode(error) ?? '')) throw error;
      }
      await this.#pause(pauseMs);
    }
  }

  /** Barriers that are asked for while one is under way share the next one. */
  async barrier(signal?: AbortSignal): Promise<void> {
    this.#check();
    if (!this.#barrierUnderWay) return abortable(this.#startBarrier(), signal);
    this.#barrierNext ??= this.#barrierUnderWay.then(
      () => this.#startBarrier(),
      () => this.#startBarrier(),
    );
    return abortable(this.#barrierNext, signal);
  }

  async waitForRevision(revision: number, signal?: AbortSignal): Promise<void> {
    this.#check();
    if (this.revision >= revision) return;
    const waiter: Waiter = { reached: revision, settled: deferred() };
    this.#revisionWaiters.push(waiter);
    return abortable(waiter.settled.promise, signal).finally(() => {
      this.#revisionWaiters = this.#revisionWaiters.filter((other) => other !== waiter);
    });
  }

  #startBarrier(): Promise<void> {
    this.#barrierNext = undefined;
    const round = this.#confirmRead().finally(() => {
      if (this.#barrierUnderWay === round) this.#barrierUnderWay = undefined;
    });
    this.#barrierUnderWay = round;
    return round;
  }

  async #confirmRead(): Promise<void> {
    const { clock, consensus } = this.#options;
    const stop = new AbortController();
    const patience = clock.setTimer(patienceMs, () => stop.abort(serviceUnavailable(readUnconfirmed)));
    try {
      const index = await this.#retry(stop.signal, () => consensus.readIndex(stop.signal));
      await this.#waitForApplied(index, stop.signal);
    } finally {
      patience.cancel();
    }
  }

  #waitForApplied(index: number, signal: AbortSignal): Promise<void> {
    if (this.#options.store.applied.index >= index) return Promise.resolve();
    const waiter: Waiter = { reached: index, settled: deferred() };
    this.#appliedWaiters.push(waiter);
    return abortable(waiter.settled.promise, signal).finally(() => {
      this.#appliedWaiters = this.#appliedWaiters.filter((other) => other !== waiter);
    });
  }

  /** Repeats `attempt` with growing pauses until it succeeds or the signal ends it. */
  async #retry<T>(signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
    for (let pauseMs = retryMs.first; ; pauseMs = Math.min(pauseMs * 2, retryMs.most)) {
      try {
        return await attempt();
      } catch (error) {
        if (signal.aborted || !retryable.has(errorCode(error) ?? '')) throw error;
      }
      await this.#pause(pauseMs, signal);
    }
  }

  #pause(pauseMs: number, signal?: AbortSignal): Promise<void> {
    const { clock, random } = this.#options;
    return delay(clock, pauseMs / 2 + random.int(pauseMs), signal);
  }
}

const retryable: ReadonlySet<string> = new Set([
  'NoLeader',
  'NotLeader',
  'Busy',
  'ProposalDropped',
  'ProposalUnknown',
  'Timeout',
]);

/** Resolves those that are reached and gives the rest. */
function settle(waiters: Waiter[], position: number): Waiter[] {
  if (waiters.length === 0) return waiters;
  for (const waiter of waiters) if (waiter.reached <= position) waiter.settled.resolve();
  return waiters.filter((waiter) => waiter.reached > position);
}
