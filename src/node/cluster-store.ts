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
import { decodeTransaction, encodeTransaction, type Store } from '../store/index.ts';
import type {
  ClusterStore,
  ListOptions,
  ListResult,
  StoreReader,
  StoreRecord,
  Transaction,
  TransactionResult,
  Watch,
  WatchListener,
} from '../store/types.ts';

/** A write or barrier that could not be settled in this time is answered with 503: a quorum is missing. */
const patienceMs = 15_000;
const retryMs = { first: 10, most: 500 };
const writesMax = 10_000;

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
    const { store } = this.#options;
    const results = store.apply(entries);
    if (this.#writes.size > 0) {
      results.forEach((result, position) => {
        const entry = entries[position];
        if (!result || !entry) return;
        const { requestId } = decodeTransaction(entry.data);
        this.#writes.get(requestId)?.resolve(result);
      });
    }
    this.notifyApplied();
  }

  /** Settles waiters after the store moved on (also after a restore). */
  notifyApplied(): void {
    const { store } = this.#options;
    this.#appliedWaiters = settle(this.#appliedWaiters, store.applied.index);
    this.#revisionWaiters = settle(this.#revisionWaiters, store.revision);
  }

  async write(transaction: Omit<Transaction, 'requestId'>, signal?: AbortSignal): Promise<TransactionResult> {
    this.#check();
    if (this.#writes.size >= writesMax) throw serviceUnavailable(`more than ${writesMax} writes are under way on this peer`);
    const requestId = `${this.#options.requestPrefix}-${++this.#lastRequest}`;
    const data = encodeTransaction({ requestId, ...transaction });
    const result = deferred<TransactionResult>();
    this.#writes.set(requestId, result);
    const patience = withPatience(signal);
    const finished = new AbortController();
    try {
      // The result comes from the store, by request id, whatever became of the proposal's own answer.
      const proposing = this.#retry(AbortSignal.any([patience, finished.signal]), (stop) =>
        this.#options.consensus.propose(data, stop),
      );
      proposing.catch((error: unknown) => result.reject(error));
      return await abortable(result.promise, patience);
    } catch (error) {
      throw this.#unavailable(error, signal, 'the write was not confirmed by a quorum of the peers; it may still take effect');
    } finally {
      finished.abort(new Error('the write is settled'));
      this.#writes.delete(requestId);
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
    const patience = withPatience(undefined);
    try {
      const index = await this.#retry(patience, (stop) => this.#options.consensus.readIndex(stop));
      await this.#waitForApplied(index, patience);
    } catch (error) {
      throw this.#unavailable(
        error,
        undefined,
        'no quorum of the peers confirmed the read; ?resourceVersion=0 reads what this peer has',
      );
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

  /** Repeats `attempt` with growing pauses until it succeeds or the signal ends it. Request ids make that safe. */
  async #retry<T>(signal: AbortSignal, attempt: (stop: AbortSignal) => Promise<T>): Promise<T> {
    const { clock, random } = this.#options;
    for (let pauseMs = retryMs.first; ; pauseMs = Math.min(pauseMs * 2, retryMs.most)) {
      try {
        return await attempt(signal);
      } catch (error) {
        if (signal.aborted || !retryable.has(errorCode(error) ?? '')) throw error;
      }
      await delay(clock, pauseMs / 2 + random.int(pauseMs), signal);
    }
  }

  #unavailable(error: unknown, signal: AbortSignal | undefined, message: string): unknown {
    if (signal?.aborted) return signal.reason;
    const timedOut = error instanceof DOMException && error.name === 'TimeoutError';
    return timedOut ? serviceUnavailable(message) : error;
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

function withPatience(signal: AbortSignal | undefined): AbortSignal {
  const patience = AbortSignal.timeout(patienceMs);
  return signal ? AbortSignal.any([signal, patience]) : patience;
}

/** Resolves those that are reached and gives the rest. */
function settle(waiters: Waiter[], position: number): Waiter[] {
  if (waiters.length === 0) return waiters;
  for (const waiter of waiters) if (waiter.reached <= position) waiter.settled.resolve();
  return waiters.filter((waiter) => waiter.reached > position);
}
