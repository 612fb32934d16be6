/** Heartbeats and verdicts. Pure data: transport carries them, `node` gives them a clock. */

export interface Resources {
  /** Thousandths of a core. */
  cpuMilli: number;
  memoryBytes: number;
  ephemeralStorageBytes: number;
  pods: number;
}

/** The hash of a peer's state when it had applied the log up to `index`. */
export interface HeartbeatStateHash {
  index: number;
  hash: string;
}

export interface Heartbeat {
  peer: string;
  nodeName: string;
  /** Start of this daemon, milliseconds of wall time; a later incarnation replaces an earlier one. */
  incarnation: number;
  /** 1, 2, 3, … within the incarnation. */
  sequence: number;
  /** Where other peers reach this one. */
  addresses: string[];
  capacity: Resources;
  allocatable: Resources;
  /** Sum of the reservations in the agent's ledger. */
  reserved: Resources;
  usage: { cpuMilli: number; memoryBytes: number; load1: number };
  /** False when the agent process does not answer. */
  agentReady: boolean;
  /** What this peer itself has heard: for each other peer the milliseconds since its last heartbeat. Evidence for others. */
  heardMs: Record<string, number>;
  /** The sender's latest, for comparison; at most 8. A peer of an earlier version sends none. */
  stateHashes?: readonly HeartbeatStateHash[];
  /** How long the sender may still consider itself in contact with the quorum, when it sent this. */
  leaseMs?: number;
  /** The median time of the latest writes of the sender's log. */
  syncMs?: number;
  /** The sender's disk has too little room. */
  diskLow?: boolean;
}

export type Verdict = 'alive' | 'suspect' | 'dead';

export interface MemberView {
  heartbeat: Heartbeat;
  verdict: Verdict;
  /** Monotonic time of the local clock at the last new heartbeat. */
  lastHeardMs: number;
  /** Peers whose evidence agrees with the suspicion. */
  accusers: string[];
}
