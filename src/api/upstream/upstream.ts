/**
 * HTTP/1.1 clients of servers in and around the cluster: webhooks, extension API servers, what `proxy` subresources lead to.
 * Where to connect is decided anew for each connection; idle connections are kept for the next request.
 */
import http, { type ClientRequest, type IncomingMessage } from 'node:http';
import https from 'node:https';
import { connect, isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import type { Clock } from '../../lib/clock.ts';
import { abortable } from '../../lib/deferred.ts';
import { errorCode } from '../../lib/errors.ts';
import { openAgentStream } from '../streams/agent-link.ts';
import type { AgentConnector } from '../types.ts';
import type { Place } from './places.ts';

const socketsMax = 256;
const idleSocketsMax = 32;
/** Go's servers close idle connections after minutes; ours goes first. */
const idleMs = 60_000;
const dialMs = 10_000;

export interface TlsTrust {
  /** PEM. Left out: what the machine trusts. */
  ca?: string;
  /** Takes any certificate. */
  insecure?: boolean;
  /** A client certificate of our own, PEM. */
  cert?: string;
  key?: string;
  /** The name in the server's certificate. */
  serverName: string;
}

/** One server, by whatever way it is reached. */
export interface Server {
  /** Requests with the same key share connections. It must differ for servers that differ in anything. */
  key: string;
  /** Called for each new connection. Throws StatusError when there is nowhere to go. */
  place(): Place;
  /** Left out: plain HTTP. */
  tls?: TlsTrust;
}

export interface Asked {
  method: string;
  /** With its query. */
  path: string;
  headers: http.OutgoingHttpHeaders;
  signal: AbortSignal;
  /** On a connection of its own. */
  fresh?: boolean;
}

type Callback = (error: Error | null, socket?: Duplex) => void;
type Dialing = { server: Server };

export interface UpstreamOptions {
  agents: AgentConnector;
  clock: Clock;
  /** Ends every connection. */
  closing: AbortSignal;
}

export class Upstreams {
  readonly #options: UpstreamOptions;
  readonly #plain: http.Agent;
  readonly #secure: https.Agent;
  #fresh = 0;

  constructor(upstream: UpstreamOptions) {
    this.#options = upstream;
    const options = { keepAlive: true, maxSockets: socketsMax, maxFreeSockets: idleSocketsMax, timeout: idleMs };
    this.#plain = new http.Agent(options);
    this.#secure = new https.Agent(options);
    const create = (of: unknown, callback: Callback) => {
      this.#connect((of as Dialing).server).then(
        (socket) => callback(null, socket),
        (error: Error) => callback(error),
      );
      return undefined;
    };
    for (const agent of [this.#plain, this.#secure]) {
      Object.assign(agent, { createConnection: create, getName: (of: unknown) => (of as Dialing).server.key });
    }
    upstream.closing.addEventListener('abort', () => [this.#plain, this.#secure].map((agent) => agent.destroy()), { once: true });
  }

  /** The request is not sent yet: write its body and end it. Aborted by the signal. */
  start(asked: Server, { method, path, headers: wanted, signal, fresh }: Asked): ClientRequest {
    const server = fresh ? { ...asked, key: `${asked.key}#${this.#fresh++}` } : asked;
    const headers = fresh ? { connection: 'close', ...wanted } : wanted;
    const request = server.tls ? https.request : http.request;
    const agent = server.tls ? this.#secure : this.#plain;
    const options = { server, agent, method, path, headers, signal: AbortSignal.any([signal, this.#options.closing]) };
    return request(options as http.RequestOptions);
  }

  /**
   * Sends a whole body and reads the whole answer. Asks once more when a kept connection had been closed by the other end. Rejects
   * with whatever failed, RangeError when the answer is longer than `bytesMax`.
   */
  async ask(server: Server, asked: Asked & { body: Buffer; bytesMax: number }): Promise<{ code: number; body: Buffer }> {
    let request = this.start(server, asked);
    let response: IncomingMessage;
    try {
      response = await abortable(answerOf(request, asked.body), asked.signal);
    } catch (error) {
      if (!request.reusedSocket || errorCode(error) !== 'ECONNRESET') throw error;
      request = this.start(server, asked);
      response = await abortable(answerOf(request, asked.body), asked.signal);
    }
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > asked.bytesMax) throw new RangeError(`the answer is longer than ${asked.bytesMax} bytes`);
      chunks.push(chunk);
    }
    return { code: response.statusCode ?? 0, body: Buffer.concat(chunks, size) };
  }

  async #connect(server: Server): Promise<Duplex> {
    const socket = await dial(server.place(), this.#options);
    return server.tls ? secured(socket, server.tls) : socket;
  }
}

function answerOf(request: ClientRequest, body: Buffer): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.on('response', resolve);
    request.on('error', reject);
    request.end(body);
  });
}

function secured(socket: Duplex, { ca, cert, key, serverName, insecure }: TlsTrust): Duplex {
  return tls.connect({
    socket,
    ...(ca ? { ca } : {}),
    ...(cert && key ? { cert, key } : {}),
    // Server Name Indication has no addresses (RFC 6066, 3), but certificates do.
    ...(isIP(serverName) ? { host: serverName } : { servername: serverName, host: serverName }),
    rejectUnauthorized: !insecure,
    ALPNProtocols: ['http/1.1'],
    minVersion: 'TLSv1.2',
  });
}

/** A byte stream to the place. Rejects after 10 s. */
async function dial(place: Place, { agents, clock, closing }: UpstreamOptions): Promise<Duplex> {
  const late = new AbortController();
  const timer = clock.setTimer(dialMs, () => late.abort(new Error(`no connection within ${dialMs / 1000} s`)));
  const signal = AbortSignal.any([closing, late.signal]);
  try {
    if (place.type === 'address') return await connected(place, signal);
    if (place.type === 'agent') return await agents.connect(place.nodeName, signal);
    const { nodeName, namespace, pod, port } = place;
    const path = `/portforward/${encodeURIComponent(namespace)}/${encodeURIComponent(pod)}?port=${port}&to=pod`;
    return await openAgentStream({ agents, nodeName, path, signal });
  } finally {
    timer.cancel();
  }
}

function connected({ host, port }: { host: string; port: number }, signal: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const onAbort = () => socket.destroy(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('close', () => signal.removeEventListener('abort', onAbort));
    if (signal.aborted) onAbort();
    // Stays: under TLS a connection that breaks is told by its close alone.
    socket.on('error', reject);
    socket.once('connect', () => resolve(socket));
  });
}
