/** The door of gossip: heartbeats, the table of machines and the failure detector. */
export { GossipError, type GossipErrorCode } from './errors.ts';
export { FailureDetector, type FailureDetectorOptions, type VerdictChange } from './failure-detector.ts';
export { decodeHeartbeat, encodeHeartbeat } from './heartbeat.ts';
export { MembershipTable } from './membership-table.ts';
export type * from './types.ts';
