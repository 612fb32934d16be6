/**
 * Which connections there are and whose. A connection counts for a member when its peer was one at the time it opened;
 * others are strangers' and good for asking to join only: they are few, short, and end when idle. Two members may have two
 * connections when both dialed; both stay, and both sides prefer the same one.
 */
import type { Connection } from '@libp2p/interface';
import { TransportError } from './errors.ts';
import type { PeerId } from './types.ts';

const strangersMax = 64;
const strangerIdleMs = 15_000;

interface Stranger {
  connection: Connection;
  openedMs: number;
  asks: number;
}

export interface ConnectionsOptions {
  id: PeerId;
  isMember: (peer: PeerId) => boolean;
  nowMs: () => number;
  /** A member's connection opened. */
  onOpen: (peer: PeerId) => void;
}

export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #members = new Map<PeerId, Set<Connection>>();
  readonly #strangers = new Map<Connection, Stranger>();
  /** Addresses that are being dialed to ask something there. */
  readonly #asked: string[] = [];

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  /** For the gater: whether an inbound connection from this peer is taken. */
  admits(peer: PeerId): boolean {
    return this.#options.isMember(peer) || this.#strangers.size < strangersMax;
  }

  opened(connection: Connection): void {
    const peer = connection.remotePeer.toString();
    if (!this.#options.isMember(peer) || this.#isForAsking(connection)) {
      this.#strangers.set(connection, { connection, openedMs: this.#options.nowMs(), asks: 0 });
      return;
    }
    const connections = this.#members.get(peer) ?? new Set();
    this.#members.set(peer, connections.add(connection));
    this.#options.onOpen(peer);
  }

  closed(connection: Connection): void {
    this.#strangers.delete(connection);
    const peer = connection.remotePeer.toString();
    const connections = this.#members.get(peer);
    if (connections?.delete(connection) && connections.size === 0) this.#members.delete(peer);
  }

  isMembers(connection: Connection): boolean {
    return this.#members.get(connection.remotePeer.toString())?.has(connection) ?? false;
  }

  /**
   * The connection to use, the same one on both sides when both have dialed: that which the peer with the smaller id
   * dialed, and the newest of these.
   */
  preferred(peer: PeerId): Connection | undefined {
    const smaller = this.#options.id < peer ? 'outbound' : 'inbound';
    let best: Connection | undefined;
    for (const connection of this.#members.get(peer) ?? []) {
      if (connection.status !== 'open') continue;
      if (!best || connection.direction === smaller || best.direction !== smaller) best = connection;
    }
    return best;
  }

  abortMember(peer: PeerId, reason: Error): void {
    for (const connection of [...(this.#members.get(peer) ?? [])]) abortConnection(connection, reason);
  }

  /** A connection that opens to this address during `dial` is for asking only, even if a member is found there. */
  async dialToAsk(address: string, dial: () => Promise<Connection>): Promise<Connection> {
    this.#asked.push(address);
    try {
      return await dial();
    } finally {
      this.#asked.splice(this.#asked.indexOf(address), 1);
    }
  }

  /** Keeps a stranger's connection open while a question is under way. */
  askStarted(connection: Connection): void {
    const stranger = this.#strangers.get(connection);
    if (stranger) stranger.asks++;
  }

  askEnded(connection: Connection): void {
    const stranger = this.#strangers.get(connection);
    if (!stranger) return;
    stranger.asks--;
    stranger.openedMs = this.#options.nowMs();
  }

  /** To be called each second. */
  tick(): void {
    const nowMs = this.#options.nowMs();
    for (const { connection, openedMs, asks } of [...this.#strangers.values()]) {
      if (asks > 0 || nowMs - openedMs <= strangerIdleMs) continue;
      abortConnection(connection, new TransportError('NotMember', 'an idle stranger'));
    }
  }

  #isForAsking(connection: Connection): boolean {
    const address = withoutPeer(connection.remoteAddr.toString());
    return connection.direction === 'outbound' && this.#asked.some((asked) => withoutPeer(asked) === address);
  }

  abortAll(reason: Error): void {
    for (const connections of [...this.#members.values()])
      for (const connection of [...connections]) abortConnection(connection, reason);
    for (const connection of [...this.#strangers.keys()]) abortConnection(connection, reason);
  }
}

/** A multiaddr without the peer id at its end. */
export function withoutPeer(address: string): string {
  return address.replace(/\/p2p\/[^/]+$/, '');
}

/**
 * Resets all streams and the connection. Never gracefully: a graceful close ends the streams as if each had come to its
 * end. Does nothing to a connection that is lost already, where libp2p's abort throws.
 */
export function abortConnection(connection: Connection, reason: Error): void {
  if (connection.status !== 'open') return;
  try {
    connection.abort(reason);
  } catch (error) {
    // It was lost at this very moment: then it needs no abort. Anything else must be seen.
    if (connection.status === 'open') throw error;
  }
}
