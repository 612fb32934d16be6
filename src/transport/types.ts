/** What other rooms see of the network between peers. Only this room imports libp2p. */
import type { Duplex } from 'node:stream';

export type PeerId = string;

export interface PeerAddress {
  id: PeerId;
  /** Multiaddrs without the /p2p part, for example /ip4/10.0.0.2/tcp/7420. */
  addresses: string[];
}

/** A purpose of long-lived framed streams; one stream for each pair of peers and purpose and direction. */
export type Purpose = 'consensus' | 'gossip';

export interface Transport {
  readonly id: PeerId;
  /** The addresses it listens on, for others to dial. */
  addresses(): string[];
  /** Who may connect. Streams of anyone else are refused, but for the join protocol. Dials and redials all of them. */
  setMembers(members: PeerAddress[]): void;
  /** Queues one frame; frames of a tick are sent together. False: not connected or over its bound; the frame is dropped. */
  send(to: PeerId, purpose: Purpose, frame: Uint8Array): boolean;
  onFrame(purpose: Purpose, handler: (from: PeerId, frame: Uint8Array) => void): void;
  /** Connected or lost. */
  onConnection(handler: (peer: PeerId, connected: boolean) => void): void;
  connected(): PeerId[];
  /** Gives up the connections to a member; it is dialed again at once. All that was open to it is reset. */
  reconnect(peer: PeerId): void;
  /** Members that were reached and do not take this peer for one. */
  refusedBy(): PeerId[];
  /** Gossipsub. Delivered to every member that subscribes, also this one's own handler is NOT called for own messages. */
  publish(topic: string, data: Uint8Array): void;
  subscribe(topic: string, handler: (from: PeerId, data: Uint8Array) => void): void;
  /** A byte stream to a service on another member, with flow control and half-close (logs, exec, snapshots). */
  openStream(to: PeerId, service: string, signal: AbortSignal): Promise<Duplex>;
  handleStream(service: string, handler: (from: PeerId, stream: Duplex) => void): void;
  /** One request and answer with a peer of which only the address is known and which does not know us (join). */
  ask(address: string, request: Uint8Array, signal: AbortSignal): Promise<{ from: PeerId; answer: Uint8Array }>;
  /** The same over the connection that a linked member has anyway. Rejects with TransportError 'NotConnected' without one. */
  askMember(to: PeerId, request: Uint8Array, signal: AbortSignal): Promise<Uint8Array>;
  /** Answers both. Bounded: at most 64 KiB each way, 10 s. */
  onAsk(handler: (from: PeerId, request: Uint8Array) => Promise<Uint8Array>): void;
  close(): Promise<void>;
}
