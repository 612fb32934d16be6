/**
 * The API endpoint of a machine without state. TLS ends here and certificates are checked here; the request goes on, as it is, to a
 * machine that holds the state, with the user's name beside it. Tokens are checked there. Nothing is kept: bytes pass through at the
 * speed of the slower side.
 *
 * A request whose machine is lost is asked for again on another one when that can do no harm: when it was not sent yet, when it only
 * reads and no answer has begun, or when it is a write whose body and answer are small enough to be held here. Such a write has an id,
 * by which the other machine knows what became of it. Any other write is answered with 503 then; a stream or watch ends.
 */
import { randomUUID } from 'node:crypto';
import http, { type IncomingMessage, type OutgoingHttpHeaders, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { errorMessage } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import { StatusError, serviceUnavailable } from '../../machinery/status.ts';
import { anonymous, userOfConnection } from '../authentication.ts';
import { sendStatus } from '../http/answers.ts';
import { Exchange } from '../http/exchange.ts';
import type { Authenticate } from '../http/handler.ts';
import { Listeners } from '../http/server.ts';
import { refuseUpgrade } from '../http/upgrades.ts';
import type { Relay, RelayOptions, User } from '../types.ts';
import { BodyRoom } from './body-room.ts';
import { encodeMemberUser, memberUserHeader } from './member-user.ts';
import { encodeRelayedWrite, relayedWriteHeader, unknownFate } from './relayed-write.ts';

/** Requests, watches and streams under way; each is a stream to the other machine. */
export const relayedMax = 900;
const attemptsMax = 5;
const idleConnectionsMax = 32;
const idleMs = 60_000;

/** Of one connection, not of the message: RFC 9110, 7.6.1. The user's name comes from nobody but us. */
const ownHeaders = new Set([
  ...[
    'connection',
    'keep-alive',
    'proxy-connection',
    'te',
    'trailer',
    'transfer-encoding',
    'upgrade',
    'http2-settings',
    'expect',
  ],
  memberUserHeader,
  relayedWriteHeader,
]);

class Connections extends http.Agent {
  readonly #connect: RelayOptions['connect'];

  constructor(connect: RelayOptions['connect']) {
    super({ keepAlive: true, maxFreeSockets: idleConnectionsMax, timeout: idleMs });
    this.#connect = connect;
  }

  override createConnection(_options: unknown, done: (error: Error | null, socket?: Duplex) => void): undefined {
    this.#connect(AbortSignal.timeout(idleMs)).then(
      (socket) => done(null, socket),
      (error: Error) => done(error),
    );
  }
}

export function createRelay({ connect, logger }: RelayOptions): Relay {
  const relaying = new Relaying(connect, logger);
  const listeners = new Listeners({
    service: {
      userOf: (_request, socket) => userOfConnection(socket),
      request: (request, response, authenticate) => void relaying.request(request, response, authenticate),
      upgrade: (upgrade, authenticate) => void relaying.upgrade(upgrade, authenticate),
    },
    logger,
  });
  return {
    listen: (options) => listeners.listenTls(options),
    listenSocket: (path, user) => listeners.listenSocket(path, user),
    async close() {
      await listeners.close();
      relaying.close();
    },
  };
}

class Relaying {
  readonly #connect: RelayOptions['connect'];
  readonly #connections: Connections;
  readonly #logger: Logger;
  readonly #room = new BodyRoom();
  #underWay = 0;

  constructor(connect: RelayOptions['connect'], logger: Logger) {
    this.#connect = connect;
    this.#connections = new Connections(connect);
    this.#logger = logger;
  }

  close(): void {
    this.#connections.destroy();
  }

  /** Never rejects. */
  async request(request: IncomingMessage, response: ServerResponse, authenticate: Authenticate): Promise<void> {
    const exchange = new Exchange(request, response);
    this.#underWay++;
    try {
      if (this.#underWay > relayedMax) throw serviceUnavailable(`more than ${relayedMax} requests are under way on this machine`);
      const headers = headersFor(request, await authenticate(exchange.signal));
      if (onlyReads(exchange)) await this.#pass(exchange, response, headers);
      else await this.#write(exchange, response, headers);
    } catch (error) {
      await this.#fail(exchange, error);
    } finally {
      this.#underWay--;
    }
  }

  /** Never rejects. Exec, attach and port-forward: after the head, bytes pass both ways until one side ends. */
  async upgrade(upgrade: { request: IncomingMessage; socket: Duplex; head: Buffer }, authenticate: Authenticate): Promise<void> {
    const { request, socket, head } = upgrade;
    const gone = new AbortController();
    socket.on('close', () => gone.abort(new Error('the client has gone')));
    socket.on('error', (error) => this.#logger.debug({ error }, 'a stream connection broke'));
    this.#underWay++;
    try {
      if (this.#underWay > relayedMax) throw serviceUnavailable(`more than ${relayedMax} requests are under way on this machine`);
      const headers = headersFor(request, await authenticate(gone.signal));
      headers.connection = 'Upgrade';
      headers.upgrade = request.headers.upgrade ?? '';
      const other = await this.#connect(gone.signal);
      other.write(Buffer.concat([headOf(request, headers), head]));
      await joined(socket, other);
    } catch (error) {
      if (!gone.signal.aborted) refuseUpgrade(socket, asStatus(error));
    } finally {
      this.#underWay--;
    }
  }

  async #write(exchange: Exchange, response: ServerResponse, headers: OutgoingHttpHeaders): Promise<void> {
    const held = await this.#room.take(exchange.request);
    try {
      if (!held.whole && headers['content-length'] === undefined) headers['transfer-encoding'] = 'chunked';
      if (!held.whole) return await copied(await this.#ask(exchange, headers, { begun: held.begun }), response, exchange);
      const body = Buffer.concat(held.begun);
      await this.#writeOnce(exchange, response, { ...headers, 'content-length': String(body.length) }, body);
    } finally {
      held.release();
    }
  }

  /** Asks for a write until some machine has answered it, under one id. */
  async #writeOnce(exchange: Exchange, response: ServerResponse, headers: OutgoingHttpHeaders, body: Buffer): Promise<void> {
    const id = randomUUID();
    await this.#attempts(exchange, async (attempt) => {
      headers[relayedWriteHeader] = encodeRelayedWrite({ id, attempt });
      const answer = await this.#ask(exchange, headers, { begun: [body], whole: true, fresh: attempt > 1 });
      const held = await this.#room.take(answer).catch((error: Error) => Promise.reject(unknownFate(error.message)));
      try {
        if (!held.whole) return await copied(answer, response, exchange, held.begun);
        response.writeHead(answer.statusCode ?? 502, endToEnd(answer));
        response.end(Buffer.concat(held.begun));
      } finally {
        held.release();
      }
    });
  }

  async #pass(exchange: Exchange, response: ServerResponse, headers: OutgoingHttpHeaders): Promise<void> {
    await this.#attempts(exchange, async (attempt) => {
      await copied(await this.#ask(exchange, headers, { fresh: attempt > 1 }), response, exchange);
    });
  }

  /** Repeats what fails before its answer has begun. */
  async #attempts(exchange: Exchange, run: (attempt: number) => Promise<void>): Promise<void> {
    let lost: unknown;
    for (let attempt = 1; ; attempt++) {
      try {
        return await run(attempt);
      } catch (error) {
        if (exchange.signal.aborted) return;
        this.#logger.debug({ error: errorMessage(error), path: exchange.path, attempt }, 'a request was not answered');
        // What was not sent now may have been sent before.
        if (error instanceof StatusError) lost = error;
        else if (!onlyReads(exchange)) throw lost ?? error;
        if (exchange.started || attempt >= attemptsMax) throw lost ?? error;
      }
    }
  }

  /**
   * The answer, after its head. `begun` comes before what is left of the request's body; `whole`: nothing is left. `fresh`: on a
   * connection of its own, since those that wait for use may all be of the machine that was lost.
   */
  async #ask(
    exchange: Exchange,
    headers: OutgoingHttpHeaders,
    { begun = [], whole = false, fresh = false }: { begun?: readonly Buffer[]; whole?: boolean; fresh?: boolean },
  ): Promise<IncomingMessage> {
    const { request, signal } = exchange;
    const socket = fresh ? await this.#connect(signal) : undefined;
    const way = socket ? { createConnection: () => socket } : { agent: this.#connections };
    return await new Promise((resolve, reject) => {
      const outgoing = http.request({ ...way, method: exchange.method, path: request.url, headers });
      const onAbort = () => outgoing.destroy(new Error('the client has gone'));
      signal.addEventListener('abort', onAbort, { once: true });
      outgoing.once('close', () => signal.removeEventListener('abort', onAbort));
      let sent = false;
      outgoing.once('socket', () => {
        sent = true;
      });
      outgoing.once('response', resolve);
      outgoing.on('error', (error) => reject(sent ? unknownFate(error.message) : error));
      for (const chunk of begun) outgoing.write(chunk);
      if (whole) outgoing.end();
      // A body that nobody sends has ended already.
      else request.pipe(outgoing);
    });
  }

  async #fail(exchange: Exchange, error: unknown): Promise<void> {
    if (exchange.signal.aborted) return;
    if (exchange.started) return exchange.destroy();
    try {
      await sendStatus(exchange, asStatus(error));
    } catch (cause) {
      this.#logger.debug({ error: cause, path: exchange.path }, 'an error could not be told to the client');
      exchange.destroy();
    }
  }
}

const onlyReads = ({ method }: Exchange) => method === 'GET' || method === 'HEAD';

function asStatus(error: unknown): StatusError {
  return error instanceof StatusError ? error : serviceUnavailable(errorMessage(error));
}

/** Repeated headers stay apart. */
function headersFor(request: IncomingMessage, user: User): Record<string, string | string[]> {
  const headers = endToEnd(request);
  headers.host = request.headers[':authority' as 'host'] ?? request.headers.host ?? 'kontiki';
  // Nobody by certificate: the request may bring a token, which is checked where the accounts are.
  if (user !== anonymous) headers[memberUserHeader] = encodeMemberUser(user);
  return headers;
}

function endToEnd({ rawHeaders, headers }: IncomingMessage): Record<string, string | string[]> {
  const named = new Set((headers.connection ?? '').toLowerCase().split(/[\s,]+/));
  const kept: Record<string, string | string[]> = {};
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const [name, value] = [rawHeaders[i]?.toLowerCase() ?? '', rawHeaders[i + 1] ?? ''];
    if (name.startsWith(':') || ownHeaders.has(name) || named.has(name)) continue;
    const before = kept[name];
    kept[name] = before === undefined ? value : [...(Array.isArray(before) ? before : [before]), value];
  }
  return kept;
}

function headOf({ method, url }: IncomingMessage, headers: OutgoingHttpHeaders): Buffer {
  const lines = [`${method} ${url} HTTP/1.1`];
  for (const [name, value] of Object.entries(headers)) {
    for (const one of Array.isArray(value) ? value : [value]) lines.push(`${name}: ${one}`);
  }
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

/** Resolves when the answer has come to its end, or either side was lost: then the client sees that it is not whole. */
function copied(
  answer: IncomingMessage,
  response: ServerResponse,
  exchange: Exchange,
  begun: readonly Buffer[] = [],
): Promise<void> {
  return new Promise((resolve) => {
    response.writeHead(answer.statusCode ?? 502, endToEnd(answer));
    response.flushHeaders();
    for (const chunk of begun) response.write(chunk);
    const over = () => {
      if (!answer.complete) exchange.destroy();
      answer.destroy();
      resolve();
    };
    answer.once('close', over);
    answer.on('error', over);
    response.once('close', over);
    answer.pipe(response);
  });
}

/** Resolves when the client's side is closed. An end of the other side is passed on as one, a loss too. */
function joined(client: Duplex, other: Socket): Promise<void> {
  return new Promise((resolve) => {
    client.once('close', () => {
      other.destroy();
      resolve();
    });
    other.on('error', () => client.destroy());
    other.once('close', () => {
      if (!other.readableEnded) client.destroy();
    });
    client.pipe(other);
    other.pipe(client);
  });
}
