/** Registry credentials for an image from a pod's pull secrets. Pure. */
import type { Secret } from '../../machinery/types.ts';
import type { PullCredentials } from '../types.ts';

interface RegistryEntry {
  username?: string;
  password?: string;
  auth?: string;
}

/** The registry host of a reference as users write it. */
export function registryOf(reference: string): string {
  const first = reference.split('/')[0]!;
  const isHost = reference.includes('/') && (first.includes('.') || first.includes(':') || first === 'localhost');
  return isHost ? first : 'docker.io';
}

/** The first entry that names the image's registry. Secrets of other types and broken ones give nothing. */
export function credentialsFor(reference: string, secrets: readonly (Secret | undefined)[]): PullCredentials | undefined {
  const host = registryOf(reference);
  for (const secret of secrets) {
    const entry = Object.entries(registriesOf(secret)).find(([key]) => hostOfKey(key) === host)?.[1];
    const found = entry && credentialsOf(entry);
    if (found) return found;
  }
  return undefined;
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
