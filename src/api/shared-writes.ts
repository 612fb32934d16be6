/**
 * Writes that change, beside their own object, a record that many share, such as a quota's usage. On the condition that it has not
 * changed only one of them could pass at a time; so those of one peer that come together are written together: each is charged to what
 * the former left of the record, and one transaction carries all of them.
 */
import { abortable, deferred } from '../lib/deferred.ts';
import { StatusError } from '../machinery/status.ts';
import type { ClusterStore, Condition, Operation, StoreRecord, TransactionResult } from '../store/types.ts';
import type { WriteIds } from './relay/relayed-write.ts';

/** A change of a shared record. */
export interface Charge {
  /** The part before the last slash names the group: writes of one group go together. */
  key: string;
  /** The record's next value when `value` is the present one; undefined when it concerns this write no more. StatusError when there is no room. */
  apply(record: StoreRecord, value: Uint8Array): Uint8Array | undefined;
}

export interface SharedWrite {
  conditions: Condition[];
  operations: Operation[];
  charges: Charge[];
}

/** `refused`: a charge found no room in what this peer knows. */
export type SharedResult = TransactionResult | { refused: StatusError };

interface Entry extends SharedWrite {
  resolve(result: SharedResult): void;
  reject(error: unknown): void;
}

/** Far below what a transaction may hold. */
const batchMax = 48;
const batchOperationsMax = 128;
const batchBytesMax = 2 * 1024 * 1024;
/** Attempts of one batch while other peers change the same records. */
const attemptsMax = 200;

interface Batch {
  entries: Entry[];
  conditions: Condition[];
  operations: Operation[];
  /** Keys of the shared records. */
  shared: Set<string>;
}

export class SharedWrites {
  readonly #store: ClusterStore;
  /** What waits in each group while a batch of it is under way. */
  readonly #groups = new Map<string, Entry[]>();

  constructor(store: ClusterStore) {
    this.#store = store;
  }

  /** As the store's own write. Rejects with the signal's reason, too; the write may then still take effect. */
  async write(write: SharedWrite, signal?: AbortSignal, ids?: WriteIds): Promise<SharedResult> {
    signal?.throwIfAborted();
    if (ids) return await this.#writeAlone(write, ids, signal);
    const { promise, resolve, reject } = deferred<SharedResult>();
    const first = write.charges[0]?.key ?? '';
    const group = first.slice(0, first.lastIndexOf('/'));
    const waiting = this.#groups.get(group);
    const entry = { ...write, resolve, reject };
    if (waiting) waiting.push(entry);
    else {
      const entries = [entry];
      this.#groups.set(group, entries);
      void this.#run(group, entries);
    }
    return abortable(promise, signal);
  }

  /** What has ids of its own cannot share a transaction. */
  async #writeAlone(write: SharedWrite, ids: WriteIds, signal?: AbortSignal): Promise<SharedResult> {
    for (let count = 0; count < attemptsMax; count++) {
      let refused: SharedResult | undefined;
      const entry: Entry = {
        ...write,
        resolve: (result) => {
          refused = result;
        },
        reject: () => undefined,
      };
      const { conditions, operations, shared } = this.#combine([entry], []);
      if (refused) return refused;
      const result = await this.#store.write({ conditions, operations, requestId: ids.next() }, signal);
      if (result.ok || !shared.has(result.failed.key)) return result;
    }
    return { ok: false, revision: this.#store.revision, failed: { key: write.charges[0]?.key ?? '', modRevision: 0 } };
  }

  /** Never rejects: every entry is told what became of it. */
  async #run(group: string, waiting: Entry[]): Promise<void> {
    while (waiting.length > 0) {
      const taken = waiting.splice(0, batchMax);
      try {
        waiting.unshift(...(await this.#commit(taken)));
      } catch (error) {
        for (const entry of taken) entry.reject(error);
      }
    }
    this.#groups.delete(group);
  }

  /** Gives what has to wait for the next batch. */
  async #commit(taken: Entry[]): Promise<Entry[]> {
    let left = taken;
    const later: Entry[] = [];
    for (let count = 0; count < attemptsMax && left.length > 0; count++) {
      const batch = this.#combine(left, later);
      if (batch.entries.length === 0) return later;
      const result = await this.#store.write({ conditions: batch.conditions, operations: batch.operations });
      if (result.ok) {
        for (const entry of batch.entries) entry.resolve(result);
        return later;
      }
      const { key } = result.failed;
      left = batch.entries;
      if (batch.shared.has(key)) continue;
      // It is the condition of single writes, which have to be planned again; the others go on.
      for (const entry of left) if (dependsOn(entry, key)) entry.resolve(result);
      left = left.filter((entry) => !dependsOn(entry, key));
    }
    for (const entry of left) {
      const key = entry.charges[0]?.key ?? '';
      entry.resolve({ ok: false, revision: this.#store.revision, failed: { key, modRevision: 0 } });
    }
    return later;
  }

  /** What fits together; those who find no room are told, those that stand in each other's way go to `later`. */
  #combine(entries: readonly Entry[], later: Entry[]): Batch {
    const records = new Map<string, { record: StoreRecord; value: Uint8Array }>();
    const conditions = new Map<string, number>();
    const operations = new Map<string, Operation>();
    const batch: Entry[] = [];
    let bytes = 0;
    for (const entry of entries) {
      const size = entry.operations.reduce((sum, one) => sum + (one.type === 'put' ? one.value.length : 0), 0);
      const clash =
        entry.operations.some(({ key }) => operations.has(key)) ||
        entry.conditions.some(({ key, modRevision }) => (conditions.get(key) ?? modRevision) !== modRevision);
      const full = bytes + size > batchBytesMax || operations.size + entry.operations.length > batchOperationsMax;
      if (clash || (full && batch.length > 0)) {
        later.push(entry);
        continue;
      }
      const charged = this.#charge(entry, records);
      if (charged instanceof StatusError) {
        entry.resolve({ refused: charged });
        continue;
      }
      for (const [key, state] of charged) records.set(key, state);
      for (const { key, modRevision } of entry.conditions) conditions.set(key, modRevision);
      for (const operation of entry.operations) operations.set(operation.key, operation);
      bytes += size;
      batch.push(entry);
    }
    for (const [key, { record, value }] of records) {
      conditions.set(key, record.modRevision);
      operations.set(key, { type: 'put', key, value });
    }
    return {
      entries: batch,
      conditions: [...conditions].map(([key, modRevision]) => ({ key, modRevision })),
      operations: [...operations.values()],
      shared: new Set(records.keys()),
    };
  }

  /** The shared records as they are after this write; nothing is charged when one of them has no room. */
  #charge({ charges }: Entry, records: ReadonlyMap<string, { record: StoreRecord; value: Uint8Array }>) {
    const charged = new Map<string, { record: StoreRecord; value: Uint8Array }>();
    try {
      for (const { key, apply } of charges) {
        const record = records.get(key)?.record ?? this.#store.get(key);
        if (!record) continue;
        const value = apply(record, records.get(key)?.value ?? record.value);
        if (value) charged.set(key, { record, value });
      }
    } catch (error) {
      if (error instanceof StatusError) return error;
      throw error;
    }
    return charged;
  }
}

const dependsOn = ({ conditions }: SharedWrite, of: string): boolean => conditions.some(({ key }) => key === of);
