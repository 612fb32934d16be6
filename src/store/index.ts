/** The door of the store. */
export { StoreError, type StoreErrorCode } from './errors.ts';
export { readImage, reviseImage, type StoreImage, type StoreRevision, surveySnapshot, writeImage } from './offline-image.ts';
export { snapshotChunkBytesMax } from './snapshot.ts';
export { type LogEntry, type LogPosition, Store, type StoreOptions, type StoreStats } from './store.ts';
export { decodeTransaction, encodeTransaction } from './transaction.ts';
export type * from './types.ts';
