/**
 * The arithmetic of majorities, for plain and joint memberships: a joint membership needs a majority of both groups
 * (dissertation 4.3). All functions are pure.
 */
import type { Membership, PeerId } from './types.ts';

export type VoteOutcome = 'won' | 'lost' | 'pending';

function groups(membership: Membership): PeerId[][] {
  return membership.votersOutgoing.length > 0 ? [membership.voters, membership.votersOutgoing] : [membership.voters];
}

/** The greatest value that a majority of the voters has reached. Infinity when there are no voters. */
export function quorumValue(membership: Membership, reached: (peer: PeerId) => number): number {
  let least = Number.POSITIVE_INFINITY;
  for (const group of groups(membership)) {
    if (group.length === 0) continue;
    const values = group.map(reached).sort((a, b) => b - a);
    least = Math.min(least, values[Math.floor(group.length / 2)]!);
  }
  return least;
}

/** Whether the peers for which `holds` is true are a quorum. Never with no voters at all. */
export function isQuorum(membership: Membership, holds: (peer: PeerId) => boolean): boolean {
  return membership.voters.length > 0 && groups(membership).every((group) => group.filter(holds).length * 2 > group.length);
}

/** Lost as soon as the missing votes could not win any more. */
export function voteOutcome(membership: Membership, votes: ReadonlyMap<PeerId, boolean>): VoteOutcome {
  if (isQuorum(membership, (peer) => votes.get(peer) === true)) return 'won';
  if (isQuorum(membership, (peer) => votes.get(peer) !== false)) return 'pending';
  return 'lost';
}
