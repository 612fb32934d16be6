/**
 * Which machines are to hold the log and the state. As many as can vote, 3 or 5, while more live than that; of fewer all of them:
 * a second machine does not vote, but its copy is all that is left when the first one's disk is lost. Pure.
 */
import type { PeerId } from '../consensus/types.ts';
import type { MembershipView } from './membership-keeper.ts';

export const votersMax = 5;
/** Up to so many machines all hold the log. */
const alwaysHolding = 3;

export const oddAtMost = (count: number) => (count % 2 === 0 ? count - 1 : count);

/** How many of `machines` that live and are willing are to hold the log. */
export function holdersWanted(machines: number): number {
  return machines <= alwaysHolding ? machines : oddAtMost(Math.min(votersMax, machines));
}

/**
 * Those that vote stay; then come those that an administrator asked for, then who needs the least to vote. A voter or learner
 * counts as alive until it has been dead for `graceMs`. Machines of an earlier version are counted when they live.
 */
export function logHolders({ status, recorded }: MembershipView, graceMs: number): Set<PeerId> {
  const { voters, learners } = status.membership;
  const willing: PeerId[] = [];
  for (const [peer, { wanted, deadForMs }] of recorded) {
    const patienceMs = voters.includes(peer) || learners.includes(peer) ? graceMs : 0;
    const lives = peer === status.id || deadForMs === undefined || deadForMs < patienceMs;
    if (lives && (wanted === 'auto' || wanted === 'voter')) willing.push(peer);
  }
  const asked = (peer: PeerId) => recorded.get(peer)?.wanted === 'voter';
  const effort = (peer: PeerId) => {
    if (voters.includes(peer)) return 0;
    const needs = learners.includes(peer) ? 1 : { held: 2, called: 3, none: 4, dismissed: 5 }[recorded.get(peer)?.log ?? 'held'];
    return asked(peer) ? needs : needs + 10;
  };
  const match = (peer: PeerId) => status.progress[peer]?.match ?? 0;
  const sorted = willing.toSorted((a, b) => effort(a) - effort(b) || match(b) - match(a) || (a < b ? -1 : 1));
  const chosen = new Set(sorted.slice(0, holdersWanted(willing.length)));
  for (const peer of sorted) if (voters.includes(peer) || (asked(peer) && chosen.size < votersMax)) chosen.add(peer);
  return chosen;
}
