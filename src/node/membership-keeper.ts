/**
 * Runs on the leader: makes Raft's membership follow the member records in the store. A new record becomes a learner, a learner
 * that has caught up becomes a voter while there are fewer than votersMax, a member without a record is removed. Level-driven:
 * each round takes at most one step, so a leader that dies in between leaves nothing half done.
 */
import type { ConsensusStatus, MembershipChange } from '../consensus/types.ts';

export const votersMax = 5;
/** A learner this close to the leader's log has caught up; the rest is in flight. */
const caughtUpEntries = 100;

/** The next step, or undefined when membership is as it should be. Pure. */
export function nextMembershipChange(status: ConsensusStatus, recorded: ReadonlySet<string>): MembershipChange | undefined {
  const { voters, votersOutgoing, learners } = status.membership;
  if (status.role !== 'leader' || votersOutgoing.length > 0) return undefined;
  const members = new Set([...voters, ...learners]);

  for (const peer of recorded) {
    if (!members.has(peer)) return { type: 'addLearner', peer };
  }
  for (const peer of learners) {
    if (!recorded.has(peer)) return { type: 'remove', peer };
    const progress = status.progress[peer];
    const caughtUp = progress?.active === true && progress.match > 0 && progress.match + caughtUpEntries >= status.lastIndex;
    if (caughtUp && voters.length < votersMax) return { type: 'promote', peer };
  }
  for (const peer of voters) {
    // The founder's record is written right after its first election; until then it is the only voter.
    if (!recorded.has(peer) && voters.length > 1) return { type: 'remove', peer };
  }
  return undefined;
}
