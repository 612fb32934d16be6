/** What can go wrong in gossip. Each code is stable. */
import { KontikiError } from '../lib/errors.ts';

export type GossipErrorCode =
  /** Bytes from the network that are no heartbeat. Details: reason. */
  'InvalidHeartbeat';

export class GossipError extends KontikiError<GossipErrorCode> {
  override readonly name = 'GossipError';
}
