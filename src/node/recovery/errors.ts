/** What can go wrong with backups and recovery. In every case nothing was changed, unless said otherwise. */
import { KontikiError } from '../../lib/errors.ts';

export type RecoveryErrorCode =
  /** The file does not begin as a snapshot does. */
  | 'NotASnapshot'
  /** The file ends before the snapshot does: copied half, or a disk that was full. */
  | 'SnapshotTruncated'
  /** Some bytes are not those that were written. Fields: offset, where it can be told. */
  | 'SnapshotDamaged'
  /** Written by a later version in a format that this one does not know. */
  | 'SnapshotFormat'
  /** As many snapshots as allowed are being saved. */
  | 'Busy'
  /** This machine belongs to a cluster, and what was asked would replace it. */
  | 'AlreadyMember'
  /** No data folder that was looked at can be gone on from. */
  | 'NothingToRecover'
  /** The data folders do not belong to one cluster, or contradict each other. */
  | 'Contradiction'
  /** Secrets in what is to be restored are encrypted, and the cluster key for them is not at hand. */
  | 'ClusterKeyMissing'
  /** Files are not as an interrupted replacement leaves them: somebody else changed them. */
  | 'StagingBroken';

export class RecoveryError extends KontikiError<RecoveryErrorCode> {}
