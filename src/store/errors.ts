/** What can go wrong in the store. Each code is stable; the details are named beside it. */
import { KontikiError } from '../lib/errors.ts';

export type StoreErrorCode =
  /** The revision lies before the event window: list again without one. Details: revision, compactedRevision. */
  | 'Compacted'
  /** The revision is not applied here yet. Details: revision, currentRevision. */
  | 'FutureRevision'
  /** A transaction with a shape that no store takes. Details: reason. */
  | 'InvalidTransaction'
  /** The encoded transaction exceeds transactionBytesMax. Details: bytes, bytesMax. */
  | 'TransactionTooLarge'
  /** A snapshot that is cut off, rotten, of an unknown format, or not the one that was announced. */
  | 'SnapshotInvalid'
  /** The directory holds a format that this version does not know. */
  | 'StorageFormat'
  /** The disk refused a write. The store takes no more entries; the process must end. */
  | 'StorageFailed'
  /** A sealed value was changed, or moved from another record. Details: key. */
  | 'SealBroken'
  /** No key is known that seals, or that opens a value. Details: key, id. */
  | 'NoSealingKey'
  /** So many keys of sealed values are kept already. */
  | 'TooManyKeys'
  /** The keys of sealed values kept changing while something was to be written. */
  | 'KeysUnsettled'
  /** The store is closed. */
  | 'Closed';

export class StoreError extends KontikiError<StoreErrorCode> {
  override readonly name = 'StoreError';
}
