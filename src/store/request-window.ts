/**
 * The results of the latest transactions by request id, so that one that comes again has no second effect. Part of the
 * state: filled and evicted in log order, the same on every peer (all must have the same capacity).
 */
import { assert } from '../lib/assert.ts';
import { SetHash } from './state-hash.ts';
import type { TransactionResult } from './types.ts';

export interface RecordedRequest {
  requestId: string;
  result: TransactionResult;
}

export class RequestWindow {
  /** Of the requests in the window. */
  readonly hash = new SetHash();
  readonly #capacity: number;
  readonly #results = new Map<string, TransactionResult>();
  /** Ids in the order they came; the one at index i has the sequence number #base + i. */
  #ids: string[] = [];
  #base: number;
  #head = 0;

  /** `firstSequence` is the number of the first request to be recorded, 0 for a new window. */
  constructor(capacity: number, firstSequence = 0) {
    this.#capacity = capacity;
    this.#base = firstSequence;
  }

  get size(): number {
    return this.#results.size;
  }

  /** Sequence number of the oldest request held. */
  get first(): number {
    return this.#base + this.#head;
  }

  /** Sequence number that the next request gets. */
  get next(): number {
    return this.#base + this.#ids.length;
  }

  get(requestId: string): TransactionResult | undefined {
    return this.#results.get(requestId);
  }

  record(requestId: string, result: TransactionResult): void {
    assert(!this.#results.has(requestId), 'a request is recorded once');
    this.#results.set(requestId, result);
    this.hash.toggle(hashed(requestId, result));
    this.#ids.push(requestId);
    while (this.#results.size > this.#capacity) this.#evict();
    if (this.#head > 1024 && this.#head * 2 > this.#ids.length) {
      this.#ids = this.#ids.slice(this.#head);
      this.#base += this.#head;
      this.#head = 0;
    }
  }

  #evict(): void {
    const oldest = this.#ids[this.#head]!;
    this.hash.toggle(hashed(oldest, this.#results.get(oldest)!));
    this.#results.delete(oldest);
    this.#head++;
  }

  /** The requests from sequence number `from` on, oldest first. */
  from(from: number): RecordedRequest[] {
    const ids = this.#ids.slice(Math.max(from, this.first) - this.#base);
    return ids.map((requestId) => ({ requestId, result: this.#results.get(requestId)! }));
  }
}

function hashed(requestId: string, result: TransactionResult): string {
  const failed = result.ok ? '' : ` ${result.failed.modRevision} ${result.failed.key}`;
  return `${requestId.length} ${requestId} ${result.revision}${failed}`;
}

type Packed = [requestId: string, revision: number] | [requestId: string, revision: number, key: string, modRevision: number];

export function packRequest({ requestId, result }: RecordedRequest): Packed {
  return result.ok ? [requestId, result.revision] : [requestId, result.revision, result.failed.key, result.failed.modRevision];
}

/** Undefined when `packed` has not the shape that packRequest gives. */
export function unpackRequest(packed: unknown): RecordedRequest | undefined {
  if (!Array.isArray(packed)) return undefined;
  const [requestId, revision, key, modRevision] = packed as unknown[];
  if (typeof requestId !== 'string' || typeof revision !== 'number') return undefined;
  if (packed.length === 2) return { requestId, result: { ok: true, revision } };
  if (typeof key !== 'string' || typeof modRevision !== 'number') return undefined;
  return { requestId, result: { ok: false, revision, failed: { key, modRevision } } };
}
