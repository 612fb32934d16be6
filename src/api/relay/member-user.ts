/**
 * How a member tells another one whose request it relays. The header counts only on the door for members, which is reached over
 * the authenticated transport; from clients it is taken away.
 */
import type { IncomingMessage } from 'node:http';
import { unauthorized } from '../../machinery/status.ts';
import type { User } from '../types.ts';

export const memberUserHeader = 'kontiki-user';

export function encodeMemberUser(user: User): string {
  return Buffer.from(JSON.stringify(user)).toString('base64url');
}

/** Undefined when the member names nobody. StatusError 401 when it makes no sense. */
export function memberUser({ headers }: IncomingMessage): User | undefined {
  const value = headers[memberUserHeader];
  if (value === undefined) return undefined;
  let user: Partial<User> | null;
  try {
    user = JSON.parse(Buffer.from(String(value), 'base64url').toString());
  } catch {
    throw unauthorized();
  }
  if (typeof user?.name !== 'string' || !Array.isArray(user.groups)) throw unauthorized();
  return user as User;
}
