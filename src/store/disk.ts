/**
 * The state on disk, in LevelDB. Every batch is synced and holds the applied index with all that this index implies, so
 * after a crash the disk shows the state as of some applied index. A restore fills a new generation of keys beside the
 * current one; one last batch switches over, so a crash leaves either the old state or the new one.
 *
 * Keys: `state` → { format, generation, index, term, revision, hash }; `<generation>!r!<key>` → record;
 * `<generation>!q!<sequence>` → request. Generations and sequences are hexadecimal of fixed width.
 */
import { Level } from 'level';
import { Packr, Unpackr } from 'msgpackr';
import { StoreError } from './errors.ts';
import { packRequest, type RecordedRequest, unpackRequest } from './request-window.ts';
import type { AppliedState } from './state.ts';
import type { StoreRecord } from './types.ts';

/** 2: see the layout above. A directory of another format is refused. */
const storageFormat = 2;
const stateKey = 'state';
const recordHeaderBytes = 12;
const loadBatchLength = 1000;
const requestBatchLength = 1000;

const packer = new Packr({ useRecords: false });
const unpacker = new Unpackr({ useRecords: false, int64AsType: 'number' });

/** With the hash of the whole state, which a load is compared with. */
export interface HashedState extends AppliedState {
  hash: string;
}

/** What changed since the last batch. */
export interface DirtyState {
  applied: HashedState;
  /** The new record of each changed key; undefined: deleted. */
  records: Map<string, StoreRecord | undefined>;
  requests: RecordedRequest[];
  /** Sequence number of the first of `requests`. */
  requestsFrom: number;
  /** Requests from `evictedFrom` up to, not including, `evictedTo` are no longer in the window. */
  evictedFrom: number;
  evictedTo: number;
}

export interface LoadedState {
  applied: AppliedState;
  /** As written; undefined in a directory from before there were hashes. */
  hash: string | undefined;
  requests: RecordedRequest[];
  firstRequest: number;
}

interface DiskState extends AppliedState {
  format: number;
  generation: number;
  hash?: string;
}

type BatchOperation = { type: 'put'; key: string; value: Buffer } | { type: 'del'; key: string };

export class StoreDisk {
  readonly #db: Level<string, Buffer>;
  #generation = 1;

  private constructor(db: Level<string, Buffer>) {
    this.#db = db;
  }

  /** Opens or creates the directory. Throws StoreError 'StorageFormat'; LevelDB's own errors when it cannot be opened. */
  static async open(dir: string): Promise<StoreDisk> {
    const db = new Level<string, Buffer>(dir, { keyEncoding: 'utf8', valueEncoding: 'buffer' });
    await db.open();
    return new StoreDisk(db);
  }

  /** Reads everything, records in byte order. Undefined: the directory is new. */
  async load(onRecord: (record: StoreRecord) => void): Promise<LoadedState | undefined> {
    const bytes = await this.#db.get(stateKey);
    if (!bytes) {
      await this.#clearOthers(0);
      return undefined;
    }
    const state = unpacker.unpack(bytes) as Partial<DiskState>;
    if (state.format !== storageFormat) {
      throw new StoreError(
        'StorageFormat',
        `the store's directory has format ${state.format}, this version knows ${storageFormat}`,
      );
    }
    const { generation, index, term, revision, hash } = state as DiskState;
    this.#generation = generation;
    await this.#clearOthers(generation);
    const recordPrefix = `${generationName(generation)}!r!`;
    await this.#each(recordPrefix, (key, value) => onRecord(decodeRecord(key.slice(recordPrefix.length), value)));
    const requests: RecordedRequest[] = [];
    let firstRequest: number | undefined;
    const requestPrefix = `${generationName(generation)}!q!`;
    await this.#each(requestPrefix, (key, value) => {
      firstRequest ??= Number.parseInt(key.slice(requestPrefix.length), 16);
      const request = unpackRequest(unpacker.unpack(value));
      if (!request) throw new StoreError('StorageFormat', `the store's directory holds an unreadable request at ${key}`);
      requests.push(request);
    });
    return { applied: { index, term, revision }, hash, requests, firstRequest: firstRequest ?? 0 };
  }

  /** Durable when it resolves. */
  async write(dirty: DirtyState): Promise<void> {
    const operations = this.#operations(this.#generation, dirty);
    operations.push(this.#stateOperation(this.#generation, dirty.applied));
    await this.#db.batch(operations, { sync: true });
  }

  /** Starts a new generation beside the current one. Nothing of it counts before `commit`. */
  beginGeneration(): NewGeneration {
    const old = this.#generation;
    const next = old + 1;
    return {
      write: async (records) => {
        const operations: BatchOperation[] = records.map((record) => ({
          type: 'put',
          key: `${generationName(next)}!r!${record.key}`,
          value: encodeRecord(record),
        }));
        // Synced each time: a log file that LevelDB has finished is not synced again by the last batch.
        await this.#db.batch(operations, { sync: true });
      },
      commit: async (applied, requests, firstRequest) => {
        // In parts, each a few milliseconds of this thread: none of it counts before the last batch.
        for (let from = 0; from < requests.length; from += requestBatchLength) {
          const part = requests.slice(from, from + requestBatchLength);
          const operations = part.map((request, i) => this.#requestOperation(next, firstRequest + from + i, request));
          await this.#db.batch(operations, { sync: true });
        }
        await this.#db.batch([this.#stateOperation(next, applied)], { sync: true });
        this.#generation = next;
      },
      abandon: () => this.#clear(next),
      clearOld: () => this.#clear(old),
    };
  }

  close(): Promise<void> {
    return this.#db.close();
  }

  #operations(generation: number, dirty: DirtyState): BatchOperation[] {
    const operations: BatchOperation[] = [];
    for (const [key, record] of dirty.records) {
      const name = `${generationName(generation)}!r!${key}`;
      operations.push(record ? { type: 'put', key: name, value: encodeRecord(record) } : { type: 'del', key: name });
    }
    dirty.requests.forEach((request, i) => {
      operations.push(this.#requestOperation(generation, dirty.requestsFrom + i, request));
    });
    for (let sequence = dirty.evictedFrom; sequence < dirty.evictedTo; sequence++) {
      operations.push({ type: 'del', key: requestName(generation, sequence) });
    }
    return operations;
  }

  #requestOperation(generation: number, sequence: number, request: RecordedRequest): BatchOperation {
    return { type: 'put', key: requestName(generation, sequence), value: packer.pack(packRequest(request)) };
  }

  #stateOperation(generation: number, applied: HashedState): BatchOperation {
    const { index, term, revision, hash } = applied;
    const state: DiskState = { format: storageFormat, generation, index, term, revision, hash };
    return { type: 'put', key: stateKey, value: packer.pack(state) };
  }

  async #each(prefix: string, visit: (key: string, value: Buffer) => void): Promise<void> {
    const iterator = this.#db.iterator({ gte: prefix, lt: after(prefix) });
    try {
      for (;;) {
        const entries = await iterator.nextv(loadBatchLength);
        if (entries.length === 0) return;
        for (const [key, value] of entries) visit(key, value);
      }
    } finally {
      await iterator.close();
    }
  }

  /** Removes what an interrupted restore left behind. */
  async #clearOthers(generation: number): Promise<void> {
    await this.#db.clear({ gte: generationName(0), lt: generationName(generation) });
    await this.#db.clear({ gte: generationName(generation + 1), lt: 'h' });
  }

  #clear(generation: number): Promise<void> {
    const prefix = `${generationName(generation)}!`;
    return this.#db.clear({ gte: prefix, lt: after(prefix) });
  }
}

export interface NewGeneration {
  write(records: readonly StoreRecord[]): Promise<void>;
  /** The new generation becomes the state, durably. `firstRequest` is the sequence number of the first of `requests`. */
  commit(applied: HashedState, requests: readonly RecordedRequest[], firstRequest: number): Promise<void>;
  /** Removes the new generation, which was not committed. */
  abandon(): Promise<void>;
  /** Removes the old generation, after `commit`. */
  clearOld(): Promise<void>;
}

function generationName(generation: number): string {
  return `g${generation.toString(16).padStart(8, '0')}`;
}

function requestName(generation: number, sequence: number): string {
  return `${generationName(generation)}!q!${sequence.toString(16).padStart(12, '0')}`;
}

/** The least string after all that start with `prefix`, which ends in '!'. */
function after(prefix: string): string {
  return `${prefix.slice(0, -1)}"`;
}

function encodeRecord(record: StoreRecord): Buffer {
  const bytes = Buffer.allocUnsafe(recordHeaderBytes + record.value.length);
  bytes.writeUIntBE(record.createRevision, 0, 6);
  bytes.writeUIntBE(record.modRevision, 6, 6);
  bytes.set(record.value, recordHeaderBytes);
  return bytes;
}

function decodeRecord(key: string, bytes: Buffer): StoreRecord {
  return {
    key,
    value: bytes.subarray(recordHeaderBytes),
    createRevision: bytes.readUIntBE(0, 6),
    modRevision: bytes.readUIntBE(6, 6),
  };
}
