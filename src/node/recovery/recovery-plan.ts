/** Which of the logs at hand to go on from, and what that may cost. Pure. */
import type { Entry } from '../../consensus/types.ts';
import { decodeTransaction, StoreError } from '../../store/index.ts';
import { RecoveryError } from './errors.ts';
import type { Found, Inspected } from './inspection.ts';

/** An entry that will count as committed although no log at hand proves that it was. */
export interface UncertainEntry {
  index: number;
  term: number;
  kind: Entry['kind'];
  /** What a write changes. */
  keys: string[];
}

export interface RecoveryPlan {
  best: Inspected & { found: Found };
  /**
   * Whose state the best log goes on from: its own, or, when that is damaged, a sound one that this log continues. Damaged only
   * when there is no such one.
   */
  state: Inspected & { found: Found };
  /** Above every term in the logs at hand. */
  term: number;
  /** The last index that some log at hand proves to be committed. */
  committed: number;
  uncertain: UncertainEntry[];
  /** As of the best log. */
  voters: string[];
  /** Voters whose logs are at hand. */
  present: string[];
  /** A quorum of the voters is at hand, so that no acknowledged write can be missing. */
  complete: boolean;
}

/**
 * The best log is the one that Raft would elect: the highest last term, then the highest last index; among equals the first.
 * Throws RecoveryError 'NothingToRecover', or 'Contradiction' when the folders are not of one cluster.
 */
export function planRecovery(inspected: readonly Inspected[]): RecoveryPlan {
  const usable = inspected.filter((one): one is Inspected & { found: Found } => one.found !== undefined);
  const first = usable[0];
  if (!first) throw new RecoveryError('NothingToRecover', 'none of these folders holds a log and a state to go on from');
  const stranger = usable.find(({ found }) => found.clusterId !== first.found.clusterId);
  if (stranger) {
    throw new RecoveryError(
      'Contradiction',
      `${first.folder} is of cluster ${first.found.clusterId}, ${stranger.folder} of ${stranger.found.clusterId}: leave one out`,
    );
  }
  const best = usable.reduce((chosen, one) => (isBetter(one.found, chosen.found) ? one : chosen));
  const { log } = best.found;
  const committed = Math.max(...usable.map(({ found }) => found.log.committed));
  if (committed > log.last.index) {
    throw new RecoveryError(
      'Contradiction',
      `entry ${committed} is committed, but the best log ends at ${log.last.index}: these folders are not of one history; leave out the one that is not a member's last state`,
    );
  }
  const { voters, votersOutgoing } = log.membership;
  const at = new Set(usable.map(({ peer }) => peer));
  const present = [...new Set([...voters, ...votersOutgoing])].filter((voter) => at.has(voter));
  return {
    best,
    state: stateFor(best, usable),
    term: Math.max(...usable.map(({ found }) => Math.max(found.log.term, found.log.last.term))) + 1,
    committed,
    uncertain: log.entries.filter(({ index }) => index > committed).map(describe),
    voters,
    present,
    complete: isQuorum(voters, at) && (votersOutgoing.length === 0 || isQuorum(votersOutgoing, at)),
  };
}

/** Its own if that is sound, else the sound one that is furthest. */
function stateFor(best: Inspected & { found: Found }, usable: readonly (Inspected & { found: Found })[]): typeof best {
  if (best.found.damage === undefined) return best;
  const { base, entries } = best.found.log;
  const continues = ({ index, term }: Found['applied']) =>
    index === base.index ? term === base.term : entries[index - base.index - 1]?.term === term;
  const sound = usable.filter(({ found }) => found.damage === undefined && continues(found.applied));
  return sound.sort((a, b) => b.found.applied.index - a.found.applied.index)[0] ?? best;
}

function isBetter({ log: { last } }: Found, { log: { last: other } }: Found): boolean {
  return last.term > other.term || (last.term === other.term && last.index > other.index);
}

function isQuorum(voters: readonly string[], at: ReadonlySet<string | undefined>): boolean {
  return voters.filter((voter) => at.has(voter)).length > voters.length / 2;
}

function describe({ index, term, kind, data }: Entry): UncertainEntry {
  return { index, term, kind, keys: kind === 'normal' ? keysOf(data) : [] };
}

/** Bytes that are no transaction have no effect on any store. */
function keysOf(data: Uint8Array): string[] {
  try {
    return decodeTransaction(data).operations.map((operation) => operation.key);
  } catch (error) {
    if (error instanceof StoreError) return [];
    throw error;
  }
}
