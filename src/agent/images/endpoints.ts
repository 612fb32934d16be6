/**
 * Where the images of a registry are asked for: its mirrors in the configured order, then the registry itself. What one lacks or
 * gives wrongly the next may have; everything is checked against its digest whoever sent it.
 */
import type { Clock } from '../../lib/clock.ts';
import { AgentError, isAgentError } from '../errors.ts';
import type { PullCredentials, RegistryMirrors } from '../types.ts';
import type { Descriptor } from './manifest.ts';
import { formatReference, type Reference } from './reference.ts';
import { Registry, type RegistryEndpoint } from './registry.ts';

export interface EndpointsOptions {
  reference: Reference;
  mirrors: RegistryMirrors;
  /** host[:port] of registries that are asked over plain HTTP. */
  insecureRegistries: readonly string[];
  credentials: ReadonlyMap<string, PullCredentials>;
  clock: Clock;
}

/** The endpoints for a registry, best first; the registry itself is the last, and none comes twice. Pure. */
export function endpointsOf(
  domain: string,
  mirrors: RegistryMirrors,
  insecureRegistries: readonly string[],
  credentials: ReadonlyMap<string, PullCredentials>,
): RegistryEndpoint[] {
  const host = domain === 'docker.io' ? 'registry-1.docker.io' : domain;
  const origin = `${insecureRegistries.includes(domain) ? 'http' : 'https'}://${host}`;
  const before = new Set(mirrors[domain] ?? mirrors['*'] ?? []);
  before.delete(origin);
  return [
    ...[...before].map((base) => ({ base, mirrorOf: domain, credentials: credentials.get(new URL(base).host) })),
    { base: origin, mirrorOf: undefined, credentials: credentials.get(domain) },
  ];
}

/** One pull's conversation with all of them. An endpoint that fails once is not asked again by this pull. */
export class Endpoints {
  readonly #options: EndpointsOptions;
  #left: { base: string; registry: Registry }[];
  readonly #failures: string[] = [];

  constructor(options: EndpointsOptions) {
    this.#options = options;
    const { reference, mirrors, insecureRegistries, credentials, clock } = options;
    this.#left = endpointsOf(reference.domain, mirrors, insecureRegistries, credentials).map((endpoint) => ({
      base: endpoint.base,
      registry: new Registry({ reference, endpoint, clock }),
    }));
  }

  /** As Registry.manifest, of the first that has it. AgentError 'ImagePull' tells what each one said. */
  manifest(tagOrDigest: string, signal: AbortSignal): Promise<{ bytes: Buffer; digest: string }> {
    return this.#first(signal, (registry) => registry.manifest(tagOrDigest, signal));
  }

  /** As Registry.blob. */
  blob(descriptor: Descriptor, signal: AbortSignal): Promise<Buffer> {
    return this.#first(signal, (registry) => registry.blob(descriptor, signal));
  }

  /** As Registry.download. */
  download(blob: Descriptor, file: string, signal: AbortSignal, progress: (bytes: number) => void): Promise<void> {
    return this.#first(signal, (registry) => registry.download(blob, file, signal, progress));
  }

  async #first<T>(signal: AbortSignal, ask: (registry: Registry) => Promise<T>): Promise<T> {
    for (;;) {
      const endpoint = this.#left[0]!;
      try {
        return await ask(endpoint.registry);
      } catch (error) {
        signal.throwIfAborted();
        if (!isAgentError(error, 'ImagePull')) throw error;
        if (this.#left.includes(endpoint)) this.#failures.push(this.#told(endpoint.base, error.message));
        if (this.#left.length > 1 || !this.#left.includes(endpoint)) {
          this.#left = this.#left.filter((other) => other !== endpoint);
          continue;
        }
        throw this.#failures.length === 1 ? error : this.#refuse(error);
      }
    }
  }

  /** Every answer names who gave it, and the image is named once for all. */
  #told(base: string, message: string): string {
    const name = formatReference(this.#options.reference);
    const why = message.replace(`${name}: `, '');
    return why.startsWith(base) ? why : `${base}: ${why}`;
  }

  #refuse(cause: unknown): AgentError {
    const name = formatReference(this.#options.reference);
    return new AgentError('ImagePull', `${name}: ${this.#failures.join('; ')}`, { reference: name }, cause);
  }
}
