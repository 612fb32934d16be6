/**
 * Bootstrap tokens: `id.secret`, each a Secret of type bootstrap.kubernetes.io/token in kube-system. For machines that have no
 * other identity yet. Source: Kubernetes documentation, "Authenticating with Bootstrap Tokens".
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../../lib/clock.ts';
import type { Secret } from '../../machinery/types.ts';
import type { ClusterStore } from '../../store/types.ts';
import { objectOf } from '../stored-objects.ts';
import type { User } from '../types.ts';

const tokenPattern = /^([a-z0-9]{6})\.([a-z0-9]{16})$/;
const groupPattern = /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/;
const secretType = 'bootstrap.kubernetes.io/token';
const commonGroup = 'system:bootstrappers';

export interface BootstrapTokensContext {
  store: ClusterStore;
  clock: Clock;
}

/** Undefined when it is no bootstrap token, or one that does not count. One that this peer has not heard of is looked for after a barrier. */
export async function bootstrapTokenUser(
  { store, clock }: BootstrapTokensContext,
  token: string,
  signal?: AbortSignal,
): Promise<User | undefined> {
  const [, id, secret] = tokenPattern.exec(token) ?? [];
  if (id === undefined || secret === undefined) return undefined;
  const key = `/registry/core/secrets/kube-system/bootstrap-token-${id}`;
  if (!store.get(key)) await store.barrier(signal);
  const record = store.get(key);
  return record && userOf(objectOf(record) as Secret, { id, secret }, clock.wallMs());
}

/** What the token's secret says of its bearer. Pure. */
export function userOf(found: Secret, { id, secret }: { id: string; secret: string }, nowMs: number): User | undefined {
  const text = (name: string) => Buffer.from(found.data?.[name] ?? '', 'base64').toString('utf8');
  if (found.type !== secretType || found.metadata.deletionTimestamp) return undefined;
  if (!sameText(text('token-secret'), secret) || text('token-id') !== id) return undefined;
  const expiration = text('expiration');
  // A time that cannot be read has passed, as in Kubernetes.
  if (expiration !== '' && !(Date.parse(expiration) > nowMs)) return undefined;
  if (text('usage-bootstrap-authentication') !== 'true') return undefined;
  const extra = text('auth-extra-groups').split(',');
  const groups = extra.map((group) => group.trim()).filter((group) => group !== '');
  if (!groups.every((group) => groupPattern.test(group))) return undefined;
  return { name: `system:bootstrap:${id}`, groups: [...new Set([commonGroup, ...groups, 'system:authenticated'])] };
}

/** In a time that does not tell how much of it is right. */
function sameText(left: string, right: string): boolean {
  const hash = (value: string) => createHash('sha256').update(value).digest();
  return timingSafeEqual(hash(left), hash(right));
}
