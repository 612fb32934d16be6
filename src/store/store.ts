/**
 * The replicated state machine. Entries of the log go in one by one, in order; what comes out depends on nothing else.
 * Everything is in memory; with a directory it is also on disk, written behind, since the log holds what the disk lacks.
 * The data model (revisions, conditions, event window) is in the shape of etcd's.
 */
import { assert } from '../lib/assert.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { type NewGeneration, StoreDisk } from './disk.ts';
import { StoreError } from './errors.ts';
import { History } from './history.ts';
import { listAt } from './list-at.ts';
import { OrderedRecords } from './ordered-records.ts';
import { RequestWindow } from './request-window.ts';
import { readSnapshot, type SnapshotHeader, writeSnapshot } from './snapshot.ts';
import { type AppliedState, type LogEntry, State } from './state.ts';
import type {
  ListOptions,
  ListResult,
  StateHash,
  StoreReader,
  StoreRecord,
  TransactionResult,
  Watch,
  WatchListener,
} from './types.ts';
import { callListener, type Watcher, WatchIndex } from './watch-index.ts';
import { WriteBehind } from './write-behind.ts';

export type { LogEntry } from './state.ts';

export interface StoreOptions {
  /** Directory of the copy on disk. Left out: memory only, and `durable` stays at 0. */
  dir?: string;
  /** Bounds of the event window; left out 10,000, 64 MiB and 30 minutes. Age counts when something is applied. */
  historyRevisionsMax?: number;
  historyBytesMax?: number;
  historyAgeMsMax?: number;
  /** How many results are remembered, left out 10,000. Part of the state: the same number on every peer. */
  requestIdsMax?: number;
  clock?: Clock;
  /** After each so many entries the state's hash is kept for comparison, left out 1,000. The same number on every peer. */
  hashEveryEntries?: number;
  /** At most this long a change waits before it is written. */
  flushIntervalMs?: number;
  /** The disk failed and the store is of no further use. Left out: the process crashes. */
  onFailure?: (error: StoreError) => void;
}

export interface LogPosition {
  index: number;
  term: number;
}

export interface StoreStats {
  keys: number;
  valueBytes: number;
  historyRevisions: number;
  historyBytes: number;
  watchers: number;
  pendingBytes: number;
  /** Entries that no store could decode; they have no effect. More than 0 is a defect of some proposer. */
  invalidEntries: number;
}

const historyRevisionsDefault = 10_000;
const historyBytesDefault = 64 * 1024 * 1024;
const historyAgeDefaultMs = 30 * 60_000;
const requestIdsDefault = 10_000;
const flushIntervalDefaultMs = 50;
const hashEveryDefault = 1_000;
/** So many kept hashes: peers may be that far apart and still find one in common. */
const hashesMax = 4;
const damagedOnDisk = 'the state on disk does not have the hash that was written with it';

export class Store implements StoreReader {
  readonly #options: StoreOptions;
  readonly #disk: StoreDisk | undefined;
  readonly #writer: WriteBehind | undefined;
  readonly #watches = new WatchIndex();
  readonly #durableListeners: ((durable: LogPosition) => void)[] = [];
  #state: State;
  #history: History;
  #hashes: readonly StateHash[] = [];
  #damage: string | undefined;
  #applying = false;
  #restoring = false;
  #closed = false;
  #failure: StoreError | undefined;
  /** Removes what a restore has replaced. */
  #clearing: Promise<void> = Promise.resolve();

  private constructor(options: StoreOptions, state: State, disk: StoreDisk | undefined, damage?: string) {
    this.#damage = damage;
    this.#options = options;
    this.#disk = disk;
    this.#state = state;
    this.#history = this.#newHistory();
    if (!disk) return;
    this.#writer = new WriteBehind({
      disk,
      clock: options.clock ?? systemClock,
      intervalMs: options.flushIntervalMs ?? flushIntervalDefaultMs,
      durable: state.applied,
      requests: state.requests,
      hash: () => this.#state.hash(),
      onDurable: ({ index, term }) => {
        for (const listener of this.#durableListeners) callListener(() => listener({ index, term }));
      },
      onFailure: (cause) => this.#fail(cause),
    });
  }

  /** Loads what is on disk. Throws StoreError 'StorageFormat', or LevelDB's error when the directory cannot be opened. */
  static async open(options: StoreOptions = {}): Promise<Store> {
    const requestIdsMax = options.requestIdsMax ?? requestIdsDefault;
    if (options.dir === undefined) return new Store(options, State.empty(requestIdsMax), undefined);
    const disk = await StoreDisk.open(options.dir);
    try {
      const records = new OrderedRecords();
      const loaded = await disk.load((record) => records.append(record));
      if (!loaded) return new Store(options, State.empty(requestIdsMax), disk);
      const requests = new RequestWindow(requestIdsMax, loaded.firstRequest);
      for (const { requestId, result } of loaded.requests) requests.record(requestId, result);
      const state = new State(loaded.applied, records, requests);
      const sound = loaded.hash === undefined || loaded.hash === state.hash();
      return new Store(options, state, disk, sound ? undefined : damagedOnDisk);
    } catch (error) {
      await disk.close();
      throw error;
    }
  }

  get applied(): LogPosition {
    const { index, term } = this.#state.applied;
    return { index, term };
  }

  get revision(): number {
    return this.#state.revision;
  }

  /** Why what was loaded cannot be trusted: the disk gave back other bytes than were written. A restore mends it. */
  get damage(): string | undefined {
    return this.#damage;
  }

  get compactedRevision(): number {
    return this.#history.compactedRevision;
  }

  /** What survives a crash. */
  durable(): LogPosition {
    const { index, term } = this.#writer?.durable ?? { index: 0, term: 0 };
    return { index, term };
  }

  /** Called each time that `durable` moved. Must not throw. */
  onDurable(listener: (durable: LogPosition) => void): void {
    this.#durableListeners.push(listener);
  }

  /**
   * Applies the entries that follow the last applied one, and delivers their events. One result for each entry; undefined
   * for entries that are not transactions, and for bytes that are none (they have no effect, on every peer alike).
   * `onResult` is told each transaction's request id too, so that nobody need decode it again; it must not throw.
   * Throws StoreError 'StorageFailed' or 'Closed'.
   */
  apply(
    entries: readonly LogEntry[],
    onResult?: (requestId: string, result: TransactionResult) => void,
  ): (TransactionResult | undefined)[] {
    this.#check();
    assert(!this.#applying, 'entries are not applied from within a watch');
    assert(!this.#restoring, 'no entries are applied during a restore');
    this.#applying = true;
    try {
      return entries.map((entry) => this.#applyEntry(entry, onResult));
    } finally {
      this.#applying = false;
      this.#history.expire();
      this.#writer?.advance(this.#state.applied);
    }
  }

  /** Resolves when the disk has kept up enough for more entries; to be awaited between batches. */
  async settled(signal?: AbortSignal): Promise<void> {
    await this.#writer?.settled(signal);
  }

  /** Resolves when all that is applied now is on disk. */
  async flush(): Promise<void> {
    await this.#writer?.flush();
  }

  get(key: string): StoreRecord | undefined {
    return this.#state.records.get(key);
  }

  list(prefix: string, options: ListOptions = {}): ListResult {
    const { startAfter } = options;
    const revision = options.revision ?? this.revision;
    const limit = options.limit ?? Number.POSITIVE_INFINITY;
    this.#checkWindow(revision);
    const current = this.#state.records;
    if (revision !== this.revision) return listAt(current, this.#history, { prefix, revision, startAfter, limit });
    const records = current.range(prefix, startAfter, limit);
    const remaining = records.length < limit ? 0 : current.count(prefix, startAfter) - records.length;
    return { records, revision, remaining };
  }

  watch(prefix: string, afterRevision: number, listener: WatchListener): Watch {
    this.#check();
    this.#checkWindow(afterRevision);
    const watcher: Watcher = { prefix, listener, revision: this.revision, cancelled: false };
    this.#history.forEachAfter(afterRevision, (events) => {
      const matched = events.filter((event) => event.record.key.startsWith(prefix));
      if (matched.length > 0) callListener(() => listener.onEvents(matched));
    });
    return this.#watches.add(watcher);
  }

  /** The state as of this call, although writes go on. Chunks of at most 1 MiB. */
  snapshot(): LogPosition & { chunks: AsyncIterable<Uint8Array> } {
    const { applied, records, requests } = this.#state;
    const chunks = writeSnapshot({ ...applied, records: records.freeze(), requests: requests.from(0) });
    return { index: applied.index, term: applied.term, chunks };
  }

  /**
   * Replaces the whole state by a snapshot. Durable when it resolves; when it rejects (StoreError 'SnapshotInvalid', or
   * what the chunks throw) the old state stands. Reads go on meanwhile. All watches end with 'restored'.
   */
  async restore(meta: LogPosition, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    this.#check();
    assert(!this.#restoring, 'one restore at a time');
    this.#restoring = true;
    try {
      await this.#writer?.pause();
      await this.#clearing;
      this.#check();
      const generation = this.#disk?.beginGeneration();
      const state = await this.#readInto(generation, meta, chunks);
      await this.#commit(generation, state);
      this.#state = state;
      this.#history = this.#newHistory();
      this.#hashes = [];
      this.#damage = undefined;
      this.#writer?.reset(state.applied, state.requests);
      if (generation) this.#clearing = generation.clearOld().catch((cause: unknown) => void this.#fail(cause));
    } finally {
      this.#restoring = false;
      this.#writer?.advance(this.#state.applied);
    }
    this.#watches.endAll('restored');
  }

  /** Of everything that must be equal on peers with the same applied index. */
  stateHash(): string {
    return this.#state.hash();
  }

  /** The state's hash at the latest multiples of `hashEveryEntries`, oldest first; those since the last start or restore. */
  stateHashes(): readonly StateHash[] {
    return this.#hashes;
  }

  stats(): StoreStats {
    return {
      keys: this.#state.records.size,
      valueBytes: this.#state.records.valueBytes,
      historyRevisions: this.#history.revisions,
      historyBytes: this.#history.bytes,
      watchers: this.#watches.size,
      pendingBytes: this.#writer?.pendingBytes ?? 0,
      invalidEntries: this.#state.invalidEntries,
    };
  }

  /** Writes what is left, ends all watches with 'closed'. No restore may be under way. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#watches.endAll('closed');
    try {
      if (!this.#failure) await this.#writer?.flush();
      await this.#writer?.pause();
      await this.#clearing;
    } finally {
      await this.#disk?.close();
    }
  }

  #applyEntry(
    entry: LogEntry,
    onResult: ((requestId: string, result: TransactionResult) => void) | undefined,
  ): TransactionResult | undefined {
    const { requestId, result, events } = this.#state.apply(entry);
    if (events.length > 0) {
      for (const { type, record } of events) this.#writer?.mark(record.key, type === 'put' ? record : undefined);
      this.#history.add(events);
      this.#watches.deliver(events, this.revision);
    }
    if (entry.index % (this.#options.hashEveryEntries ?? hashEveryDefault) === 0) {
      this.#hashes = [...this.#hashes.slice(1 - hashesMax), { index: entry.index, hash: this.#state.hash() }];
    }
    if (requestId !== undefined && result) onResult?.(requestId, result);
    return result;
  }

  /** What a rejected snapshot has left in the new generation is removed. */
  async #readInto(generation: NewGeneration | undefined, meta: LogPosition, chunks: AsyncIterable<Uint8Array>): Promise<State> {
    try {
      return await this.#read(generation, meta, chunks);
    } catch (error) {
      await generation?.abandon().catch((cause: unknown) => void this.#fail(cause));
      throw error;
    }
  }

  async #read(generation: NewGeneration | undefined, meta: LogPosition, chunks: AsyncIterable<Uint8Array>): Promise<State> {
    const records = new OrderedRecords();
    const requests = new RequestWindow(this.#options.requestIdsMax ?? requestIdsDefault);
    let applied: AppliedState | undefined;
    await readSnapshot(chunks, {
      onHeader: (header: SnapshotHeader) => {
        if (header.index !== meta.index || header.term !== meta.term) {
          throw new StoreError('SnapshotInvalid', `the snapshot is of index ${header.index}, announced was ${meta.index}`);
        }
        applied = header;
      },
      onRecords: async (batch) => {
        for (const record of batch) records.append(record);
        await generation?.write(batch);
      },
      onRequest: ({ requestId, result }) => requests.record(requestId, result),
    });
    assert(applied, 'a snapshot that was read has a header');
    return new State(applied, records, requests);
  }

  /** After an error the disk may hold either state: there is no way back, only a restart. */
  async #commit(generation: NewGeneration | undefined, state: State): Promise<void> {
    const { applied, requests } = state;
    try {
      await generation?.commit({ ...applied, hash: state.hash() }, requests.from(0), requests.first);
    } catch (cause) {
      throw this.#fail(cause);
    }
  }

  #newHistory(): History {
    return new History({
      revisionsMax: this.#options.historyRevisionsMax ?? historyRevisionsDefault,
      bytesMax: this.#options.historyBytesMax ?? historyBytesDefault,
      ageMsMax: this.#options.historyAgeMsMax ?? historyAgeDefaultMs,
      nowMs: () => (this.#options.clock ?? systemClock).monotonicMs(),
      revision: this.revision,
    });
  }

  #check(): void {
    if (this.#closed) throw new StoreError('Closed', 'the store is closed');
    if (this.#failure) throw this.#failure;
  }

  #checkWindow(revision: number): void {
    const { revision: currentRevision, compactedRevision } = this;
    if (revision > currentRevision) {
      throw new StoreError('FutureRevision', `revision ${revision} is not applied yet, the last is ${currentRevision}`, {
        revision,
        currentRevision,
      });
    }
    if (revision < compactedRevision) {
      throw new StoreError('Compacted', `revision ${revision} is compacted, the oldest is ${compactedRevision}`, {
        revision,
        compactedRevision,
      });
    }
  }

  /** The disk failed: nothing more is applied, and whoever opened the store is told once. */
  #fail(cause: unknown): StoreError {
    if (this.#failure) return this.#failure;
    const error =
      cause instanceof StoreError ? cause : new StoreError('StorageFailed', 'the store cannot write to its disk', {}, cause);
    this.#failure = error;
    const { onFailure } = this.#options;
    if (onFailure) onFailure(error);
    else
      queueMicrotask(() => {
        throw error;
      });
    return error;
  }
}
