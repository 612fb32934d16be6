/**
 * The libp2p node: TCP, TLS, yamux, identify, gossipsub, with settings that fit one cluster of known members. What a
 * stranger may do is decided by `isMember` and `admitStranger`; members are dialed by the links, nobody else dials.
 */
import { yamux } from '@chainsafe/libp2p-yamux';
import { type GossipSub, type GossipSubComponents, gossipsub } from '@libp2p/gossipsub';
import { identify } from '@libp2p/identify';
import type { Connection, Libp2p, PrivateKey, Stream, Topology } from '@libp2p/interface';
import { tcp } from '@libp2p/tcp';

import { createLibp2p } from 'libp2p';
import { envelopeId } from './envelope.ts';
import { TransportError } from './errors.ts';
import { nativeTls } from './native-tls.ts';

/** Below libp2p's bound of 4 MiB for what a paused stream may buffer, so that a slow reader is never reset. */
const streamWindowBytesMax = 2 * 1024 * 1024;

export type Node = Libp2p<{ pubsub: GossipSub }>;

export interface NodeOptions {
  privateKey: PrivateKey;
  listen: string[];
  /** Whether gossip may run over that connection. */
  isMember: (connection: Connection) => boolean;
  /** Whether a connection from this peer is taken at all. */
  admit: (peer: string) => boolean;
}

/** The node is not started yet: handlers come first. */
export async function createNode(options: NodeOptions): Promise<{ node: Node; meetGossip: (connection: Connection) => void }> {
  const gossipTopologies: Topology[] = [];
  const node = await createLibp2p({
    start: false,
    privateKey: options.privateKey,
    addresses: { listen: options.listen },
    transports: [
      tcp({
        // Liveness is the links' business: an idle connection is no dead one.
        inboundSocketInactivityTimeout: 0,
        outboundSocketInactivityTimeout: 0,
        dialOpts: { noDelay: true, keepAlive: true },
        listenOpts: { noDelay: true, keepAlive: true },
      }),
    ],
    connectionEncrypters: [nativeTls()],
    streamMuxers: [
      yamux({ maxInboundStreams: 4096, maxOutboundStreams: 4096, streamOptions: { maxStreamWindowSize: streamWindowBytesMax } }),
    ],
    connectionManager: {
      maxConnections: 512,
      maxParallelDials: 64,
      addressDialTimeout: 3000,
      dialTimeout: 6000,
      // All peers of a cluster may come from one host (several behind one address, or a test).
      inboundConnectionThreshold: 512,
      maxIncomingPendingConnections: 128,
      reconnectRetries: 0,
    },
    connectionMonitor: { enabled: false },
    connectionGater: {
      denyDialMultiaddr: () => false,
      denyInboundEncryptedConnection: (peer) => !options.admit(peer.toString()),
    },
    services: {
      identify: identify({ protocolPrefix: 'kontiki' }),
      pubsub: (components: GossipSubComponents) =>
        gossipsub(gossipOptions)(membersOnly(components, options.isMember, (topology) => gossipTopologies.push(topology))),
    },
  });
  const meetGossip = (connection: Connection) => void gossipTopologies[0]?.onConnect?.(connection.remotePeer, connection);
  return { node, meetGossip };
}

const gossipOptions: Parameters<typeof gossipsub>[0] = {
  // The connection proves who sends, and members trust one another: signatures would only cost time.
  globalSignaturePolicy: 'StrictNoSign',
  msgIdFn: (message) => envelopeId(message.data),
  allowPublishToZeroTopicPeers: true,
  fallbackToFloodsub: false,
  emitSelf: false,
  // Scores are for strangers. With the default, more than ten peers behind one address get no mesh at all.
  scoreParams: { IPColocationFactorWeight: 0, behaviourPenaltyWeight: 0 },
  maxOutboundBufferSize: 16 * 1024 * 1024,
  maxInboundDataLength: 4 * 1024 * 1024,
};

/**
 * Gossipsub speaks with everyone who connects. It gets a registrar through which it meets members only. It opens one stream
 * for each peer when it meets it and does not replace a lost one: so members are introduced to it again and again
 * (`meetGossip`), which does nothing while the stream is there.
 */
function membersOnly(
  components: GossipSubComponents,
  isMember: (connection: Connection) => boolean,
  onTopology: (topology: Topology) => void,
): GossipSubComponents {
  const { registrar } = components;
  const gated: Pick<GossipSubComponents['registrar'], 'handle' | 'unhandle' | 'register' | 'unregister'> = {
    handle: (protocol, handler, options) =>
      registrar.handle(
        protocol,
        (stream: Stream, connection: Connection) => {
          if (isMember(connection)) return handler(stream, withOpenStreams(connection));
          stream.abort(new TransportError('NotMember', 'gossip is for members'));
        },
        options,
      ),
    unhandle: (protocol, options) => registrar.unhandle(protocol, options),
    register: (protocol, topology, options) => {
      const members: Topology = {
        ...topology,
        onConnect: (peer, connection) =>
          isMember(connection) ? topology.onConnect?.(peer, withOpenStreams(connection)) : undefined,
      };
      onTopology(members);
      return registrar.register(protocol, members, options);
    },
    unregister: (id) => registrar.unregister(id),
  };
  return {
    privateKey: components.privateKey,
    peerId: components.peerId,
    peerStore: components.peerStore,
    connectionManager: components.connectionManager,
    logger: components.logger,
    registrar: Object.assign(Object.create(registrar) as GossipSubComponents['registrar'], gated),
  };
}

/**
 * The connection, but that its streams end when the other side has done with them. A peer that does not take us for a member resets the
 * stream in the same packet in which it agrees to its protocol; gossipsub, which begins to listen only then, would keep that stream for
 * ever. And a peer whose gossip lets go of us while the connection lives, as when the end of an earlier connection becomes known late,
 * closes its half of the stream only: gossipsub would go on sending there, and never say again what it subscribes to, without which
 * the other one sends it nothing. A stream that has ended is opened anew when the peers are introduced the next time.
 */
export function withOpenStreams(connection: Connection): Connection {
  const newStream: Connection['newStream'] = async (protocols, options) => {
    const stream = await connection.newStream(protocols, options);
    stream.addEventListener('remoteCloseWrite', () => endStream(stream), { once: true });
    if (stream.status !== 'open' || stream.remoteWriteStatus === 'closed') {
      endStream(stream);
      throw new TransportError('StreamReset', 'the stream was over when it was opened');
    }
    return stream;
  };
  return new Proxy(connection, {
    get(target, property) {
      if (property === 'newStream') return newStream;
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** In good order, or else at once. */
function endStream(stream: Stream): void {
  stream.close().catch((error: unknown) => {
    stream.abort(new TransportError('StreamReset', 'the stream could not be closed', {}, error));
  });
}
