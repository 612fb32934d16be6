/**
 * Who takes part. A membership is in force as soon as its entry is in the log, committed or not (dissertation 4.1); when that
 * entry is overwritten the one before is in force again. The history kept here reaches back to the log's first entry.
 */
import { assert } from '../lib/assert.ts';
import { ConsensusError } from './errors.ts';
import type { Entry, Membership, MembershipChange, PeerId } from './types.ts';

export const noMembers: Membership = { voters: [], votersOutgoing: [], learners: [] };

export function isVoter(membership: Membership, peer: PeerId): boolean {
  return membership.voters.includes(peer) || membership.votersOutgoing.includes(peer);
}

export function allMembers(membership: Membership): Set<PeerId> {
  return new Set([...membership.voters, ...membership.votersOutgoing, ...membership.learners]);
}

/** A joint membership is in force: a majority of the old voters and one of the new voters must agree on everything. */
export function isJoint({ votersOutgoing }: Membership): boolean {
  return votersOutgoing.length > 0;
}

/** What follows a joint membership. */
export function afterJoint({ voters, learners }: Membership): Membership {
  return { voters, votersOutgoing: [], learners };
}

/**
 * The membership after `change`, joint when more than one voter changes; undefined when it is so already. Throws
 * ConsensusError 'InvalidChange' when a stranger is promoted or no voter would be left.
 */
export function changedMembership(membership: Membership, change: MembershipChange): Membership | undefined {
  if (change.type === 'set') return setMembership(membership, change);
  const { voters, learners } = membership;
  const { peer } = change;
  switch (change.type) {
    case 'addLearner':
      return allMembers(membership).has(peer) ? undefined : { ...membership, learners: [...learners, peer].sort() };
    case 'promote':
      if (voters.includes(peer)) return undefined;
      if (!learners.includes(peer)) throw new ConsensusError('InvalidChange', `${peer} is not a learner`, { change });
      return { ...membership, voters: [...voters, peer].sort(), learners: learners.filter((other) => other !== peer) };
    case 'demote':
      if (learners.includes(peer)) return undefined;
      if (!voters.includes(peer)) throw new ConsensusError('InvalidChange', `${peer} is not a voter`, { change });
      if (voters.length === 1) throw new ConsensusError('InvalidChange', 'the last voter cannot be demoted', { change });
      return { ...membership, voters: voters.filter((other) => other !== peer), learners: [...learners, peer].sort() };
    case 'remove':
      if (!allMembers(membership).has(peer)) return undefined;
      if (voters.length === 1 && voters[0] === peer) {
        throw new ConsensusError('InvalidChange', 'the last voter cannot be removed', { change });
      }
      return {
        ...membership,
        voters: voters.filter((other) => other !== peer),
        learners: learners.filter((other) => other !== peer),
      };
  }
}

type SetChange = Extract<MembershipChange, { type: 'set' }>;

function setMembership(membership: Membership, change: SetChange): Membership | undefined {
  const voters = [...change.voters].sort();
  const learners = [...change.learners].sort();
  if (voters.length === 0) throw new ConsensusError('InvalidChange', 'a cluster needs a voter', { change });
  if (new Set([...voters, ...learners]).size < voters.length + learners.length) {
    throw new ConsensusError('InvalidChange', 'a peer is named twice', { change });
  }
  const before = membership.voters;
  const added = voters.filter((peer) => !before.includes(peer));
  const gone = before.filter((peer) => !voters.includes(peer));
  const stranger = added.find((peer) => !membership.learners.includes(peer));
  if (stranger !== undefined) throw new ConsensusError('InvalidChange', `${stranger} is not a learner`, { change });
  const same = learners.length === membership.learners.length && learners.every((peer) => membership.learners.includes(peer));
  if (added.length + gone.length === 0 && same) return undefined;
  // Majorities of voter sets that differ by one peer always meet (dissertation 4.1).
  return { voters, votersOutgoing: added.length + gone.length > 1 ? [...before] : [], learners };
}

const isPeerList = (value: unknown): value is PeerId[] =>
  Array.isArray(value) && value.every((peer) => typeof peer === 'string' && peer.length > 0);

/** A checked copy. Throws ConsensusError 'BadFrame'. */
export function checkedMembership(value: unknown): Membership {
  const { voters, votersOutgoing, learners } = (value ?? {}) as Partial<Record<keyof Membership, unknown>>;
  if (!isPeerList(voters) || !isPeerList(votersOutgoing) || !isPeerList(learners)) {
    throw new ConsensusError('BadFrame', 'not a membership');
  }
  return { voters, votersOutgoing, learners };
}

export function encodeMembership({ voters, votersOutgoing, learners }: Membership): Uint8Array {
  return Buffer.from(JSON.stringify({ voters, votersOutgoing, learners }));
}

/** Throws ConsensusError 'BadFrame'. */
export function decodeMembership(data: Uint8Array): Membership {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(data).toString());
  } catch (cause) {
    throw new ConsensusError('BadFrame', 'not a membership', {}, cause);
  }
  return checkedMembership(value);
}

export class MembershipHistory {
  #steps: { index: number; membership: Membership }[];

  /** `membership` as of `index`, the last entry that the log no longer holds. */
  constructor(index: number, membership: Membership) {
    this.#steps = [{ index, membership }];
  }

  /** The membership in force. */
  get current(): Membership {
    return this.#steps.at(-1)!.membership;
  }

  /** The entry that made it; while this is not committed, a change is pending. */
  get currentIndex(): number {
    return this.#steps.at(-1)!.index;
  }

  /** The membership as of an entry, which must not lie before the log's base. */
  at(index: number): Membership {
    const step = this.#steps.findLast((candidate) => candidate.index <= index);
    assert(step, `membership history does not reach back to ${index}`);
    return step.membership;
  }

  /** True when one of `entries`, just appended, changed the membership. */
  record(entries: readonly Entry[]): boolean {
    let changed = false;
    for (const entry of entries) {
      if (entry.kind !== 'membership') continue;
      this.#steps.push({ index: entry.index, membership: decodeMembership(entry.data) });
      changed = true;
    }
    return changed;
  }

  /** Forgets what entries from `index` on said. */
  truncate(index: number): void {
    while (this.#steps.length > 1 && this.#steps.at(-1)!.index >= index) this.#steps.pop();
    assert(this.#steps[0]!.index < index, 'membership history cut below its base');
  }

  /** Forgets steps that only entries up to `index` need. */
  compact(index: number): void {
    while (this.#steps.length > 1 && this.#steps[1]!.index <= index) this.#steps.shift();
  }
}
