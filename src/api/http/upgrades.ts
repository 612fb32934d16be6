/**
 * HTTP/1.1 upgrades: exec, attach and port-forward as WebSocket (GET) or SPDY/3.1 (POST), and watches as WebSocket. Authentication,
 * authorization and the pod are checked here as for any request; the socket then belongs to the stream handler.
 */
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Logger } from '../../lib/logger.ts';
import { badRequest, type StatusError } from '../../machinery/status.ts';
import type { Pod } from '../../machinery/types.ts';
import type { Aggregator } from '../aggregation/aggregator.ts';
import type { RequestNotes } from '../audit/notes.ts';
import { type Forwarding, forwardUpgrade } from '../proxy/forward.ts';
import { proxyTarget } from '../proxy/targets.ts';
import { type Registry, unknownResource } from '../registry.ts';
import { handlePodStream } from '../streams/index.ts';
import { connectObject } from '../streams/stream-options.ts';
import { isWebSocketRequest } from '../streams/websocket.ts';
import type { AgentConnector, PodStreamRequest, User } from '../types.ts';
import type { Upstreams } from '../upstream/upstream.ts';
import { type RequestLine, requestLine, searchOf } from './exchange.ts';
import type { Authenticate, AuthorizedRoute, RequestHandler } from './handler.ts';
import { watchesOpen } from './metrics.ts';
import type { ResourceHandler } from './resource-handler.ts';
import { askedBy, openWatchSocket } from './watch-socket.ts';

const streamKinds: PodStreamRequest['kind'][] = ['exec', 'attach', 'portforward'];

export interface UpgradeOptions {
  handler: RequestHandler;
  registry: Registry;
  resources: ResourceHandler;
  agents: AgentConnector;
  upstreams: Upstreams;
  aggregator: Aggregator;
  logger: Logger;
  closing: AbortSignal;
}

/** Never rejects; the socket is answered or closed. */
export async function handleUpgrade(
  options: UpgradeOptions,
  upgrade: { request: IncomingMessage; socket: Duplex; head: Buffer },
  authenticate: Authenticate,
): Promise<void> {
  const { request, socket, head } = upgrade;
  const { handler, agents, logger, closing } = options;
  const gone = new AbortController();
  socket.on('close', () => gone.abort(new Error('the client has gone')));
  socket.on('error', (error) => logger.debug({ error }, 'a stream connection broke'));
  const signal = AbortSignal.any([gone.signal, closing]);
  const line = requestLine(request);
  const audit = handler.audit(line, request);
  // Undefined again when the client goes before it is answered.
  let code: number | undefined;
  if (audit) socket.once('close', () => handler.ended(audit, code));
  const took = () => {
    code = 101;
    if (audit) handler.switched(audit);
  };
  let stream: PodStreamRequest;
  try {
    const user = await handler.identify(request, authenticate, signal, audit);
    const asked = await handler.authorize(line, user, signal, audit);
    const forwarding = await forwardingOf(options, request, { line, user, signal, asked, notes: audit?.notes });
    if (forwarding) {
      took();
      return await forwardUpgrade(options.upstreams, upgrade, forwarding, signal);
    }
    if (asked?.verb === 'watch' && isWebSocketRequest(request)) {
      const watch = await options.resources.watchFor(askedBy(line, request), { ...asked, user, signal });
      const output = await openWatchSocket(upgrade);
      took();
      return await watched(asked.route.resource, () => watch(output));
    }
    const target = await streamTarget(options, line, { user, signal, asked, notes: audit?.notes });
    stream = { ...target, request, socket, head, query: line.query };
    took();
  } catch (error) {
    const status = handler.statusOf(line, error);
    code = status.code;
    audit?.failed(status.status);
    return refuseUpgrade(socket, status);
  }
  try {
    await handlePodStream(stream, { agents, logger, signal });
  } catch (error) {
    logger.warn({ error, kind: stream.kind, pod: stream.pod.metadata.name }, 'a stream failed');
    socket.destroy();
  }
}

async function watched(resource: string, watch: () => Promise<void>): Promise<void> {
  watchesOpen.inc({ resource });
  try {
    await watch();
  } finally {
    watchesOpen.dec({ resource });
  }
}

interface Identified {
  user: User;
  signal: AbortSignal;
  asked: AuthorizedRoute | undefined;
  notes: RequestNotes | undefined;
}

/** Where an upgrade goes that is none of ours. */
async function forwardingOf(
  { registry, aggregator }: UpgradeOptions,
  request: IncomingMessage,
  { line, user, signal, asked, notes }: Identified & { line: RequestLine },
): Promise<Forwarding | undefined> {
  const { resolved, subresource, name, namespace } = asked?.route ?? {};
  if (asked && !resolved) return aggregator.forwarding(line.path, searchOf(request), user);
  if (!resolved || subresource !== 'proxy' || name === undefined || !resolved.kind.subresources?.includes('proxy')) {
    return undefined;
  }
  if (resolved.kind.namespaced && namespace === undefined) throw unknownResource();
  const { method, path } = line;
  return proxyTarget(
    registry,
    { resolved, namespace, name, subresource, user, signal, notes },
    { method, path, search: searchOf(request) },
  );
}

async function streamTarget(
  { registry }: UpgradeOptions,
  line: RequestLine,
  { user, signal, asked, notes }: Identified,
): Promise<{ kind: PodStreamRequest['kind']; pod: Pod }> {
  const { resolved, subresource, name, namespace } = asked?.route ?? {};
  const kind = streamKinds.find((candidate) => candidate === subresource);
  if (!resolved || !kind || !resolved.kind.subresources?.includes(kind) || name === undefined || namespace === undefined) {
    throw unknownResource();
  }
  const target = { resolved, namespace, name, user, signal, notes };
  const { object } = await registry.get(target);
  const pod = object as Pod;
  if (!pod.spec?.nodeName) throw badRequest(`pod ${name} does not have a host assigned`);
  await registry.connect({ ...target, subresource: kind }, connectObject(kind, pod, line.query));
  return { kind, pod };
}

/** Nothing has been answered yet: an ordinary response, then the end of the connection. */
export function refuseUpgrade(socket: Duplex, { status }: StatusError): void {
  if (socket.destroyed) return;
  const body = Buffer.from(`${JSON.stringify(status)}\n`);
  const head = [
    `HTTP/1.1 ${status.code} ${STATUS_CODES[status.code] ?? 'Error'}`,
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
    'Connection: close',
  ];
  socket.end(Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body]));
}
