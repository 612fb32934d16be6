/**
 * Signatures of the configuration by which machines find the cluster (ConfigMap cluster-info in kube-public): one for each bootstrap token
 * that may sign, so that whoever holds the token can tell that the configuration is genuine. Pure. Source: Kubernetes documentation,
 * "Authenticating with Bootstrap Tokens", ConfigMap signing.
 */
import { createHmac } from 'node:crypto';
import type { Secret } from '../../machinery/types.ts';

export const tokenType = 'bootstrap.kubernetes.io/token';
export const configKey = 'kubeconfig';
const signaturePrefix = 'jws-kubeconfig-';
const namePrefix = 'bootstrap-token-';

/** The data with the signatures that belong there and no others; undefined when it is so already, or when there is nothing to sign. */
export function signedData(
  data: Readonly<Record<string, string>>,
  secrets: readonly Secret[],
  nowMs: number,
): Record<string, string> | undefined {
  const content = data[configKey];
  if (content === undefined) return undefined;
  const kept = Object.entries(data).filter(([key]) => !key.startsWith(signaturePrefix));
  const wanted: Record<string, string> = Object.fromEntries(kept);
  for (const secret of secrets) {
    const token = signingToken(secret, nowMs);
    if (token) wanted[`${signaturePrefix}${token.id}`] ??= detachedSignature(content, token);
  }
  const names = Object.keys(wanted);
  const same = names.length === Object.keys(data).length && names.every((name) => data[name] === wanted[name]);
  return same ? undefined : wanted;
}

interface Token {
  id: string;
  secret: string;
}

/** Undefined for a token that is none, has expired, or is not meant for this. */
function signingToken({ metadata, type, data = {} }: Secret, nowMs: number): Token | undefined {
  const text = (name: string) => Buffer.from(data[name] ?? '', 'base64').toString('utf8');
  const [id, secret, expiration] = [text('token-id'), text('token-secret'), text('expiration')];
  if (type !== tokenType || metadata.deletionTimestamp || metadata.name !== `${namePrefix}${id}`) return undefined;
  if (!/^[a-z0-9]{6}$/.test(id) || secret === '' || text('usage-bootstrap-signing') !== 'true') return undefined;
  if (expiration !== '' && !(Date.parse(expiration) > nowMs)) return undefined;
  return { id, secret };
}

/** A JSON Web Signature (RFC 7515, HS256) whose payload is left out (appendix F): `HEADER..SIGNATURE`. */
function detachedSignature(content: string, { id, secret }: Token): string {
  const encode = (text: string) => Buffer.from(text).toString('base64url');
  const header = encode(JSON.stringify({ alg: 'HS256', kid: id }));
  const signature = createHmac('sha256', secret)
    .update(`${header}.${encode(content)}`)
    .digest('base64url');
  return `${header}..${signature}`;
}
