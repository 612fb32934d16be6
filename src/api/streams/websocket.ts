/**
 * WebSocket as Kubernetes' clients speak it: one connection carries all channels, the first byte of a message names the
 * channel. Source: KEP-4006 (v5), and what kubectl and the JavaScript and Python clients send. The npm library `ws` does the protocol.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type ServerOptions, type WebSocket, WebSocketServer } from 'ws';
import type { Clock } from '../../lib/clock.ts';
import { badRequest, type Status } from '../../machinery/status.ts';
import { channels } from '../../machinery/stream-frames.ts';
import type { ClientSession, SessionInput } from './session.ts';
import type { SessionOptions } from './stream-options.ts';

/** As large as the reference server takes: some clients send a whole file as one message. */
const messageBytesMax = 32 * 1024 * 1024;
/** What may wait in memory for a slow client. */
const waitingBytesMax = 256 * 1024;
const closeTimeoutMs = 5_000;
/**
 * How long the first message waits for the client's answer to a ping. kubectl 1.29 to 1.32 and others drop what comes before
 * they have set up their channels, and wait for ever when the end comes before that; those that answer pings have begun to read.
 */
const readyTimeoutMs = 1_000;
const normalClosure = 1000;

/** The library's type does not name closeTimeout yet. */
const serverOptions: ServerOptions & { closeTimeout: number } = {
  noServer: true,
  clientTracking: false,
  perMessageDeflate: false,
  maxPayload: messageBytesMax,
  closeTimeout: closeTimeoutMs,
};

interface Dialect {
  /** Messages are text: a digit for the channel, then base64. */
  base64: boolean;
  /** The end is told as a Status; before v4 it was plain text, and nothing when all went well. */
  statusAtEnd: boolean;
  /** v5: a channel can be half-closed, and nothing is said before the client has answered a ping. */
  halfClose: boolean;
}

const binary: Dialect = { base64: false, statusAtEnd: true, halfClose: false };
const oldBinary: Dialect = { ...binary, statusAtEnd: false };
const dialects: Record<string, Dialect> = {
  'v5.channel.k8s.io': { ...binary, halfClose: true },
  'v4.channel.k8s.io': binary,
  'v3.channel.k8s.io': oldBinary,
  'v2.channel.k8s.io': oldBinary,
  'channel.k8s.io': oldBinary,
  'v4.base64.channel.k8s.io': { ...binary, base64: true },
  'base64.channel.k8s.io': { ...oldBinary, base64: true },
};

export function isWebSocketRequest(request: IncomingMessage): boolean {
  return request.headers.upgrade?.toLowerCase() === 'websocket';
}

export function offeredProtocols(request: IncomingMessage): string[] {
  const offered = request.headers['sec-websocket-protocol'] ?? '';
  return offered
    .split(',')
    .map((protocol) => protocol.trim())
    .filter(Boolean);
}

/** The client's first choice among what we speak; '' when it names none. StatusError 400 when we speak none of them. */
export function chooseDialect(request: IncomingMessage): { protocol: string; dialect: Dialect } {
  const offered = offeredProtocols(request);
  if (offered.length === 0) return { protocol: '', dialect: oldBinary };
  for (const protocol of offered) {
    const dialect = dialects[protocol];
    if (dialect) return { protocol, dialect };
  }
  throw badRequest(`none of the WebSocket protocols ${offered.join(', ')} is supported`);
}

/**
 * Answers the upgrade. `protocol` may be one that is no token by the letter of the standard (with a slash), which the library
 * refuses to read, so it never sees it. StatusError 400 when the request is no WebSocket handshake.
 */
export function acceptWebSocket(
  { request, socket, head }: { request: IncomingMessage; socket: Duplex; head: Buffer },
  protocol: string,
): Promise<WebSocket> {
  const server = new WebSocketServer(serverOptions);
  delete request.headers['sec-websocket-protocol'];
  return new Promise((resolve, reject) => {
    server.on('wsClientError', (error) => reject(badRequest(`not a WebSocket handshake: ${error.message}`)));
    server.on('headers', (lines) => {
      if (protocol) lines.push(`Sec-WebSocket-Protocol: ${protocol}`);
    });
    server.handleUpgrade(request, socket, head, resolve);
  });
}

/** A session over an accepted WebSocket. */
export class WebSocketSession implements ClientSession {
  readonly #socket: WebSocket;
  readonly #dialect: Dialect;
  readonly #options: SessionOptions;
  readonly #clock: Clock;
  #ready: Promise<void> = Promise.resolve();

  constructor(socket: WebSocket, dialect: Dialect, { session, clock }: { session: SessionOptions; clock: Clock }) {
    this.#socket = socket;
    this.#dialect = dialect;
    this.#options = session;
    this.#clock = clock;
  }

  start(input: SessionInput): void {
    const socket = this.#socket;
    socket.on('message', (data, isBinary) => {
      const message = this.#decode(data as Buffer, isBinary);
      if (!message) return;
      if (this.#dialect.halfClose && message.channel === channels.close) {
        const [channel] = message.payload;
        if (channel !== undefined) input.end(channel);
        return;
      }
      const full = input.data(message.channel, message.payload);
      if (!full) return;
      socket.pause();
      void full.then(() => socket.resume());
    });
    // An error is followed by 'close'.
    socket.on('error', () => socket.terminate());
    socket.on('close', () => input.gone());
    if (this.#dialect.halfClose) {
      this.#ready = this.#answered();
      return;
    }
    // Clients of old take the first message, an empty one, as the sign that the other end is there.
    const { stdout, stderr } = this.#options;
    void this.send(stdout ? channels.stdout : stderr ? channels.stderr : channels.error, Buffer.alloc(0));
  }

  /** Resolves when the client has answered a ping, is gone, or takes too long. */
  #answered(): Promise<void> {
    const socket = this.#socket;
    return new Promise((resolve) => {
      const timer = this.#clock.setTimer(readyTimeoutMs, done);
      function done() {
        timer.cancel();
        socket.off('pong', done);
        socket.off('close', done);
        resolve();
      }
      socket.on('pong', done);
      socket.on('close', done);
      socket.ping();
    });
  }

  async send(channel: number, payload: Buffer): Promise<void> {
    const socket = this.#socket;
    await this.#ready;
    if (socket.readyState !== socket.OPEN) return;
    await new Promise<void>((resolve) => {
      // A failed write closes the connection, which is told there.
      socket.send(this.#encode(channel, payload), { binary: !this.#dialect.base64 }, () => resolve());
      if (socket.bufferedAmount < waitingBytesMax) resolve();
    });
  }

  async finish(status: Status): Promise<void> {
    const socket = this.#socket;
    if (socket.readyState === socket.CLOSED) return;
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    await this.#ready;
    const text = this.#dialect.statusAtEnd ? JSON.stringify(status) : status.status === 'Failure' ? status.message : '';
    if (text) await this.send(channels.error, Buffer.from(text));
    // Input that still comes is of no use, but it must be read for the client's answer to the close.
    socket.resume();
    socket.close(normalClosure);
    await closed;
  }

  destroy(): void {
    this.#socket.terminate();
  }

  #encode(channel: number, payload: Buffer): Buffer | string {
    return this.#dialect.base64 ? `${channel}${payload.toString('base64')}` : Buffer.concat([Buffer.of(channel), payload]);
  }

  #decode(data: Buffer, isBinary: boolean): { channel: number; payload: Buffer } | undefined {
    const [first] = data;
    if (first === undefined) return undefined;
    if (!this.#dialect.base64 || isBinary) return { channel: first, payload: data.subarray(1) };
    return { channel: first - '0'.charCodeAt(0), payload: Buffer.from(data.subarray(1).toString('latin1'), 'base64') };
  }
}
