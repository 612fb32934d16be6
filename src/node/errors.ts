import { KontikiError } from '../lib/errors.ts';

/** What can go wrong while a machine's daemon is configured, started or joined. */
export type NodeErrorCode =
  | 'InvalidConfig'
  | 'InvalidToken'
  | 'JoinRefused'
  | 'AlreadyRunning'
  | 'NotAMember'
  | 'Removed'
  | 'NoSuchMember'
  | 'MemberRefused'
  | 'AgentUnavailable'
  /** The store gave back other bytes than were written, and nobody else has them. */
  | 'StateDamaged'
  /** The log is damaged or missing, and the cluster could not take the machine in anew. */
  | 'LogDamaged'
  /** Nobody that holds the log and the state can be reached. */
  | 'NoVoter'
  /** This machine is not to hold the log, but to work through those that do. */
  | 'BecomesClient'
  /** Sealed values cannot be opened: no machine that was asked has the cluster key. */
  | 'ClusterKeyMissing'
  | 'Stopped';

export class NodeError extends KontikiError<NodeErrorCode> {}
