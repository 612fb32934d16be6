/** What the gossip table knows about machines, as control loops and the API may see it. Implemented in `node`. */
export interface NodeHealthView {
  nodeName: string;
  verdict: 'alive' | 'suspect' | 'dead';
  /** False when the machine lives but its agent does not answer. */
  agentReady: boolean;
  /** Wall time of the last heartbeat, milliseconds. */
  lastHeartbeatMs: number;
}

export interface NodeHealth {
  /** Undefined: this peer has never heard of that machine since it started. */
  get(nodeName: string): NodeHealthView | undefined;
  list(): NodeHealthView[];
  /** Called after every change of a verdict or of agentReady. Returns a function that stops it. */
  onChange(listener: (view: NodeHealthView) => void): () => void;
}
