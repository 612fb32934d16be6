/**
 * What peers say to each other inside one term. The core makes and takes them as plain objects; `frames.ts` puts them on the
 * wire. After Ongaro's dissertation, chapters 3, 4, 6 and 9 (pre-vote 9.6, transfer 3.10, read index 6.4).
 */
import type { Entry, PeerId, SnapshotMeta } from './types.ts';

interface Envelope {
  from: PeerId;
  to: PeerId;
  /** The sender's term; for 'preVote' and a granted answer to it the term that the candidate would take. */
  term: number;
}

/** Asks for a vote, or with 'preVote' whether a vote would be given. */
export interface VoteRequest extends Envelope {
  type: 'preVote' | 'vote';
  /** The candidate's last entry. */
  lastIndex: number;
  lastTerm: number;
  /** The old leader itself asked for this election: the lease does not protect it. */
  transfer: boolean;
}

export interface VoteResponse extends Envelope {
  type: 'preVoteResponse' | 'voteResponse';
  granted: boolean;
}

/** New entries after (prevIndex, prevTerm); without entries it probes or tells the commit index. */
export interface Append extends Envelope {
  type: 'append';
  prevIndex: number;
  prevTerm: number;
  commit: number;
  entries: Entry[];
  /** It only tells the commit index: when it fits, no answer is needed. */
  quiet?: boolean;
}

export interface AppendResponse extends Envelope {
  type: 'appendResponse';
  rejected: boolean;
  /** Accepted: everything up to here is on the sender's disk. Rejected: the prevIndex that did not match. */
  index: number;
  /** When rejected: where the logs may still agree, and the term there. */
  hintIndex: number;
  hintTerm: number;
}

export interface Heartbeat extends Envelope {
  type: 'heartbeat';
  /** Never past what the receiver is known to hold. */
  commit: number;
  /** The latest round of reads; the answer to it confirms the leadership for all reads up to this round. */
  round: number;
}

export interface HeartbeatResponse extends Envelope {
  type: 'heartbeatResponse';
  round: number;
}

/** Offers a snapshot. The image itself travels outside of the core. */
export interface SnapshotOffer extends Envelope {
  type: 'snapshot';
  meta: SnapshotMeta;
}

/** Tells the receiver to start an election at once. */
export interface TimeoutNow extends Envelope {
  type: 'timeoutNow';
}

export type Message =
  | VoteRequest
  | VoteResponse
  | Append
  | AppendResponse
  | Heartbeat
  | HeartbeatResponse
  | SnapshotOffer
  | TimeoutNow;

/**
 * Whether a message promises something that must survive a crash of its sender, so that it may leave only when the disk holds
 * all that the core decided before it. A request for votes is one: the term and the log it boasts of must not be lost, or the
 * same peer could lead the same term twice.
 */
export function waitsForDisk(message: Message): boolean {
  switch (message.type) {
    case 'vote':
      return true;
    case 'voteResponse':
      return message.granted;
    case 'appendResponse':
      return !message.rejected;
    default:
      return false;
  }
}

/** Only the leader of the message's term sends these. */
export function isFromLeader(type: Message['type']): boolean {
  return type === 'append' || type === 'heartbeat' || type === 'snapshot' || type === 'timeoutNow';
}
