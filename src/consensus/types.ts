/**
 * The vocabulary of consensus and the seams through which it meets the world. The core is pure; the driver (`node.ts`) gives
 * it a clock, a log on disk, a network and a state machine through these interfaces.
 */

/** A peer's identity: its libp2p peer id. Never an address. */
export type PeerId = string;

export interface Entry {
  /** 1, 2, 3, … without gaps. */
  index: number;
  term: number;
  kind: 'normal' | 'membership' | 'empty';
  /** For 'normal' opaque to consensus; for 'membership' an encoded Membership; for 'empty' no bytes. */
  data: Uint8Array;
}

/** The members as of one membership entry. `votersOutgoing` is not empty only during a joint change. */
export interface Membership {
  voters: PeerId[];
  votersOutgoing: PeerId[];
  learners: PeerId[];
}

export type MembershipChange =
  | { type: 'addLearner'; peer: PeerId }
  | { type: 'promote'; peer: PeerId }
  /** A voter goes on as learner. */
  | { type: 'demote'; peer: PeerId }
  | { type: 'remove'; peer: PeerId }
  /**
   * All members at once. When more than one voter changes it goes through a joint membership, which the leader of the day
   * leaves by itself; the change is accepted when the joint membership is committed. New voters must be members already.
   */
  | { type: 'set'; voters: PeerId[]; learners: PeerId[] };

export interface SnapshotMeta {
  /** The last entry that the snapshot holds. */
  index: number;
  term: number;
  membership: Membership;
}

/**
 * What a peer that left the membership and dropped its log must remember: its term then, and an index up to which everything was
 * committed, its own removal included. Without it, it could give its vote to a candidate that lacks what it has once confirmed.
 */
export interface Forgotten {
  term: number;
  index: number;
}

export type Role = 'leader' | 'follower' | 'candidate' | 'preCandidate' | 'learner';

export interface ConsensusStatus {
  id: PeerId;
  role: Role;
  term: number;
  leader: PeerId | undefined;
  committed: number;
  applied: number;
  firstIndex: number;
  lastIndex: number;
  membership: Membership;
  /** On the leader: for each other member the last index known to be on its disk, and whether it was heard of lately. */
  progress: Record<PeerId, { match: number; active: boolean }>;
}

/** How consensus reaches other peers. Lossy, unordered across reconnects: Raft copes. */
export interface ConsensusNetwork {
  /** One encoded batch of messages. False when it could not be queued (treated as lost). */
  send(to: PeerId, frame: Uint8Array): boolean;
  onFrame(handler: (from: PeerId, frame: Uint8Array) => void): void;
}

/** The replicated state machine, as the driver sees it. It may live in another thread. */
export interface StateMachine {
  /**
   * Applies committed entries in order, exactly once each; 'membership' and 'empty' entries come too (they only advance the
   * applied index). Resolves when the entries are applied in memory. `durable` resolves later, by `onDurable`.
   */
  apply(entries: Entry[]): Promise<void>;
  /** The last index and term that survive a crash of the state machine; the driver compacts the log only up to there. */
  durable(): { index: number; term: number };
  /** A consistent image as of the last applied entry. Chunks of at most 1 MiB. */
  snapshot(signal: AbortSignal): Promise<{ index: number; term: number; chunks: AsyncIterable<Uint8Array> }>;
  /** Replaces everything. All or nothing: on rejection the old state stands. Durable when it resolves. */
  restore(meta: { index: number; term: number }, chunks: AsyncIterable<Uint8Array>): Promise<void>;
}

/** What the rest of the process asks of consensus. Implemented by the driver. */
export interface Consensus {
  /**
   * Hands `data` to the leader (through its stream when this peer follows). Resolves when the entry is committed, with its
   * index. Rejects with ConsensusError 'NoLeader', 'Busy', 'ProposalDropped' (not in the log: safe to retry) or
   * 'ProposalUnknown' (may still be committed: retry only what is idempotent).
   */
  propose(data: Uint8Array, signal?: AbortSignal): Promise<{ index: number }>;
  /** An index such that state applied up to it is linearizable with every write acknowledged before the call. */
  readIndex(signal?: AbortSignal): Promise<number>;
  changeMembership(change: MembershipChange, signal?: AbortSignal): Promise<void>;
  transferLeadership(to: PeerId, signal?: AbortSignal): Promise<void>;
  status(): ConsensusStatus;
  /** Called when role, term, leader or membership changes. */
  onChange(listener: (status: ConsensusStatus) => void): void;
}
