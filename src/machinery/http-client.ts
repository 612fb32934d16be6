/**
 * The Client over HTTP/1.1: on a Unix socket (the agent beside its own daemon) or HTTPS with a client certificate (against
 * another peer). Connections are kept alive; a watch holds one of its own and hands on every event as soon as its line is whole.
 * A server that cannot be reached, or that goes away in the middle, is a StatusError 503: callers try again as for any other 503.
 */
import http from 'node:http';
import https from 'node:https';
import { errorCode, errorMessage } from '../lib/errors.ts';
import type { Client, List, ListOptions, PatchType, WatchEvent, WatchOptions, WriteOptions } from './client.ts';
import { apiVersionOf, type Resource } from './resources.ts';
import { failure, internalError, type Status, StatusError, type StatusReason, serviceUnavailable } from './status.ts';
import type { KubeObject } from './types.ts';

export type HttpClientOptions = ({ socketPath: string } | { url: string; ca: string; cert: string; key: string }) & {
  /** Owns the fields that are written without a fieldManager. */
  userAgent?: string;
};

/** A request without an answer for this long is given up. */
const silenceMsMax = 60_000;
/** Servers send a bookmark about every minute; a watch that is silent for longer has lost its server. */
const watchSilenceMsMax = 180_000;
/** One event may not be longer: an object is at most 3 MiB. */
const eventBytesMax = 16 * 1024 * 1024;
/** Lists are read whole. */
const answerBytesMax = 1024 * 1024 * 1024;

const patchContentTypes: Record<PatchType, string> = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
};

const reasons: Record<number, StatusReason> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  406: 'NotAcceptable',
  409: 'Conflict',
  410: 'Gone',
  413: 'RequestEntityTooLarge',
  415: 'UnsupportedMediaType',
  422: 'Invalid',
  429: 'TooManyRequests',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

interface Ask {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  path: string;
  query?: Record<string, string | undefined>;
  body?: unknown;
  contentType?: string;
  signal?: AbortSignal | undefined;
  silenceMs?: number;
}

/** `close` ends idle connections; requests and watches under way end by their signals. */
export function createHttpClient(options: HttpClientOptions): Client & { close(): void } {
  const connection = openConnection(options);
  const ask = <T>(what: Ask) => connection.askJson(what) as Promise<T>;

  return {
    get: (resource, name, { namespace, signal } = {}) => ask({ method: 'GET', path: pathOf(resource, namespace, name), signal }),

    async list<T extends KubeObject>(resource: Resource<T>, options: ListOptions = {}): Promise<List<T>> {
      const answer = await ask<{ metadata?: { resourceVersion?: string }; items?: T[] | null }>({
        method: 'GET',
        path: pathOf(resource, options.namespace),
        query: selection(options),
        signal: options.signal,
      });
      const items = answer.items ?? [];
      for (const item of items) {
        item.apiVersion ??= apiVersionOf(resource);
        item.kind ??= resource.kind;
      }
      return { resourceVersion: answer.metadata?.resourceVersion ?? '', items };
    },

    watch: (resource, options) => watchEvents(connection, resource, options),

    create: (resource, object, options = {}) =>
      ask({
        method: 'POST',
        path: pathOf(resource, options.namespace ?? object.metadata.namespace, options.name, options.subresource),
        query: writing(options),
        body: { apiVersion: apiVersionOf(resource), kind: resource.kind, ...object },
        signal: options.signal,
      }),

    update: (resource, object, options = {}) =>
      ask({
        method: 'PUT',
        path: pathOf(resource, options.namespace ?? object.metadata.namespace, object.metadata.name, options.subresource),
        query: writing(options),
        body: object,
        signal: options.signal,
      }),

    patch: (resource, name, type, patch, options = {}) =>
      ask({
        method: 'PATCH',
        path: pathOf(resource, options.namespace, name, options.subresource),
        query: writing(options),
        body: patch,
        contentType: patchContentTypes[type],
        signal: options.signal,
      }),

    async delete(resource, name, options = {}) {
      const { namespace, signal, ...rest } = options;
      const body = { kind: 'DeleteOptions', apiVersion: 'v1', ...rest };
      await ask({ method: 'DELETE', path: pathOf(resource, namespace, name), body, signal });
    },

    close: () => connection.close(),
  };
}

interface Connection {
  /** The answer, after its headers. Rejects with StatusError unless the code is 2xx. */
  open(what: Ask): Promise<http.IncomingMessage>;
  askJson(what: Ask): Promise<unknown>;
  close(): void;
}

function openConnection(options: HttpClientOptions): Connection {
  const local = 'socketPath' in options;
  const agent = local ? new http.Agent({ keepAlive: true }) : new https.Agent({ keepAlive: true });
  const base = local ? new URL('http://localhost') : new URL(options.url);
  const prefix = base.pathname.replace(/\/$/, '');
  const target: https.RequestOptions = local
    ? { socketPath: options.socketPath }
    : {
        host: base.hostname.replace(/^\[|\]$/g, ''),
        port: base.port || 443,
        ca: options.ca,
        cert: options.cert,
        key: options.key,
      };
  const request = local ? http.request : https.request;
  const unreachable = (error: unknown) => serviceUnavailable(`the API server cannot be reached: ${errorMessage(error)}`);

  const send = (what: Ask): Promise<http.IncomingMessage> =>
    new Promise((resolve, reject) => {
      const { signal } = what;
      if (signal?.aborted) return reject(signal.reason);
      const body = what.body === undefined ? undefined : Buffer.from(JSON.stringify(what.body));
      const outgoing = request({
        ...target,
        agent,
        method: what.method,
        path: `${prefix}${what.path}${queryText(what.query)}`,
        timeout: what.silenceMs ?? silenceMsMax,
        headers: {
          host: base.host,
          accept: 'application/json',
          'user-agent': options.userAgent ?? 'kontiki',
          ...(body ? { 'content-type': what.contentType ?? 'application/json', 'content-length': body.length } : {}),
        },
      });
      const onAbort = () => outgoing.destroy(new Error('aborted'));
      signal?.addEventListener('abort', onAbort, { once: true });
      outgoing.on('close', () => signal?.removeEventListener('abort', onAbort));
      outgoing.on('timeout', () => outgoing.destroy(new Error('no answer in time')));
      outgoing.on('response', resolve);
      outgoing.on('error', (error) => {
        if (signal?.aborted) reject(signal.reason);
        // The server closed an idle connection just as we used it: reading again is harmless, writing again might not be.
        else if (outgoing.reusedSocket && what.method === 'GET' && errorCode(error) === 'ECONNRESET') resolve(send(what));
        else reject(unreachable(error));
      });
      outgoing.end(body);
    });

  const readAll = async (response: http.IncomingMessage, signal: AbortSignal | undefined): Promise<Buffer> => {
    const chunks: Buffer[] = [];
    let size = 0;
    try {
      for await (const chunk of response as AsyncIterable<Buffer>) {
        size += chunk.length;
        if (size > answerBytesMax) throw new Error(`the answer is longer than ${answerBytesMax} bytes`);
        chunks.push(chunk);
      }
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw unreachable(error);
    }
    return Buffer.concat(chunks, size);
  };

  const open = async (what: Ask) => {
    const response = await send(what);
    const code = response.statusCode ?? 0;
    if (code >= 200 && code < 300) return response;
    throw statusOf(code, (await readAll(response, what.signal)).toString());
  };

  return {
    open,
    async askJson(what) {
      const body = (await readAll(await open(what), what.signal)).toString();
      try {
        return JSON.parse(body);
      } catch (error) {
        throw internalError(`the answer to ${what.method} ${what.path} is not JSON: ${errorMessage(error)}`);
      }
    },
    close: () => agent.destroy(),
  };
}

async function* watchEvents<T extends KubeObject>(
  connection: Connection,
  resource: Resource<T>,
  options: WatchOptions,
): AsyncGenerator<WatchEvent<T>> {
  const { signal } = options;
  const response = await connection.open({
    method: 'GET',
    path: pathOf(resource, options.namespace),
    query: {
      ...selection(options),
      watch: 'true',
      allowWatchBookmarks: options.allowWatchBookmarks ? 'true' : undefined,
    },
    signal,
    silenceMs: watchSilenceMsMax,
  });
  try {
    for await (const line of lines(response)) {
      const event = JSON.parse(line.toString()) as WatchEvent<T> | { type: 'ERROR'; object: Status };
      if (event.type === 'ERROR') throw new StatusError(event.object);
      yield event;
    }
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (error instanceof StatusError) throw error;
    throw serviceUnavailable(`the watch of ${resource.resource} broke: ${errorMessage(error)}`);
  } finally {
    response.destroy();
  }
}

/** Cuts a stream at newlines, on bytes: a character may be split between two chunks. */
async function* lines(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let parts: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      parts.push(chunk.subarray(start, end));
      const line = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
      parts = [];
      size = 0;
      start = end + 1;
      if (line.length > 0) yield line;
    }
    if (start === chunk.length) continue;
    parts.push(chunk.subarray(start));
    size += chunk.length - start;
    if (size > eventBytesMax) throw new Error(`one event is longer than ${eventBytesMax} bytes`);
  }
}

function statusOf(code: number, body: string): StatusError {
  try {
    const status = JSON.parse(body) as Status;
    if (status.kind === 'Status') return new StatusError({ ...status, code: status.code ?? code });
  } catch {
    // Not from an API server (a proxy, an early refusal): its text becomes the message.
  }
  return failure(code, reasons[code] ?? 'InternalError', body.slice(0, 1024).trim() || `the server answered ${code}`);
}

type Place = Pick<Resource, 'group' | 'version' | 'resource' | 'namespaced'>;

function pathOf(resource: Place, namespace: string | undefined, name?: string, subresource?: string): string {
  const root = resource.group ? `/apis/${resource.group}/${resource.version}` : `/api/${resource.version}`;
  const scope = resource.namespaced && namespace ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  const own = name ? `/${encodeURIComponent(name)}` : '';
  return `${root}${scope}/${resource.resource}${own}${subresource ? `/${subresource}` : ''}`;
}

function selection({ labelSelector, fieldSelector, resourceVersion }: ListOptions): Record<string, string | undefined> {
  return { labelSelector, fieldSelector, resourceVersion };
}

function writing({ fieldManager, dryRun, force }: WriteOptions): Record<string, string | undefined> {
  return { fieldManager, dryRun: dryRun ? 'All' : undefined, force: force ? 'true' : undefined };
}

function queryText(query: Record<string, string | undefined> = {}): string {
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (value) parameters.set(key, value);
  const text = parameters.toString();
  return text ? `?${text}` : '';
}
