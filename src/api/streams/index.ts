/**
 * Streams of pods: logs, exec, attach and port-forward, from the client's protocol (WebSocket or SPDY/3.1) to the agent of
 * the pod's node. Until the agent has accepted, every error is an ordinary HTTP answer with a Status; afterwards it is told in
 * the stream.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex, Readable } from 'node:stream';
import { createWebSocketStream } from 'ws';
import { type Clock, systemClock } from '../../lib/clock.ts';
import { errorMessage } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import { badRequest, internalError, StatusError } from '../../machinery/status.ts';
import type { Pod } from '../../machinery/types.ts';
import type { AgentConnector, PodStreamRequest } from '../types.ts';
import { openAgentDownload, openAgentStream } from './agent-link.ts';
import { portForwardProtocol, servePortForward } from './port-forward.ts';
import { type ClientSession, runSession } from './session.ts';
import { SpdySession, spdySessionProtocols } from './spdy-session.ts';
import { chooseContainer, logPath, type SessionOptions, sessionOptions, sessionPath } from './stream-options.ts';
import { acceptSpdy, chooseStreamProtocol, isSpdyRequest, refuseUpgrade } from './upgrade.ts';
import { acceptWebSocket, chooseDialect, isWebSocketRequest, offeredProtocols, WebSocketSession } from './websocket.ts';
import { choosePortDialect, serveWebSocketPorts, wantedPorts } from './websocket-ports.ts';

/** SPDY inside the messages of a WebSocket: how newer clients forward ports. */
const tunnelProtocol = `SPDY/3.1+${portForwardProtocol}`;

export interface StreamOptions {
  agents: AgentConnector;
  logger: Logger;
  /** Ends the stream at any time. */
  signal: AbortSignal;
  /** Left out: the machine's. */
  clock?: Clock;
}

type Upgrade = PodStreamRequest & { clock: Clock; agents: AgentConnector; logger: Logger; signal: AbortSignal };

/** Answers the upgrade and serves the stream. Resolves when it is over, also when it was refused or broke; never rejects. */
export async function handlePodStream(request: PodStreamRequest, options: StreamOptions): Promise<void> {
  const upgrade: Upgrade = { clock: systemClock, ...request, ...options };
  try {
    await (request.kind === 'portforward' ? forwardPorts(upgrade) : openSession(upgrade, request.kind));
  } catch (error) {
    const refusal = error instanceof StatusError ? error : internalError(errorMessage(error));
    if (!options.signal.aborted) refuseUpgrade(request.socket, refusal);
    else request.socket.destroy();
  }
}

/**
 * A container's log as it comes. Rejects with StatusError: 400 when the options do not say which container, 422 when they make
 * no sense, what the agent answers, 503 when it cannot be reached. Destroy it to end the request.
 */
export async function openPodLog(
  pod: Pod,
  query: URLSearchParams,
  { agents, signal }: { agents: AgentConnector; signal: AbortSignal },
): Promise<Readable> {
  const path = logPath(pod, chooseContainer(pod, query.get('container')), query);
  return openAgentDownload({ agents, nodeName: nodeOf(pod), path, signal });
}

function nodeOf(pod: Pod): string {
  if (pod.spec?.nodeName) return pod.spec.nodeName;
  throw badRequest(`pod ${pod.metadata.name} does not have a host assigned`);
}

/** Rejects only while the client's socket is still free for an answer. */
async function openSession(upgrade: Upgrade, kind: 'exec' | 'attach'): Promise<void> {
  const { pod, query, request, agents, logger, signal } = upgrade;
  const options = sessionOptions(kind, query);
  const path = sessionPath(kind, pod, chooseContainer(pod, query.get('container')), query);
  const accept = negotiateSession(request);
  const agent = await openAgentStream({ agents, nodeName: nodeOf(pod), path, signal });
  let client: ClientSession;
  try {
    client = await accept(upgrade, options);
  } catch (error) {
    agent.destroy();
    if (error instanceof StatusError) throw error;
    logger.debug({ error, pod: pod.metadata.name }, 'a client left before its session began');
    upgrade.socket.destroy();
    return;
  }
  await runSession(client, agent, { options, logger, signal });
}

type Accept = (upgrade: Upgrade, options: SessionOptions) => Promise<ClientSession>;

/** How this client is to be answered. StatusError when we do not speak what it speaks. */
function negotiateSession(request: IncomingMessage): Accept {
  if (isWebSocketRequest(request)) {
    const { protocol, dialect } = chooseDialect(request);
    return async (upgrade, session) => {
      const { clock } = upgrade;
      return new WebSocketSession(await acceptWebSocket(upgrade, protocol), dialect, { session, clock });
    };
  }
  requireSpdy(request);
  const protocol = chooseStreamProtocol(request, spdySessionProtocols);
  return async ({ socket, head, clock, signal }, options) => {
    acceptSpdy(socket, head, protocol);
    const session = new SpdySession(socket, { protocol, session: options, clock });
    const onAbort = () => session.destroy();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      await session.opened();
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
    return session;
  };
}

function requireSpdy(request: IncomingMessage): void {
  if (!isSpdyRequest(request)) throw badRequest('Upgrade request required');
}

async function forwardPorts(upgrade: Upgrade): Promise<void> {
  const { pod, request, socket, head, agents, clock, logger, signal, query } = upgrade;
  nodeOf(pod);
  const context = { pod, agents, clock, logger, signal };
  if (!isWebSocketRequest(request)) {
    requireSpdy(request);
    const protocol = chooseStreamProtocol(request, [portForwardProtocol]);
    acceptSpdy(socket, head, protocol);
    return servePortForward(socket, context);
  }
  if (offeredProtocols(request).includes(tunnelProtocol)) {
    const tunnel: Duplex = createWebSocketStream(await acceptWebSocket(upgrade, tunnelProtocol));
    return servePortForward(tunnel, context);
  }
  const ports = wantedPorts(query);
  const { protocol, base64 } = choosePortDialect(request);
  return serveWebSocketPorts(await acceptWebSocket(upgrade, protocol), ports, { ...context, base64 });
}
