/** The operators of a simulated cluster: which members they change next. They know which machines are lost for good. */
import { changedMembership } from '../../src/consensus/membership.ts';
import type { Membership, MembershipChange, PeerId } from '../../src/consensus/types.ts';
import type { Random } from '../../src/lib/random.ts';

/** Undefined: nothing now. No voter set depends on peers that are lost. */
export function nextChange(
  membership: Membership,
  peers: readonly { id: PeerId }[],
  lost: ReadonlySet<PeerId>,
  random: Random,
): MembershipChange | undefined {
  const change = someChange(membership, peers, lost, random);
  const voters = change && membership.votersOutgoing.length === 0 ? (changedMembership(membership, change)?.voters ?? []) : [];
  return voters.filter((peer) => lost.has(peer)).length * 2 < voters.length ? change : undefined;
}

/**
 * The next step towards `next` in the place of `former`, whose log had rot, in any order that a keeper may choose; undefined: done,
 * or `former` was no member. Nobody waits for a `next` that was lost in turn.
 */
export function nextReplacement(
  { voters, learners }: Membership,
  [former, next]: readonly [former: PeerId, next: PeerId],
  lost: ReadonlySet<PeerId>,
  random: Random,
): MembershipChange | undefined {
  if (!voters.includes(former) && !learners.includes(former)) return undefined;
  if (!lost.has(next)) {
    if (!voters.includes(next) && !learners.includes(next)) return { type: 'addLearner', peer: next };
    if (voters.includes(former) && learners.includes(next)) {
      const order = random.int(6);
      if (order > 1) return exchanged({ voters, learners }, next, former);
      if (order > 0) return { type: 'promote', peer: next };
    }
  }
  return voters.length > 1 || voters[0] !== former ? { type: 'remove', peer: former } : undefined;
}

/** One joint change, as the keeper makes it: nothing hangs on the newcomer. */
function exchanged(
  { voters, learners }: Pick<Membership, 'voters' | 'learners'>,
  enter: PeerId,
  leave: PeerId,
): MembershipChange {
  return {
    type: 'set',
    voters: [...voters.filter((peer) => peer !== leave), enter],
    learners: learners.filter((peer) => peer !== enter && peer !== leave),
  };
}

function someChange(
  { voters, learners }: Membership,
  peers: readonly { id: PeerId }[],
  lost: ReadonlySet<PeerId>,
  random: Random,
): MembershipChange | undefined {
  const any = <T>(items: readonly T[]) => items[random.int(items.length)]!;
  const dead = voters.find((peer) => lost.has(peer));
  const newcomer = learners.find((peer) => !lost.has(peer));
  if (dead !== undefined && newcomer !== undefined) return exchanged({ voters, learners }, newcomer, dead);
  if (random.int(3) === 0) {
    const candidates = [...voters, ...learners].filter((peer) => !lost.has(peer));
    const chosen = candidates.filter(() => random.int(2) === 0);
    const rest = candidates.filter((peer) => !chosen.includes(peer) && random.int(2) === 0);
    return chosen.length > 0 ? { type: 'set', voters: chosen, learners: rest } : undefined;
  }
  const peer = any(peers).id;
  if (voters.includes(peer)) {
    if (dead !== undefined && voters.length <= 3) return { type: 'remove', peer: dead };
    return { type: any(['remove', 'demote'] as const), peer };
  }
  if (learners.includes(peer)) {
    if (lost.has(peer)) return { type: 'remove', peer };
    return { type: any(['promote', 'promote', 'remove'] as const), peer };
  }
  return lost.has(peer) ? undefined : { type: 'addLearner', peer };
}
