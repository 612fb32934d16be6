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
  | 'Stopped';

export class NodeError extends KontikiError<NodeErrorCode> {}
