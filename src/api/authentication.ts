/**
 * Who is on the other end. A client certificate's common name is the user, each of its organizations a group; TLS has checked
 * the signature. A bearer token is a service account's or a bootstrap token. A certificate or token that is not ours is refused, neither of them
 * means anonymous.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { unauthorized } from '../machinery/status.ts';
import { type BootstrapTokensContext, bootstrapTokenUser } from './tokens/bootstrap-tokens.ts';
import { apiAudiences, type ServiceAccountTokens } from './tokens/service-account-tokens.ts';
import type { User } from './types.ts';

export const authenticatedGroup = 'system:authenticated';

export const systemUser: User = { name: 'system:apiserver', groups: ['system:masters', authenticatedGroup] };
export const anonymous: User = { name: 'system:anonymous', groups: ['system:unauthenticated'] };

export const tokenProtocolPrefix = 'base64url.bearer.authorization.k8s.io.';

/** A connection keeps its user; certificates are not asked for again. */
const users = new WeakMap<Socket, User>();

export class Authenticator {
  readonly #tokens: ServiceAccountTokens;
  readonly #bootstrap: BootstrapTokensContext;

  constructor(tokens: ServiceAccountTokens, bootstrap: BootstrapTokensContext) {
    this.#tokens = tokens;
    this.#bootstrap = bootstrap;
  }

  /** The user of a request that came on a TLS connection. StatusError 401 for a certificate or a token that is not good. */
  async userOf(request: IncomingMessage, socket: Socket, signal: AbortSignal): Promise<User> {
    const user = userOfConnection(socket);
    if (user !== anonymous) return user;
    const token = bearerToken(request);
    if (token === undefined) return anonymous;
    const newcomer = await bootstrapTokenUser(this.#bootstrap, token, signal);
    if (newcomer) return newcomer;
    const verified = await this.#tokens.verify(token, apiAudiences, signal);
    if (!verified) throw unauthorized();
    return verified.user;
  }
}

/** Undefined when the request brings none. */
function bearerToken(request: IncomingMessage): string | undefined {
  const [scheme = '', token = ''] = (request.headers.authorization ?? '').trim().split(/ +/);
  return scheme.toLowerCase() === 'bearer' && token !== '' ? token : tokenAmongProtocols(request);
}

/** Browsers cannot set headers on a WebSocket: they name the token as one of the protocols they would speak, beside a real one. */
function tokenAmongProtocols({ headers }: IncomingMessage): string | undefined {
  if (headers.upgrade?.toLowerCase() !== 'websocket') return undefined;
  const offered = (headers['sec-websocket-protocol'] ?? '').split(',').map((protocol) => protocol.trim());
  const encoded = offered.find((protocol) => protocol.startsWith(tokenProtocolPrefix));
  if (encoded === undefined || offered.length < 2) return undefined;
  return Buffer.from(encoded.slice(tokenProtocolPrefix.length), 'base64url').toString('utf8') || undefined;
}

/** By certificate, or anonymous. StatusError 401 for a certificate that is not ours. */
export function userOfConnection(socket: Socket): User {
  let user = users.get(socket);
  if (!user) {
    user = identify(socket);
    users.set(socket, user);
  }
  return user;
}

function identify(socket: Socket): User {
  if (!(socket instanceof TLSSocket)) return anonymous;
  const { subject } = socket.getPeerCertificate() ?? {};
  if (!subject) return anonymous;
  if (!socket.authorized) throw unauthorized();
  // The declared type knows one value for each attribute; a subject may repeat them.
  const { CN, O } = subject as { CN?: string | string[]; O?: string | string[] };
  const name = Array.isArray(CN) ? CN.at(-1) : CN;
  if (!name) throw unauthorized();
  return authenticated({ name, groups: O === undefined ? [] : Array.isArray(O) ? O : [O] });
}

export function authenticated(user: User): User {
  return { ...user, groups: [...new Set([...user.groups, authenticatedGroup])] };
}
