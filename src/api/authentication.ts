/**
 * Who is on the other end: the client certificate's common name is the user, each of its organizations a group. TLS has
 * checked the signature; a certificate that our CA has not signed is refused, none at all means anonymous.
 */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { unauthorized } from '../machinery/status.ts';
import type { User } from './types.ts';

const authenticatedGroup = 'system:authenticated';

export const systemUser: User = { name: 'system:apiserver', groups: ['system:masters', authenticatedGroup] };
export const anonymous: User = { name: 'system:anonymous', groups: ['system:unauthenticated'] };

/** A connection keeps its user; certificates are not asked for again. */
const users = new WeakMap<Socket, User>();

/** StatusError 401 for a certificate that is not ours. */
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

export function authenticated({ name, groups }: User): User {
  return { name, groups: [...new Set([...groups, authenticatedGroup])] };
}
