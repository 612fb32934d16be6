/**
 * Join tokens: `kontiki.<first 32 hex digits of the CA certificate's SHA-256>.<id>.<secret>`. The secret never crosses the network: the newcomer
 * proves that it knows it, bound to both peers' ids, which the transport has authenticated; the answer is proven likewise.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { NodeError } from './errors.ts';

export interface JoinToken {
  caHash: string;
  id: string;
  secret: string;
}

export function createToken(caCert: string): JoinToken {
  return { caHash: hashOf(caCert).slice(0, 32), id: randomBytes(4).toString('hex'), secret: randomBytes(16).toString('hex') };
}

export function formatToken(token: JoinToken): string {
  return `kontiki.${token.caHash}.${token.id}.${token.secret}`;
}

/** Throws NodeError 'InvalidToken'. */
export function parseToken(text: string): JoinToken {
  const match = /^kontiki\.([0-9a-f]{32})\.([0-9a-f]{8})\.([0-9a-f]{32})$/.exec(text.trim());
  if (!match) {
    throw new NodeError('InvalidToken', 'this is not a join token; make one on a member with: kontiki token create');
  }
  const [, caHash = '', id = '', secret = ''] = match;
  return { caHash, id, secret };
}

export function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** `side` says who proves; `secretHash` is hashOf(secret). */
export function joinProof(
  side: 'newcomer' | 'member',
  secretHash: string,
  newcomerId: string,
  memberId: string,
  nonce: string,
  content: string,
): string {
  return createHmac('sha256', Buffer.from(secretHash, 'hex'))
    .update(JSON.stringify([side, newcomerId, memberId, nonce, content]))
    .digest('hex');
}

export function sameProof(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
