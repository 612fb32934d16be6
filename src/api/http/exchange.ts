/**
 * One request and its answer, the same for HTTP/1.1 and HTTP/2 (Node's compatibility layer makes them alike but for a few
 * members, which are told apart here and nowhere else). Aborted when the client goes away.
 */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Http2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { promisify } from 'node:util';
import { constants, createGzip, gzip } from 'node:zlib';

import type { RelayedWrite } from '../relay/relayed-write.ts';

const gzipAsync = promisify(gzip);
/** Smaller answers are sent as they are. */
const gzipBytesMin = 128 * 1024;
const gzipLevel = 1;

type Http2Parts = { stream?: { session?: (Http2Session & { socket: Socket }) | undefined; writableLength: number } };

/** Why the signal of a request ends in the end. One for all: its stack would say nothing, and takes time to make. */
const gone = new Error('the client has gone');

/** The first line of a request, taken apart. */
export interface RequestLine {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
}

export function requestLine({ method = 'GET', url = '/' }: IncomingMessage): RequestLine {
  const mark = url.indexOf('?');
  const query = new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1));
  return { method, path: mark < 0 ? url : url.slice(0, mark), query };
}

/** The query as it was sent, with its question mark; '' without one. */
export function searchOf({ url = '' }: IncomingMessage): string {
  const mark = url.indexOf('?');
  return mark < 0 ? '' : url.slice(mark);
}

export interface ExchangeObserver {
  onRequestBody(body: Buffer): void;
  onResponseBody(body: Uint8Array): void;
  onOpened(code: number): void;
}

export class Exchange implements RequestLine {
  readonly request: IncomingMessage;
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly #response: ServerResponse;
  /** Made for those who ask for a signal: most requests need none, and it costs more than most of what else is done for them. */
  #abort: AbortController | undefined;
  /** Why it is over. */
  #end: Error | undefined;
  readonly #watchers: ((reason: Error) => void)[] = [];
  readonly #headers: Record<string, string | string[]> = {};
  /** Of a write that another member relays. */
  relayed: RelayedWrite | undefined;
  /** Is shown bodies, and the head of an answer that goes on. */
  observer: ExchangeObserver | undefined;

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.request = request;
    this.#response = response;
    const { method, path, query } = requestLine(request);
    this.method = method;
    this.path = path;
    this.query = query;
    response.on('close', () => this.#finish(gone));
    // A connection that breaks is told by 'close'; without a listener it would be an uncaught error.
    response.on('error', () => this.#finish(new Error('the connection broke')));
    request.on('error', () => this.#finish(new Error('the connection broke')));
  }

  /** The answer is complete, or the client has gone. */
  get over(): boolean {
    return this.#end !== undefined;
  }

  /** Calls once it is over, at once when it is. */
  whenOver(watcher: (reason: Error) => void): void {
    if (this.#end) watcher(this.#end);
    else this.#watchers.push(watcher);
  }

  /** Aborted when it is over. */
  get signal(): AbortSignal {
    if (!this.#abort) {
      const abort = new AbortController();
      this.#abort = abort;
      this.whenOver((reason) => abort.abort(reason));
    }
    return this.#abort.signal;
  }

  #finish(reason: Error): void {
    if (this.#end) return;
    this.#end = reason;
    for (const watcher of this.#watchers.splice(0)) watcher(reason);
  }

  get started(): boolean {
    return this.#response.headersSent;
  }

  /** Of the answer; undefined before its head was sent. */
  get code(): number | undefined {
    return this.#response.headersSent ? this.#response.statusCode : undefined;
  }

  header(name: string): string {
    const value = this.request.headers[name];
    return Array.isArray(value) ? value.join(', ') : (value ?? '');
  }

  setHeader(name: string, value: string | string[]): void {
    this.#headers[name] = value;
  }

  /** Bytes that wait for the client to take them. */
  get pendingBytes(): number {
    const { stream } = this.#response as unknown as Http2Parts;
    return stream?.writableLength ?? this.#response.writableLength;
  }

  /** Sends a complete answer. */
  async send(code: number, contentType: string, body: Uint8Array): Promise<void> {
    this.observer?.onResponseBody(body);
    let bytes = body;
    if (bytes.length >= gzipBytesMin && this.#acceptsGzip()) {
      bytes = await gzipAsync(bytes, { level: gzipLevel });
      this.#headers['content-encoding'] = 'gzip';
      this.#headers.vary = 'accept-encoding';
    }
    this.#start(code, contentType, bytes.length);
    this.#response.end(bytes);
  }

  /** Sends an answer of unknown length, as fast as the client takes it. Its first chunks should be big enough to be worth it. */
  async stream(code: number, contentType: string, chunks: Iterable<Buffer> | AsyncIterable<Buffer>): Promise<void> {
    const zip = this.#acceptsGzip() ? createGzip({ level: gzipLevel, flush: constants.Z_NO_FLUSH }) : undefined;
    if (zip) {
      this.#headers['content-encoding'] = 'gzip';
      this.#headers.vary = 'accept-encoding';
    }
    this.#start(code, contentType, undefined);
    const into = zip ?? this.#response;
    zip?.pipe(this.#response);
    for await (const chunk of chunks) {
      if (this.over) break;
      if (!into.write(chunk)) await this.#drained(into);
    }
    into.end();
  }

  /** Sends the head at once; the body follows by `write`. */
  open(code: number, contentType: string): void {
    this.#start(code, contentType, undefined);
    this.#response.flushHeaders();
    this.observer?.onOpened(code);
  }

  /** Sends the head of somebody else's answer at once, as it is; the body follows by `write`. */
  relay(code: number, headers: OutgoingHttpHeaders): void {
    this.#response.writeHead(code, { ...this.#headers, ...headers });
    this.#response.flushHeaders();
    this.observer?.onOpened(code);
  }

  /** False when the client is behind: then wait for `drained` before the next, if waiting is possible. */
  write(chunk: Buffer): boolean {
    return this.over || this.#response.write(chunk);
  }

  /** To be awaited after `write` has said false: resolves when the client has caught up, or has gone. */
  drained(): Promise<void> {
    return this.#drained(this.#response);
  }

  end(): void {
    if (!this.over) this.#response.end();
  }

  /** Breaks the answer off, so that the client sees it is not complete. */
  destroy(): void {
    this.#response.destroy();
  }

  #drained(writable: NodeJS.WritableStream): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        writable.removeListener('drain', done);
        this.signal.removeEventListener('abort', done);
        resolve();
      };
      if (this.over) return resolve();
      writable.once('drain', done);
      this.signal.addEventListener('abort', done, { once: true });
    });
  }

  #acceptsGzip(): boolean {
    return /(^|[\s,])gzip\s*(,|;|$)/.test(this.header('accept-encoding'));
  }

  #start(code: number, contentType: string, length: number | undefined): void {
    this.#response.writeHead(code, {
      ...this.#headers,
      'content-type': contentType,
      'cache-control': 'no-cache, private',
      ...(length === undefined ? {} : { 'content-length': String(length) }),
    });
  }
}

/** The connection that a request came on, also when HTTP/2 hides it. */
export function connectionOf(request: IncomingMessage): Socket {
  return (request as unknown as Http2Parts).stream?.session?.socket ?? request.socket;
}
