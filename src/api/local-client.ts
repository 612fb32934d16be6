/**
 * The Client inside the process: the same authorization, admission and validation as over HTTP, without its bytes. Objects
 * that come back are shared with the registry's cache: read only.
 */
import { BoundedQueue } from '../lib/bounded-queue.ts';
import { deferred } from '../lib/deferred.ts';
import type {
  Client,
  WriteOptions as ClientWriteOptions,
  DeleteOptions,
  List,
  ListOptions,
  PatchType,
  WatchEvent,
  WatchOptions,
} from '../machinery/client.ts';
import type { Resource } from '../machinery/resources.ts';
import { parseFieldSelector } from '../machinery/selectors.ts';
import { expired, type StatusError } from '../machinery/status.ts';
import type { KubeObject } from '../machinery/types.ts';
import { type Authorizer, demandAccess, type ResourceAttributes } from './authorization.ts';
import { recordsBetweenLooks } from './read.ts';
import { methodNotAllowed, type Registry, unknownResource } from './registry.ts';
import type { NamedTarget, Target, WriteOptions } from './registry-types.ts';
import { fromStorage, objectAt } from './stored-objects.ts';
import type { User } from './types.ts';
import type { BookmarkNotice, ObjectNotice } from './watch.ts';

/** A watcher that is this many events behind is cut off and lists again. */
const watchEventsMax = 16_384;

/** Owns what this process writes without saying who it is. */
const ownManager = 'kontiki';

export class LocalClient implements Client {
  readonly #registry: Registry;
  readonly #authorizer: Authorizer;
  readonly #user: User;

  constructor(registry: Registry, authorizer: Authorizer, user: User) {
    this.#registry = registry;
    this.#authorizer = authorizer;
    this.#user = user;
  }

  async get<T extends KubeObject>(
    resource: Resource<T>,
    name: string,
    options: { namespace?: string; signal?: AbortSignal } = {},
  ): Promise<T> {
    const target = await this.#named(resource, 'get', name, options);
    const { object } = await this.#registry.get(target);
    return object as T;
  }

  async list<T extends KubeObject>(resource: Resource<T>, options: ListOptions = {}): Promise<List<T>> {
    const target = await this.#collection(resource, 'list', options);
    const { labelSelector, fieldSelector, resourceVersion } = options;
    const { entries, revision } = await this.#registry.list(target, { labelSelector, fieldSelector, resourceVersion });
    const { turns } = this.#registry.context;
    const items: T[] = [];
    for (const [index, entry] of entries.entries()) {
      // Each may have to be parsed: a control loop that begins to watch must not hold up everybody else.
      if (index % recordsBetweenLooks === 0 && turns.over()) await turns.next();
      items.push(fromStorage(target.resolved, entry.object) as T);
    }
    options.signal?.throwIfAborted();
    return { resourceVersion: String(revision), items };
  }

  async *watch<T extends KubeObject>(resource: Resource<T>, options: WatchOptions): AsyncIterable<WatchEvent<T>> {
    const { signal } = options;
    signal.throwIfAborted();
    const target = await this.#collection(resource, 'watch', options);
    const prepared = await this.#registry.watch(target, options);
    const queue = new BoundedQueue<ObjectNotice | BookmarkNotice>(watchEventsMax);
    let ended: { error: StatusError | undefined } | undefined;
    let wake = deferred<void>();
    const onAbort = () => wake.resolve();
    signal.addEventListener('abort', onAbort, { once: true });
    const stop = prepared.start({
      onNotice(notice) {
        if (!ended && !queue.push(notice)) ended = { error: expired('the watcher is too slow: list again') };
        wake.resolve();
      },
      onEnd(error) {
        ended ??= { error };
        wake.resolve();
      },
    });
    try {
      for (;;) {
        signal.throwIfAborted();
        const notice = queue.shift();
        if (notice) {
          yield eventOf<T>(target, notice);
          continue;
        }
        if (ended?.error) throw ended.error;
        if (ended) return;
        await wake.promise;
        wake = deferred<void>();
      }
    } finally {
      stop();
      signal.removeEventListener('abort', onAbort);
    }
  }

  async create<T extends KubeObject>(
    resource: Resource<T>,
    object: unknown,
    options: ClientWriteOptions & { name?: string } = {},
  ): Promise<T> {
    const body = copyOf(object);
    if (options.subresource) {
      const name = options.name ?? (body as Partial<KubeObject>).metadata?.name ?? '';
      const target = await this.#named(resource, 'create', name, options);
      return (await this.#registry.createSubresource(target, body, writeOptions(options))).object as T;
    }
    const target = await this.#collection(resource, 'create', options);
    return (await this.#registry.create(target, body, writeOptions(options))).object as T;
  }

  async update<T extends KubeObject>(resource: Resource<T>, object: T, options: ClientWriteOptions = {}): Promise<T> {
    const { name, namespace } = object.metadata;
    const target = await this.#named(resource, 'update', name, { ...options, namespace: options.namespace ?? namespace });
    return (await this.#registry.update(target, copyOf(object), writeOptions(options))).object as T;
  }

  async patch<T extends KubeObject>(
    resource: Resource<T>,
    name: string,
    type: PatchType,
    patch: unknown,
    options: ClientWriteOptions = {},
  ): Promise<T> {
    const target = await this.#named(resource, 'patch', name, options);
    return (await this.#registry.patch(target, { type, body: copyOf(patch) }, writeOptions(options))).object as T;
  }

  async delete<T extends KubeObject>(resource: Resource<T>, name: string, options: DeleteOptions = {}): Promise<void> {
    const { namespace, signal, ...deletion } = options;
    const target = await this.#named(resource, 'delete', name, { namespace, signal });
    await this.#registry.delete(target, deletion);
  }

  async #collection(
    resource: Resource,
    verb: string,
    options: { namespace?: string; signal?: AbortSignal; fieldSelector?: string },
  ): Promise<Target> {
    const target = await this.#target(resource, options);
    this.#authorize(resource, verb, target, { fieldSelector: parseFieldSelector(options.fieldSelector ?? '') });
    if (verb === 'create' && target.resolved.kind.namespaced && !target.namespace) throw methodNotAllowed();
    return target;
  }

  async #named(
    resource: Resource,
    verb: string,
    name: string,
    options: { namespace?: string; subresource?: string; signal?: AbortSignal },
  ): Promise<NamedTarget> {
    const { subresource } = options;
    const target = { ...(await this.#target(resource, options)), name, ...(subresource ? { subresource } : {}) };
    this.#authorize(resource, verb, target, { name, subresource });
    if (target.resolved.kind.namespaced && !target.namespace) throw methodNotAllowed();
    return target;
  }

  async #target(resource: Resource, options: { namespace?: string; signal?: AbortSignal }): Promise<Target> {
    const { namespace, signal } = options;
    signal?.throwIfAborted();
    const { table, store } = this.#registry.context;
    const find = () => table.findStored(resource.group, resource.version, resource.resource);
    let resolved = find();
    if (!resolved) {
      // It may have been defined a moment ago, through another peer.
      await store.barrier(signal);
      resolved = find();
    }
    if (!resolved) throw unknownResource();
    return { resolved, namespace: resolved.kind.namespaced ? namespace : undefined, user: this.#user, signal };
  }

  #authorize(
    resource: Resource,
    verb: string,
    target: Target,
    of: Pick<ResourceAttributes, 'name' | 'subresource' | 'fieldSelector'>,
  ): void {
    const { namespace } = target;
    const attributes = { user: this.#user, verb, group: resource.group, resource: resource.resource, namespace, ...of };
    demandAccess(this.#authorizer, attributes);
  }
}

function writeOptions({ dryRun = false, fieldManager, force }: ClientWriteOptions): WriteOptions {
  return { dryRun, fieldValidation: 'Ignore', warnings: [], fieldManager, defaultManager: ownManager, force };
}

/** As it would come over HTTP: the caller keeps its object, undefined members vanish. */
function copyOf(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

function eventOf<T extends KubeObject>(target: Target, notice: ObjectNotice | BookmarkNotice): WatchEvent<T> {
  if (notice.type === 'BOOKMARK') {
    return { type: 'BOOKMARK', object: { metadata: { resourceVersion: String(notice.revision) } } };
  }
  return { type: notice.type, object: fromStorage(target.resolved, objectAt(notice.record, notice.revision)) as T };
}
