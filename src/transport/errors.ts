/** What can go wrong between peers. Each code is stable. */
import { KontikiError } from '../lib/errors.ts';

export type TransportErrorCode =
  /** No connection to that member at present; dialing goes on. */
  | 'NotConnected'
  /** The other side does not count this peer as a member (yet). */
  | 'NotMember'
  /** The other side has no handler for that service. */
  | 'NoSuchService'
  /** The stream was reset, or its connection was lost, before its end. */
  | 'StreamReset'
  /** The other side is silent: no sign of life for the time that is given to it. */
  | 'Silent'
  /** Bytes that do not follow the protocol, or more of them than allowed. */
  | 'BadFrame'
  /** A question could not be asked or was not answered. */
  | 'AskFailed'
  /** The transport is closed. */
  | 'Closed';

export class TransportError extends KontikiError<TransportErrorCode> {
  override readonly name = 'TransportError';
}
