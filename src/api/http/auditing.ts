/** The way from a request to its audit: what is told of it at its begin, and who watches its bodies. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Clock } from '../../lib/clock.ts';
import { readYaml } from '../../machinery/yaml-text.ts';
import type { Audit, RequestAudit } from '../audit/audit.ts';
import type { KindTable } from '../kind-table.ts';
import { mediaType } from './body.ts';
import { decodeObject } from './decoding.ts';
import { connectionOf, type Exchange, type RequestLine } from './exchange.ts';
import { isTrue } from './negotiation.ts';
import { parseResourcePath, verbOf } from './routes.ts';

const userAgentLengthMax = 1024;
const forwardersMax = 16;

export interface Auditing {
  audit: Audit;
  table: KindTable;
  clock: Clock;
}

/** Undefined when nothing is audited. */
export function beginAudit(
  auditing: Auditing | undefined,
  line: RequestLine,
  request: IncomingMessage,
): RequestAudit | undefined {
  if (!auditing) return undefined;
  const { audit, table, clock } = auditing;
  const { method, path, query } = line;
  const route = parseResourcePath(path, table);
  const verb = route && verbOf(method, route, { watch: isTrue(query.get('watch')) });
  const { 'audit-id': wished, 'x-forwarded-for': forwarded, 'user-agent': userAgent = '' } = request.headers;
  const forwarders = String(forwarded ?? '').split(',');
  const address = connectionOf(request)?.remoteAddress;
  return audit.begin({
    id: typeof wished === 'string' && /^[-0-9A-Za-z]{1,64}$/.test(wished) ? wished : randomUUID(),
    requestURI: request.url ?? '/',
    path,
    sourceIPs: [...forwarders.map((one) => one.trim()), address ?? ''].filter((one) => one !== '').slice(-forwardersMax),
    userAgent: userAgent.slice(0, userAgentLengthMax),
    receivedMs: clock.wallMs(),
    verb: verb ?? method.toLowerCase(),
    resource: route,
  });
}

/** Follows an exchange to its end. */
export function follow(audit: RequestAudit, exchange: Exchange, clock: Clock): void {
  exchange.setHeader('audit-id', audit.id);
  exchange.observer = {
    onRequestBody: (body) => audit.requestBody(body, () => parsed(body, exchange.header('content-type'))),
    onResponseBody: (body) => audit.responseBody(body),
    onOpened: (code) => audit.started(clock.wallMs(), code),
  };
  const end = () => audit.complete(clock.wallMs(), exchange.code);
  exchange.whenOver(end);
}

/** Of patches, too. */
function parsed(body: Buffer, contentType: string): unknown {
  const type = mediaType(contentType);
  if (type === 'application/apply-patch+yaml') return readYaml(body.toString('utf8')).value;
  return type.endsWith('patch+json') ? JSON.parse(body.toString('utf8')) : decodeObject(body, contentType, 'object');
}
