/** JSON Web Tokens signed with ES256 (RFC 7515, 7518): made and taken apart. Pure but for the signature's own random. */
import { type KeyObject, sign, verify } from 'node:crypto';

/** Larger texts are no tokens of ours. */
const tokenLengthMax = 16 * 1024;
const algorithm = 'ES256';

export type Claims = Record<string, unknown>;

export function signToken(claims: Claims, key: { id: string; privateKey: KeyObject }): string {
  const head = encodePart({ alg: algorithm, kid: key.id });
  const signed = `${head}.${encodePart(claims)}`;
  const signature = sign('sha256', Buffer.from(signed), { key: key.privateKey, dsaEncoding: 'ieee-p1363' });
  return `${signed}.${signature.toString('base64url')}`;
}

/** The claims of a token that one of the keys has signed. Undefined for anything else, whatever is wrong with it. */
export function verifyToken(token: string, publicKey: (id: string) => KeyObject | undefined): Claims | undefined {
  if (token.length > tokenLengthMax) return undefined;
  const [head, body, signature, ...more] = token.split('.');
  if (!head || !body || !signature || more.length > 0) return undefined;
  const header = decodePart(head);
  // The key alone decides how a signature is checked; a token that names another way is not ours.
  if (header?.alg !== algorithm || typeof header.kid !== 'string') return undefined;
  const key = publicKey(header.kid);
  const bytes = Buffer.from(signature, 'base64url');
  // One text for one signature: decoders overlook what does not belong.
  if (!key || bytes.toString('base64url') !== signature) return undefined;
  const right = verify('sha256', Buffer.from(`${head}.${body}`), { key, dsaEncoding: 'ieee-p1363' }, bytes);
  return right ? decodePart(body) : undefined;
}

function encodePart(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function decodePart(text: string): Claims | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Claims) : undefined;
  } catch {
    // Not JSON: not a token.
    return undefined;
  }
}
