/** What the main thread and the peer thread say to each other. One type for each call or notice, named as on the wire. */
import type { ConsensusStatus, MembershipChange } from '../consensus/types.ts';
import type { LogLevel } from '../lib/logger.ts';
import type { NodeHealthView } from '../machinery/node-health.ts';
import type { StateHash } from '../store/types.ts';
import type { PeerAddress } from '../transport/types.ts';
import type { EntryBatch } from './entry-batch.ts';
import type { StateJudgement } from './state-exchange.ts';

/** A machine of the cluster, as far as the peer thread needs to know it. */
export interface Member extends PeerAddress {
  nodeName: string;
}

/** What the peer thread is started with. */
export interface PeerThreadOptions {
  id: string;
  /** Base64. */
  privateKey: string;
  incarnation: number;
  nodeName: string;
  nodeIp: string;
  peerPort: number;
  raftDir: string;
  agentSocket: string;
  streamsSocket: string;
  leaseSocket: string;
  /** What the store already holds on disk. */
  durable: { index: number; term: number };
  logLevel: LogLevel;
}

/** Calls that the main thread makes. */
export interface PeerCalls {
  /** Connects to the members and takes part in consensus. Before it, only `ask` works. */
  start(argument: { members: Member[]; bootstrap: boolean; expectsLog: boolean }): Promise<void>;
  addresses(argument: null): Promise<string[]>;
  propose(data: Uint8Array): Promise<{ index: number }>;
  readIndex(argument: null): Promise<number>;
  changeMembership(change: MembershipChange): Promise<void>;
  transferLeadership(to: string): Promise<void>;
  status(argument: null): Promise<ConsensusStatus>;
  ask(argument: { address: string; request: Uint8Array }): Promise<{ from: string; answer: Uint8Array }>;
  /** Over the link to a member. */
  askMember(argument: { peer: string; request: Uint8Array }): Promise<Uint8Array>;
  /** Members that do not take this peer for one. */
  refusedBy(argument: null): Promise<string[]>;
  stop(argument: null): Promise<void>;
}

/** Calls that the peer thread makes. */
export interface MainCalls {
  /** Resolves when the entries are applied in memory. */
  apply(entries: EntryBatch): Promise<void>;
  snapshotOpen(argument: null): Promise<{ stream: number; index: number; term: number }>;
  /** Undefined: the end. */
  snapshotNext(stream: number): Promise<Uint8Array | undefined>;
  snapshotClose(stream: number): Promise<void>;
  restoreOpen(meta: { index: number; term: number }): Promise<number>;
  restoreChunk(argument: { stream: number; chunk: Uint8Array }): Promise<void>;
  /** Resolves when the state is replaced and durable. */
  restoreEnd(argument: { stream: number; complete: boolean }): Promise<void>;
  answerAsk(argument: { from: string; request: Uint8Array }): Promise<Uint8Array>;
}

/** Notices to the main thread. */
export interface MainNotices {
  changed: ConsensusStatus;
  health: NodeHealthView[];
  /** How this peer's state compares with that of the others; told when it changes. */
  stateJudged: StateJudgement;
  fatal: { message: string };
}

/** Notices to the peer thread. */
export interface PeerNotices {
  durable: { index: number; term: number };
  /** Whether this peer's disk has too little room. */
  diskLow: boolean;
  /** This peer's, for the others to compare. */
  stateHashes: readonly StateHash[];
  members: Member[];
  /** Some member is found at this multiaddr; nobody knows which. */
  hint: string;
}
