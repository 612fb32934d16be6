/**
 * The listeners: HTTPS with HTTP/2 and 1.1 on TCP, plain HTTP/1.1 on a Unix socket. They know of connections only; what
 * is asked on them is the handler's.
 */
import { chmod, rm } from 'node:fs/promises';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo, Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Logger } from '../../lib/logger.ts';
import { authenticated } from '../authentication.ts';
import { memberUser } from '../relay/member-user.ts';
import type { TlsFiles, User } from '../types.ts';
import { connectionOf } from './exchange.ts';
import type { Authenticate } from './handler.ts';

/** Clients of Go close idle connections after 90 s; a server that is quicker makes them lose requests. */
const keepAliveTimeoutMs = 180_000;
const headersTimeoutMs = 60_000;
/** Every watch of a client is a stream of its one connection. */
const concurrentStreamsMax = 1_000;
/** How long answers under way may take when the server stops. */
const closeGraceMs = 1_000;

interface Http2WithHttp1 extends http2.Http2SecureServer {
  keepAliveTimeout: number;
  headersTimeout: number;
}

/** What listeners do with what comes; neither call may throw. */
export interface Service {
  /** Who sends a request over TLS, by certificate or token. */
  userOf(request: IncomingMessage, socket: Socket, signal: AbortSignal): Promise<User> | User;
  /** `fromMember`: it came through the door for members, whose own headers count. */
  request(request: IncomingMessage, response: ServerResponse, authenticate: Authenticate, fromMember: boolean): void;
  upgrade(upgrade: { request: IncomingMessage; socket: Duplex; head: Buffer }, authenticate: Authenticate): void;
}

export class Listeners {
  readonly #service: Service;
  readonly #logger: Logger;
  readonly #servers = new Set<Server>();
  readonly #sockets = new Set<Socket>();
  readonly #sessions = new Set<http2.ServerHttp2Session>();

  constructor(options: { service: Service; logger: Logger }) {
    this.#service = options.service;
    this.#logger = options.logger;
  }

  /** Gives the port. Rejects with the system's error when it cannot be had. */
  async listenTls(options: { host: string; port: number; tls: TlsFiles }): Promise<number> {
    const { ca, cert, key } = options.tls;
    const server = http2.createSecureServer({
      ca,
      cert,
      key,
      allowHTTP1: true,
      requestCert: true,
      rejectUnauthorized: false,
      minVersion: 'TLSv1.2',
      settings: { maxConcurrentStreams: concurrentStreamsMax },
    }) as Http2WithHttp1;
    server.on('session', (session) => {
      this.#sessions.add(session);
      session.on('close', () => this.#sessions.delete(session));
      session.on('error', (error) => this.#logger.debug({ error }, 'a connection broke'));
    });
    server.on('tlsClientError', (error) => this.#logger.debug({ error }, 'a TLS handshake failed'));
    this.#serve(server, (request) => (signal) => this.#service.userOf(request, connectionOf(request), signal));
    await listening(server, () => server.listen({ host: options.host, port: options.port }));
    return (server.address() as AddressInfo).port;
  }

  /** Replaces what a former process has left at `path`. */
  listenSocket(path: string, user: User): Promise<void> {
    const known = authenticated(user);
    return this.#listenLocally(path, () => () => known, false);
  }

  /** For requests that other members relay: they say who the user is, or leave the token to be checked here. */
  listenMembers(path: string): Promise<void> {
    const userOf = (request: IncomingMessage) => (signal: AbortSignal) =>
      memberUser(request) ?? this.#service.userOf(request, request.socket, signal);
    return this.#listenLocally(path, userOf, true);
  }

  async #listenLocally(
    path: string,
    authenticate: (request: IncomingMessage) => Authenticate,
    fromMembers: boolean,
  ): Promise<void> {
    const server = http.createServer();
    this.#serve(server, authenticate, fromMembers);
    await rm(path, { force: true });
    await listening(server, () => server.listen(path));
    await chmod(path, 0o600);
  }

  /** Stops listening, lets answers end for a moment, then breaks what is left. */
  async close(): Promise<void> {
    const closed = [...this.#servers].map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
    for (const session of this.#sessions) session.close();
    for (const server of this.#servers) if (server instanceof http.Server) server.closeIdleConnections();
    const timer = setTimeout(() => this.#breakAll(), closeGraceMs);
    await Promise.all(closed);
    clearTimeout(timer);
    this.#servers.clear();
  }

  #breakAll(): void {
    for (const session of this.#sessions) session.destroy();
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(
    server: http.Server | Http2WithHttp1,
    authenticate: (request: IncomingMessage) => Authenticate,
    fromMembers = false,
  ): void {
    server.keepAliveTimeout = keepAliveTimeoutMs;
    server.headersTimeout = headersTimeoutMs;
    const events = server as http.Server;
    events.on('request', (request: IncomingMessage, response: ServerResponse) => {
      this.#service.request(request, response, authenticate(request), fromMembers);
    });
    events.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      this.#service.upgrade({ request, socket, head }, authenticate(request));
    });
    events.on('clientError', (error: Error, socket: Duplex) => {
      this.#logger.debug({ error }, 'a connection sent no HTTP');
      socket.destroy();
    });
    events.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    this.#servers.add(server as Server);
  }
}

function listening(server: Server | Http2WithHttp1, start: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const events = server as Server;
    events.once('error', reject);
    events.once('listening', () => {
      events.removeListener('error', reject);
      resolve();
    });
    start();
  });
}
