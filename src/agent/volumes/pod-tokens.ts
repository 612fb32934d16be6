/**
 * The service account tokens in a pod's projected volumes: asked for when the pod starts, and again when four fifths of their
 * life are over. While the API is away the last ones stay.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import { errorCode, errorMessage } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import { requestAccountToken } from '../../machinery/account-tokens.ts';
import type { Client } from '../../machinery/client.ts';
import type { Pod, Volume } from '../../machinery/types.ts';
import { AgentError } from '../errors.ts';

const refreshAfter = 0.8;
const refreshMsMax = 24 * 3_600_000;
const retryMs = 10_000;
const defaultSeconds = 3_600;

type Source = NonNullable<NonNullable<NonNullable<Volume['projected']>['sources']>[number]['serviceAccountToken']>;

export interface PodTokensOptions {
  client: Client;
  clock: Clock;
  logger: Logger;
  /** Where the pod's volumes are: a former agent may have written tokens there. */
  volumesDir: string;
}

export class PodTokens {
  readonly #options: PodTokensOptions;
  readonly #tokens = new Map<string, { token: string | undefined; refreshAtMs: number }>();

  constructor(options: PodTokensOptions) {
    this.#options = options;
  }

  /** The token that belongs at a path of a volume. Undefined before `ensure`. */
  get(volume: string, path: string): string | undefined {
    return this.#tokens.get(keyOf(volume, path))?.token;
  }

  /** Wall time at which `ensure` has something to do; infinite when the pod has no tokens. */
  dueAtMs(pod: Pod): number {
    const due = sourcesOf(pod).map(([volume, { path }]) => this.#tokens.get(keyOf(volume, path))?.refreshAtMs ?? 0);
    return Math.min(Number.POSITIVE_INFINITY, ...due);
  }

  /** Asks for what is missing or old. AgentError 'Volume' when there is no token at all; an old one stays on failure. */
  async ensure(pod: Pod, signal: AbortSignal): Promise<void> {
    for (const [volume, source] of sourcesOf(pod)) {
      const nowMs = this.#options.clock.wallMs();
      const known = this.#tokens.get(keyOf(volume, source.path));
      if (known?.token !== undefined && nowMs < known.refreshAtMs) continue;
      try {
        const { token, expiresMs } = await this.#request(pod, source, signal);
        const refreshAtMs = nowMs + Math.min((expiresMs - nowMs) * refreshAfter, refreshMsMax);
        this.#tokens.set(keyOf(volume, source.path), { token, refreshAtMs });
      } catch (error) {
        signal.throwIfAborted();
        const token = known?.token ?? (await this.#written(volume, source.path));
        this.#tokens.set(keyOf(volume, source.path), { token, refreshAtMs: nowMs + retryMs });
        if (token === undefined) throw new AgentError('Volume', `failed to fetch token: ${errorMessage(error)}`, {}, error);
        this.#options.logger.warn({ error, volume }, 'a service account token could not be renewed yet');
      }
    }
  }

  #request({ metadata, spec }: Pod, { audience, expirationSeconds = defaultSeconds }: Source, signal: AbortSignal) {
    const { name, namespace = '', uid } = metadata;
    return requestAccountToken(this.#options.client, {
      namespace,
      account: spec?.serviceAccountName || 'default',
      spec: {
        audiences: audience ? [audience] : [],
        expirationSeconds,
        boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid },
      },
      signal,
    });
  }

  async #written(volume: string, path: string): Promise<string | undefined> {
    try {
      return await readFile(join(this.#options.volumesDir, volume, path), 'utf8');
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  }
}

function keyOf(volume: string, path: string): string {
  return `${volume}/${path}`;
}

function sourcesOf(pod: Pod): [volume: string, source: Source][] {
  return (pod.spec?.volumes ?? []).flatMap(({ name, projected }) =>
    (projected?.sources ?? []).flatMap(({ serviceAccountToken }): [string, Source][] =>
      serviceAccountToken ? [[name, serviceAccountToken]] : [],
    ),
  );
}
