/** The door of consensus. */
export { ConsensusError, type ConsensusErrorCode } from './errors.ts';
export type { LogBatch, LogStorage, StoredLog } from './log-batch.ts';
export { LevelLogStorage } from './log-storage.ts';
export { ConsensusNode, type ConsensusNodeOptions } from './node.ts';
export { type OfflineLog, readOfflineLog, readTerm, writeFreshLog } from './offline-log.ts';
export type * from './types.ts';
