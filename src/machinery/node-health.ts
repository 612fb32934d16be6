/** What the gossip table knows about machines, as control loops and the API may see it. Implemented in `node`. */
export interface NodeHealthView {
  nodeName: string;
  verdict: 'alive' | 'suspect' | 'dead';
  /** False when the machine lives but its agent does not answer. */
  agentReady: boolean;
  /** Wall time of the last heartbeat, milliseconds. */
  lastHeartbeatMs: number;
  /** How long the machine's own lease lasts: until then it may consider itself in contact with the quorum. As it said last. */
  leaseMs?: number;
  /** The disk of its data folder has too little room. As it said last. */
  diskLow?: boolean;
  /**
   * Only on the leader, of a dead machine: from this wall time on the machine has surely noticed that it is cut off. Computed
   * anew from the monotonic clock in each report; `fenced` says the same without a wall clock.
   */
  fencedAtMs?: number;
  fenced?: boolean;
}

export interface NodeHealth {
  /** Undefined: this peer has never heard of that machine since it started. */
  get(nodeName: string): NodeHealthView | undefined;
  list(): NodeHealthView[];
  /** Called after every change of a verdict, of agentReady or of fenced. Returns a function that stops it. */
  onChange(listener: (view: NodeHealthView) => void): () => void;
}
