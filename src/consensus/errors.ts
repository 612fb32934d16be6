/** What can go wrong in consensus, as codes. Which of them are safe to retry is said at each. */
import { KontikiError } from '../lib/errors.ts';

export type ConsensusErrorCode =
  /** No leader is known, and none appeared in time. Nothing was written: safe to retry. */
  | 'NoLeader'
  /** Only the leader may do this. Nothing was written. */
  | 'NotLeader'
  /** A bound is reached. Nothing was written: retry later. */
  | 'Busy'
  /** The proposal is not in the log and never will be: safe to retry. */
  | 'ProposalDropped'
  /** The proposal may or may not be committed: retry only what is idempotent. */
  | 'ProposalUnknown'
  /** The proposal is larger than `proposalBytesMax`. */
  | 'ProposalTooLarge'
  /** Another membership change is not committed yet. */
  | 'ChangePending'
  /** The new leader has not committed an entry of its term yet; passes within a round trip. */
  | 'NotReady'
  /** The change makes no sense for the present members. */
  | 'InvalidChange'
  /** The members after the change could not form a quorum of those heard of lately. */
  | 'QuorumAtRisk'
  /** The learner's log is too far behind to be promoted. */
  | 'LearnerBehind'
  /** The other peer did not take over in time. */
  | 'TransferFailed'
  /** The log on disk is damaged; the fields say where and how. */
  | 'LogCorrupt'
  /** There is no log where there was one. */
  | 'LogMissing'
  /** The disk refused a write or fsync. */
  | 'StorageFailed'
  /** The state machine and the log on disk do not belong together. */
  | 'StateMismatch'
  /** The state machine does not get durable, so that the log cannot be compacted and has reached its bound. */
  | 'StateMachineStuck'
  /** Bytes of another peer that are no frame of ours. */
  | 'BadFrame'
  /** A snapshot did not arrive or did not fit its checksum. */
  | 'SnapshotFailed'
  /** This peer's consensus is stopped or failed. */
  | 'Stopped';

export class ConsensusError extends KontikiError<ConsensusErrorCode> {
  constructor(code: ConsensusErrorCode, message: string, fields: Record<string, unknown> = {}, cause?: unknown) {
    super(code, message, fields, cause);
    this.name = 'ConsensusError';
  }
}
