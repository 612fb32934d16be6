/**
 * Which connections there are and whose. A connection counts for a member when its peer was one at the time it opened;
 * others are strangers' and good for asking to join only: they are few, short, and end when idle.
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

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  /** For the gater: whether an inbound connection from this peer is taken. */
  admits(peer: PeerId): boolean {
    return this.#options.isMember(peer) || this.#strangers.size < strangersMax;
  }

  opened(connection: Connection): void {
    const peer = connection.remotePeer.toString();
    if (!this.#options.isMember(peer)) {
      this.#strangers.set(connection, { connection, openedMs: this.#options.nowMs(), asks: 0 });
      return;
    }
    const connections = this.#members.get(peer) ?? new Set();
    this.#members.set(peer, connections.add(connection));
    this.#options.onOpen(peer);
  }

  /**
   * When one of several connections to a member is lost, the others go too. Gossipsub keeps one stream for each peer
   * and notices only the loss of the last connection; a fresh start sets everything up again within moments.
   */
  closed(connection: Connection): void {
    this.#strangers.delete(connection);
    const peer = connection.remotePeer.toString();
    const connections = this.#members.get(peer);
    if (!connections?.delete(connection)) return;
    this.#members.delete(peer);
    for (const other of connections) other.abort(new TransportError('StreamReset', 'another connection to the peer was lost'));
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
    for (const connection of [...(this.#members.get(peer) ?? [])]) connection.abort(reason);
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
      if (asks === 0 && nowMs - openedMs > strangerIdleMs) connection.abort(new TransportError('NotMember', 'an idle stranger'));
    }
  }

  abortAll(reason: Error): void {
    for (const connections of [...this.#members.values()]) for (const connection of [...connections]) connection.abort(reason);
    for (const connection of [...this.#strangers.keys()]) connection.abort(reason);
  }
}
