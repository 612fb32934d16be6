/** Operating errors of the machinery. What a caller did wrong is a StatusError instead (status.ts). */
import { KontikiError } from '../lib/errors.ts';

export type MachineryErrorCode =
  /** The types were not generated. Details: file. */
  'GeneratedFileMissing';

export class MachineryError extends KontikiError<MachineryErrorCode> {
  override name = 'MachineryError';
}
