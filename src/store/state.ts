/**
 * The pure heart of the store: what one committed entry does to the state. No clock, no random, no disk; everything here
 * is equal on all peers that have applied the same entries.
 */
import { createHash } from 'node:crypto';
import { assert } from '../lib/assert.ts';
import { StoreError } from './errors.ts';
import { OrderedRecords } from './ordered-records.ts';
import { RequestWindow } from './request-window.ts';
import { decodeTransaction } from './transaction.ts';
import type { Operation, StoreEvent, StoreRecord, Transaction, TransactionResult } from './types.ts';

/** One committed entry, as consensus hands it over. */
export interface LogEntry {
  index: number;
  term: number;
  kind: 'normal' | 'membership' | 'empty';
  data: Uint8Array;
}

export interface AppliedState {
  index: number;
  term: number;
  revision: number;
}

/** `requestId` and `result` are undefined for entries that are no transactions. No events: the revision stays. */
export interface Effect {
  requestId: string | undefined;
  result: TransactionResult | undefined;
  events: StoreEvent[];
}

/** Hexadecimal digits: 128 bits. */
const hashLength = 32;

export class State {
  readonly records: OrderedRecords;
  readonly requests: RequestWindow;
  #applied: AppliedState;
  #invalidEntries = 0;

  constructor(applied: AppliedState, records: OrderedRecords, requests: RequestWindow) {
    this.#applied = applied;
    this.records = records;
    this.requests = requests;
  }

  static empty(requestIdsMax: number): State {
    return new State({ index: 0, term: 0, revision: 0 }, new OrderedRecords(), new RequestWindow(requestIdsMax));
  }

  get applied(): AppliedState {
    return this.#applied;
  }

  get revision(): number {
    return this.#applied.revision;
  }

  /** Entries that could not be decoded since the start of the process. */
  get invalidEntries(): number {
    return this.#invalidEntries;
  }

  /** Applies the entry that follows the last one. */
  apply(entry: LogEntry): Effect {
    assert(entry.index === this.#applied.index + 1, `entry ${entry.index} does not follow ${this.#applied.index}`);
    const transaction = entry.kind === 'normal' ? this.#decode(entry.data) : undefined;
    const effect = transaction ? this.#transact(transaction) : { requestId: undefined, result: undefined, events: [] };
    const revision = this.revision + (effect.events.length > 0 ? 1 : 0);
    this.#applied = { index: entry.index, term: entry.term, revision };
    return effect;
  }

  /** Of everything that is equal on peers with the same applied index. Kept along with each change: costs next to nothing. */
  hash(): string {
    const { index, term, revision } = this.#applied;
    const { records, requests } = this;
    const parts = [index, term, revision, records.size, records.hash.hex(), requests.size, requests.hash.hex()];
    return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, hashLength);
  }

  /** Bytes that are no transaction have no effect: throwing would stop every peer, again after each restart. */
  #decode(data: Uint8Array): Transaction | undefined {
    try {
      return decodeTransaction(data);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#invalidEntries++;
      return undefined;
    }
  }

  #transact({ requestId, conditions, operations }: Transaction): Effect {
    const recorded = this.requests.get(requestId);
    if (recorded) return { requestId, result: recorded, events: [] };
    const failed = this.#failedCondition(conditions);
    const events = failed ? [] : this.#change(operations);
    const result: TransactionResult = failed
      ? { ok: false, revision: this.revision, failed }
      : { ok: true, revision: this.revision + (events.length > 0 ? 1 : 0) };
    this.requests.record(requestId, result);
    return { requestId, result, events };
  }

  /** The first condition that does not hold, with the revision that the key has instead. */
  #failedCondition(conditions: Transaction['conditions']): { key: string; modRevision: number } | undefined {
    for (const { key, modRevision } of conditions) {
      const current = this.records.get(key)?.modRevision ?? 0;
      if (current !== modRevision) return { key, modRevision: current };
    }
    return undefined;
  }

  #change(operations: readonly Operation[]): StoreEvent[] {
    const revision = this.revision + 1;
    const events: StoreEvent[] = [];
    for (const operation of operations) {
      const event = operation.type === 'put' ? this.#put(operation, revision) : this.#delete(operation.key, revision);
      if (event) events.push(event);
    }
    return events;
  }

  #put({ key, value }: { key: string; value: Uint8Array }, revision: number): StoreEvent {
    const createRevision = this.records.get(key)?.createRevision ?? revision;
    // Copied: the value is a view into an entry, or into a whole batch of entries as it came from the network.
    const record: StoreRecord = { key, value: Buffer.from(value), createRevision, modRevision: revision };
    return { type: 'put', record, previous: this.records.put(record), revision };
  }

  /** Deleting what is not there is no event. */
  #delete(key: string, revision: number): StoreEvent | undefined {
    const record = this.records.delete(key);
    return record && { type: 'delete', record, previous: record, revision };
  }
}
