/**
 * One pull's conversation with a registry, by the distribution specification's HTTP API: manifests and blobs, with the token or Basic
 * authentication the registry asks for. Everything is checked against its digest. Errors of the network and of a busy
 * registry are tried again with growing pauses; answers that would only be repeated are not.
 */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { type Clock, delay } from '../../lib/clock.ts';
import { errorCode, errorMessage } from '../../lib/errors.ts';
import { AgentError } from '../errors.ts';
import type { PullCredentials } from '../types.ts';
import { type Descriptor, digestOf, manifestBytesMax, manifestTypes } from './manifest.ts';
import { formatReference, type Reference } from './reference.ts';
import { parseChallenges, requestToken } from './registry-token.ts';

export interface RegistryEndpoint {
  /** http(s)://host[:port][/prefix], to which /v2/… is added. */
  base: string;
  /** The registry that it stands for when it is a mirror. */
  mirrorOf: string | undefined;
  /** Its own, never those of the registry that it mirrors. */
  credentials: PullCredentials | undefined;
}

export interface RegistryOptions {
  reference: Reference;
  endpoint: RegistryEndpoint;
  clock: Clock;
}

const triesMax = 5;
/** After a mirror there is another to ask. */
const mirrorTriesMax = 2;
const firstPauseMs = 250;
/** Without a byte for this long a connection counts as dead. */
const stallMs = 30_000;

/** An answer or a break that may be different next time. */
class Passing extends Error {}

export class Registry {
  readonly #options: RegistryOptions;
  readonly #base: string;
  #authorization: string | undefined;

  constructor(options: RegistryOptions) {
    this.#options = options;
    this.#base = options.endpoint.base;
  }

  /** The document named by a tag or digest, with its own digest. AgentError 'ImagePull'. */
  async manifest(tagOrDigest: string, signal: AbortSignal): Promise<{ bytes: Buffer; digest: string }> {
    return this.#retry(signal, async () => {
      const parts: Buffer[] = [];
      await this.#get(`manifests/${tagOrDigest}`, manifestTypes.join(', '), manifestBytesMax, signal, async (part) => {
        parts.push(Buffer.from(part));
      });
      const bytes = Buffer.concat(parts);
      const digest = digestOf(bytes);
      if (tagOrDigest.startsWith('sha256:') && digest !== tagOrDigest) {
        throw this.#refuse(`the registry sent a manifest with digest ${digest} for ${tagOrDigest}`);
      }
      return { bytes, digest };
    });
  }

  /** A small blob. */
  async blob({ digest, sizeBytes }: Descriptor, signal: AbortSignal): Promise<Buffer> {
    return this.#retry(signal, async () => {
      const parts: Buffer[] = [];
      await this.#get(`blobs/${digest}`, '*/*', sizeBytes, signal, async (part) => {
        parts.push(Buffer.from(part));
      });
      const bytes = Buffer.concat(parts);
      if (digestOf(bytes) !== digest) throw new Passing(`blob ${digest} arrived with other content`);
      return bytes;
    });
  }

  /** A blob into a new file, which is complete and right when this resolves. `progress` hears how many bytes more have come. */
  async download(blob: Descriptor, file: string, signal: AbortSignal, progress: (bytes: number) => void): Promise<void> {
    await this.#retry(signal, async () => {
      const handle = await open(file, 'w', 0o600);
      try {
        const hash = createHash('sha256');
        await this.#get(`blobs/${blob.digest}`, '*/*', blob.sizeBytes, signal, async (part) => {
          hash.update(part);
          progress(part.length);
          await handle.writeFile(part);
        });
        const digest = `sha256:${hash.digest('hex')}`;
        if (digest !== blob.digest) throw new Passing(`blob ${blob.digest} arrived with other content (${digest})`);
      } finally {
        await handle.close();
      }
    });
  }

  async #retry<T>(signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
    const most = this.#options.endpoint.mirrorOf === undefined ? triesMax : mirrorTriesMax;
    for (let tries = 1; ; tries++) {
      try {
        return await attempt();
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof Passing)) throw error;
        if (tries === most) throw this.#refuse(error.message, error);
        await delay(this.#options.clock, firstPauseMs * 2 ** (tries - 1), signal);
      }
    }
  }

  async #get(
    path: string,
    accept: string,
    bytesMax: number,
    signal: AbortSignal,
    take: (part: Uint8Array) => Promise<void>,
  ): Promise<void> {
    const stall = new StallGuard(this.#options.clock, signal);
    try {
      const { mirrorOf } = this.#options.endpoint;
      // A mirror of many registries cannot know otherwise whose image is meant; those of one ignore it.
      const whose = mirrorOf === undefined ? '' : `?ns=${encodeURIComponent(mirrorOf)}`;
      const url = `${this.#base}/v2/${this.#options.reference.path}/${path}${whose}`;
      let response = await this.#send(url, accept, stall.signal);
      if (response.status === 401) {
        await response.body?.cancel();
        this.#authorization = await this.#authorize(response.headers.get('www-authenticate') ?? '', stall.signal);
        response = await this.#send(url, accept, stall.signal);
      }
      await this.#checkStatus(response);
      let received = 0;
      for await (const part of response.body ?? []) {
        stall.alive();
        received += part.length;
        if (received > bytesMax) throw this.#refuse(`${path} is longer than the ${bytesMax} bytes it may have`);
        await take(part);
      }
    } catch (error) {
      if (error instanceof AgentError || error instanceof Passing || !isNetworkError(error)) throw error;
      // fetch hides the cause (refused, no such host, reset) one level down.
      const cause = error instanceof Error && error.cause ? errorMessage(error.cause) || errorCode(error.cause) : undefined;
      throw new Passing(`${this.#base}: ${cause ?? errorMessage(error)}`);
    } finally {
      stall.end();
    }
  }

  #send(url: string, accept: string, signal: AbortSignal): Promise<Response> {
    const headers: Record<string, string> = { accept, 'accept-encoding': 'identity' };
    if (this.#authorization) headers.authorization = this.#authorization;
    return fetch(url, { headers, signal });
  }

  async #checkStatus(response: Response): Promise<void> {
    if (response.ok) return;
    const { status } = response;
    await response.body?.cancel();
    const name = formatReference(this.#options.reference);
    if (status === 401 || status === 403) {
      throw this.#refuse(`${name}: access denied: the repository may not exist, or needs other credentials (imagePullSecrets)`);
    }
    if (status === 404) throw this.#refuse(`${name}: not found`);
    if (status === 429 || status >= 500) throw new Passing(`${this.#base} answered with status ${status}`);
    throw this.#refuse(`${name}: ${this.#base} answered with status ${status}`);
  }

  /** The Authorization header that satisfies the registry's challenge. */
  async #authorize(header: string, signal: AbortSignal): Promise<string | undefined> {
    const { endpoint, reference } = this.#options;
    const { base, credentials } = endpoint;
    const insecure = base.startsWith('http:');
    const challenges = parseChallenges(header);
    const basic = credentials && `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64')}`;
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
    if (!bearer) return basic;
    const scope = `repository:${reference.path}:pull`;
    const answer = await requestToken({ parameters: bearer.parameters, scope, basic, insecure, signal });
    if ('token' in answer) return `Bearer ${answer.token}`;
    if (answer.passing) throw new Passing(answer.why);
    throw this.#refuse(`${formatReference(reference)}: ${answer.why}`);
  }

  #refuse(why: string, cause?: unknown): AgentError {
    return new AgentError('ImagePull', why, { reference: formatReference(this.#options.reference) }, cause);
  }
}

/** fetch reports broken connections as TypeError, a stall as ours, a cut body as an error with a system code. */
function isNetworkError(error: unknown): boolean {
  return (
    error instanceof TypeError ||
    error instanceof Stalled ||
    (error instanceof Error && /^(E[A-Z]+|UND_)/.test(errorCode(error) ?? ''))
  );
}

class Stalled extends Error {
  constructor() {
    super(`no data for ${stallMs} ms`);
  }
}

/** Aborts when the caller does, or when nothing came for `stallMs`. */
class StallGuard {
  readonly #clock: Clock;
  readonly #abort = new AbortController();
  readonly signal: AbortSignal;
  #timer: { cancel(): void };

  constructor(clock: Clock, signal: AbortSignal) {
    this.#clock = clock;
    this.signal = AbortSignal.any([signal, this.#abort.signal]);
    this.#timer = this.#arm();
  }

  alive(): void {
    this.#timer.cancel();
    this.#timer = this.#arm();
  }

  end(): void {
    this.#timer.cancel();
  }

  #arm() {
    return this.#clock.setTimer(stallMs, () => this.#abort.abort(new Stalled()));
  }
}
