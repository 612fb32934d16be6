/**
 * What only the leader can do, asked for on any peer: proposals, read indexes, membership changes, transfers. On the leader they
 * go to its core; elsewhere to the leader by a numbered request. What is known not to have happened, and what may happen twice,
 * is tried again here until the deadline; a proposal that may be in the log is not.
 */
import { type Deferred, deferred } from '../lib/deferred.ts';
import { errorMessage } from '../lib/errors.ts';
import type { RaftCore } from './core.ts';
import { ConsensusError, type ConsensusErrorCode } from './errors.ts';
import type { LeaderRequest, WireMessage } from './frames.ts';
import type { ReadState } from './read-rounds.ts';
import { NumberedWaiters, ProposalWaiters } from './requests.ts';
import type { PeerId } from './types.ts';

export interface LeaderRequestsOptions {
  nowMs: () => number;
  requestsMax: number;
  requestTimeoutMs: number;
  /** Throws 'Stopped'. */
  core: () => RaftCore;
  send: (to: PeerId, message: WireMessage) => void;
  /** The core broke an invariant. */
  onFatal: (error: unknown) => void;
  /** The core has something to do. */
  wake: () => void;
}

/** Nothing happened, or may happen again without harm. */
const retried: Record<LeaderRequest['type'], readonly ConsensusErrorCode[]> = {
  propose: ['NoLeader', 'NotLeader', 'ProposalDropped'],
  read: ['NoLeader', 'NotLeader'],
  change: ['NoLeader', 'NotLeader', 'NotReady', 'ProposalDropped', 'ProposalUnknown'],
  transfer: ['NoLeader', 'NotLeader'],
};

const noLeader = () => new ConsensusError('NoLeader', 'there is no leader');

export class LeaderRequests {
  readonly #options: LeaderRequestsOptions;
  readonly #proposals = new ProposalWaiters();
  readonly #reads = new NumberedWaiters();
  readonly #forwarded = new NumberedWaiters();
  #transfers: { to: PeerId; deadlineMs: number; result: Deferred<number> }[] = [];
  /** Reads of this turn share one number in the core, or one request to the leader. */
  #openRead: { leader: PeerId; result: Promise<number> } | undefined;
  #retries: Deferred<void> = deferred();
  #waiting = 0;
  readonly #served = new Map<PeerId, number>();
  #stopped: ConsensusError | undefined;

  constructor(options: LeaderRequestsOptions) {
    this.#options = options;
  }

  /** Resolves with an index. Rejects with a ConsensusError. */
  async submit(request: LeaderRequest): Promise<number> {
    const { nowMs, requestsMax, requestTimeoutMs } = this.#options;
    if (this.#waiting >= requestsMax) throw new ConsensusError('Busy', 'too many calls wait', { requestsMax });
    const deadlineMs = nowMs() + requestTimeoutMs;
    this.#waiting++;
    try {
      for (;;) {
        try {
          return await this.#attempt(request, deadlineMs);
        } catch (error) {
          if (!(error instanceof ConsensusError) || this.#stopped || !retried[request.type].includes(error.code)) throw error;
          if (nowMs() >= deadlineMs) throw error.code === 'NotLeader' ? noLeader() : error;
        }
        await this.#retries.promise;
      }
    } finally {
      this.#waiting--;
    }
  }

  #attempt(request: LeaderRequest, deadlineMs: number): Promise<number> {
    const core = this.#options.core();
    const { leader } = core;
    if (leader === undefined) throw noLeader();
    if (request.type !== 'read')
      return leader === core.id ? this.#lead(core, request, deadlineMs) : this.#forward(leader, request, deadlineMs);
    if (this.#openRead?.leader !== leader) {
      const result = leader === core.id ? this.#lead(core, request, deadlineMs) : this.#forward(leader, request, deadlineMs);
      this.#openRead = { leader, result };
      this.#options.wake();
    }
    return this.#openRead.result;
  }

  #forward(leader: PeerId, request: LeaderRequest, deadlineMs: number): Promise<number> {
    const lost = request.type === 'propose' ? () => new ConsensusError('ProposalUnknown', 'the leader did not answer') : noLeader;
    const { id, promise } = this.#forwarded.add(deadlineMs, lost, leader);
    this.#options.send(leader, { kind: 'request', id, request });
    return promise;
  }

  async #lead(core: RaftCore, request: LeaderRequest, deadlineMs: number): Promise<number> {
    try {
      return await this.#give(core, request, deadlineMs);
    } catch (error) {
      if (!(error instanceof ConsensusError)) this.#options.onFatal(error);
      throw error;
    }
  }

  #give(core: RaftCore, request: LeaderRequest, deadlineMs: number): Promise<number> {
    this.#options.wake();
    switch (request.type) {
      case 'propose':
        return this.#proposals.add(core.propose(request.data), deadlineMs);
      case 'change': {
        const position = core.proposeMembership(request.change);
        return position ? this.#proposals.add(position, deadlineMs) : Promise.resolve(core.log.commit);
      }
      case 'read': {
        const { id, promise } = this.#reads.add(deadlineMs, noLeader);
        try {
          core.readIndex(id);
        } catch (error) {
          this.#reads.reject(id, error);
        }
        return promise;
      }
      case 'transfer': {
        core.transferLeadership(request.to);
        if (request.to === core.id) return Promise.resolve(core.log.commit);
        const result = deferred<number>();
        this.#transfers.push({ to: request.to, deadlineMs, result });
        return result.promise;
      }
    }
  }

  /** A request of another peer, or an answer to one of ours. */
  receive(from: PeerId, wire: Extract<WireMessage, { kind: 'request' | 'answer' | 'refusal' }>): void {
    switch (wire.kind) {
      case 'answer':
        this.#forwarded.resolve(wire.id, wire.index, from);
        break;
      case 'refusal':
        this.#forwarded.reject(wire.id, new ConsensusError(wire.code, wire.text), from);
        break;
      case 'request':
        void this.#serve(from, wire.id, wire.request);
    }
  }

  async #serve(from: PeerId, id: number, request: LeaderRequest): Promise<void> {
    const { nowMs, requestsMax, requestTimeoutMs, core, send } = this.#options;
    const served = this.#served.get(from) ?? 0;
    let answer: WireMessage;
    this.#served.set(from, served + 1);
    try {
      if (served >= requestsMax)
        throw new ConsensusError('Busy', 'the leader serves too many requests of this peer', { requestsMax });
      answer = { kind: 'answer', id, index: await this.#lead(core(), request, nowMs() + requestTimeoutMs) };
    } catch (error) {
      const code = error instanceof ConsensusError ? error.code : 'Stopped';
      answer = { kind: 'refusal', id, code, text: errorMessage(error).slice(0, 1000) || code };
    }
    const left = this.#served.get(from)! - 1;
    if (left === 0) this.#served.delete(from);
    else this.#served.set(from, left);
    if (!this.#stopped) send(from, answer);
  }

  /** A message that the network did not take: a request in it never reached the leader. */
  lost(to: PeerId, message: WireMessage): void {
    if (message.kind === 'request') this.#forwarded.reject(message.id, noLeader(), to);
  }

  /** Once in each turn of the driver. */
  turn(readStates: readonly ReadState[]): void {
    this.#openRead = undefined;
    for (const { id, index } of readStates) this.#reads.resolve(id, index);
    this.#proposals.committed(this.#options.core().log);
  }

  /** Role, term or leader may have changed. */
  changed(): void {
    const { id, role, leader } = this.#options.core();
    if (role !== 'leader') this.#reads.loseAllBut(undefined);
    this.#forwarded.loseAllBut(leader === id ? undefined : leader);
    this.#transfers = this.#transfers.filter(({ to, result }) => {
      if (leader === to) result.resolve(0);
      return leader !== to;
    });
    this.#retryNow();
  }

  /** Once per tick. */
  tick(): void {
    const nowMs = this.#options.nowMs();
    this.#proposals.expire(nowMs);
    this.#reads.expire(nowMs);
    this.#forwarded.expire(nowMs);
    const { id, role, leader, transferringTo } = this.#options.core();
    this.#transfers = this.#transfers.filter(({ to, deadlineMs, result }) => {
      const givenUp = role === 'leader' && transferringTo !== to;
      const elsewhere = leader !== undefined && leader !== id && leader !== to;
      if (!givenUp && !elsewhere && deadlineMs > nowMs) return true;
      result.reject(new ConsensusError('TransferFailed', `${to} did not take over the leadership`, { to }));
      return false;
    });
    this.#retryNow();
  }

  stop(error: ConsensusError): void {
    this.#stopped = error;
    this.#proposals.rejectAll(error);
    this.#reads.rejectAll(error);
    this.#forwarded.rejectAll(error);
    for (const { result } of this.#transfers) result.reject(error);
    this.#transfers = [];
    this.#retryNow();
  }

  #retryNow(): void {
    this.#retries.resolve();
    this.#retries = deferred();
  }
}
