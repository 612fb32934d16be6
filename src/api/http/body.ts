/** Request bodies: bounded, and what their content type says. */
import { failure, type StatusError } from '../../machinery/status.ts';
import type { Exchange } from './exchange.ts';

export const bodyBytesMax = 3 * 1024 * 1024;

/** StatusError 413 above the bound. */
export async function readBody(exchange: Exchange): Promise<Buffer> {
  const announced = Number(exchange.header('content-length') || Number.NaN);
  if (announced > bodyBytesMax) throw refuse(exchange);
  const body = announced >= 0 ? await readAnnounced(exchange) : await readUnannounced(exchange);
  exchange.observer?.onRequestBody(body);
  return body;
}

/** Of a length that was told before, which the protocol holds the client to. An iterator would do the same at several times the cost. */
function readAnnounced(exchange: Exchange): Promise<Buffer> {
  const { request } = exchange;
  return new Promise((resolve, reject) => {
    // Also when the client went while the request waited for its turn.
    exchange.whenOver(reject);
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)));
    request.on('error', reject);
  });
}

async function readUnannounced(exchange: Exchange): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of exchange.request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > bodyBytesMax) throw refuse(exchange);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

function refuse(exchange: Exchange): StatusError {
  // The rest of the body is not read, so this connection is of no further use to HTTP/1.1.
  if (exchange.request.httpVersionMajor === 1) exchange.setHeader('connection', 'close');
  return failure(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${bodyBytesMax}`);
}

/** Without parameters, in lower case. */
export function mediaType(header: string): string {
  return (header.split(';')[0] ?? '').trim().toLowerCase();
}

export function unsupportedMediaType(type: string, supported: string[]): StatusError {
  const message = `the body of the request was in an unknown format (${type}) - accepted media types include: ${supported.join(', ')}`;
  return failure(415, 'UnsupportedMediaType', message);
}
