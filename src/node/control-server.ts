/**
 * Local administration over a Unix socket that only root can open: what the `kontiki` command asks of the daemon on its
 * machine. JSON both ways, or a stream of bytes as the answer; errors are `{error}` with a 4xx or 5xx code, and a stream that fails
 * breaks off.
 */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { errorMessage } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';

const bodyBytesMax = 64 * 1024;

/**
 * Handlers by `METHOD /path`; the body is parsed JSON or undefined, the signal aborts when the caller has gone. The answer is JSON,
 * or bytes when it is async iterable.
 */
export type ControlRoutes = Record<string, (body: unknown, signal: AbortSignal) => Promise<unknown>>;

export class ControlServer {
  readonly #server: Server;
  readonly #routes: ControlRoutes;
  readonly #logger: Logger;

  constructor(routes: ControlRoutes, logger: Logger) {
    this.#routes = routes;
    this.#logger = logger;
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  listen(path: string): Promise<void> {
    rmSync(path, { force: true });
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(path, () => {
        chmodSync(path, 0o600);
        resolve();
      });
    });
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const name = `${request.method} ${request.url}`;
    const gone = new AbortController();
    response.once('close', () => gone.abort(new Error('the caller has gone')));
    try {
      const route = this.#routes[name];
      if (!route) return send(response, 404, { error: `no such call: ${name}` });
      const answer = await route(await readBody(request), gone.signal);
      if (isByteStream(answer)) await sendBytes(response, answer);
      else send(response, 200, answer ?? {});
    } catch (error) {
      if (gone.signal.aborted) this.#logger.debug({ error, name }, 'the caller of a control call has gone');
      else this.#logger.warn({ error, name }, 'a control call failed');
      if (response.headersSent) response.destroy();
      else send(response, 500, { error: errorMessage(error) });
    }
  }
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bodyBytesMax) throw new Error(`the body is above ${bodyBytesMax} bytes`);
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString();
  return text ? JSON.parse(text) : undefined;
}

function isByteStream(answer: unknown): answer is AsyncIterable<Uint8Array> {
  return typeof answer === 'object' && answer !== null && Symbol.asyncIterator in answer;
}

/** As fast as the other side takes it. */
async function sendBytes(response: ServerResponse, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/octet-stream' });
  await pipeline(Readable.from(bytes, { objectMode: false, highWaterMark: 1024 * 1024 }), response);
}

function send(response: ServerResponse, code: number, value: unknown): void {
  response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}
