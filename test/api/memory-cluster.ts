/**
 * A cluster's store on one peer, in memory: the real state machine without a log. It can lag: what other peers have
 * committed reaches it only with a barrier, a write of its own, or a wait, as on a follower.
 */
import { Store } from '../../src/store/store.ts';
import { encodeTransaction } from '../../src/store/transaction.ts';
import type {
  ClusterStore,
  ListOptions,
  ListResult,
  StoreRecord,
  TransactionResult,
  Watch,
  WatchListener,
  Write,
} from '../../src/store/types.ts';

export class MemoryCluster implements ClusterStore {
  /** The same here: nothing is ever held back. */
  readonly local = this;
  readonly #store: Store;
  readonly #elsewhere: Write[] = [];
  /** Called before each write of this peer is applied: the place for a write that comes first. */
  beforeWrite: (() => void) | undefined;
  barriers = 0;
  writes = 0;
  #cutOff = false;
  #waiting: { revision: number; reached: () => void }[] = [];

  private constructor(store: Store) {
    this.#store = store;
  }

  static async open(options: { historyRevisionsMax?: number } = {}): Promise<MemoryCluster> {
    return new MemoryCluster(await Store.open(options));
  }

  get revision(): number {
    return this.#store.revision;
  }

  get compactedRevision(): number {
    return this.#store.compactedRevision;
  }

  get(key: string): StoreRecord | undefined {
    return this.#store.get(key);
  }

  list(prefix: string, options?: ListOptions): ListResult {
    return this.#store.list(prefix, options);
  }

  watch(prefix: string, afterRevision: number, listener: WatchListener): Watch {
    return this.#store.watch(prefix, afterRevision, listener);
  }

  async write(transaction: Write, signal?: AbortSignal): Promise<TransactionResult> {
    signal?.throwIfAborted();
    this.beforeWrite?.();
    this.#catchUp();
    this.writes++;
    const result = this.#apply(transaction);
    await Promise.resolve();
    return result;
  }

  async barrier(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.barriers++;
    await Promise.resolve();
    this.#catchUp();
  }

  async waitForRevision(revision: number, signal?: AbortSignal): Promise<void> {
    this.#catchUp();
    if (this.revision >= revision) return;
    await new Promise<void>((reached, reject) => {
      this.#waiting.push({ revision, reached });
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
  }

  /** From now on nothing arrives that others have committed, whatever is asked. */
  cutOff(): void {
    this.#cutOff = true;
  }

  heal(): void {
    this.#cutOff = false;
    this.#catchUp();
    for (const { revision, reached } of this.#waiting) if (revision <= this.revision) reached();
    this.#waiting = this.#waiting.filter(({ revision }) => revision > this.revision);
  }

  /** Committed by another peer, not yet known here. */
  writeElsewhere(transaction: Write): void {
    this.#elsewhere.push(transaction);
  }

  #catchUp(): void {
    if (this.#cutOff) return;
    for (const transaction of this.#elsewhere.splice(0)) this.#apply(transaction);
  }

  #apply(transaction: Write): TransactionResult {
    const index = this.#store.applied.index + 1;
    const data = encodeTransaction({ ...transaction, requestId: transaction.requestId ?? `request-${index}` });
    const [result] = this.#store.apply([{ index, term: 1, kind: 'normal', data }]);
    if (!result) throw new Error('a transaction has a result');
    return result;
  }
}
