/**
 * The way of every request: who is it, what is asked, may they, do it. Whatever is thrown on the way becomes a Status;
 * what is not a caller's error is logged and told as an internal error.
 */
import type { IncomingMessage } from 'node:http';
import type { Clock } from '../../lib/clock.ts';
import { errorCode, errorMessage } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import { Turns } from '../../lib/turns.ts';
import { type FieldRequirement, parseFieldSelector } from '../../machinery/selectors.ts';
import { failure, internalError, StatusError, serviceUnavailable } from '../../machinery/status.ts';
import type { ClusterStore } from '../../store/types.ts';
import type { Aggregator } from '../aggregation/aggregator.ts';
import type { Audit, RequestAudit } from '../audit/audit.ts';
import { type Authorizer, demandAccess, pathDenied } from '../authorization.ts';
import { impersonated, impersonates } from '../impersonation.ts';
import type { KindTable } from '../kind-table.ts';
import { forward } from '../proxy/forward.ts';
import { methodNotAllowed, unknownResource } from '../registry.ts';
import { relayedWrite, unknownFate } from '../relay/relayed-write.ts';
import type { User } from '../types.ts';
import type { Upstreams } from '../upstream/upstream.ts';
import { sendStatus } from './answers.ts';
import { type Auditing, beginAudit, follow } from './auditing.ts';
import { type Exchange, type RequestLine, searchOf } from './exchange.ts';
import { Fairness, type FairnessLimits, type Leave } from './fairness.ts';
import type { FixedPaths } from './fixed-paths.ts';
import { requestAnswered, watchesOpen } from './metrics.ts';
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
  /** Left out: nothing is audited. */
  audit?: Audit | undefined;
  closing: AbortSignal;
  /** Left out: as many requests at once as the reference server takes. */
  fairness?: FairnessLimits | undefined;
}

/** Who sends a request, as its connection and its headers show. Rejects with StatusError 401. */
export type Authenticate = (signal: AbortSignal) => Promise<User> | User;

export interface AuthorizedRoute {
  route: ResourceRoute;
  verb: string;
}

export class RequestHandler {
  readonly #options: HandlerOptions;
  readonly #auditing: Auditing | undefined;
  readonly #fairness: Fairness;
  /** Requests under way. Composite signals would do the same, but cost more than the rest of this class. */
  readonly #open = new Set<AbortController>();
  /** A flood of requests in one packet begins slice by slice. Its own, so that nobody begins only after all long work that waits. */
  readonly #turns: Turns;

  constructor(options: HandlerOptions) {
    const { closing, audit, table, clock } = options;
    this.#options = options;
    this.#turns = new Turns(clock);
    this.#auditing = audit && { audit, table, clock };
    this.#fairness = new Fairness(options.fairness);
    closing.addEventListener('abort', () => {
      for (const request of this.#open) request.abort(closing.reason);
    });
  }

  /** Answers in any case; never rejects. */
  async handle(exchange: Exchange, authenticate: Authenticate, fromMember = false): Promise<void> {
    const { clock, closing } = this.#options;
    const request = new AbortController();
    const { signal } = request;
    let late: StatusError | undefined;
    const timer = clock.setTimer(requestTimeoutMs, () => {
      late = timedOut();
      request.abort(late);
    });
    let done = false;
    this.#open.add(request);
    exchange.whenOver((reason) => {
      this.#open.delete(request);
      // To abort what is over anyway would only take time.
      if (!done) request.abort(reason);
    });
    if (closing.aborted) request.abort(closing.reason);
    const audit = this.audit(exchange, exchange.request);
    if (audit) follow(audit, exchange, clock);
    try {
      if (this.#turns.over()) await this.#turns.next();
      if (fromMember) exchange.relayed = relayedWrite(exchange.request);
      const user = await this.identify(exchange.request, authenticate, signal, audit);
      await this.#serve(exchange, user, signal, () => timer.cancel(), audit);
    } catch (error) {
      await this.#fail(exchange, late ?? error, audit);
    } finally {
      done = true;
      timer.cancel();
    }
  }

  /** Who the request is by: whoever sends it, or whom they may speak for. StatusError 401 or 403. */
  async identify(request: IncomingMessage, authenticate: Authenticate, signal: AbortSignal, audit?: RequestAudit): Promise<User> {
    const user = await authenticate(signal);
    audit?.by(user);
    if (!impersonates(request.headers)) return user;
    const other = impersonated(user, request.rawHeaders, this.#options.authorizer);
    audit?.speaksFor(other);
    return other;
  }

  /** What is told of a request; undefined when nothing is audited. */
  audit(line: RequestLine, request: IncomingMessage): RequestAudit | undefined {
    return beginAudit(this.#auditing, line, request);
  }

  /** A connection is about to be taken over. */
  switched(audit: RequestAudit): void {
    audit.started(this.#options.clock.wallMs(), 101);
  }

  /** The end of a request whose connection was to be taken over. */
  ended(audit: RequestAudit, code: number | undefined): void {
    audit.complete(this.#options.clock.wallMs(), code);
  }

  /** The resource that a request names. Undefined for other paths. StatusError 403 when the user may not do it. */
  async authorize(
    line: RequestLine,
    user: User,
    signal: AbortSignal,
    audit?: RequestAudit,
  ): Promise<AuthorizedRoute | undefined> {
    const { method, path, query } = line;
    const { table, authorizer, store } = this.#options;
    const route = parseResourcePath(path, table);
    if (!route) return undefined;
    const verb = verbOf(method, route, { watch: isTrue(query.get('watch')) });
    if (!verb) throw methodNotAllowed();
    const { group, resource, subresource, namespace } = route;
    const fieldSelector = selects.has(verb) ? parseFieldSelector(query.get('fieldSelector') ?? '') : [];
    const name = route.name ?? onlyName(fieldSelector);
    const attributes = { user, verb, group, resource, subresource, namespace, name, fieldSelector };
    demandAccess(authorizer, attributes, (decision) => audit?.decided(decision));
    if (route.resolved || group === '') return { route, verb };
    // Its kind may have been defined a moment ago, through another peer.
    await store.barrier(signal);
    return { route: parseResourcePath(path, table) ?? route, verb };
  }

  async #serve(
    exchange: Exchange,
    user: User,
    signal: AbortSignal,
    untimed: () => void,
    audit: RequestAudit | undefined,
  ): Promise<void> {
    const { authorizer, resources, fixed, aggregator, upstreams, clock } = this.#options;
    const startMs = clock.monotonicMs();
    const asked = await this.authorize(exchange, user, signal, audit);
    if (!asked) {
      const attributes = { user, verb: exchange.method.toLowerCase(), path: exchange.path };
      const decision = authorizer.decidePath(attributes);
      audit?.decided(decision);
      if (!decision.allowed) throw pathDenied(attributes);
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
    let leave: Leave | undefined;
    try {
      if (!long) leave = await this.#fairness.enter(user, verb, signal);
      const elsewhere = route.resolved ? undefined : aggregator.forwarding(exchange.path, searchOf(exchange.request), user);
      // Those do more, or are done elsewhere: nobody here knows what became of them.
      const once = !elsewhere && route.subresource !== 'proxy' && verb !== 'deletecollection';
      if (exchange.relayed && exchange.relayed.attempt > 1 && !once) throw unknownFate('it cannot be asked for again');
      if (elsewhere) await forward(upstreams, exchange, elsewhere, signal);
      else await resources.handle({ exchange, route, verb, user, signal, notes: audit?.notes });
    } catch (error) {
      code = error instanceof StatusError ? String(error.code) : 'error';
      throw error;
    } finally {
      leave?.();
      if (verb === 'watch') watchesOpen.dec({ resource: labels.resource });
      requestAnswered({ ...labels, code }, long ? undefined : (clock.monotonicMs() - startMs) / 1000);
    }
  }

  async #fail(exchange: Exchange, error: unknown, audit: RequestAudit | undefined): Promise<void> {
    if (exchange.over) return;
    const status = this.statusOf(exchange, error);
    audit?.failed(status.status);
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

/** Verbs whose requests say by selectors what they are about. */
const selects = new Set(['list', 'watch', 'deletecollection']);

/** A selector of one name is a request for that object, so that a role can allow to watch it and no other. */
function onlyName(requirements: readonly FieldRequirement[]): string | undefined {
  const [only, ...others] = requirements.filter(({ field }) => field === 'metadata.name');
  return only?.operator === '=' && others.length === 0 ? only.value : undefined;
}

function timedOut(): StatusError {
  return failure(504, 'Timeout', 'Timeout: request did not complete within the allotted timeout', { retryAfterSeconds: 1 });
}
