/** The door of the store. */
export { StoreError, type StoreErrorCode } from './errors.ts';
export { readImage, reviseImage, type StoreImage, type StoreRevision, surveySnapshot, writeImage } from './offline-image.ts';
export { namedBySecret, sealedBy } from './sealing/envelope.ts';
export {
  decodeKeys,
  encodeKeys,
  firstKeys,
  type SealingKeysRecord,
  sealingKeysKey,
} from './sealing/key-record.ts';
export { KeyRing } from './sealing/key-ring.ts';
export { keepRewriting, rotateSealingKey } from './sealing/rewriting.ts';
export { SealedStore } from './sealing/sealed-store.ts';
export { snapshotChunkBytesMax } from './snapshot.ts';
export { type LogEntry, type LogPosition, Store, type StoreOptions, type StoreStats } from './store.ts';
export { decodeTransaction, encodeTransaction } from './transaction.ts';
export type * from './types.ts';
