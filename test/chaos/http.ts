/** A plain HTTP/1.1 client of one peer's API: TLS, connections kept alive, and nothing that is tried again behind one's back. */
import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { kubeconfigOf } from '../../src/cli/lab/lab.ts';
import type { LabState } from '../../src/cli/lab/state.ts';

export interface Answer {
  code: number;
  body: unknown;
}

/** No answer, or not all of it: what was asked may have happened or not. */
export class ConnectionLost extends Error {}

export interface Identity {
  ca: string;
  cert: string;
  key: string;
}

/** An administrator's, from the kubeconfig of the cluster. */
export function identityOf(state: LabState): Identity {
  const text = readFileSync(kubeconfigOf(state), 'utf8');
  const field = (name: string) => Buffer.from(new RegExp(`${name}: (\\S+)`).exec(text)?.[1] ?? '', 'base64').toString();
  return { ca: field('certificate-authority-data'), cert: field('client-certificate-data'), key: field('client-key-data') };
}

/** Longer than any collection of the run. */
const bodyBytesMax = 16 * 1024 * 1024;

export class ApiClient {
  readonly #agent: Agent;
  readonly #port: number;

  /** `port` on 127.0.0.1 leads to the peer. */
  constructor(port: number, identity: Identity) {
    this.#port = port;
    this.#agent = new Agent({ ...identity, keepAlive: true });
  }

  /** Throws ConnectionLost, also after `timeoutMs`. */
  async call(method: string, path: string, body: unknown, timeoutMs: number): Promise<Answer> {
    const cancel = new AbortController();
    const timer = setTimeout(() => cancel.abort(new ConnectionLost(`no answer within ${timeoutMs} ms`)), timeoutMs);
    try {
      const response = await this.#ask(method, path, body, cancel.signal);
      const chunks: Buffer[] = [];
      let bytes = 0;
      for await (const chunk of response as AsyncIterable<Buffer>) {
        chunks.push(chunk);
        bytes += chunk.length;
        if (bytes > bodyBytesMax) throw new Error(`${method} ${path}: more than ${bodyBytesMax} bytes`);
      }
      return { code: response.statusCode ?? 0, body: JSON.parse(Buffer.concat(chunks).toString()) };
    } catch (error) {
      throw lost(cancel.signal.aborted ? cancel.signal.reason : error);
    } finally {
      clearTimeout(timer);
    }
  }

  /** The lines of an answer that goes on, as they come. Throws ConnectionLost when it breaks off or `signal` ends it. */
  async lines(path: string, signal: AbortSignal): Promise<{ code: number; lines: AsyncGenerator<string> }> {
    const response = await this.#ask('GET', path, undefined, signal).catch((error: unknown) => {
      throw lost(error);
    });
    return { code: response.statusCode ?? 0, lines: linesOf(response) };
  }

  close(): void {
    this.#agent.destroy();
  }

  #ask(method: string, path: string, body: unknown, signal: AbortSignal): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const text = body === undefined ? undefined : JSON.stringify(body);
      const headers = text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
      const options = { host: '127.0.0.1', port: this.#port, method, path, headers, agent: this.#agent, signal };
      const call = request(options, resolve);
      call.on('error', reject);
      call.end(text);
    });
  }
}

async function* linesOf(response: IncomingMessage): AsyncGenerator<string> {
  let rest = '';
  try {
    for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      yield* lines;
    }
  } catch (error) {
    throw lost(error);
  }
}

function lost(error: unknown): ConnectionLost {
  return error instanceof ConnectionLost ? error : new ConnectionLost(String((error as Error).message ?? error));
}
