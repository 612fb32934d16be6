/**
 * Port-forward: for each connection that a program makes to the client's port, the client opens two streams, `data` and
 * `error`, which name the pod's port and carry one request id. Each pair becomes a connection of its own to the agent.
 */
import type { Duplex } from 'node:stream';
import { type Clock, delay } from '../../lib/clock.ts';
import { errorMessage } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import type { Pod } from '../../machinery/types.ts';
import type { AgentConnector } from '../types.ts';
import { openAgentStream } from './agent-link.ts';
import { drained } from './session.ts';
import { SpdyConnection } from './spdy.ts';
import type { SpdyStream } from './spdy-stream.ts';
import { parsePort, portForwardPath } from './stream-options.ts';

export const portForwardProtocol = 'portforward.k8s.io';

const pairTimeoutMs = 30_000;

export interface ForwardContext {
  pod: Pod;
  agents: AgentConnector;
  clock: Clock;
  logger: Logger;
  signal: AbortSignal;
}

interface Pair {
  error?: SpdyStream;
  data?: SpdyStream;
  /** Ends the wait for the other half. */
  complete: AbortController;
}

/** Serves a SPDY connection (its upgrade is answered) until the client closes it. */
export async function servePortForward(socket: Duplex, context: ForwardContext): Promise<void> {
  const { signal, logger } = context;
  const over = new AbortController();
  const inner: ForwardContext = { ...context, signal: AbortSignal.any([signal, over.signal]) };
  const pairs = new Map<string, Pair>();
  const connection = new SpdyConnection(socket, (stream) => join(stream, pairs, inner));
  const onAbort = () => connection.destroy();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await connection.run();
  } catch (error) {
    if (!signal.aborted) logger.debug({ error, pod: context.pod.metadata.name }, 'a port-forward connection broke');
  } finally {
    signal.removeEventListener('abort', onAbort);
    over.abort(new Error('the client has closed the port-forward'));
  }
}

/** Keeps a stream until its other half is there. */
function join(stream: SpdyStream, pairs: Map<string, Pair>, context: ForwardContext): void {
  const { streamtype, requestid = '' } = stream.headers;
  if (streamtype !== 'error' && streamtype !== 'data') return void stream.destroy();
  let pair = pairs.get(requestid);
  if (!pair) {
    pair = { complete: new AbortController() };
    pairs.set(requestid, pair);
    void dropIncomplete(requestid, pair, pairs, context);
  }
  if (pair[streamtype]) return void stream.destroy();
  pair[streamtype] = stream;
  const { error, data } = pair;
  if (!error || !data) return;
  pairs.delete(requestid);
  pair.complete.abort(new Error('complete'));
  void forward(error, data, context);
}

async function dropIncomplete(id: string, pair: Pair, pairs: Map<string, Pair>, context: ForwardContext): Promise<void> {
  try {
    await delay(context.clock, pairTimeoutMs, AbortSignal.any([pair.complete.signal, context.signal]));
  } catch {
    // Complete, or the connection is over: nothing to drop.
    return;
  }
  pairs.delete(id);
  pair.error?.destroy();
  pair.data?.destroy();
}

/** One connection to a port of the pod. Never rejects: what fails is told on the error stream. */
async function forward(error: SpdyStream, data: SpdyStream, context: ForwardContext): Promise<void> {
  const { pod, agents, signal } = context;
  error.resume();
  let agent: Duplex | undefined;
  try {
    const path = portForwardPath(pod, parsePort(data.headers.port));
    agent = await openAgentStream({ agents, nodeName: pod.spec?.nodeName ?? '', path, signal });
    await relay(data, agent);
    error.end();
  } catch (failure) {
    if (!signal.aborted) {
      const { name, uid } = pod.metadata;
      error.end(`error forwarding port ${data.headers.port} to pod ${name}, uid ${uid}: ${errorMessage(failure)}`);
    }
    data.end();
    // Without a connection nobody else reads what the client still sends.
    if (!agent) data.resume();
  } finally {
    agent?.destroy();
  }
}

/** Both directions, each as fast as its reader. Resolves when the pod has closed; rejects when its connection broke. */
export async function relay(client: Duplex, agent: Duplex): Promise<void> {
  const onClose = () => agent.destroy();
  client.once('close', onClose);
  // The client's side breaks with its stream or connection: then the agent's is destroyed, which ends the other direction.
  void pump(client, agent).catch(() => agent.destroy());
  try {
    await pump(agent, client);
  } catch (error) {
    if (!client.destroyed) throw error;
  } finally {
    client.off('close', onClose);
    agent.destroy();
  }
}

async function pump(from: Duplex, to: Duplex): Promise<void> {
  for await (const chunk of from.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    // What has nowhere to go is read all the same: unread, it would hold up other streams of the connection.
    if (to.writable && !to.write(chunk)) await drained(to);
  }
  if (to.writable) to.end();
}
