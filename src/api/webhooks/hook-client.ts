/**
 * Posts a question to a webhook and gives its answer. Whatever goes wrong is a HookError whose message names the URL and the
 * cause in the words that Kubernetes' users search for.
 */
import type { Clock } from '../../lib/clock.ts';
import { errorMessage } from '../../lib/errors.ts';
import type { Random } from '../../lib/random.ts';
import type { StoreReader } from '../../store/types.ts';
import { ApiError } from '../errors.ts';
import { failureText } from '../upstream/failure-text.ts';
import { placeOfService } from '../upstream/places.ts';
import type { Server, Upstreams } from '../upstream/upstream.ts';
import type { ClientConfig } from './types.ts';

const answerBytesMax = 16 * 1024 * 1024;
const shownBytesMax = 1_024;
const httpsPort = 443;

export interface HookClientOptions {
  store: StoreReader;
  upstreams: Upstreams;
  clock: Clock;
  random: Random;
}

export class HookClient {
  readonly #options: HookClientOptions;

  constructor(options: HookClientOptions) {
    this.#options = options;
  }

  /** The decoded answer. Rejects with ApiError 'HookFailed', or the signal's reason when that is aborted. */
  async post(
    config: ClientConfig,
    question: object,
    { timeoutSeconds, signal }: { timeoutSeconds: number; signal: AbortSignal | undefined },
  ): Promise<unknown> {
    const { upstreams, clock } = this.#options;
    const { server, url } = this.#serverOf(config);
    url.searchParams.set('timeout', `${timeoutSeconds}s`);
    const late = new AbortController();
    const timer = clock.setTimer(timeoutSeconds * 1000, () => late.abort(new Error('context deadline exceeded')));
    const body = Buffer.from(JSON.stringify(question));
    const headers = {
      host: url.host,
      accept: 'application/json, */*',
      'content-type': 'application/json',
      'content-length': body.length,
      'user-agent': 'kube-apiserver-admission',
    };
    try {
      const answer = await upstreams.ask(server, {
        method: 'POST',
        path: `${url.pathname}${url.search}`,
        headers,
        body,
        bytesMax: answerBytesMax,
        signal: signal ? AbortSignal.any([late.signal, signal]) : late.signal,
      });
      if (answer.code < 200 || answer.code > 299) throw new ApiError('HookFailed', refusalText(answer));
      return decode(answer.body);
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof ApiError) throw error;
      const cause = late.signal.aborted ? errorMessage(late.signal.reason) : failureText(error, server);
      throw new ApiError('HookFailed', `Post ${JSON.stringify(shownUrl(url, config))}: ${cause}`, {}, error);
    } finally {
      timer.cancel();
    }
  }

  #serverOf({ url: text, service, caBundle = '' }: ClientConfig): { server: Server; url: URL } {
    const ca = caBundle ? Buffer.from(caBundle, 'base64').toString('utf8') : undefined;
    const trust = (serverName: string) => ({ serverName, ...(ca ? { ca } : {}) });
    if (service) {
      const { namespace, name, path = '', port = httpsPort } = service;
      const serverName = `${name}.${namespace}.svc`;
      const server = {
        key: `service:${serverName}:${port}:${caBundle}`,
        place: () => placeOfService(this.#options, { namespace, name, port }),
        tls: trust(serverName),
      };
      return { server, url: new URL(path || '/', `https://${serverName}:${port}`) };
    }
    const url = new URL(text ?? '');
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const port = Number(url.port || httpsPort);
    const place = () => ({ type: 'address' as const, host, port });
    return { server: { key: `url:${host}:${port}:${caBundle}`, place, tls: trust(host) }, url };
  }
}

/** With the port that a service is asked at, which URLs leave out when it is the usual one. */
function shownUrl(url: URL, { service }: ClientConfig): string {
  if (!service || url.port) return url.href;
  return url.href.replace(url.host, `${url.host}:${httpsPort}`);
}

/** What a client of Kubernetes' own makes of an answer that is no success. */
function refusalText({ code, body }: { code: number; body: Buffer }): string {
  if (code === 404) return 'the server could not find the requested resource';
  const text = JSON.stringify(body.subarray(0, shownBytesMax).toString('utf8').trim() || `the answer had the code ${code}`);
  return `an error on the server (${text}) has prevented the request from succeeding`;
}

function decode(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw new ApiError('HookFailed', `the answer could not be decoded as JSON: ${errorMessage(error)}`, {}, error);
  }
}
