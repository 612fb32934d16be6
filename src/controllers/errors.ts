/** What goes wrong in this room apart from a caller's StatusError. */
import { KontikiError } from '../lib/errors.ts';

export type ControllerErrorCode =
  /** Some of the writes of one reconcile failed; the first is the cause. The key is tried again. */
  | 'WritesFailed'
  /** No free range is left in the cluster's pod network. */
  | 'PodNetworkFull';

export class ControllerError extends KontikiError<ControllerErrorCode> {}
