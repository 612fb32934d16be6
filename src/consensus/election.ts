/** The timer that makes a peer ask for votes, and the votes it got. Ticks come from outside, randomness too. */
import type { Random } from '../lib/random.ts';
import { type VoteOutcome, voteOutcome } from './quorum.ts';
import type { Membership, PeerId } from './types.ts';

export class Election {
  /** Ticks since the leader was heard, a vote was given, or the last attempt. */
  elapsed = 0;
  readonly #ticks: number;
  readonly #random: Random;
  #timeout = 0;
  #votes = new Map<PeerId, boolean>();

  /** The timeout is drawn anew for each attempt, from ticks + 1 to 2 × ticks. */
  constructor(ticks: number, random: Random) {
    this.#ticks = ticks;
    this.#random = random;
    this.restart();
  }

  /** Starts waiting anew, without votes. */
  restart(): void {
    this.elapsed = 0;
    this.#timeout = this.#ticks + 1 + this.#random.int(this.#ticks);
    this.#votes.clear();
  }

  get isDue(): boolean {
    return this.elapsed >= this.#timeout;
  }

  /** The leader was heard so recently that nobody needs to replace it. */
  get leaseHolds(): boolean {
    return this.elapsed < this.#ticks;
  }

  hasVoteOf(peer: PeerId): boolean {
    return this.#votes.has(peer);
  }

  /** The first answer of a peer counts. */
  count(peer: PeerId, granted: boolean, membership: Membership): VoteOutcome {
    if (!this.#votes.has(peer)) this.#votes.set(peer, granted);
    return voteOutcome(membership, this.#votes);
  }
}
