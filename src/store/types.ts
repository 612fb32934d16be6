/**
 * The replicated state machine's vocabulary: keys with revisions, transactions, events. Deterministic: the same transactions
 * in the same order give the same bytes on every peer. In the shape of etcd's data model.
 */

export interface StoreRecord {
  readonly key: string;
  readonly value: Uint8Array;
  /** Revision of the transaction that created the key. */
  readonly createRevision: number;
  /** Revision of the transaction that last put it. */
  readonly modRevision: number;
}

/** `modRevision` 0: the key must be absent; otherwise its last change must be that revision. */
export interface Condition {
  key: string;
  modRevision: number;
}

export type Operation = { type: 'put'; key: string; value: Uint8Array } | { type: 'delete'; key: string };

/** All values are final: no clock, no random, no logic. At most 256 operations, keys unique within it. */
export interface Transaction {
  /** Unique for each logical write. A transaction that comes again with the same id has no effect and gives the same result. */
  requestId: string;
  conditions: Condition[];
  operations: Operation[];
}

/** A transaction as it is handed in: whoever has no id for it gets one. */
export type Write = Omit<Transaction, 'requestId'> & { requestId?: string | undefined };

/** Each transaction that changes something takes the next revision. A failed condition changes nothing. */
export type TransactionResult =
  | { ok: true; revision: number }
  | { ok: false; revision: number; failed: { key: string; modRevision: number } };

export interface StoreEvent {
  type: 'put' | 'delete';
  /** For 'delete' the last record. */
  record: StoreRecord;
  /** The record before; undefined when the key was created. */
  previous: StoreRecord | undefined;
  revision: number;
}

export interface ListOptions {
  /** Only keys greater than this. */
  startAfter?: string;
  limit?: number;
  /** As of this revision; must lie in the history window. Left out: now. */
  revision?: number;
}

export interface ListResult {
  records: StoreRecord[];
  /** The revision that the list shows. */
  revision: number;
  /** How many further keys follow (exact). */
  remaining: number;
}

/** What the state was, in short, when the log was applied up to `index`. */
export interface StateHash {
  index: number;
  hash: string;
}

export interface Watch {
  /** Stops; no event is delivered afterwards. */
  cancel(): void;
}

export interface WatchListener {
  /** Events of one transaction, in order, never twice, never missing. Must not throw. */
  onEvents(events: readonly StoreEvent[]): void;
  /** The watch is over: 'restored' (the state was replaced by a snapshot: list again) or 'closed'. */
  onEnd(reason: 'restored' | 'closed'): void;
}

/** What `api` may do with the store on its peer. */
export interface StoreReader {
  /** The revision of the last applied change. */
  readonly revision: number;
  /** Lists and watches below this revision fail with StoreError 'Compacted'. */
  readonly compactedRevision: number;
  get(key: string): StoreRecord | undefined;
  /** Keys in byte order that start with `prefix`. Throws StoreError 'Compacted' or 'FutureRevision'. */
  list(prefix: string, options?: ListOptions): ListResult;
  /**
   * Delivers every event after `afterRevision` whose key starts with `prefix`: first synchronously those in the window, then
   * live. Throws StoreError 'Compacted' or 'FutureRevision'.
   */
  watch(prefix: string, afterRevision: number, listener: WatchListener): Watch;
}

/** Reads and writes of the whole cluster as one peer offers them; composed in `node`. */
export interface ClusterStore extends StoreReader {
  /** What this peer has applied, also while it does not serve it: for indexes that follow the store, never for answers. */
  readonly local: StoreReader;
  /** Resolves when the transaction is committed and applied on this peer. Retries inside until committed or aborted. */
  write(transaction: Write, signal?: AbortSignal): Promise<TransactionResult>;
  /** Resolves when reads on this peer are linearizable with all writes acknowledged before the call. */
  barrier(signal?: AbortSignal): Promise<void>;
  /** Resolves when `revision` is applied here; used for resourceVersion "not older than". */
  waitForRevision(revision: number, signal?: AbortSignal): Promise<void>;
}
