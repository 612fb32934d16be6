/**
 * The way of every request: who is it, what is asked, may they, do it. Whatever is thrown on the way becomes a Status;
 * what is not a caller's error is logged and told as an internal error.
 */
import type { IncomingMessage } from 'node:http';
import type { Clock } from '../../lib/clock.ts';
import { errorCode, errorMessage } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import { parseFieldSelector } from '../../machinery/selectors.ts';
import { failure, internalError, StatusError, serviceUnavailable } from '../../machinery/status.ts';
import type { ClusterStore } from '../../store/types.ts';
import type { Aggregator } from '../aggregation/aggregator.ts';
import { type Authorizer, demandAccess, pathDenied } from '../authorization.ts';
import { impersonated, impersonates } from '../impersonation.ts';
import type { KindTable } from '../kind-table.ts';
import { forward } from '../proxy/forward.ts';
import { methodNotAllowed, unknownResource } from '../registry.ts';
import type { User } from '../types.ts';
import type { Upstreams } from '../upstream/upstream.ts';
import { sendStatus } from './answers.ts';
import { type Exchange, type RequestLine, searchOf } from './exchange.ts';
import type { FixedPaths } from './fixed-paths.ts';
import { requestSeconds, requestsTotal, watchesOpen } from './metrics.ts';
import { isTrue } from './negotiation.ts';
import type { ResourceHandler } from './resource-handler.ts';
import { parseResourcePath, type ResourceRoute, verbOf } from './routes.ts';

/** Requests that are not watches, logs or streams. */
const requestTimeoutMs = 60_000;

export interface HandlerOptions {
  table: KindTable;
  store: ClusterStore;
  authorizer: Authorizer;
  resources: ResourceHandler;
  fixed: FixedPaths;
  aggregator: Aggregator;
  upstreams: Upstreams;
  clock: Clock;
  logger: Logger;
  closing: AbortSignal;
}

/** Who sends a request, as its connection and its headers show. Rejects with StatusError 401. */
export type Authenticate = (signal: AbortSignal) => Promise<User> | User;

export interface AuthorizedRoute {
  route: ResourceRoute;
  verb: string;
}

export class RequestHandler {
  readonly #options: HandlerOptions;
  /** Requests under way. Composite signals would do the same, but cost more than the rest of this class. */
  readonly #open = new Set<AbortController>();

  constructor(options: HandlerOptions) {
    const { closing } = options;
    this.#options = options;
    closing.addEventListener('abort', () => {
      for (const request of this.#open) request.abort(closing.reason);
    });
  }

  /** Answers in any case; never rejects. */
  async handle(exchange: Exchange, authenticate: Authenticate): Promise<void> {
    const { clock, closing } = this.#options;
    const request = new AbortController();
    const { signal } = request;
    let late: StatusError | undefined;
    const timer = clock.setTimer(requestTimeoutMs, () => {
      late = timedOut();
      request.abort(late);
    });
    // What is asked may go on after this call, as a watch does: it ends with the exchange.
    const onGone = () => {
      this.#open.delete(request);
      request.abort(exchange.signal.reason);
    };
    this.#open.add(request);
    exchange.signal.addEventListener('abort', onGone, { once: true });
    if (exchange.signal.aborted) onGone();
    if (closing.aborted) request.abort(closing.reason);
    try {
      await this.#serve(exchange, await this.identify(exchange.request, authenticate, signal), signal, () => timer.cancel());
    } catch (error) {
      await this.#fail(exchange, late ?? error);
    } finally {
      timer.cancel();
    }
  }

  /** Who the request is by: whoever sends it, or whom they may speak for. StatusError 401 or 403. */
  async identify(request: IncomingMessage, authenticate: Authenticate, signal: AbortSignal): Promise<User> {
    const user = await authenticate(signal);
    if (!impersonates(request.headers)) return user;
    return impersonated(user, request.rawHeaders, this.#options.authorizer);
  }

  /** The resource that a request names. Undefined for other paths. StatusError 403 when the user may not do it. */
  async authorize(line: RequestLine, user: User, signal: AbortSignal): Promise<AuthorizedRoute | undefined> {
    const { method, path, query } = line;
    const { table, authorizer, store } = this.#options;
    const route = parseResourcePath(path, table);
    if (!route) return undefined;
    const verb = verbOf(method, route, { watch: isTrue(query.get('watch')) });
    if (!verb) throw methodNotAllowed();
    const { group, resource, subresource, namespace } = route;
    const name = route.name ?? onlyName(query);
    const attributes = { user, verb, group, resource, subresource, namespace, name };
    demandAccess(authorizer, attributes);
    if (route.resolved || group === '') return { route, verb };
    // Its kind may have been defined a moment ago, through another peer.
    await store.barrier(signal);
    return { route: parseResourcePath(path, table) ?? route, verb };
  }

  async #serve(exchange: Exchange, user: User, signal: AbortSignal, untimed: () => void): Promise<void> {
    const { authorizer, resources, fixed, aggregator, upstreams, clock } = this.#options;
    const startMs = clock.monotonicMs();
    const asked = await this.authorize(exchange, user, signal);
    if (!asked) {
      const attributes = { user, verb: exchange.method.toLowerCase(), path: exchange.path };
      if (!authorizer.decidePath(attributes).allowed) throw pathDenied(attributes);
      if (exchange.method !== 'GET' && exchange.method !== 'HEAD') throw methodNotAllowed();
      const elsewhere = aggregator.forwarding(exchange.path, searchOf(exchange.request), user);
      if (elsewhere) return forward(upstreams, exchange, elsewhere, signal);
      if (!(await fixed.serve(exchange))) throw unknownResource();
      return;
    }
    const { route, verb } = asked;
    const long = verb === 'watch' || route.subresource === 'log' || route.subresource === 'proxy';
    if (long) untimed();
    const labels = { verb, resource: route.resolved ? route.resource : 'unknown' };
    if (verb === 'watch') watchesOpen.inc({ resource: labels.resource });
    let code = 'ok';
    try {
      const elsewhere = route.resolved ? undefined : aggregator.forwarding(exchange.path, searchOf(exchange.request), user);
      if (elsewhere) await forward(upstreams, exchange, elsewhere, signal);
      else await resources.handle({ exchange, route, verb, user, signal });
    } catch (error) {
      code = error instanceof StatusError ? String(error.code) : 'error';
      throw error;
    } finally {
      if (verb === 'watch') watchesOpen.dec({ resource: labels.resource });
      requestsTotal.inc({ ...labels, code });
      if (!long) requestSeconds.observe(labels, (clock.monotonicMs() - startMs) / 1000);
    }
  }

  async #fail(exchange: Exchange, error: unknown): Promise<void> {
    if (exchange.signal.aborted) return;
    const status = this.statusOf(exchange, error);
    if (exchange.started) return exchange.destroy();
    try {
      await sendStatus(exchange, status);
    } catch (cause) {
      this.#options.logger.debug({ error: cause, path: exchange.path }, 'an error could not be told to the client');
      exchange.destroy();
    }
  }

  /** What the caller is told about anything thrown. */
  statusOf({ method, path }: RequestLine, error: unknown): StatusError {
    const { closing, logger } = this.#options;
    if (error instanceof StatusError) return error;
    if (closing.aborted) return serviceUnavailable('the server is shutting down');
    if (errorCode(error) === 'TransactionTooLarge') return failure(413, 'RequestEntityTooLarge', errorMessage(error));
    logger.error({ error, method, path }, 'a request failed inside');
    return internalError(errorMessage(error));
  }
}

/** A selector of one name is a request for that object, so that a role can allow to watch it and no other. */
function onlyName(query: URLSearchParams): string | undefined {
  const selector = query.get('fieldSelector');
  if (!selector) return undefined;
  const [only, ...others] = parseFieldSelector(selector).filter(({ field }) => field === 'metadata.name');
  return only?.operator === '=' && others.length === 0 ? only.value : undefined;
}

function timedOut(): StatusError {
  return failure(504, 'Timeout', 'Timeout: request did not complete within the allotted timeout', { retryAfterSeconds: 1 });
}
