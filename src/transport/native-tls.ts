/**
 * libp2p's TLS (the specification: https://github.com/libp2p/specs/blob/master/tls/tls.md) on the socket itself. @libp2p/tls would
 * run it over a stream in JavaScript on top of the socket, so that every record passes three layers more on its way, and would make
 * a record, a write and a turn of the other side's event loop of each piece it is given: yamux gives twelve bytes of header and then
 * the data. Here Node's TLS reads and writes the socket, and the pieces of one send become one write. Certificates and their
 * verification are @libp2p/tls's.
 */
import type { Socket } from 'node:net';
import { type ConnectionOptions, connect, TLSSocket, type TLSSocketOptions } from 'node:tls';
import type {
  ConnectionEncrypter,
  MessageStream,
  SecureConnectionOptions,
  SecuredConnection,
  StreamMuxerFactory,
} from '@libp2p/interface';
import type { TLSComponents } from '@libp2p/tls';
import { generateCertificate, toMessageStream, verifyPeerCertificate } from '@libp2p/tls/utils';
import { assert } from '../lib/assert.ts';
import { abortable } from '../lib/deferred.ts';
import { TransportError } from './errors.ts';

/** What @libp2p/tcp gives for a connection, as far as it is used here. */
interface SocketConnection extends MessageStream {
  socket: Socket;
  sendReset(): void;
  readBuffer: Pieces & { consume(bytes: number): void };
}

/** What @libp2p/tls gives for an encrypted connection, as far as it is used here. */
interface EncryptedConnection extends MessageStream {
  sendData(pieces: Pieces): { sentBytes: number; canSendMore: boolean };
}

interface Pieces {
  byteLength: number;
  subarray(): Uint8Array;
}

/** A connection may say by ALPN that it goes on with the protocol that it names, or with this: nothing was agreed. */
const noMuxer = 'libp2p';

export function nativeTls(): (components: TLSComponents) => ConnectionEncrypter {
  return (components) => ({
    protocol: '/tls/1.0.0',
    secureInbound: (connection, options) => secure(components, connection, true, options),
    secureOutbound: (connection, options) => secure(components, connection, false, options),
  });
}

/** Rejects, and ends the connection, when the other side is not who was expected or the signal says so. */
async function secure(
  components: TLSComponents,
  connection: MessageStream,
  isServer: boolean,
  options: SecureConnectionOptions = {},
): Promise<SecuredConnection> {
  const { signal, remotePeer: expected, skipStreamMuxerNegotiation } = options;
  const { upgrader, privateKey } = components;
  const muxers = skipStreamMuxerNegotiation ? new Map<string, StreamMuxerFactory>() : upgrader.getStreamMuxers();
  const certificate = await generateCertificate(privateKey, options);
  const settings: TLSSocketOptions & ConnectionOptions = {
    ...certificate,
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    // Certificates are self-signed; who is behind one is found out below.
    rejectUnauthorized: false,
    ALPNProtocols: [...muxers.keys(), noMuxer],
    ...(isServer && {
      isServer,
      requestCert: true,
      ALPNCallback: ({ protocols }) => protocols.find((protocol) => muxers.has(protocol) || protocol === noMuxer),
    }),
  };
  const socket = takeSocket(connection as SocketConnection);
  const encrypted = isServer ? new TLSSocket(socket, settings) : connect({ ...settings, socket });
  (connection as SocketConnection).sendReset = () => reset(socket, encrypted);
  try {
    await abortable(secured(encrypted), signal);
    const remotePeer = await verifyPeerCertificate(encrypted.getPeerCertificate().raw, expected, connection.log);
    const streamMuxer = muxers.get(encrypted.alpnProtocol || noMuxer);
    return {
      remotePeer,
      connection: gathering(toMessageStream(connection, encrypted), encrypted),
      ...(streamMuxer && { streamMuxer }),
    };
  } catch (error) {
    encrypted.destroy();
    connection.abort(error instanceof Error ? error : new Error(String(error)));
    throw error;
  }
}

/** The socket of a connection that reads it no more; what the connection had read already is what the socket gives first. */
function takeSocket({ socket, readBuffer }: SocketConnection): Socket {
  assert(socket, 'connections are over TCP');
  socket.pause();
  socket.removeAllListeners('data');
  if (readBuffer.byteLength > 0) {
    socket.unshift(readBuffer.subarray().slice());
    readBuffer.consume(readBuffer.byteLength);
  }
  return socket;
}

/**
 * Encryption has to end before the socket below it is reset: the other way round, Node (24) reads memory that is gone. It ends by
 * destroying the socket, which is the moment to reset it, so that the other side sees a broken connection and not an end.
 */
function reset(socket: Socket, encrypted: TLSSocket): void {
  socket.destroy = () => {
    Reflect.deleteProperty(socket, 'destroy');
    return socket.resetAndDestroy();
  };
  encrypted.destroy();
}

function secured(socket: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('secure', resolve);
    socket.on('error', reject);
    socket.once('close', () => reject(new TransportError('StreamReset', 'the connection closed while it was encrypted')));
  });
}

function gathering(stream: MessageStream, socket: TLSSocket): MessageStream {
  (stream as unknown as EncryptedConnection).sendData = (pieces) => ({
    sentBytes: pieces.byteLength,
    canSendMore: socket.write(pieces.subarray()),
  });
  return stream;
}
