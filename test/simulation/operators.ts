/** The operators of a simulated cluster: which members they change next. They know which machines are lost for good. */
import type { Membership, MembershipChange, PeerId } from '../../src/consensus/types.ts';
import type { Random } from '../../src/lib/random.ts';

/** Undefined: nothing now. Peers that are lost never make a voter set smaller than three depend on them. */
export function nextChange(
  { voters, learners }: Membership,
  peers: readonly { id: PeerId }[],
  lost: ReadonlySet<PeerId>,
  random: Random,
): MembershipChange | undefined {
  const any = <T>(items: readonly T[]) => items[random.int(items.length)]!;
  const dead = voters.find((peer) => lost.has(peer));
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
