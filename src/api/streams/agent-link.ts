/**
 * Requests to the HTTP server of a node's agent, over whatever byte stream leads there. One request per connection: an
 * answer that is streamed, or an upgrade after which the connection carries frames or raw bytes.
 */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { abortable } from '../../lib/deferred.ts';
import { failure, type Status, StatusError, serviceUnavailable } from '../../machinery/status.ts';
import { streamUpgrade } from '../../machinery/stream-frames.ts';
import type { AgentConnector } from '../types.ts';

const errorBodyBytesMax = 64 * 1024;

export interface AgentTarget {
  agents: AgentConnector;
  nodeName: string;
  /** With its query, for example `/logs/default/web/app?follow=true`. */
  path: string;
  /** Ends the connection at any time. */
  signal: AbortSignal;
}

/**
 * A POST that turns the connection into a stream. Rejects with the agent's StatusError, 503 when it cannot be reached, or the
 * signal's reason. Whoever takes the stream destroys it.
 */
export async function openAgentStream(target: AgentTarget): Promise<Duplex> {
  const headers = { connection: 'Upgrade', upgrade: streamUpgrade };
  const answer = await ask(target, 'POST', headers);
  if ('stream' in answer) return answer.stream;
  throw await statusErrorOf(answer.response);
}

/** A GET whose answer is read as it comes. Rejects as `openAgentStream` does. Destroy it to end the request. */
export async function openAgentDownload(target: AgentTarget): Promise<IncomingMessage> {
  const answer = await ask(target, 'GET', { connection: 'close' });
  if ('stream' in answer) {
    answer.stream.destroy();
    throw serviceUnavailable('the node answered a request for bytes with another protocol');
  }
  const { response } = answer;
  if (response.statusCode !== 200) throw await statusErrorOf(response);
  const onAbort = () => response.destroy(target.signal.reason);
  target.signal.addEventListener('abort', onAbort, { once: true });
  response.once('close', () => target.signal.removeEventListener('abort', onAbort));
  return response;
}

type Answer = { stream: Duplex } | { response: IncomingMessage };

async function ask(target: AgentTarget, method: string, headers: Record<string, string>): Promise<Answer> {
  const { agents, nodeName, path, signal } = target;
  signal.throwIfAborted();
  const connection = await agents.connect(nodeName, signal);
  const onAbort = () => connection.destroy();
  signal.addEventListener('abort', onAbort, { once: true });
  connection.once('close', () => signal.removeEventListener('abort', onAbort));
  if (signal.aborted) onAbort();
  try {
    return await abortable(exchange(connection, path, method, headers), signal);
  } catch (error) {
    connection.destroy();
    if (signal.aborted || error instanceof StatusError) throw error;
    throw serviceUnavailable(`node ${nodeName} cannot be reached: ${(error as Error).message}`);
  }
}

function exchange(connection: Duplex, path: string, method: string, headers: Record<string, string>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ createConnection: () => connection, method, path, headers: { host: 'agent', ...headers } });
    request.on('upgrade', (_response, stream, head) => {
      if (head.length > 0) stream.unshift(head);
      // Errors of a stream that is not being read end in its 'close', which every reader sees.
      stream.on('error', () => stream.destroy());
      resolve({ stream });
    });
    request.on('response', (response) => {
      response.on('close', () => connection.destroy());
      resolve({ response });
    });
    request.on('error', reject);
    request.end();
  });
}

/** The Status in the body, or one made from the HTTP code when there is none. */
async function statusErrorOf(response: IncomingMessage): Promise<StatusError> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > errorBodyBytesMax) break;
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  const status = parseStatus(text);
  if (status?.status === 'Failure') return new StatusError(status);
  const code = response.statusCode ?? 500;
  return failure(code >= 400 ? code : 502, 'InternalError', `the node answered ${code}: ${text.slice(0, 1024)}`);
}

/** Undefined when the text is no Status. */
export function parseStatus(text: string): Status | undefined {
  try {
    const value = JSON.parse(text) as Partial<Status> | null;
    return value?.kind === 'Status' && (value.status === 'Success' || value.status === 'Failure') ? (value as Status) : undefined;
  } catch {
    // Not JSON, so not a Status: that is the answer.
    return undefined;
  }
}
