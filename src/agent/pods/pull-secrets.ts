/** Registry credentials from a pod's pull secrets. Pure. */
import type { Secret } from '../../machinery/types.ts';
import type { PullCredentials } from '../types.ts';

interface RegistryEntry {
  username?: string;
  password?: string;
  auth?: string;
}

/**
 * What the secrets hold for each registry, by host[:port] (docker.io for Docker Hub): of several the first. Secrets of other types
 * and broken ones give nothing.
 */
export function pullCredentials(secrets: readonly (Secret | undefined)[]): ReadonlyMap<string, PullCredentials> {
  const byHost = new Map<string, PullCredentials>();
  for (const secret of secrets) {
    for (const [key, entry] of Object.entries(registriesOf(secret))) {
      const host = hostOfKey(key);
      const found = credentialsOf(entry);
      if (found && !byHost.has(host)) byHost.set(host, found);
    }
  }
  return byHost;
}

function registriesOf(secret: Secret | undefined): Record<string, RegistryEntry> {
  const current = secret?.data?.['.dockerconfigjson'];
  const legacy = secret?.data?.['.dockercfg'];
  const text = current ?? legacy;
  if (!text) return {};
  try {
    const parsed = JSON.parse(Buffer.from(text, 'base64').toString('utf8')) as Record<string, unknown>;
    return ((current ? parsed.auths : parsed) ?? {}) as Record<string, RegistryEntry>;
  } catch {
    // Kubernetes too goes on without credentials; the registry then says what is missing.
    return {};
  }
}

/** Keys are hosts or URLs; Docker Hub has several names. */
function hostOfKey(key: string): string {
  const host = key.replace(/^https?:\/\//, '').split('/')[0]!;
  return host === 'index.docker.io' || host === 'registry-1.docker.io' ? 'docker.io' : host;
}

function credentialsOf({ username, password, auth }: RegistryEntry): PullCredentials | undefined {
  if (username !== undefined && password !== undefined) return { username, password };
  const decoded = auth ? Buffer.from(auth, 'base64').toString('utf8') : '';
  const colon = decoded.indexOf(':');
  return colon < 0 ? undefined : { username: decoded.slice(0, colon), password: decoded.slice(colon + 1) };
}
