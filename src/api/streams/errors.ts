/** What can go wrong while a stream runs. Faults of the request are StatusErrors instead. */
import { KontikiError } from '../../lib/errors.ts';

export type StreamErrorCode =
  /** The client sent bytes that are not SPDY/3.1 as Kubernetes' clients speak it. */
  | 'SpdyProtocol'
  /** The client went away before the session was over. */
  | 'ClientGone'
  /** The client did not open the streams that its own request announced. */
  | 'StreamsMissing';

export class StreamError extends KontikiError<StreamErrorCode> {}
