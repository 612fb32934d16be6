/**
 * The agent's HTTP server on a Unix socket: logs, exec, attach, port-forward, images, usage, a summary. It trusts whoever can open the
 * socket (mode 0600): the API has checked the user before.
 */

import { chmod, mkdir, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { dirname } from 'node:path';
import type { Duplex } from 'node:stream';
import type { Clock } from '../../lib/clock.ts';
import { errorCode, errorMessage } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import { badRequest, failure, internalError, StatusError } from '../../machinery/status.ts';
import { streamUpgrade } from '../../machinery/stream-frames.ts';
import type { PodManager } from '../pods/pod-manager.ts';
import type { ContainerRuntime } from '../runtime/container-runtime.ts';
import type { UsageStats } from '../stats/usage-stats.ts';
import type { ImageStore } from '../types.ts';
import { serveAttach } from './attach.ts';
import { serveExec } from './exec.ts';
import { FrameSocket } from './frame-socket.ts';
import { serveImages } from './images.ts';
import { serveLogs } from './logs.ts';
import { answerNodePath } from './node-paths.ts';
import { servePortForward } from './port-forward.ts';
import { type ContainerAddress, findPod, findRunning } from './targets.ts';

export interface StreamsServerOptions {
  socketPath: string;
  dataDir: string;
  manager: PodManager;
  runtime: ContainerRuntime;
  images: ImageStore;
  stats: UsageStats;
  /** The body of GET /summary. */
  summary: () => Promise<unknown>;
  /** Called when images came or went. */
  onImagesChanged: () => void;
  clock: Clock;
  logger: Logger;
}

/** Sessions at once: exec, attach and port-forward together. */
const sessionsMax = 1_000;
const loopback = '127.0.0.1';

export class StreamsServer {
  readonly #options: StreamsServerOptions;
  readonly #server: Server;
  readonly #stop = new AbortController();
  readonly #sessions = new Set<Duplex>();

  constructor(options: StreamsServerOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => void this.#answer(request, response));
    this.#server.on('upgrade', (request, socket, head) => void this.#upgrade(request, socket, head));
    this.#server.requestTimeout = 0; // An image may take as long as it takes to arrive.
  }

  async listen(): Promise<void> {
    const { socketPath } = this.#options;
    await mkdir(dirname(socketPath), { recursive: true });
    await rm(socketPath, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(socketPath, resolve);
    });
    await chmod(socketPath, 0o600);
  }

  /** Ends every session. */
  async close(): Promise<void> {
    this.#stop.abort(new Error('the agent stops'));
    for (const socket of this.#sessions) socket.destroy();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.on('close', () => gone.abort(new Error('the client went away')));
    const signal = AbortSignal.any([gone.signal, this.#stop.signal]);
    try {
      await this.#route(request, response, signal);
    } catch (error) {
      if (response.headersSent && !signal.aborted) this.#options.logger.warn({ error, url: request.url }, 'an answer broke off');
      if (signal.aborted || response.headersSent) return void response.destroy();
      const status = statusOf(error);
      if (status.code >= 500) this.#options.logger.warn({ error, url: request.url }, 'request failed');
      sendJson(response, status.code, status.status);
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse, signal: AbortSignal): Promise<void> {
    const { manager, clock, summary } = this.#options;
    const url = new URL(request.url ?? '/', 'http://agent');
    const [what, ...names] = url.pathname.slice(1).split('/').map(decodeURIComponent);
    const route = `${request.method} ${what}`;
    if (route === 'GET healthz') {
      response.writeHead(200, { 'content-type': 'text/plain' }).end('ok');
    } else if (route === 'GET summary') sendJson(response, 200, await summary());
    else if (what === 'images') {
      const answer = await serveImages(this.#options, request, response, names[0], url.searchParams, signal);
      if (answer !== undefined) sendJson(response, 200, answer);
    } else if (route === 'GET logs') {
      await serveLogs(manager, containerAddress(names), url.searchParams, response, clock, signal);
    } else {
      const answer = request.method === 'GET' ? await answerNodePath(this.#options, url.pathname, url.searchParams) : undefined;
      if (!answer) throw failure(404, 'NotFound', `the agent has no ${request.method} ${url.pathname}`);
      send(response, 200, answer.contentType, answer.text);
    }
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const { logger } = this.#options;
    socket.on('error', () => {}); // Each session listens for itself; before one exists there is nobody to tell.
    this.#sessions.add(socket);
    socket.once('close', () => this.#sessions.delete(socket));
    try {
      if (this.#sessions.size > sessionsMax) throw failure(429, 'TooManyRequests', 'too many sessions on this machine');
      await this.#session(request, socket, head);
    } catch (error) {
      const status = statusOf(error);
      if (status.code >= 500) logger.warn({ error, url: request.url }, 'session failed');
      refuse(socket, status);
    }
  }

  async #session(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const { manager, runtime } = this.#options;
    if (request.method !== 'POST' || request.headers.upgrade !== streamUpgrade)
      throw badRequest(`expected POST with Upgrade: ${streamUpgrade}`);
    const url = new URL(request.url ?? '/', 'http://agent');
    const query = url.searchParams;
    const [what, ...names] = url.pathname.slice(1).split('/').map(decodeURIComponent);
    const flag = (name: string) => query.get(name) === 'true' || query.get(name) === '1';
    const flags = { stdin: flag('stdin'), stdout: flag('stdout'), stderr: flag('stderr'), tty: flag('tty') };
    if (what === 'exec') {
      const { target } = findRunning(manager, containerAddress(names));
      const argv = query.getAll('command');
      if (argv.length === 0) throw badRequest('you must specify at least one command for the container');
      accept(socket);
      await serveExec(runtime, { ...flags, target, argv }, new FrameSocket(socket), head);
    } else if (what === 'attach') {
      const found = findRunning(manager, containerAddress(names));
      if (flags.tty && !found.container.tty)
        throw badRequest(`Unable to use a TTY - container ${found.container.name} did not allocate one`);
      accept(socket);
      await serveAttach(found, flags, new FrameSocket(socket), head);
    } else if (what === 'portforward') {
      const [namespace = '', pod = ''] = names;
      const port = Number(query.get('port'));
      if (!Number.isInteger(port) || port < 1 || port > 65_535) throw badRequest(`"${query.get('port')}" is not a port`);
      const worker = findPod(manager, { namespace, pod });
      if (worker.record.status?.phase !== 'Running')
        throw badRequest(`unable to forward port because pod is not running. Current status=${worker.record.status?.phase}`);
      const host = query.get('to') === 'pod' ? (worker.record.status.podIP ?? loopback) : loopback;
      accept(socket);
      await servePortForward(worker, { port, host }, socket, head);
    } else throw failure(404, 'NotFound', `the agent has no ${request.method} ${url.pathname}`);
  }
}

function containerAddress(names: string[]): ContainerAddress {
  const [namespace, pod, container] = names;
  if (!namespace || !pod || !container || names.length > 3) throw badRequest('expected NAMESPACE/POD/CONTAINER');
  return { namespace, pod, container };
}

function accept(socket: Duplex): void {
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${streamUpgrade}\r\n\r\n`);
}

/** A Status as a plain answer to an upgrade that is not granted. */
function refuse(socket: Duplex, error: StatusError): void {
  if (socket.destroyed || socket.writableEnded) return;
  const body = JSON.stringify(error.status);
  socket.end(
    `HTTP/1.1 ${error.code} ${error.reason ?? 'Error'}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

function statusOf(error: unknown): StatusError {
  if (error instanceof StatusError) return error;
  if (errorCode(error) === 'ENOENT') return internalError('the container has gone');
  return internalError(errorMessage(error));
}

function sendJson(response: ServerResponse, code: number, body: unknown): void {
  send(response, code, 'application/json', JSON.stringify(body));
}

function send(response: ServerResponse, code: number, contentType: string, text: string): void {
  response.writeHead(code, { 'content-type': contentType, 'content-length': Buffer.byteLength(text) }).end(text);
}
