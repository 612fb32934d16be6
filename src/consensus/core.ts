/**
 * Raft as a plain synchronous object: ticks and messages in, a `Ready` out. It knows no clock, disk, network or state machine;
 * its driver (`node.ts`, or the simulation) carries out what a Ready says and reports back. After Ongaro's dissertation; the
 * division between core and driver follows etcd-io/raft.
 *
 * It promises, for crashes that lose no confirmed write: at most one leader in a term; a committed entry is never lost or
 * changed; entries reach the state machine in order and once. Broken invariants throw BrokenInvariant; the core must not be
 * used after that.
 */
import { assert, unreachable } from '../lib/assert.ts';
import type { Random } from '../lib/random.ts';
import { Election } from './election.ts';
import { ConsensusError } from './errors.ts';
import { LogView } from './log-view.ts';
import { changedMembership, encodeMembership, isVoter, MembershipHistory } from './membership.ts';
import {
  type Append,
  type Heartbeat,
  isFromLeader,
  type Message,
  type SnapshotOffer,
  type VoteRequest,
  type VoteResponse,
  waitsForDisk,
} from './messages.ts';
import type { ReadState } from './read-rounds.ts';
import { DiskDebts, type HardState, type OutgoingMessage, type Ready } from './ready.ts';
import { Leadership } from './replication.ts';
import type { Entry, Membership, MembershipChange, PeerId, Role, SnapshotMeta } from './types.ts';

/** What a peer finds on its disk when it starts. `entries` follow `base` without gaps. */
export interface LogState {
  hardState: HardState;
  base: SnapshotMeta;
  entries: Entry[];
}

export interface CoreOptions {
  id: PeerId;
  state: LogState;
  /** The last entry that the state machine holds. */
  applied: number;
  random: Random;
  electionTicks: number;
  heartbeatTicks: number;
  maxInflight: number;
  appendBytesMax: number;
  /** Proposals are refused while entries that the state machine has not applied weigh more than this. */
  unappliedBytesMax: number;
  /** Committed entries handed out in one Ready. */
  committedBytesMax: number;
}

/** Where a proposal stands in the log. It is committed when an entry with this index and this term is. */
export interface Position {
  index: number;
  term: number;
}

export class RaftCore {
  readonly id: PeerId;
  readonly #options: CoreOptions;
  readonly #log: LogView;
  readonly #election: Election;
  readonly #debts = new DiskDebts();
  #members: MembershipHistory;
  #term: number;
  #vote: PeerId | undefined;
  #role: 'follower' | 'preCandidate' | 'candidate' | 'leader' = 'follower';
  #leader: PeerId | undefined;
  #leadership: Leadership | undefined;
  #restoring: SnapshotMeta | undefined;
  #handedTerm: number;
  #handedVote: PeerId | undefined;
  #messages: OutgoingMessage[] = [];
  #messagesAfterPersist: OutgoingMessage[] = [];
  #readStates: ReadState[] = [];
  #snapshotsToSend: PeerId[] = [];
  #restore: Ready['restore'];
  #snapshot: SnapshotMeta | undefined;

  constructor(options: CoreOptions) {
    const { hardState, base, entries } = options.state;
    this.id = options.id;
    this.#options = options;
    this.#log = new LogView(base, entries, hardState.commit, options.applied);
    this.#members = new MembershipHistory(base.index, base.membership);
    this.#members.record(entries);
    this.#term = this.#handedTerm = hardState.term;
    this.#vote = this.#handedVote = hardState.vote;
    this.#election = new Election(options.electionTicks, options.random);
    assert(this.#log.lastTerm <= this.#term, `log of term ${this.#log.lastTerm} is ahead of term ${this.#term}`);
  }

  get term(): number {
    return this.#term;
  }
  get vote(): PeerId | undefined {
    return this.#vote;
  }
  get role(): Role {
    return this.#role === 'follower' && !this.#mayLead() ? 'learner' : this.#role;
  }
  get leader(): PeerId | undefined {
    return this.#leader;
  }
  /** Read only: the log and its cursors. */
  get log(): Readonly<LogView> {
    return this.#log;
  }
  /** The membership in force, committed or not. */
  get membership(): Membership {
    return this.#members.current;
  }
  /** The last membership that is committed. */
  get committedMembership(): Membership {
    return this.#members.at(this.#log.commit);
  }
  /** The membership as of an entry that is not compacted away (or the base). */
  membershipAt(index: number): Membership {
    return this.#members.at(index);
  }
  get progress(): Record<PeerId, { match: number; active: boolean }> {
    return this.#leadership?.report() ?? {};
  }
  get transferringTo(): PeerId | undefined {
    return this.#leadership?.transferringTo;
  }
  /** Whether the leader has committed an entry of its own term, which reads and membership changes need. */
  get hasCommittedInTerm(): boolean {
    return this.#log.term(this.#log.commit) === this.#term;
  }
  get isRestoring(): boolean {
    return this.#restoring !== undefined;
  }

  /** Time passes. */
  tick(): void {
    if (this.#leadership) {
      if (!this.#leadership.tick()) this.#follow(this.#term, undefined);
      return;
    }
    this.#election.elapsed++;
    if (!this.#mayLead()) return;
    const alone = this.membership.voters.length === 1 && this.membership.voters[0] === this.id && this.#role === 'follower';
    if (alone || this.#election.isDue) this.#startPreVote();
    else if (this.#role === 'preCandidate' && this.#election.elapsed % this.#options.heartbeatTicks === 0)
      this.#askForVotes('preVote', false);
  }

  /** Takes data into the log. Throws 'NotLeader', 'ProposalDropped' (leadership is being handed over) or 'Busy'. */
  propose(data: Uint8Array): Position {
    this.#leaderOrThrow();
    if (this.#log.unappliedBytes >= this.#options.unappliedBytesMax) {
      throw new ConsensusError('Busy', 'too many entries are not applied yet', { unappliedBytes: this.#log.unappliedBytes });
    }
    return this.#appendOwn('normal', data);
  }

  /**
   * Starts a membership change; undefined when the members are so already. Throws as `propose`, and 'NotReady',
   * 'ChangePending', 'InvalidChange', 'QuorumAtRisk', 'LearnerBehind'.
   */
  proposeMembership(change: MembershipChange): Position | undefined {
    const leadership = this.#leaderOrThrow();
    if (!this.hasCommittedInTerm) throw new ConsensusError('NotReady', 'the new leader has not committed an entry yet');
    if (this.#members.currentIndex > this.#log.commit) {
      throw new ConsensusError('ChangePending', 'another membership change is not committed yet', {
        index: this.#members.currentIndex,
      });
    }
    const next = changedMembership(this.membership, change);
    if (!next) return undefined;
    leadership.checkChange(next, change.type === 'promote' ? change.peer : undefined);
    return this.#appendOwn('membership', encodeMembership(next));
  }

  /** Asks for a read index; a ReadState with `id` follows unless the leadership ends. Throws 'NotLeader' or 'Busy'. */
  readIndex(id: number): void {
    if (!this.#leadership) throw this.#notLeader();
    this.#leadership.addRead(id);
  }

  /** Hands the leadership to a voter; given up after an election timeout. Throws 'NotLeader', 'InvalidChange' or 'Busy'. */
  transferLeadership(to: PeerId): void {
    if (!this.#leadership) throw this.#notLeader();
    if (to === this.id) return;
    if (!this.membership.voters.includes(to)) throw new ConsensusError('InvalidChange', `${to} is not a voter`, { to });
    if (this.#leadership.transferringTo === to) return;
    if (this.#leadership.transferringTo) throw new ConsensusError('Busy', 'another transfer of leadership is under way');
    this.#leadership.startTransfer(to);
  }

  /** Takes a message of another peer. */
  step(message: Message): void {
    assert(message.to === this.id, `message for ${message.to} came to ${this.id}`);
    if (message.term < this.#term) return this.#answerOutdated(message);
    if (message.term > this.#term && !this.#enterTermOf(message)) return;
    this.#leadership?.heard(message.from);
    switch (message.type) {
      case 'preVote':
      case 'vote':
        return this.#onVoteRequest(message);
      case 'preVoteResponse':
      case 'voteResponse':
        return this.#onVoteResponse(message);
      case 'append':
        this.#hearLeader(message.from);
        return this.#onAppend(message);
      case 'heartbeat':
        this.#hearLeader(message.from);
        return this.#onHeartbeat(message);
      case 'snapshot':
        this.#hearLeader(message.from);
        return this.#onSnapshotOffer(message);
      case 'timeoutNow':
        if (this.#role !== 'leader' && this.#mayLead()) this.#startElection(true);
        return;
      case 'appendResponse':
        this.#leadership?.onAppendResponse(message);
        return this.#advanceCommit();
      case 'heartbeatResponse':
        return this.#leadership?.onHeartbeatResponse(message.from, message.round);
      default:
        unreachable(message, 'step');
    }
  }

  /** All that has become due since the last call. Carry it out completely. */
  takeReady(): Ready {
    if (this.#leadership) this.#readStates.push(...this.#leadership.flush(this.hasCommittedInTerm));
    const snapshot = this.#snapshot;
    const entries = this.#log.takeUnhanded();
    const changed = this.#term !== this.#handedTerm || this.#vote !== this.#handedVote;
    const mustWrite = changed || entries.length > 0 || snapshot !== undefined;
    this.#handedTerm = this.#term;
    this.#handedVote = this.#vote;
    const owed = mustWrite || this.#messagesAfterPersist.length > 0;
    const ready: Ready = {
      sequence: owed ? this.#debts.add({ stableTo: this.#log.lastIndex, term: this.#term, vote: this.#vote }) : undefined,
      hardState: mustWrite ? { term: this.#term, vote: this.#vote, commit: this.#log.commit } : undefined,
      entries,
      snapshot,
      messages: this.#messages,
      messagesAfterPersist: this.#messagesAfterPersist,
      committed: this.#restoring ? [] : this.#log.takeApplicable(this.#options.committedBytesMax),
      readStates: this.#readStates,
      snapshotsToSend: this.#snapshotsToSend,
      restore: this.#restore,
    };
    this.#messages = [];
    this.#messagesAfterPersist = [];
    this.#readStates = [];
    this.#snapshotsToSend = [];
    this.#snapshot = undefined;
    this.#restore = undefined;
    return ready;
  }

  /** The writes of a Ready are durable. Call in the order of the sequences. */
  persisted(sequence: number): void {
    const { stableTo, term, vote } = this.#debts.settle(sequence);
    this.#log.stableTo(stableTo);
    if (this.#role === 'candidate' && term === this.#term && vote === this.id) this.#countVote(this.id, true);
    this.#advanceCommit();
  }

  /** The state machine has applied the committed entries up to `index`. */
  applied(index: number): void {
    this.#log.appliedTo(index);
  }

  /** Forgets entries up to `index`; the state machine must hold them durably. */
  compact(index: number): void {
    this.#log.compact(index);
    this.#members.compact(index);
  }

  /** How sending a snapshot as of `index` to a follower went; undefined: it failed. */
  snapshotSent(to: PeerId, index: number | undefined): void {
    this.#leadership?.snapshotSent(to, index);
  }

  /** The state machine now holds the snapshot of `Ready.restore`, durably. */
  restored(): void {
    const meta = this.#restoring;
    assert(meta, 'restored without an offer');
    this.#restoring = undefined;
    if (this.#log.restored(meta.index, meta.term)) {
      this.#debts.truncate(1);
      this.#members = new MembershipHistory(meta.index, meta.membership);
      this.#snapshot = meta;
    }
    if (this.#leader && this.#leader !== this.id) this.#acceptAppend(this.#leader, meta.index);
  }

  /** The snapshot of `Ready.restore` did not make it; the state machine is as before. */
  restoreFailed(): void {
    this.#restoring = undefined;
  }

  #notLeader(): ConsensusError {
    return new ConsensusError('NotLeader', 'this peer does not lead', { leader: this.#leader });
  }

  #leaderOrThrow(): Leadership {
    if (!this.#leadership) throw this.#notLeader();
    if (this.#leadership.transferringTo) throw new ConsensusError('ProposalDropped', 'leadership is being handed over');
    return this.#leadership;
  }

  /**
   * A peer that its own log calls removed may still have to lead, as long as the removal is not committed: its log may be the
   * only one up to date (dissertation 4.2.2).
   */
  #mayLead(): boolean {
    return isVoter(this.membership, this.id) || isVoter(this.committedMembership, this.id);
  }

  #send(message: OutgoingMessage): void {
    if (waitsForDisk(message)) this.#messagesAfterPersist.push(message);
    else this.#messages.push(message);
  }

  // A message of an older term: its sender is told of ours, for it may be a leader or candidate that cannot learn it otherwise.
  #answerOutdated(message: Message): void {
    if (message.type === 'preVote') {
      this.#send({ type: 'preVoteResponse', from: this.id, to: message.from, term: this.#term, granted: false });
    } else if (isFromLeader(message)) {
      this.#reject(message.from, 0, 0);
    }
  }

  /** False: the message must be ignored. */
  #enterTermOf(message: Message): boolean {
    if (message.type === 'preVote' || message.type === 'vote') {
      if (!message.transfer && this.#leader !== undefined && this.#election.leaseHolds) return false;
      if (message.type === 'preVote') return true;
    }
    if (message.type === 'preVoteResponse' && message.granted) return true;
    this.#follow(message.term, isFromLeader(message) ? message.from : undefined);
    return true;
  }

  #follow(term: number, leader: PeerId | undefined): void {
    assert(term >= this.#term, 'term goes back');
    if (term > this.#term) this.#vote = undefined;
    this.#term = term;
    this.#role = 'follower';
    this.#leader = leader;
    this.#leadership = undefined;
    this.#election.restart();
  }

  #hearLeader(from: PeerId): void {
    assert(this.#role !== 'leader', `${from} leads term ${this.#term} too`);
    assert(this.#leader === undefined || this.#leader === from, `${from} and ${this.#leader} both lead term ${this.#term}`);
    if (this.#role !== 'follower' || this.#leader !== from) this.#follow(this.#term, from);
    else this.#election.elapsed = 0;
  }

  #startPreVote(): void {
    this.#election.restart();
    this.#role = 'preCandidate';
    this.#leader = undefined;
    if (this.#election.count(this.id, true, this.membership) === 'won') return this.#startElection(false);
    this.#askForVotes('preVote', false);
  }

  #startElection(transfer: boolean): void {
    this.#election.restart();
    this.#role = 'candidate';
    this.#leader = undefined;
    this.#term++;
    this.#vote = this.id;
    this.#askForVotes('vote', transfer);
  }

  #askForVotes(type: 'preVote' | 'vote', transfer: boolean): void {
    const { lastIndex, lastTerm } = this.#log;
    const term = type === 'preVote' ? this.#term + 1 : this.#term;
    for (const to of [...this.membership.voters, ...this.membership.votersOutgoing]) {
      if (to === this.id || this.#election.hasVoteOf(to)) continue;
      this.#send({ type, from: this.id, to, term, lastIndex, lastTerm, transfer });
    }
  }

  #onVoteRequest({ type, from, term, lastIndex, lastTerm }: VoteRequest): void {
    const upToDate = this.#log.isUpToDate(lastIndex, lastTerm);
    if (type === 'preVote') {
      const granted = upToDate && term > this.#term;
      this.#send({ type: 'preVoteResponse', from: this.id, to: from, term: granted ? term : this.#term, granted });
      return;
    }
    const granted = upToDate && (this.#vote === from || (this.#vote === undefined && this.#leader === undefined));
    if (granted) {
      this.#vote = from;
      this.#election.elapsed = 0;
    }
    this.#send({ type: 'voteResponse', from: this.id, to: from, term: this.#term, granted });
  }

  #onVoteResponse({ type, from, term, granted }: VoteResponse): void {
    if (type === 'voteResponse') {
      if (this.#role === 'candidate') this.#countVote(from, granted);
      return;
    }
    if (this.#role !== 'preCandidate' || (granted && term !== this.#term + 1)) return;
    const outcome = this.#election.count(from, granted, this.membership);
    if (outcome === 'won') this.#startElection(false);
    else if (outcome === 'lost') this.#follow(this.#term, undefined);
  }

  #countVote(from: PeerId, granted: boolean): void {
    const outcome = this.#election.count(from, granted, this.membership);
    if (outcome === 'won') this.#lead();
    else if (outcome === 'lost') this.#follow(this.#term, undefined);
  }

  #lead(): void {
    const { electionTicks, heartbeatTicks, maxInflight, appendBytesMax } = this.#options;
    this.#role = 'leader';
    this.#leader = this.id;
    this.#election.restart();
    this.#leadership = new Leadership({
      id: this.id,
      term: this.#term,
      log: this.#log,
      members: this.#members,
      electionTicks,
      heartbeatTicks,
      maxInflight,
      appendBytesMax,
      send: (message) => this.#send(message),
      sendSnapshot: (to) => this.#snapshotsToSend.push(to),
    });
    this.#appendOwn('empty', new Uint8Array(0));
  }

  #appendOwn(kind: Entry['kind'], data: Uint8Array): Position {
    const entry: Entry = { index: this.#log.lastIndex + 1, term: this.#term, kind, data };
    this.#log.append([entry]);
    if (this.#members.record([entry])) this.#leadership?.membersChanged();
    return { index: entry.index, term: entry.term };
  }

  #advanceCommit(): void {
    const leadership = this.#leadership;
    if (!leadership) return;
    const index = Math.min(leadership.quorumIndex(), this.#log.lastIndex);
    // Entries of older terms are committed only together with one of this term (dissertation 3.6.2).
    if (index <= this.#log.commit || this.#log.term(index) !== this.#term) return;
    const changing = this.#members.currentIndex > this.#log.commit;
    this.#log.commitTo(index);
    if (!changing || this.#members.currentIndex > index) return;
    // Those that leave hear of the commit too, as far as one message can do that.
    this.#readStates.push(...leadership.flush(true));
    leadership.forgetGone();
    if (isVoter(this.membership, this.id)) return;
    // Removed, and that is committed: whoever has the longest log goes on.
    const successor = leadership.bestSuccessor();
    if (successor) leadership.hurry(successor);
    this.#follow(this.#term, undefined);
  }

  #onAppend({ from, prevIndex, prevTerm, commit, entries }: Append): void {
    const outcome = this.#log.merge(prevIndex, prevTerm, entries);
    if (!outcome.matched) {
      this.#send({
        type: 'appendResponse',
        from: this.id,
        to: from,
        term: this.#term,
        rejected: true,
        index: prevIndex,
        ...hint(outcome),
      });
      return;
    }
    if (outcome.cut !== undefined) {
      this.#members.truncate(outcome.cut);
      this.#debts.truncate(outcome.cut);
    }
    this.#members.record(entries.filter((entry) => entry.index > this.#members.currentIndex));
    this.#log.commitTo(Math.min(commit, outcome.last));
    this.#acceptAppend(from, outcome.last);
  }

  #acceptAppend(to: PeerId, index: number): void {
    this.#send({
      type: 'appendResponse',
      from: this.id,
      to,
      term: this.#term,
      rejected: false,
      index,
      hintIndex: 0,
      hintTerm: 0,
    });
  }

  #reject(to: PeerId, index: number, hintIndex: number): void {
    this.#send({ type: 'appendResponse', from: this.id, to, term: this.#term, rejected: true, index, hintIndex, hintTerm: 0 });
  }

  #onHeartbeat({ from, commit, round }: Heartbeat): void {
    this.#log.commitTo(Math.min(commit, this.#log.lastIndex));
    this.#send({ type: 'heartbeatResponse', from: this.id, to: from, term: this.#term, round });
  }

  #onSnapshotOffer({ from, meta }: SnapshotOffer): void {
    if (meta.index <= this.#log.commit) return this.#acceptAppend(from, this.#log.commit);
    if (this.#log.term(meta.index) === meta.term) {
      this.#log.commitTo(meta.index);
      return this.#acceptAppend(from, meta.index);
    }
    if (this.#restoring) return;
    this.#restoring = meta;
    this.#restore = { from, meta };
  }
}

const hint = ({ hintIndex, hintTerm }: { hintIndex: number; hintTerm: number }) => ({ hintIndex, hintTerm });

/** The log of a new cluster: its first entry makes `id` the only voter, and is committed. */
export function bootstrapState(id: PeerId): LogState {
  const membership = { voters: [id], votersOutgoing: [], learners: [] };
  const entry: Entry = { index: 1, term: 1, kind: 'membership', data: encodeMembership(membership) };
  return { ...emptyState(), hardState: { term: 1, vote: undefined, commit: 1 }, entries: [entry] };
}

/** The log of a peer that waits to be added to a cluster. */
export function emptyState(): LogState {
  const membership = { voters: [], votersOutgoing: [], learners: [] };
  return { hardState: { term: 0, vote: undefined, commit: 0 }, base: { index: 0, term: 0, membership }, entries: [] };
}
