/**
 * Read index (dissertation 6.4): a read is given the commit index of a moment at which this peer was surely still the leader.
 * Many reads share one round of heartbeats; a round is confirmed when a quorum has answered it or a later one.
 */
import { quorumValue } from './quorum.ts';
import type { Membership, PeerId } from './types.ts';

export interface ReadState {
  /** As given to `readIndex`. */
  id: number;
  /** State applied up to here shows every write acknowledged before the read came. */
  index: number;
}

/** Reads that come while this many rounds are under way gather for the next one. */
const roundsMax = 4;

export class ReadRounds {
  #round = 0;
  #gathering: number[] = [];
  #waiting: { round: number; index: number; ids: number[] }[] = [];
  readonly #answers = new Map<PeerId, number>();

  /** The latest round; every heartbeat carries it. */
  get round(): number {
    return this.#round;
  }

  /** How many reads wait. */
  get size(): number {
    return this.#waiting.reduce((sum, { ids }) => sum + ids.length, this.#gathering.length);
  }

  add(id: number): void {
    this.#gathering.push(id);
  }

  /** Opens a round at `commit` for what has gathered. False when there is nothing to open or too many rounds are open. */
  open(commit: number): boolean {
    if (this.#gathering.length === 0 || this.#waiting.length >= roundsMax) return false;
    this.#waiting.push({ round: ++this.#round, index: commit, ids: this.#gathering });
    this.#gathering = [];
    return true;
  }

  answered(peer: PeerId, round: number): void {
    this.#answers.set(peer, Math.max(round, this.#answers.get(peer) ?? 0));
  }

  /** Takes the reads that a quorum, with this peer `self`, has confirmed. */
  takeConfirmed(membership: Membership, self: PeerId): ReadState[] {
    if (this.#waiting.length === 0) return [];
    const confirmed = quorumValue(membership, (peer) => (peer === self ? this.#round : (this.#answers.get(peer) ?? 0)));
    const states: ReadState[] = [];
    while (this.#waiting.length > 0 && this.#waiting[0]!.round <= confirmed) {
      const { index, ids } = this.#waiting.shift()!;
      for (const id of ids) states.push({ id, index });
    }
    return states;
  }
}
