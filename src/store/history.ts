/**
 * The event window: the events of the latest revisions, from which watches are served and lists at an older revision are
 * reconstructed. Bounded by revisions, by bytes and by age; what falls out is compacted. Local to a peer: not part of the state.
 */
import type { StoreEvent, StoreRecord } from './types.ts';

/** What one event costs beside its bytes: objects and array slots. */
const eventOverheadBytes = 160;

interface Batch {
  events: readonly StoreEvent[];
  bytes: number;
  /** When it was added, on the monotonic clock. */
  atMs: number;
}

export interface HistoryOptions {
  revisionsMax: number;
  bytesMax: number;
  ageMsMax: number;
  /** Monotonic. */
  nowMs: () => number;
  revision: number;
}

export class History {
  readonly #revisionsMax: number;
  readonly #bytesMax: number;
  readonly #ageMsMax: number;
  readonly #nowMs: () => number;
  /** One batch for each revision after #compacted; those before #head are gone. */
  #batches: (Batch | undefined)[] = [];
  #head = 0;
  #bytes = 0;
  #compacted: number;

  constructor(options: HistoryOptions) {
    this.#revisionsMax = options.revisionsMax;
    this.#bytesMax = options.bytesMax;
    this.#ageMsMax = options.ageMsMax;
    this.#nowMs = options.nowMs;
    this.#compacted = options.revision;
  }

  /** Events after this revision are all here; those up to it are not. */
  get compactedRevision(): number {
    return this.#compacted;
  }

  get revisions(): number {
    return this.#batches.length - this.#head;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The events of the revision that follows the last one added. */
  add(events: readonly StoreEvent[]): void {
    let bytes = 0;
    for (const { record, previous } of events) {
      bytes += eventOverheadBytes + record.key.length + record.value.length;
      if (previous && previous !== record) bytes += previous.value.length;
    }
    this.#batches.push({ events, bytes, atMs: this.#nowMs() });
    this.#bytes += bytes;
    this.expire();
    while (this.revisions > this.#revisionsMax || (this.#bytes > this.#bytesMax && this.revisions > 1)) this.#drop();
  }

  /** Drops what has become too old, but for the latest revision: most clients know that one. */
  expire(): void {
    const oldest = this.#nowMs() - this.#ageMsMax;
    while (this.revisions > 1 && this.#batches[this.#head]!.atMs < oldest) this.#drop();
  }

  /** Calls `visit` with the events of each revision after `revision`, oldest first. It must not be compacted. */
  forEachAfter(revision: number, visit: (events: readonly StoreEvent[]) => void): void {
    // By revision, not by index: `visit` may apply nothing, but the window must stay right even if it shrinks meanwhile.
    const end = this.#compacted + this.revisions;
    for (let next = Math.max(revision, this.#compacted) + 1; next <= end; next++) {
      const batch = this.#batches[this.#head + (next - this.#compacted) - 1];
      if (batch) visit(batch.events);
    }
  }

  /** For each key with `prefix` that changed after `revision`: its record as of that revision, undefined if it was absent. */
  recordsAt(revision: number, prefix: string): Map<string, StoreRecord | undefined> {
    const records = new Map<string, StoreRecord | undefined>();
    this.forEachAfter(revision, (events) => {
      for (const { record, previous } of events) {
        if (record.key.startsWith(prefix) && !records.has(record.key)) records.set(record.key, previous);
      }
    });
    return records;
  }

  #drop(): void {
    this.#bytes -= this.#batches[this.#head]!.bytes;
    this.#batches[this.#head] = undefined;
    this.#head++;
    this.#compacted++;
    if (this.#head > 1024 && this.#head * 2 > this.#batches.length) {
      this.#batches = this.#batches.slice(this.#head);
      this.#head = 0;
    }
  }
}
