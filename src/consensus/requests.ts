/**
 * Who waits for what: proposals for their commit, reads for their round, requests to the leader for their answer. Every wait
 * has a deadline, checked once per tick; a wait that ends without knowledge says so by its error code.
 */
import { type Deferred, deferred } from '../lib/deferred.ts';
import type { Position } from './core.ts';
import { ConsensusError } from './errors.ts';
import type { LogView } from './log-view.ts';
import type { PeerId } from './types.ts';

interface Waiter {
  deadlineMs: number;
  result: Deferred<number>;
}

const unknown = (why: string) => new ConsensusError('ProposalUnknown', `${why}: the proposal may or may not be committed`);

/** Proposals in the log of this peer, in the order in which they were appended. */
export class ProposalWaiters {
  #waiters: (Waiter & Position)[] = [];

  /** Resolves with the index when the entry is committed; rejects with 'ProposalDropped' or 'ProposalUnknown'. */
  add(position: Position, deadlineMs: number): Promise<number> {
    const result = deferred<number>();
    this.#waiters.push({ ...position, deadlineMs, result });
    return result.promise;
  }

  /**
   * The commit index moved. A committed entry of a newer term before a proposal's place means that the proposal can never be
   * committed: every later leader has that entry, and terms in a log do not go back.
   */
  committed(log: Readonly<LogView>): void {
    const commitTerm = log.term(log.commit)!;
    let settled = 0;
    for (const { index, term, result } of this.#waiters) {
      if (index <= log.commit) {
        const actual = log.term(index);
        if (actual === term) result.resolve(index);
        else if (actual === undefined) result.reject(unknown('this peer fell behind'));
        else result.reject(new ConsensusError('ProposalDropped', 'another leader took the place of the proposal'));
      } else if (term < commitTerm) {
        result.reject(new ConsensusError('ProposalDropped', 'a new leader did not have the proposal'));
      } else break;
      settled++;
    }
    if (settled > 0) this.#waiters.splice(0, settled);
  }

  expire(nowMs: number): void {
    this.#waiters = this.#waiters.filter(({ deadlineMs, result }) => {
      if (deadlineMs > nowMs) return true;
      result.reject(unknown('no commit in time'));
      return false;
    });
  }

  rejectAll(error: ConsensusError): void {
    for (const { result } of this.#waiters) result.reject(error);
    this.#waiters = [];
  }
}

/** Waits with a number: reads in the core, and requests to another peer. */
export class NumberedWaiters {
  #next = 0;
  readonly #waiters = new Map<number, Waiter & { peer: PeerId | undefined; lost: () => ConsensusError }>();

  /** `lost` makes the error when the answer cannot come any more. `peer`: who will answer. */
  add(deadlineMs: number, lost: () => ConsensusError, peer?: PeerId): { id: number; promise: Promise<number> } {
    const id = ++this.#next;
    const result = deferred<number>();
    this.#waiters.set(id, { deadlineMs, result, peer, lost });
    return { id, promise: result.promise };
  }

  /** Answers that nobody waits for any more, or that come from someone else, are ignored. */
  resolve(id: number, index: number, peer?: PeerId): void {
    this.#take(id, peer)?.result.resolve(index);
  }

  reject(id: number, error: unknown, peer?: PeerId): void {
    this.#take(id, peer)?.result.reject(error);
  }

  /** Ends all waits but those for `peer`. */
  loseAllBut(peer: PeerId | undefined): void {
    for (const [id, waiter] of this.#waiters) {
      if (waiter.peer !== undefined && waiter.peer === peer) continue;
      this.#waiters.delete(id);
      waiter.result.reject(waiter.lost());
    }
  }

  expire(nowMs: number): void {
    for (const [id, waiter] of this.#waiters) {
      if (waiter.deadlineMs > nowMs) continue;
      this.#waiters.delete(id);
      waiter.result.reject(waiter.lost());
    }
  }

  rejectAll(error: ConsensusError): void {
    for (const { result } of this.#waiters.values()) result.reject(error);
    this.#waiters.clear();
  }

  #take(id: number, peer: PeerId | undefined): Waiter | undefined {
    const waiter = this.#waiters.get(id);
    if (!waiter || waiter.peer !== peer) return undefined;
    this.#waiters.delete(id);
    return waiter;
  }
}
