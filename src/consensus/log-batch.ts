/**
 * What is written to the disk at once, and what it means. The functions here are the model; `log-storage.ts` does the same to a
 * database, and the simulation uses the model itself as its disk.
 */
import { assert } from '../lib/assert.ts';
import type { LogState } from './core.ts';
import type { HardState } from './ready.ts';
import type { Entry, SnapshotMeta } from './types.ts';

/** Applied in the order of the fields, atomically. */
export interface LogBatch {
  hardState?: HardState | undefined;
  /** All entries are dropped; the log starts anew behind this. */
  snapshot?: SnapshotMeta | undefined;
  /** Contiguous; the first replaces what stands at its index and all behind it. */
  entries?: Entry[];
  /** Entries up to here are dropped; the state machine holds them durably. */
  compactTo?: SnapshotMeta | undefined;
  /** A snapshot that is about to replace the state machine; null: no longer. */
  restoring?: SnapshotMeta | null | undefined;
}

/** All that a peer keeps on its disk for consensus. */
export interface StoredLog extends LogState {
  restoring: SnapshotMeta | undefined;
}

/** Durable storage of one log. Calls of `write` must not overlap. */
export interface LogStorage {
  /** What is there; undefined when nothing was ever written. Throws ConsensusError 'LogCorrupt'. */
  load(): Promise<StoredLog | undefined>;
  /** Resolves when the batch is durable; after a crash all of it is there or nothing. Throws 'StorageFailed'. */
  write(batch: LogBatch): Promise<void>;
}

/** `previous` with `next` appended, as entries on a log. */
export function spliceEntries(previous: readonly Entry[], next: readonly Entry[]): Entry[] {
  const first = next[0];
  if (!first) return [...previous];
  const kept = previous.findIndex((entry) => entry.index >= first.index);
  return [...(kept < 0 ? previous : previous.slice(0, kept)), ...next];
}

/** One batch that does what `first` and then `second` would do. */
export function mergeBatches(first: LogBatch, second: LogBatch): LogBatch {
  return {
    hardState: second.hardState ?? first.hardState,
    snapshot: second.snapshot ?? first.snapshot,
    entries: second.snapshot ? (second.entries ?? []) : spliceEntries(first.entries ?? [], second.entries ?? []),
    compactTo: second.compactTo ?? (second.snapshot ? undefined : first.compactTo),
    restoring: second.restoring === undefined ? first.restoring : second.restoring,
  };
}

/** What the disk holds after `batch`. */
export function storedAfter(stored: StoredLog, batch: LogBatch): StoredLog {
  let { base, entries } = stored;
  if (batch.snapshot) {
    base = batch.snapshot;
    entries = [];
  }
  if (batch.entries?.length) entries = spliceEntries(entries, batch.entries);
  if (batch.compactTo) {
    const { compactTo } = batch;
    base = compactTo;
    entries = entries.filter((entry) => entry.index > compactTo.index);
  }
  assert(!entries[0] || entries[0].index === base.index + 1, 'the stored log would have a gap');
  const restoring = batch.restoring === undefined ? stored.restoring : (batch.restoring ?? undefined);
  return { hardState: batch.hardState ?? stored.hardState, base, entries, restoring };
}

/**
 * Settles on start whether a snapshot that was under way reached the state machine, which says it holds everything up to
 * `durable`: then the log starts behind it. Undefined: nothing to settle.
 */
export function settleRestore(stored: StoredLog, durable: { index: number; term: number }): LogBatch | undefined {
  const { restoring, base, entries, hardState } = stored;
  if (!restoring) return undefined;
  const here = restoring.index === base.index ? base.term : entries[restoring.index - base.index - 1]?.term;
  const happened = durable.index === restoring.index && durable.term === restoring.term;
  if (!happened || here === restoring.term) return { restoring: null };
  const term = Math.max(hardState.term, restoring.term);
  const vote = term === hardState.term ? hardState.vote : undefined;
  return { hardState: { term, vote, commit: restoring.index }, snapshot: restoring, restoring: null };
}
