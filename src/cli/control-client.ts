/** Calls to the daemon of this machine over its control socket, and to its agent over that one's. */
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { errorCode, errorMessage } from '../lib/errors.ts';
import { CliError } from './errors.ts';

/** What the daemon says of a failure (`error`), or the agent (a Status: `message`). */
interface Complaint {
  error?: string;
  message?: string;
}

/** Throws CliError 'DaemonNotRunning' when nobody listens, 'CommandFailed' with the daemon's words otherwise. */
export function callDaemon<T>(socketPath: string, method: string, path: string, body?: unknown, timeoutMs = 20_000): Promise<T> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, method, path, timeout: timeoutMs }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const answer = JSON.parse(Buffer.concat(chunks).toString()) as T & Complaint;
        if (response.statusCode === 200) resolve(answer);
        else
          reject(new CliError('CommandFailed', answer.error ?? answer.message ?? `the daemon answered ${response.statusCode}`));
      });
    });
    onFailure(call, socketPath, timeoutMs, reject);
    call.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** As callDaemon, for an answer of bytes. `timeoutMs` is the longest silence. A stream that the daemon breaks off throws. */
export function streamFromDaemon(
  socketPath: string,
  method: string,
  path: string,
  timeoutMs = 60_000,
): Promise<AsyncIterable<Uint8Array>> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, method, path, timeout: timeoutMs }, (response) => {
      if (response.statusCode === 200) return resolve(unbroken(response));
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const answer = JSON.parse(Buffer.concat(chunks).toString()) as Complaint;
        reject(new CliError('CommandFailed', answer.error ?? answer.message ?? `the daemon answered ${response.statusCode}`));
      });
    });
    onFailure(call, socketPath, timeoutMs, reject);
    call.end();
  });
}

async function* unbroken(response: IncomingMessage): AsyncGenerator<Uint8Array> {
  try {
    yield* response as AsyncIterable<Uint8Array>;
  } catch (error) {
    throw new CliError('CommandFailed', 'the daemon broke off while it was sending; its log says why', {}, error);
  }
}

function onFailure(call: ClientRequest, socketPath: string, timeoutMs: number, reject: (error: CliError) => void): void {
  call.on('timeout', () => call.destroy(new CliError('CommandFailed', `the daemon did not answer within ${timeoutMs} ms`)));
  call.on('error', (error) => {
    const absent = ['ENOENT', 'ECONNREFUSED'].includes(errorCode(error) ?? '');
    if (absent) reject(new CliError('DaemonNotRunning', `no daemon listens on ${socketPath}; start it with: kontiki up`));
    else reject(error instanceof CliError ? error : new CliError('CommandFailed', errorMessage(error), {}, error));
  });
}
