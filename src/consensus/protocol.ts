/**
 * The rules of one peer: its term, vote and role, and what each tick and each message does to them. Nothing else changes term,
 * vote and role. Part of the core; see `core.ts` for what the whole promises.
 */
import { assert, unreachable } from '../lib/assert.ts';
import type { Random } from '../lib/random.ts';
import type { Position } from './core.ts';
import { Election } from './election.ts';
import type { LogView } from './log-view.ts';
import { afterJoint, encodeMembership, isJoint, isVoter, type MembershipHistory } from './membership.ts';
import {
  type Append,
  type Heartbeat,
  isFromLeader,
  type Message,
  type SnapshotOffer,
  type VoteRequest,
  type VoteResponse,
} from './messages.ts';
import type { DiskDebts, Output } from './ready.ts';
import { Leadership } from './replication.ts';
import type { Entry, PeerId, SnapshotMeta } from './types.ts';

export interface ProtocolOptions {
  id: PeerId;
  term: number;
  vote: PeerId | undefined;
  log: LogView;
  members: MembershipHistory;
  random: Random;
  output: Output;
  debts: DiskDebts;
  electionTicks: number;
  heartbeatTicks: number;
  maxInflight: number;
  appendBytesMax: number;
  /** A follower whose log weighs this takes no more. */
  fullBytes: number;
  /** While its log ends before this index, this peer gives no vote and does not stand: it once dropped a log. */
  muteBefore: number;
}

export class Protocol {
  readonly id: PeerId;
  readonly #options: ProtocolOptions;
  readonly #log: LogView;
  readonly #output: Output;
  readonly #election: Election;
  members: MembershipHistory;
  #term: number;
  #vote: PeerId | undefined;
  #role: 'follower' | 'preCandidate' | 'candidate' | 'leader' = 'follower';
  #leader: PeerId | undefined;
  #leadership: Leadership | undefined;
  #restoring: SnapshotMeta | undefined;

  constructor(options: ProtocolOptions) {
    this.#options = options;
    this.id = options.id;
    this.#log = options.log;
    this.#output = options.output;
    this.members = options.members;
    this.#term = options.term;
    this.#vote = options.vote;
    this.#election = new Election(options.electionTicks, options.random);
  }

  get term(): number {
    return this.#term;
  }
  get vote(): PeerId | undefined {
    return this.#vote;
  }
  get role(): 'follower' | 'preCandidate' | 'candidate' | 'leader' {
    return this.#role;
  }
  get leader(): PeerId | undefined {
    return this.#leader;
  }
  /** Defined while this peer leads. */
  get leadership(): Leadership | undefined {
    return this.#leadership;
  }
  /** The snapshot that is being put into the state machine; nothing is applied meanwhile. */
  get restoring(): SnapshotMeta | undefined {
    return this.#restoring;
  }
  /** Whether the leader has committed an entry of its own term, which reads and membership changes need. */
  get hasCommittedInTerm(): boolean {
    return this.#log.term(this.#log.commit) === this.#term;
  }
  /**
   * A peer that its own log calls removed may still have to lead, as long as the removal is not committed: its log may be the
   * only one up to date (dissertation 4.2.2).
   */
  get mayLead(): boolean {
    if (this.#isMute) return false;
    return isVoter(this.members.current, this.id) || isVoter(this.members.at(this.#log.commit), this.id);
  }

  /** Its log is not yet what it was when it was dropped: nobody may count on its votes until then. */
  get #isMute(): boolean {
    return this.#log.lastIndex < this.#options.muteBefore;
  }

  tick(): void {
    if (this.#leadership) {
      if (!this.#leadership.tick()) this.#follow(this.#term, undefined);
      return;
    }
    this.#election.elapsed++;
    if (!this.mayLead) return;
    const { voters, votersOutgoing } = this.members.current;
    const only = votersOutgoing.length === 0 && voters.length === 1 && voters[0] === this.id;
    const alone = only && this.#role === 'follower';
    const again = this.#role === 'preCandidate' && this.#election.elapsed % this.#options.heartbeatTicks === 0;
    if (alone || this.#election.isDue) this.#startPreVote();
    else if (again) this.#askForVotes('preVote', false);
  }

  step(message: Message): void {
    assert(message.to === this.id, `message for ${message.to} came to ${this.id}`);
    if (message.term < this.#term) this.#answerOutdated(message);
    else if (message.term === this.#term || this.#enterTermOf(message)) this.#handle(message);
  }

  #handle(message: Message): void {
    this.#leadership?.heard(message.from);
    switch (message.type) {
      case 'preVote':
      case 'vote':
        this.#onVoteRequest(message);
        break;
      case 'preVoteResponse':
      case 'voteResponse':
        this.#onVoteResponse(message);
        break;
      case 'append':
        this.#hearLeader(message.from);
        this.#onAppend(message);
        break;
      case 'heartbeat':
        this.#hearLeader(message.from);
        this.#onHeartbeat(message);
        break;
      case 'snapshot':
        this.#hearLeader(message.from);
        this.#onSnapshotOffer(message);
        break;
      case 'timeoutNow':
        if (this.#role !== 'leader' && this.mayLead) this.#startElection(true);
        break;
      case 'appendResponse':
        this.#leadership?.onAppendResponse(message);
        this.#advanceCommit();
        break;
      case 'heartbeatResponse':
        this.#leadership?.onHeartbeatResponse(message.from, message.round);
        break;
      default:
        unreachable(message, 'step');
    }
  }

  /** Lets the leader's messages and confirmed reads out. */
  flush(): void {
    this.#leaveJoint();
    this.#release();
  }

  #release(): void {
    if (this.#leadership) this.#output.confirmReads(this.#leadership.flush(this.hasCommittedInTerm));
  }

  /** More entries are stable; and so is this vote in this term. */
  persisted(term: number, vote: PeerId | undefined): void {
    if (this.#role === 'candidate' && term === this.#term && vote === this.id) this.#countVote(this.id, true);
    this.#advanceCommit();
  }

  /**
   * A joint membership is left as soon as it is committed, by whoever leads then: the leader that began it may be gone. Not
   * while leadership is handed over, which needs a log that stands still; and only when this leader has committed an entry of
   * its own term, as for every membership change.
   */
  #leaveJoint(): void {
    const { current, currentIndex } = this.members;
    if (!this.#leadership || !isJoint(current) || currentIndex > this.#log.commit) return;
    if (this.#leadership.transferringTo !== undefined || !this.hasCommittedInTerm) return;
    this.append('membership', encodeMembership(afterJoint(current)));
  }

  /** As leader: takes an entry of its own into the log. */
  append(kind: Entry['kind'], data: Uint8Array): Position {
    assert(this.#leadership, 'only the leader appends');
    const entry: Entry = { index: this.#log.lastIndex + 1, term: this.#term, kind, data };
    this.#log.append([entry]);
    if (this.members.record([entry])) this.#leadership.membersChanged();
    return { index: entry.index, term: entry.term };
  }

  /** The state machine and the log stand at `index` now; undefined: the snapshot failed. */
  restoreEnded(index: number | undefined): void {
    this.#restoring = undefined;
    if (index !== undefined && this.#leader && this.#leader !== this.id) this.#accept(this.#leader, index);
  }

  // A message of an older term: its sender is told of ours, for it may be a leader or candidate that cannot learn it otherwise.
  #answerOutdated({ type, from: to }: Message): void {
    const envelope = { from: this.id, to, term: this.#term };
    if (type === 'preVote') this.#output.send({ type: 'preVoteResponse', ...envelope, granted: false });
    else if (isFromLeader(type)) {
      this.#output.send({ type: 'appendResponse', ...envelope, rejected: true, index: 0, hintIndex: 0, hintTerm: 0 });
    }
  }

  /** False: the message must be ignored. */
  #enterTermOf(message: Message): boolean {
    if (message.type === 'preVote' || message.type === 'vote') {
      if (!message.transfer && this.#leader !== undefined && this.#election.leaseHolds) return false;
      if (message.type === 'preVote') return true;
    }
    if (message.type === 'preVoteResponse' && message.granted) return true;
    this.#follow(message.term, isFromLeader(message.type) ? message.from : undefined);
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
    if (this.#election.count(this.id, true, this.members.current) === 'won') this.#startElection(false);
    else this.#askForVotes('preVote', false);
  }

  // The own vote counts when it is on disk: see `persisted`.
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
    const { voters, votersOutgoing } = this.members.current;
    const term = type === 'preVote' ? this.#term + 1 : this.#term;
    for (const to of new Set([...voters, ...votersOutgoing])) {
      if (to === this.id || this.#election.hasVoteOf(to)) continue;
      this.#output.send({ type, from: this.id, to, term, lastIndex, lastTerm, transfer });
    }
  }

  #onVoteRequest({ type, from, term, lastIndex, lastTerm }: VoteRequest): void {
    const upToDate = !this.#isMute && this.#log.isUpToDate(lastIndex, lastTerm);
    if (type === 'preVote') {
      const granted = upToDate && term > this.#term;
      const answerTerm = granted ? term : this.#term;
      this.#output.send({ type: 'preVoteResponse', from: this.id, to: from, term: answerTerm, granted });
      return;
    }
    const free = this.#vote === from || (this.#vote === undefined && this.#leader === undefined);
    const granted = upToDate && free;
    if (granted) {
      this.#vote = from;
      this.#election.elapsed = 0;
    }
    this.#output.send({ type: 'voteResponse', from: this.id, to: from, term: this.#term, granted });
  }

  #onVoteResponse({ type, from, term, granted }: VoteResponse): void {
    if (type === 'voteResponse') {
      if (this.#role === 'candidate') this.#countVote(from, granted);
      return;
    }
    if (this.#role !== 'preCandidate' || (granted && term !== this.#term + 1)) return;
    const outcome = this.#election.count(from, granted, this.members.current);
    if (outcome === 'won') this.#startElection(false);
    else if (outcome === 'lost') this.#follow(this.#term, undefined);
  }

  #countVote(from: PeerId, granted: boolean): void {
    const outcome = this.#election.count(from, granted, this.members.current);
    if (outcome === 'won') this.#lead();
    else if (outcome === 'lost') this.#follow(this.#term, undefined);
  }

  #lead(): void {
    const { electionTicks, heartbeatTicks, maxInflight, appendBytesMax } = this.#options;
    const { id, members } = this;
    const limits = { electionTicks, heartbeatTicks, maxInflight, appendBytesMax };
    this.#role = 'leader';
    this.#leader = id;
    this.#election.restart();
    this.#leadership = new Leadership({ id, term: this.#term, log: this.#log, members, output: this.#output, ...limits });
    this.append('empty', new Uint8Array(0));
  }

  #advanceCommit(): void {
    const leadership = this.#leadership;
    if (!leadership) return;
    const index = Math.min(leadership.quorumIndex(), this.#log.lastIndex);
    // Entries of older terms are committed only together with one of this term (dissertation 3.6.2).
    if (index <= this.#log.commit || this.#log.term(index) !== this.#term) return;
    const changing = this.members.currentIndex > this.#log.commit;
    this.#log.commitTo(index);
    if (!changing || this.members.currentIndex > index) return;
    // Those that leave hear of the commit too, as far as one message can do that.
    this.#release();
    leadership.forgetGone();
    if (isVoter(this.members.current, this.id)) return;
    // Removed, and that is committed: whoever has the longest log goes on.
    const successor = leadership.bestSuccessor();
    if (successor) leadership.hurry(successor);
    this.#follow(this.#term, undefined);
  }

  #onAppend({ from, prevIndex, prevTerm, commit, entries, quiet }: Append): void {
    // A full log acts as if the append was lost: the leader tries again once per heartbeat, with one append.
    const grows = (entries.at(-1)?.index ?? 0) > this.#log.lastIndex;
    if (grows && this.#log.bytes >= this.#options.fullBytes) return;
    const outcome = this.#log.merge(prevIndex, prevTerm, entries);
    if (!outcome.matched) {
      const { hintIndex, hintTerm } = outcome;
      const envelope = { from: this.id, to: from, term: this.#term };
      this.#output.send({ type: 'appendResponse', ...envelope, rejected: true, index: prevIndex, hintIndex, hintTerm });
      return;
    }
    if (outcome.cut !== undefined) {
      this.members.truncate(outcome.cut);
      this.#options.debts.truncate(outcome.cut);
    }
    this.members.record(entries.filter((entry) => entry.index > this.members.currentIndex));
    this.#log.commitTo(Math.min(commit, outcome.last));
    if (!quiet) this.#accept(from, outcome.last);
  }

  #accept(to: PeerId, index: number): void {
    const envelope = { from: this.id, to, term: this.#term };
    this.#output.send({ type: 'appendResponse', ...envelope, rejected: false, index, hintIndex: 0, hintTerm: 0 });
  }

  #onHeartbeat({ from, commit, round }: Heartbeat): void {
    this.#log.commitTo(Math.min(commit, this.#log.lastIndex));
    this.#output.send({ type: 'heartbeatResponse', from: this.id, to: from, term: this.#term, round });
  }

  #onSnapshotOffer({ from, meta }: SnapshotOffer): void {
    if (meta.index <= this.#log.commit) this.#accept(from, this.#log.commit);
    else if (this.#log.term(meta.index) === meta.term) {
      this.#log.commitTo(meta.index);
      this.#accept(from, meta.index);
    } else if (!this.#restoring) {
      this.#restoring = meta;
      this.#output.restore(from, meta);
    }
  }
}
