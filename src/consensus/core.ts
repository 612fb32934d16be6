/**
 * Raft as a plain synchronous object: ticks and messages in, a `Ready` out. It knows no clock, disk, network or state machine;
 * its driver (`node.ts`, or the simulation) carries out what a Ready says and reports back. After Ongaro's dissertation; the
 * division between core and driver follows etcd-io/raft.
 *
 * It promises, for crashes that lose no confirmed write: at most one leader in a term; a committed entry is never lost or
 * changed; entries reach the state machine in order and once. Broken invariants throw BrokenInvariant; the core must not be
 * used after that.
 */
import { assert } from '../lib/assert.ts';
import type { Random } from '../lib/random.ts';
import { ConsensusError } from './errors.ts';
import { LogView } from './log-view.ts';
import { changedMembership, encodeMembership, isJoint, MembershipHistory } from './membership.ts';
import type { Message } from './messages.ts';
import { Protocol } from './protocol.ts';
import { DiskDebts, type HardState, Output, type Ready } from './ready.ts';
import type { Leadership } from './replication.ts';
import type { Entry, Forgotten, Membership, MembershipChange, PeerId, Role, SnapshotMeta } from './types.ts';

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
  /** Appends under way to one follower. */
  maxInflight: number;
  /** Entries of one append weigh no more than this, but for a single larger entry. */
  appendBytesMax: number;
  /** Proposals are refused while entries that the state machine has not applied weigh more than this. */
  unappliedBytesMax: number;
  /** Committed entries handed out in one Ready. */
  committedBytesMax: number;
  /** A log that weighs this is full: a leader refuses proposals, a follower takes no more appends, until it is compacted. */
  fullBytes: number;
  /**
   * For a peer that once dropped its log (see `Forgotten`): until its log reaches this index again, it gives no vote and does not
   * stand. Default 0.
   */
  muteBefore?: number;
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
  readonly #protocol: Protocol;
  readonly #output = new Output();
  readonly #debts = new DiskDebts();
  #handed: { term: number; vote: PeerId | undefined };
  /** The snapshot that the log on disk must start anew from. */
  #snapshot: SnapshotMeta | undefined;

  constructor(options: CoreOptions) {
    const { id, state, applied, random, electionTicks, heartbeatTicks, maxInflight, appendBytesMax, fullBytes } = options;
    const { muteBefore = 0 } = options;
    const { hardState, base, entries } = state;
    this.id = id;
    this.#options = options;
    this.#log = new LogView(base, entries, hardState.commit, applied);
    const members = new MembershipHistory(base.index, base.membership);
    members.record(entries);
    const limits = { electionTicks, heartbeatTicks, maxInflight, appendBytesMax, fullBytes, muteBefore };
    this.#protocol = new Protocol({
      id,
      term: hardState.term,
      vote: hardState.vote,
      log: this.#log,
      members,
      random,
      output: this.#output,
      debts: this.#debts,
      ...limits,
    });
    this.#handed = { term: hardState.term, vote: hardState.vote };
    assert(this.#log.lastTerm <= hardState.term, `log of term ${this.#log.lastTerm} is ahead of term ${hardState.term}`);
  }

  get term(): number {
    return this.#protocol.term;
  }
  get vote(): PeerId | undefined {
    return this.#protocol.vote;
  }
  get role(): Role {
    return this.#protocol.role === 'follower' && !this.#protocol.mayLead ? 'learner' : this.#protocol.role;
  }
  get leader(): PeerId | undefined {
    return this.#protocol.leader;
  }
  /** Read only: the log and its cursors. */
  get log(): Readonly<LogView> {
    return this.#log;
  }
  /** The membership in force, committed or not. */
  get membership(): Membership {
    return this.#protocol.members.current;
  }
  /** The membership as of an entry that is not compacted away (or the base). */
  membershipAt(index: number): Membership {
    return this.#protocol.members.at(index);
  }
  /** On the leader: how far each other member is. */
  get progress(): Record<PeerId, { match: number; active: boolean }> {
    return this.#protocol.leadership?.report() ?? {};
  }
  get transferringTo(): PeerId | undefined {
    return this.#protocol.leadership?.transferringTo;
  }

  /** The log takes no more until it is compacted. */
  get isFull(): boolean {
    return this.#log.bytes >= this.#options.fullBytes;
  }

  /** Time passes. */
  tick(): void {
    this.#protocol.tick();
  }

  /** Takes a message of another peer. */
  step(message: Message): void {
    this.#protocol.step(message);
  }

  /** Takes data into the log. Throws 'NotLeader', 'ProposalDropped' (leadership is being handed over) or 'Busy'. */
  propose(data: Uint8Array): Position {
    this.#leadership({ exclusive: true });
    if (this.#log.unappliedBytes >= this.#options.unappliedBytesMax) {
      throw new ConsensusError('Busy', 'too many entries are not applied yet', { unappliedBytes: this.#log.unappliedBytes });
    }
    if (this.isFull) throw new ConsensusError('Busy', 'the log is full', { bytes: this.#log.bytes });
    return this.#protocol.append('normal', data);
  }

  /**
   * Starts a membership change; undefined when the members are so already. Throws as `propose`, and 'NotReady',
   * 'ChangePending', 'InvalidChange', 'QuorumAtRisk', 'LearnerBehind'.
   */
  proposeMembership(change: MembershipChange): Position | undefined {
    const leadership = this.#leadership({ exclusive: true });
    const index = this.#protocol.members.currentIndex;
    if (!this.#protocol.hasCommittedInTerm) {
      throw new ConsensusError('NotReady', 'the new leader has not committed an entry yet');
    }
    if (index > this.#log.commit || isJoint(this.membership)) {
      throw new ConsensusError('ChangePending', 'another membership change is not committed yet', { index });
    }
    const next = changedMembership(this.membership, change);
    if (!next) return undefined;
    leadership.checkChange(next);
    return this.#protocol.append('membership', encodeMembership(next));
  }

  /** Asks for a read index; a ReadState with `id` follows unless the leadership ends. Throws 'NotLeader' or 'Busy'. */
  readIndex(id: number): void {
    this.#leadership().addRead(id);
  }

  /** Hands the leadership to a voter; given up after an election timeout. Throws 'NotLeader', 'InvalidChange' or 'Busy'. */
  transferLeadership(to: PeerId): void {
    const leadership = this.#leadership();
    if (to === this.id || leadership.transferringTo === to) return;
    if (!this.membership.voters.includes(to)) throw new ConsensusError('InvalidChange', `${to} is not a voter`, { to });
    if (leadership.transferringTo) throw new ConsensusError('Busy', 'another transfer of leadership is under way');
    leadership.startTransfer(to);
  }

  /** All that has become due since the last call. Carry it out completely. */
  takeReady(): Ready {
    this.#protocol.flush();
    const { term, vote, restoring } = this.#protocol;
    const snapshot = this.#snapshot;
    const entries = this.#log.takeUnhanded();
    const mustWrite = term !== this.#handed.term || vote !== this.#handed.vote || entries.length > 0 || snapshot !== undefined;
    const owed = mustWrite || this.#output.hasPromises;
    this.#handed = { term, vote };
    this.#snapshot = undefined;
    return {
      ...this.#output.take(),
      sequence: owed ? this.#debts.add({ stableTo: this.#log.lastIndex, term, vote }) : undefined,
      hardState: mustWrite ? { term, vote, commit: this.#log.commit } : undefined,
      entries,
      snapshot,
      committed: restoring ? [] : this.#log.takeApplicable(this.#options.committedBytesMax),
    };
  }

  /** The writes of a Ready are durable. Call in the order of the sequences. */
  persisted(sequence: number): void {
    const { stableTo, term, vote } = this.#debts.settle(sequence);
    this.#log.stableTo(stableTo);
    this.#protocol.persisted(term, vote);
  }

  /** The state machine has applied the committed entries up to `index`. */
  applied(index: number): void {
    this.#log.appliedTo(index);
  }

  /** Forgets entries up to `index`; the state machine must hold them durably. */
  compact(index: number): void {
    this.#log.compact(index);
    this.#protocol.members.compact(index);
  }

  /** How sending a snapshot as of `index` to a follower went; undefined: it failed. */
  snapshotSent(to: PeerId, index: number | undefined): void {
    this.#protocol.leadership?.snapshotSent(to, index);
  }

  /** The state machine now holds the snapshot of `Ready.restore`, durably. */
  restored(): void {
    const meta = this.#protocol.restoring;
    assert(meta, 'restored without an offer');
    if (this.#log.restored(meta.index, meta.term)) {
      this.#debts.truncate(1);
      this.#protocol.members = new MembershipHistory(meta.index, meta.membership);
      this.#snapshot = meta;
    }
    this.#protocol.restoreEnded(meta.index);
  }

  /** The snapshot of `Ready.restore` did not make it; the state machine is as before. */
  restoreFailed(): void {
    this.#protocol.restoreEnded(undefined);
  }

  #leadership({ exclusive } = { exclusive: false }): Leadership {
    const { leadership, leader } = this.#protocol;
    if (!leadership) throw new ConsensusError('NotLeader', 'this peer does not lead', { leader });
    if (exclusive && leadership.transferringTo) throw new ConsensusError('ProposalDropped', 'leadership is being handed over');
    return leadership;
  }
}

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

/** The log of a peer that has dropped what it had: empty, but in its old term, with its vote in it spent. */
export function forgottenState(id: PeerId, { term }: Forgotten): LogState {
  return { ...emptyState(), hardState: { term, vote: id, commit: 0 } };
}
