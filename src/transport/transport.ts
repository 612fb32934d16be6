/**
 * The network between peers as one object: composes the libp2p node, a link to each member, gossip, service streams and
 * questions. Everything behind it is authenticated by key: an address is only where a key may be found.
 */
import type { Duplex } from 'node:stream';
import { TopicValidatorResult } from '@libp2p/gossipsub';
import type { Connection, Stream } from '@libp2p/interface';
import { multiaddr } from '@multiformats/multiaddr';
import { assert } from '../lib/assert.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { errorMessage } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import { type Random, systemRandom } from '../lib/random.ts';
import { RepeatingTask } from '../lib/repeating-task.ts';
import { Answerer, type AskHandler, askOver, askProtocol, askTimeoutMs } from './asking.ts';
import { abortConnection, Connections, withoutPeer } from './connections.ts';
import { EnvelopeWriter, readEnvelope } from './envelope.ts';
import { TransportError } from './errors.ts';
import { readFrames, refuseFrames } from './frame-stream.ts';
import { readIdentity } from './identity.ts';
import { createNode, type Node } from './libp2p-node.ts';
import { frameProtocol, Link, purposes } from './link.ts';
import { type ServiceHandler, Services, serviceProtocol, serviceStreamsMax } from './services.ts';
import type { PeerAddress, PeerId, Purpose, Transport } from './types.ts';

export interface TransportOptions {
  /** Ed25519 in libp2p's protobuf form, as from generateIdentity. */
  privateKey: Uint8Array;
  /** Multiaddrs, for example /ip4/10.0.0.2/tcp/7420; port 0 takes any. */
  listen: string[];
  logger: Logger;
  clock?: Clock;
  random?: Random;
}

const tickMs = 1000;

type FrameHandler = (from: PeerId, frame: Uint8Array) => void;

/** Listens when it resolves. Rejects when an address cannot be listened on or the key is none. */
export async function createTransport(options: TransportOptions): Promise<Transport> {
  const transport = new PeerTransport(options);
  await transport.start(options.privateKey, options.listen);
  return transport;
}

class PeerTransport implements Transport {
  readonly id: PeerId;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #members = new Map<PeerId, PeerAddress>();
  readonly #links = new Map<PeerId, Link>();
  readonly #connections: Connections;
  readonly #services: Services;
  readonly #answerer: Answerer;
  readonly #envelopes: EnvelopeWriter;
  readonly #frameHandlers = new Map<Purpose, FrameHandler>();
  readonly #topicHandlers = new Map<string, FrameHandler>();
  readonly #connectionHandlers: ((peer: PeerId, connected: boolean) => void)[] = [];
  readonly #ticker: RepeatingTask;
  #node: Node | undefined;
  #meetGossip: ((connection: Connection) => void) | undefined;
  #closed = false;

  constructor({ privateKey, logger, clock = systemClock, random = systemRandom }: TransportOptions) {
    this.id = readIdentity(privateKey).id;
    this.#logger = logger;
    this.#clock = clock;
    this.#random = random;
    this.#connections = new Connections({
      id: this.id,
      isMember: (peer) => this.#members.has(peer),
      nowMs: () => clock.monotonicMs(),
      onOpen: (peer) => this.#links.get(peer)?.wake(),
    });
    this.#services = new Services(logger, (connection) => this.#connections.isMembers(connection));
    this.#answerer = new Answerer(logger);
    this.#envelopes = new EnvelopeWriter(this.id, clock.wallMs());
    this.#ticker = new RepeatingTask({
      clock,
      intervalMs: tickMs,
      run: () => this.#tick(),
      onError: (error) => logger.error({ error }, 'a tick of the transport failed'),
    });
  }

  async start(privateKey: Uint8Array, listen: string[]): Promise<void> {
    const { node, meetGossip } = await createNode({
      privateKey: readIdentity(privateKey).key,
      listen,
      isMember: (connection) => this.#connections.isMembers(connection),
      admit: (peer) => !this.#closed && this.#connections.admits(peer),
    });
    this.#node = node;
    this.#meetGossip = meetGossip;
    node.addEventListener('connection:open', (event) => this.#connections.opened(event.detail));
    node.addEventListener('connection:close', (event) => this.#connections.closed(event.detail));
    node.services.pubsub.addEventListener('message', (event) => this.#onGossip(event.detail.topic, event.detail.data));
    for (const purpose of purposes) {
      await node.handle(frameProtocol(purpose), (stream, connection) => this.#acceptFrames(purpose, stream, connection));
    }
    const accept = this.#services.accept.bind(this.#services);
    await node.handle(serviceProtocol, accept, { maxInboundStreams: serviceStreamsMax, maxOutboundStreams: serviceStreamsMax });
    await node.handle(askProtocol, (stream, connection) => this.#acceptAsk(stream, connection));
    await node.start();
    this.#ticker.start();
  }

  addresses(): string[] {
    return this.#started.getMultiaddrs().map((address) => withoutPeer(address.toString()));
  }

  setMembers(members: PeerAddress[]): void {
    if (this.#closed) return;
    const next = new Map(members.filter(({ id }) => id !== this.id).map((member) => [member.id, member]));
    for (const id of [...this.#members.keys()]) if (!next.has(id)) this.#removeMember(id);
    for (const [id, member] of next) {
      const moved = this.#members.get(id)?.addresses.join() !== member.addresses.join();
      this.#members.set(id, member);
      const link = this.#links.get(id);
      if (!link) this.#links.set(id, this.#newLink(id));
      else if (moved) link.wake();
    }
  }

  send(to: PeerId, purpose: Purpose, frame: Uint8Array): boolean {
    return this.#links.get(to)?.send(purpose, frame) ?? false;
  }

  onFrame(purpose: Purpose, handler: FrameHandler): void {
    this.#frameHandlers.set(purpose, handler);
  }

  onConnection(handler: (peer: PeerId, connected: boolean) => void): void {
    this.#connectionHandlers.push(handler);
  }

  connected(): PeerId[] {
    return [...this.#links].filter(([, link]) => link.connected).map(([id]) => id);
  }

  reconnect(peer: PeerId): void {
    this.#connections.abortMember(peer, new TransportError('StreamReset', 'the connection is made anew'));
  }

  refusedBy(): PeerId[] {
    return [...this.#links].filter(([, link]) => link.refused).map(([id]) => id);
  }

  publish(topic: string, data: Uint8Array): void {
    if (this.#closed) return;
    this.#started.services.pubsub.publish(topic, this.#envelopes.write(data)).catch((error: unknown) => {
      // Gossip is lossy by contract; what matters is repeated by its sender.
      this.#logger.debug({ topic, error: errorMessage(error) }, 'a message could not be published');
    });
  }

  subscribe(topic: string, handler: FrameHandler): void {
    const { pubsub } = this.#started.services;
    this.#topicHandlers.set(topic, handler);
    pubsub.topicValidators.set(topic, (_peer, message) =>
      readEnvelope(message.data) ? TopicValidatorResult.Accept : TopicValidatorResult.Reject,
    );
    pubsub.subscribe(topic);
  }

  async openStream(to: PeerId, service: string, signal: AbortSignal): Promise<Duplex> {
    const connection = this.#connections.preferred(to);
    if (this.#closed || !connection) throw new TransportError('NotConnected', `no connection to peer ${to}`, { peer: to });
    return await this.#services.open(connection, service, signal);
  }

  handleStream(service: string, handler: ServiceHandler): void {
    this.#services.handle(service, handler);
  }

  async ask(address: string, request: Uint8Array, signal: AbortSignal): Promise<{ from: PeerId; answer: Uint8Array }> {
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(askTimeoutMs)]);
    const dial = () => this.#started.dial(multiaddr(address), { signal: bounded, force: true });
    const connection = await this.#connections.dialToAsk(address, dial).catch((error: unknown) => {
      bounded.throwIfAborted();
      throw new TransportError('AskFailed', `cannot reach ${address}: ${errorMessage(error)}`, { address }, error);
    });
    this.#connections.askStarted(connection);
    try {
      return { from: connection.remotePeer.toString(), answer: await askOver(connection, request, bounded, this.#logger) };
    } finally {
      this.#connections.askEnded(connection);
      abortConnection(connection, new TransportError('AskFailed', 'the question is over'));
    }
  }

  async askMember(to: PeerId, request: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const connection = this.#links.get(to)?.connected ? this.#connections.preferred(to) : undefined;
    if (!connection) throw new TransportError('NotConnected', `no connection to peer ${to}`, { peer: to });
    return await askOver(connection, request, AbortSignal.any([signal, AbortSignal.timeout(askTimeoutMs)]), this.#logger);
  }

  onAsk(handler: AskHandler): void {
    this.#answerer.handle(handler);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const reason = new TransportError('Closed', 'the transport is closed');
    await this.#ticker.stop();
    for (const link of this.#links.values()) link.stop(reason);
    this.#links.clear();
    this.#members.clear();
    this.#services.closeAll(reason);
    this.#connections.abortAll(reason);
    await this.#node?.stop();
  }

  get #started(): Node {
    assert(this.#node, 'the transport has started');
    return this.#node;
  }

  #newLink(peer: PeerId): Link {
    return new Link({
      peer,
      dialsFirst: this.id < peer,
      clock: this.#clock,
      random: this.#random,
      logger: this.#logger,
      existing: () => this.#connections.preferred(peer),
      dial: (signal) => this.#dial(peer, signal),
      abortAll: (reason) => this.#connections.abortMember(peer, reason),
      onChange: (connected) => {
        this.#logger.info({ peer }, connected ? 'connected to peer' : 'lost the connection to peer');
        for (const handler of this.#connectionHandlers) handler(peer, connected);
      },
    });
  }

  async #dial(peer: PeerId, signal: AbortSignal): Promise<Connection> {
    const addresses = this.#members.get(peer)?.addresses ?? [];
    if (addresses.length === 0) throw new TransportError('NotConnected', `no address of peer ${peer} is known`, { peer });
    const targets = addresses.map((address) => multiaddr(`${address}/p2p/${peer}`));
    // Forced: libp2p would otherwise hand out a connection from the time when the peer was a stranger.
    return await this.#started.dial(targets, { signal, force: true });
  }

  #removeMember(id: PeerId): void {
    const reason = new TransportError('NotMember', `${id} is no longer a member`);
    this.#members.delete(id);
    this.#links.get(id)?.stop(reason);
    this.#links.delete(id);
    this.#connections.abortMember(id, reason);
  }

  async #acceptFrames(purpose: Purpose, stream: Stream, connection: Connection): Promise<void> {
    if (!this.#connections.isMembers(connection)) return await refuseFrames(stream);
    const from = connection.remotePeer.toString();
    readFrames(
      stream,
      () => this.#clock.monotonicMs(),
      (frame) => {
        try {
          this.#frameHandlers.get(purpose)?.(from, frame);
        } catch (error) {
          this.#logger.error({ peer: from, purpose, error }, 'a frame could not be handled; its stream is reset');
          throw error;
        }
      },
    );
  }

  async #acceptAsk(stream: Stream, connection: Connection): Promise<void> {
    this.#connections.askStarted(connection);
    try {
      await this.#answerer.accept(stream, connection);
    } finally {
      this.#connections.askEnded(connection);
    }
  }

  #onGossip(topic: string, data: Uint8Array): void {
    const envelope = readEnvelope(data);
    const handler = this.#topicHandlers.get(topic);
    if (!envelope || !handler || envelope.from === this.id) return;
    try {
      handler(envelope.from, envelope.data);
    } catch (error) {
      this.#logger.error({ peer: envelope.from, topic, error }, 'a gossip message could not be handled');
    }
  }

  #tick(): void {
    for (const [peer, link] of this.#links) {
      link.tick();
      const connection = link.connected ? this.#connections.preferred(peer) : undefined;
      if (connection) this.#meetGossip?.(connection);
    }
    this.#connections.tick();
  }
}
