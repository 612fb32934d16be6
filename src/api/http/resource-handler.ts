/** Requests for resources, after authentication and authorization: from query and body to the registry, and the answer. */
import type { Readable } from 'node:stream';
import type { Logger } from '../../lib/logger.ts';
import type { PatchType } from '../../machinery/client.ts';
import type { Verb } from '../../machinery/kind.ts';
import { badRequest } from '../../machinery/status.ts';
import type { Pod } from '../../machinery/types.ts';
import type { RequestNotes } from '../audit/notes.ts';
import { verbsOf } from '../kind-table.ts';
import { isRecord } from '../object-input.ts';
import { forward } from '../proxy/forward.ts';
import { proxiedPath, proxyTarget } from '../proxy/targets.ts';
import { Entry } from '../read.ts';
import { methodNotAllowed, type Registry, unknownResource } from '../registry.ts';
import type { NamedTarget, Outcome, Target, WriteOptions } from '../registry-types.ts';
import { WriteIds } from '../relay/relayed-write.ts';
import { toStorage } from '../stored-objects.ts';
import { openPodLog } from '../streams/index.ts';
import type { AgentConnector, User } from '../types.ts';
import type { Upstreams } from '../upstream/upstream.ts';
import { type ObjectAnswer, sendList, sendObject, storedAnswer } from './answers.ts';
import { mediaType, readBody, unsupportedMediaType } from './body.ts';
import { decodeObject, decodePatch } from './decoding.ts';
import { type Exchange, searchOf } from './exchange.ts';
import { type Asked, isTrue, negotiate } from './negotiation.ts';
import { checkInitialEvents, deleteOptions, integer, listRequest, writeOptions } from './options.ts';
import type { ResourceRoute } from './routes.ts';
import { warningHeaders } from './warnings.ts';
import { EncodedEvents, streamWatch, type WatchOutput, watchTimeoutMs } from './watch-stream.ts';

const patchTypes: Record<string, PatchType> = {
  'application/json-patch+json': 'json',
  'application/merge-patch+json': 'merge',
  'application/strategic-merge-patch+json': 'strategic',
  'application/apply-patch+yaml': 'apply',
};

/** What a body that names no kind is, where it is not the object itself. */
const subresourceKinds: Record<string, string | undefined> = {
  binding: 'Binding',
  eviction: 'Eviction',
  scale: 'Scale',
  token: 'TokenRequest',
};

const streams = new Set(['exec', 'attach', 'portforward']);

const optionsKinds: Record<string, string | undefined> = { create: 'CreateOptions', patch: 'PatchOptions' };

export interface ResourceRequest {
  exchange: Exchange;
  route: ResourceRoute;
  verb: string;
  user: User;
  /** Aborted when the client goes, the time is up, or the server stops. */
  signal: AbortSignal;
  /** Of the audit, when there is one. */
  notes?: RequestNotes | undefined;
}

export class ResourceHandler {
  readonly #registry: Registry;
  readonly #agents: AgentConnector;
  readonly #upstreams: Upstreams;
  readonly #logger: Logger;
  readonly #closing: AbortSignal;
  readonly #encoded = new EncodedEvents();

  constructor(options: {
    registry: Registry;
    agents: AgentConnector;
    upstreams: Upstreams;
    logger: Logger;
    closing: AbortSignal;
  }) {
    this.#upstreams = options.upstreams;
    this.#registry = options.registry;
    this.#agents = options.agents;
    this.#logger = options.logger;
    this.#closing = options.closing;
  }

  async handle(request: ResourceRequest): Promise<void> {
    const { route, user, verb, signal, notes } = request;
    const { resolved, name, subresource } = route;
    if (!resolved) return this.#bindings(request);
    const namespace = resolved.kind.namespaced ? route.namespace : undefined;
    const target: Target = { resolved, namespace, user, signal, notes, ids: idsOf(request) };
    const main = subresource === undefined;
    if (main && !verbsOf(resolved.kind).includes(verb as Verb)) throw methodNotAllowed();
    if (resolved.version.deprecation) request.exchange.setHeader('warning', warningHeaders([resolved.version.deprecation]));
    if (name === undefined) return this.#collection(request, target);
    if (resolved.kind.namespaced && target.namespace === undefined) throw unknownResource();
    const named: NamedTarget = { ...target, name, ...(subresource ? { subresource } : {}) };
    if (subresource === 'log' && verb === 'get' && resolved.kind.subresources?.includes('log')) return this.#log(request, named);
    if (subresource === 'proxy' && resolved.kind.subresources?.includes('proxy')) return this.#proxy(request, named);
    return this.#object(request, named);
  }

  async #proxy({ exchange, signal }: ResourceRequest, target: NamedTarget): Promise<void> {
    const { method, path, request } = exchange;
    const forwarding = await proxyTarget(this.#registry, target, { method, path, search: searchOf(request) });
    if (proxiedPath(path) === '' && (method === 'GET' || method === 'HEAD')) {
      // What is relative in the page that follows must lead through the proxy, too.
      exchange.relay(301, { location: `${path}/${searchOf(request)}` });
      return exchange.end();
    }
    return forward(this.#upstreams, exchange, forwarding, signal);
  }

  async #collection(request: ResourceRequest, target: Target): Promise<void> {
    const { exchange, verb } = request;
    switch (verb) {
      case 'list':
        return this.#list(request, target);
      case 'watch':
        return this.#watch(request, target);
      case 'create': {
        if (target.resolved.kind.namespaced && target.namespace === undefined) throw methodNotAllowed();
        const options = writeOptions(exchange, 'CreateOptions');
        const body = await bodyOf(exchange, target.resolved.kind.kind, options);
        return this.#sendOutcome(request, target, options, await this.#registry.create(target, body, options));
      }
      case 'deletecollection': {
        if (target.resolved.kind.namespaced && target.namespace === undefined) throw methodNotAllowed();
        return this.#deleteCollection(request, target);
      }
      default:
        throw methodNotAllowed();
    }
  }

  async #object(request: ResourceRequest, target: NamedTarget): Promise<void> {
    const { exchange, verb } = request;
    const { subresource, resolved } = target;
    if (verb === 'watch') return this.#watch(request, target);
    if (subresource && streams.has(subresource) && (verb === 'get' || verb === 'create')) {
      await this.#registry.get({ ...target, subresource: undefined });
      throw badRequest('Upgrade request required');
    }
    if (verb === 'get') {
      const { object, entry } = await this.#registry.get(target, exchange.query.get('resourceVersion') ?? undefined);
      return this.#sendObject(request, target, 200, { object, ...(entry ? { json: entry.json } : {}) });
    }
    if (verb === 'delete') {
      const outcome = await this.#registry.delete(target, await deleteOptions(exchange));
      return this.#sendOutcome(request, target, undefined, outcome);
    }
    const options = writeOptions(exchange, optionsKinds[verb] ?? 'UpdateOptions');
    if (verb === 'patch') {
      const patch = await patchOf(exchange, target, options);
      return this.#sendOutcome(request, target, options, await this.#registry.patch(target, patch, options));
    }
    const wanted = subresource ? (subresourceKinds[subresource] ?? resolved.kind.kind) : resolved.kind.kind;
    const body = await bodyOf(exchange, wanted, options);
    if (verb === 'update') {
      return this.#sendOutcome(request, target, options, await this.#registry.update(target, body, options));
    }
    if (verb !== 'create' || !subresource) throw methodNotAllowed();
    return this.#sendOutcome(request, target, options, await this.#registry.createSubresource(target, body, options));
  }

  /** POST to `bindings`: the older way to bind, with the pod's name in the body. */
  async #bindings({ exchange, route, verb, user, signal, notes }: ResourceRequest): Promise<void> {
    const pods = this.#registry.context.table.find('', route.version, 'pods');
    if (!pods || route.group !== '' || route.resource !== 'bindings' || verb !== 'create') throw unknownResource();
    const body = await bodyOf(exchange, 'Binding');
    const name = isRecord(body) && isRecord(body.metadata) ? body.metadata.name : undefined;
    if (typeof name !== 'string' || !name || !route.namespace) throw badRequest('a Binding needs metadata.name and a namespace');
    const target: NamedTarget = {
      resolved: pods,
      namespace: route.namespace,
      user,
      signal,
      notes,
      name,
      subresource: 'binding',
      ids: idsOf({ exchange, verb }),
    };
    const options = writeOptions(exchange, 'CreateOptions');
    const outcome = await this.#registry.createSubresource(target, body, options);
    await this.#sendOutcome({ exchange, route, verb, user, signal }, target, options, outcome);
  }

  async #list({ exchange }: ResourceRequest, target: Target): Promise<void> {
    const form = negotiate(exchange);
    integer(exchange.query.get('timeoutSeconds'));
    checkInitialEvents(exchange, false);
    const answer = await this.#registry.list(target, listRequest(exchange));
    await sendList(exchange, { form, resolved: target.resolved, answer, nowMs: this.#now() });
  }

  async #watch({ exchange, route }: ResourceRequest, target: Target): Promise<void> {
    const watch = await this.#prepareWatch(exchange, route, target);
    await watch(exchange);
  }

  /**
   * A watch over another connection than that of an ordinary answer. Gives what runs it to its end, when the client has been answered.
   * StatusError as for any watch.
   */
  async watchFor(
    asked: Asked,
    { route, user, signal }: Omit<ResourceRequest, 'exchange'>,
  ): Promise<(output: WatchOutput) => Promise<void>> {
    const { resolved, namespace } = route;
    if (!resolved || route.subresource || !verbsOf(resolved.kind).includes('watch')) throw methodNotAllowed();
    const within = resolved.kind.namespaced ? namespace : undefined;
    return this.#prepareWatch(asked, route, { resolved, namespace: within, user, signal });
  }

  async #prepareWatch(asked: Asked, route: ResourceRoute, target: Target): Promise<(output: WatchOutput) => Promise<void>> {
    const form = negotiate(asked);
    const { query } = asked;
    const list = listRequest(asked);
    checkInitialEvents(asked, true);
    const byName = route.name === undefined ? undefined : `metadata.name=${route.name}`;
    const fieldSelector = [list.fieldSelector, byName].filter(Boolean).join(',');
    const initial = query.get('sendInitialEvents');
    const prepared = await this.#registry.watch(target, {
      ...list,
      fieldSelector,
      ...(initial === null ? {} : { sendInitialEvents: isTrue(initial) }),
      allowWatchBookmarks: isTrue(query.get('allowWatchBookmarks')),
      timeoutMs: watchTimeoutMs(integer(query.get('timeoutSeconds')), this.#registry.context.random),
    });
    const { resolved } = target;
    const now = () => this.#now();
    return (exchange) => streamWatch({ exchange, prepared, resolved, form, encoded: this.#encoded, now, closing: this.#closing });
  }

  async #deleteCollection({ exchange }: ResourceRequest, target: Target): Promise<void> {
    const form = negotiate(exchange);
    const options = await deleteOptions(exchange);
    const { items, resourceVersion } = await this.#registry.deleteCollection(target, listRequest(exchange), options);
    const entries = items.map((object) => Entry.made(toStorage(target.resolved, object)));
    const answer = { entries, revision: Number(resourceVersion) };
    await sendList(exchange, { form, resolved: target.resolved, answer, nowMs: this.#now() });
  }

  async #log({ exchange, signal }: ResourceRequest, target: NamedTarget): Promise<void> {
    const { object } = await this.#registry.get({ ...target, subresource: undefined });
    const pod = object as Pod;
    if (!pod.spec?.nodeName) return exchange.send(204, 'text/plain', Buffer.alloc(0));
    const log: Readable = await openPodLog(pod, exchange.query, { agents: this.#agents, signal });
    signal.addEventListener('abort', () => log.destroy(), { once: true });
    exchange.open(200, 'text/plain; charset=utf-8');
    try {
      for await (const chunk of log) {
        if (exchange.signal.aborted) break;
        if (!exchange.write(chunk as Buffer)) await exchange.drained();
      }
      exchange.end();
    } catch (error) {
      this.#logger.debug({ error, pod: target.name }, 'a log ended early');
      exchange.destroy();
    }
  }

  async #sendOutcome(
    request: ResourceRequest,
    target: Target,
    options: WriteOptions | undefined,
    { code, object, stored }: Outcome,
  ): Promise<void> {
    const { deprecation } = target.resolved.version;
    const warnings = [...(deprecation ? [deprecation] : []), ...(options?.warnings ?? [])];
    if (warnings.length > 0) request.exchange.setHeader('warning', warningHeaders(warnings));
    await this.#sendObject(request, target, code, stored ? storedAnswer(object, stored) : { object });
  }

  #sendObject({ exchange }: ResourceRequest, { resolved }: Target, code: number, answer: ObjectAnswer): Promise<void> {
    return sendObject(exchange, { form: negotiate(exchange), resolved, code, answer, nowMs: this.#now() });
  }

  #now(): number {
    return this.#registry.context.clock.wallMs();
  }
}

/** A collection's deletion is many writes. */
const idsOf = ({ exchange: { relayed }, verb }: Pick<ResourceRequest, 'exchange' | 'verb'>) =>
  relayed && verb !== 'deletecollection' ? new WriteIds(relayed) : undefined;

async function bodyOf(exchange: Exchange, kind: string, options?: WriteOptions): Promise<unknown> {
  return decodeObject(await readBody(exchange), exchange.header('content-type'), kind, options);
}

async function patchOf(
  exchange: Exchange,
  { resolved }: Target,
  options: WriteOptions,
): Promise<{ type: PatchType; body: unknown }> {
  const contentType = mediaType(exchange.header('content-type'));
  // How the lists of a custom resource merge is known to apply only.
  const offered = Object.entries(patchTypes).filter(([, one]) => one !== 'strategic' || !resolved.version.openApi);
  const type = offered.find(([name]) => name === contentType)?.[1];
  if (!type) {
    throw unsupportedMediaType(
      contentType,
      offered.map(([name]) => name),
    );
  }
  return { type, body: decodePatch(await readBody(exchange), type, options) };
}
