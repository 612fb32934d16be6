/**
 * A store that shows all values in the clear and hands those below certain prefixes on sealed: whoever uses it knows nothing of
 * keys, and what is below it (log, state, snapshots, backups) holds nothing in the clear. A value is sealed once, before it is
 * proposed, so that all replicas hold the same bytes.
 */
import { errorCode } from '../../lib/errors.ts';
import { StoreError } from '../errors.ts';
import type {
  ClusterStore,
  ListOptions,
  ListResult,
  StoreEvent,
  StoreReader,
  StoreRecord,
  TransactionResult,
  Watch,
  WatchListener,
  Write,
} from '../types.ts';
import { seal, sealedBy } from './envelope.ts';
import { sealingKeysKey } from './key-record.ts';
import type { KeyRing } from './key-ring.ts';

/** A write is sealed anew when the keys change meanwhile; they do so once in a rotation's begin and once at its end. */
const attemptsMax = 8;

class SealedReader implements StoreReader {
  protected readonly ring: KeyRing;
  readonly #inner: StoreReader;
  /** A record and an event are opened once for all that look, and stay one object for them. */
  readonly #records: WeakMap<StoreRecord, StoreRecord>;
  readonly #events: WeakMap<StoreEvent, StoreEvent>;

  constructor(inner: StoreReader, ring: KeyRing, shared?: SealedReader) {
    this.#inner = inner;
    this.ring = ring;
    this.#records = shared ? shared.#records : new WeakMap();
    this.#events = shared ? shared.#events : new WeakMap();
  }

  get revision(): number {
    return this.#inner.revision;
  }

  get compactedRevision(): number {
    return this.#inner.compactedRevision;
  }

  /** Throws StoreError 'SealBroken' or 'NoSealingKey' for a value that does not open. */
  get(key: string): StoreRecord | undefined {
    const record = this.#inner.get(key);
    return record && this.#open(record);
  }

  /** As `get`; of the past, what no key opens any more is 'Compacted'. */
  list(prefix: string, options?: ListOptions): ListResult {
    const result = this.#inner.list(prefix, options);
    if (!result.records.some(({ value }) => sealedBy(value) !== undefined)) return result;
    try {
      return { ...result, records: result.records.map((record) => this.#open(record)) };
    } catch (error) {
      if (options?.revision === undefined || errorCode(error) !== 'NoSealingKey') throw error;
      throw compacted(options.revision, this.#inner.compactedRevision, error);
    }
  }

  /** Throws what the store throws, and StoreError 'Compacted' when events of the past were sealed by a key that is forgotten. */
  watch(prefix: string, afterRevision: number, listener: WatchListener): Watch {
    const past: (readonly StoreEvent[])[] = [];
    let starting = true;
    let failure: unknown;
    let ended: Parameters<WatchListener['onEnd']>[0] | undefined;
    let over = false;
    const watch = this.#inner.watch(prefix, afterRevision, {
      onEvents: (events) => {
        if (over || failure !== undefined) return;
        let opened: readonly StoreEvent[];
        try {
          opened = events.map((event) => this.#openEvent(event));
        } catch (error) {
          failure = error;
          if (starting) return;
          // Whoever lists again is told what is wrong, or finds it gone.
          over = true;
          watch.cancel();
          listener.onEnd('restored');
          return;
        }
        if (starting) past.push(opened);
        else listener.onEvents(opened);
      },
      onEnd: (reason) => {
        if (over) return;
        if (starting) ended = reason;
        else listener.onEnd(reason);
      },
    });
    starting = false;
    if (failure !== undefined) {
      watch.cancel();
      throw compacted(afterRevision, this.#inner.compactedRevision, failure);
    }
    for (const events of past) if (!over) listener.onEvents(events);
    if (ended !== undefined && !over) listener.onEnd(ended);
    return {
      cancel() {
        over = true;
        watch.cancel();
      },
    };
  }

  #open(record: StoreRecord): StoreRecord {
    const known = this.#records.get(record);
    if (known) return known;
    const value = this.ring.open(record);
    if (value === record.value) return record;
    const opened = { ...record, value };
    this.#records.set(record, opened);
    return opened;
  }

  #openEvent(event: StoreEvent): StoreEvent {
    const known = this.#events.get(event);
    if (known) return known;
    const record = this.#open(event.record);
    const previous = event.previous && this.#open(event.previous);
    if (record === event.record && previous === event.previous) return event;
    const opened = { ...event, record, previous };
    this.#events.set(event, opened);
    return opened;
  }
}

export class SealedStore extends SealedReader implements ClusterStore {
  readonly local: StoreReader;
  readonly #cluster: ClusterStore;
  readonly #prefixes: readonly string[];

  /** Values of keys that start with one of `prefixes` are sealed. */
  constructor(cluster: ClusterStore, ring: KeyRing, prefixes: readonly string[]) {
    super(cluster, ring);
    this.#cluster = cluster;
    this.#prefixes = prefixes;
    this.local = new SealedReader(cluster.local, ring, this);
  }

  /**
   * What is sealed is committed only while the key that sealed it is the newest: so when a record of keys was replaced, no value
   * of an older key can follow. Throws what the store throws, StoreError 'NoSealingKey', and 'KeysUnsettled' when the keys keep
   * changing.
   */
  async write(transaction: Write, signal?: AbortSignal): Promise<TransactionResult> {
    const { conditions, operations, requestId } = transaction;
    if (!operations.some(({ type, key }) => type === 'put' && this.seals(key))) return this.#cluster.write(transaction, signal);
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const { key: sealing, modRevision } = this.ring.current;
      const result = await this.#cluster.write(
        {
          conditions: [{ key: sealingKeysKey, modRevision }, ...conditions],
          operations: operations.map((operation) => {
            if (operation.type !== 'put' || !this.seals(operation.key)) return operation;
            return { ...operation, value: seal(sealing, operation.key, operation.value) };
          }),
          requestId,
        },
        signal,
      );
      // An id is used up by a failure: its owner tries again with another one.
      if (result.ok || result.failed.key !== sealingKeysKey || requestId !== undefined) return result;
      // Applied here before this write was: the ring knows by now.
    }
    throw new StoreError('KeysUnsettled', 'the keys of sealed values keep changing: try again later');
  }

  barrier(signal?: AbortSignal): Promise<void> {
    return this.#cluster.barrier(signal);
  }

  waitForRevision(revision: number, signal?: AbortSignal): Promise<void> {
    return this.#cluster.waitForRevision(revision, signal);
  }

  seals(key: string): boolean {
    return this.#prefixes.some((prefix) => key.startsWith(prefix));
  }
}

const compacted = (revision: number, compactedRevision: number, cause: unknown) =>
  new StoreError(
    'Compacted',
    `revision ${revision} was sealed by a key that is forgotten`,
    { revision, compactedRevision },
    cause,
  );
