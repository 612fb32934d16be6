/**
 * Logs of peers that do not run: what one holds, and a fresh log for a peer that goes on alone from a known state. Used by recovery,
 * with the daemon stopped, and before a log is dropped.
 */
import { assert } from '../lib/assert.ts';
import { ConsensusError } from './errors.ts';
import { type StoredLog, settleRestore, storedAfter } from './log-batch.ts';
import { LevelLogStorage } from './log-storage.ts';
import { MembershipHistory } from './membership.ts';
import type { Entry, Membership, PeerId } from './types.ts';

/** A log as its peer would find it at its next start. */
export interface OfflineLog {
  /** The highest term that the peer has seen. */
  term: number;
  /** The last index that the peer knew to be committed; what it has applied is committed too. */
  committed: number;
  base: { index: number; term: number };
  /** What follows `base`, without gaps. */
  entries: Entry[];
  last: { index: number; term: number };
  /** As of the last entry, committed or not. */
  membership: Membership;
}

/**
 * Reads the log in `folder` beside a state machine that holds everything up to `applied`. Undefined: nothing was ever written.
 * LevelDB tidies a folder when it opens it: give it a copy. Throws ConsensusError 'LogCorrupt', 'StorageFailed' or
 * 'StateMismatch'.
 */
export async function readOfflineLog(folder: string, applied: { index: number; term: number }): Promise<OfflineLog | undefined> {
  const storage = await LevelLogStorage.open(folder);
  let stored: StoredLog | undefined;
  try {
    stored = await storage.load();
  } finally {
    await storage.close();
  }
  if (!stored) return undefined;
  const settle = settleRestore(stored, applied);
  if (settle) stored = storedAfter(stored, settle);
  const { base, entries, hardState } = stored;
  const expected = applied.index === base.index ? base.term : entries[applied.index - base.index - 1]?.term;
  if (expected !== applied.term) {
    throw new ConsensusError(
      'StateMismatch',
      `the state stands at entry ${applied.index} of term ${applied.term}, the log beside it does not have that entry`,
      { applied, firstIndex: base.index + 1, lastIndex: base.index + entries.length },
    );
  }
  const { index, term } = entries.at(-1) ?? base;
  const members = new MembershipHistory(base.index, base.membership);
  members.record(entries);
  return {
    term: hardState.term,
    committed: Math.min(Math.max(hardState.commit, applied.index), index),
    base: { index: base.index, term: base.term },
    entries,
    last: { index, term },
    membership: members.current,
  };
}

/** The highest term that the peer of this log has seen; 0 when nothing was ever written. */
export async function readTerm(folder: string): Promise<number> {
  const storage = await LevelLogStorage.open(folder);
  try {
    return (await storage.load())?.hardState.term ?? 0;
  } finally {
    await storage.close();
  }
}

export interface FreshLog {
  /** The only voter. */
  peer: PeerId;
  /** What the state machine beside the log holds. */
  applied: { index: number; term: number };
  /** Must not be below the term of `applied`. */
  term: number;
}

/** Writes to a new folder the log of a cluster of one peer that begins behind `applied`. Durable when it resolves. */
export async function writeFreshLog(folder: string, { peer, applied, term }: FreshLog): Promise<void> {
  assert(term >= applied.term, `term ${term} is behind the state's term ${applied.term}`);
  const membership: Membership = { voters: [peer], votersOutgoing: [], learners: [] };
  const storage = await LevelLogStorage.open(folder);
  try {
    assert((await storage.load()) === undefined, 'a fresh log needs a folder without one');
    await storage.write({
      hardState: { term, vote: undefined, commit: applied.index },
      snapshot: { index: applied.index, term: applied.term, membership },
    });
  } finally {
    await storage.close();
  }
}
