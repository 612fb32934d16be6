/**
 * Hands a request on to another server and its answer back, both as they come: bodies, watches and upgrades. Nothing is kept
 * in between; each side is read as fast as the other takes it.
 */
import { type IncomingMessage, type OutgoingHttpHeaders, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { abortable } from '../../lib/deferred.ts';
import { errorCode } from '../../lib/errors.ts';
import { StatusError, serviceUnavailable } from '../../machinery/status.ts';
import type { Exchange } from '../http/exchange.ts';
import { relay } from '../streams/port-forward.ts';
import { failureText } from '../upstream/failure-text.ts';
import type { Server, Upstreams } from '../upstream/upstream.ts';
import { answeredHeaders, forwardedHeaders } from './headers.ts';

export interface Forwarding {
  server: Server;
  /** With its query. */
  path: string;
  /** Besides those of the request, or instead of them. */
  headers: OutgoingHttpHeaders;
  /** What an answer's Location is to be changed to, so that it leads through us again. */
  location?(text: string): string;
}

/** Resolves when the answer is complete or the client has gone. StatusError 503 when the server cannot be asked. */
export async function forward(
  upstreams: Upstreams,
  exchange: Exchange,
  forwarding: Forwarding,
  signal: AbortSignal,
): Promise<void> {
  const response = await answerTo(upstreams, exchange, forwarding, signal);
  const headers = answeredHeaders(response.headers);
  if (headers.location && forwarding.location) headers.location = forwarding.location(String(headers.location));
  exchange.relay(response.statusCode ?? 502, headers);
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      if (exchange.signal.aborted) break;
      if (!exchange.write(chunk)) await exchange.drained();
    }
    exchange.end();
  } catch {
    // The server broke off: the client must not take what it has for the whole.
    exchange.destroy();
  }
}

async function answerTo(
  upstreams: Upstreams,
  exchange: Exchange,
  { server, path, headers }: Forwarding,
  outer: AbortSignal,
): Promise<IncomingMessage> {
  const { request, method } = exchange;
  const signal = AbortSignal.any([exchange.signal, outer]);
  const all = { ...forwardedHeaders(request.headers), ...headers };
  const bodied = request.headers['content-length'] !== undefined || !['GET', 'HEAD', 'DELETE', 'OPTIONS'].includes(method);
  const send = () => {
    // A body can be sent once, so its connection must be one that is surely alive.
    const outgoing = upstreams.start(server, { method, path, headers: all, signal, fresh: bodied });
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.on('response', resolve);
      outgoing.on('error', reject);
    });
    if (bodied) request.pipe(outgoing);
    else outgoing.end();
    return { outgoing, answered: abortable(answered, signal) };
  };
  const first = send();
  try {
    return await first.answered;
  } catch (error) {
    if (signal.aborted || error instanceof StatusError) throw error;
    if (!bodied && first.outgoing.reusedSocket && errorCode(error) === 'ECONNRESET') return send().answered;
    throw serviceUnavailable(`error trying to reach service: ${failureText(error, server)}`);
  }
}

export interface ClientUpgrade {
  request: IncomingMessage;
  socket: Duplex;
  head: Buffer;
}

/** Resolves when the connection is over. StatusError 503 while the client's socket is still free for an answer. */
export async function forwardUpgrade(
  upstreams: Upstreams,
  { request, socket, head }: ClientUpgrade,
  { server, path, headers }: Forwarding,
  signal: AbortSignal,
): Promise<void> {
  const all = { ...forwardedHeaders(request.headers), ...headers, connection: 'Upgrade', upgrade: request.headers.upgrade };
  const outgoing = upstreams.start(server, { method: request.method ?? 'GET', path, headers: all, signal, fresh: true });
  const answered = new Promise<{ response: IncomingMessage; stream?: Duplex; first?: Buffer }>((resolve, reject) => {
    outgoing.on('upgrade', (response, stream, first) => resolve({ response, stream, first }));
    outgoing.on('response', (response) => resolve({ response }));
    outgoing.on('error', reject);
  });
  outgoing.end();
  let answer: Awaited<typeof answered>;
  try {
    answer = await abortable(answered, signal);
  } catch (error) {
    if (signal.aborted || error instanceof StatusError) throw error;
    throw serviceUnavailable(`error trying to reach service: ${failureText(error, server)}`);
  }
  const { response, stream, first } = answer;
  if (!stream) {
    socket.write(headOf(response, ['Connection: close']));
    await relayBody(response, socket);
    return;
  }
  stream.on('error', () => stream.destroy());
  const onAbort = () => stream.destroy();
  signal.addEventListener('abort', onAbort, { once: true });
  socket.write(headOf(response, []));
  if (head.length > 0) socket.unshift(head);
  if (first?.length) stream.unshift(first);
  try {
    await relay(socket, stream);
  } finally {
    signal.removeEventListener('abort', onAbort);
    socket.destroy();
  }
}

/** Of an upgrade all headers count, also those between neighbours. */
function headOf(response: IncomingMessage, more: string[]): string {
  const { statusCode = 502, rawHeaders } = response;
  const lines = [`HTTP/1.1 ${statusCode} ${STATUS_CODES[statusCode] ?? 'Unknown'}`];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? '';
    const framing = /^(connection|transfer-encoding|keep-alive)$/i.test(name);
    if (statusCode === 101 || !framing) lines.push(`${name}: ${rawHeaders[at + 1]}`);
  }
  return `${[...lines, ...more].join('\r\n')}\r\n\r\n`;
}

/** The end of the connection is the end of the body. */
async function relayBody(response: IncomingMessage, socket: Duplex): Promise<void> {
  for await (const chunk of response as AsyncIterable<Buffer>) {
    if (socket.destroyed) return;
    if (!socket.write(chunk)) await new Promise<void>((resolve) => socket.once('drain', resolve).once('close', resolve));
  }
  socket.end();
}
