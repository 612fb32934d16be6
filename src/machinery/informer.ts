/**
 * A local copy of one resource, kept up to date by list and watch, and the door through which a control loop hears of changes.
 * It lists again when the watch's past is gone (410) or the server answers with an error; a lost connection or a watch that ended
 * goes on from the last version seen. It never gives up before its signal. The idea is client-go's reflector and shared informer.
 */
import { type Clock, delay } from '../lib/clock.ts';
import { abortable, deferred } from '../lib/deferred.ts';
import type { Logger } from '../lib/logger.ts';
import type { Random } from '../lib/random.ts';
import type { Client } from './client.ts';
import type { Resource } from './resources.ts';
import { isReason, StatusError } from './status.ts';
import type { KubeObject } from './types.ts';

export interface InformerOptions<T extends KubeObject> {
  readonly client: Client;
  readonly resource: Resource<T>;
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export interface Change<T> {
  type: 'added' | 'updated' | 'deleted';
  /** For a deletion the last state known. */
  object: T;
  /** The state before; missing for 'added'. */
  previous?: T;
}

/** The values under which an object is found again, for example the uid of its owner. */
export type IndexValues<T> = (object: T) => readonly string[];

interface Index<T> {
  values: IndexValues<T>;
  entries: Map<string, Set<T>>;
}

const retryMsMin = 50;
const retryMsMax = 5_000;
/** A watch that lived this long shows that the server is well. */
const wellMs = 1_000;

/** `namespace/name`, or the name alone when there is no namespace. */
export function keyOf(object: { metadata: { namespace?: string; name: string } }): string {
  return storeKey(object.metadata.namespace, object.metadata.name);
}

function storeKey(namespace: string | undefined, name: string): string {
  return namespace ? `${namespace}/${name}` : name;
}

/** The two parts of a key made by `keyOf`. */
export function splitKey(key: string): { namespace: string | undefined; name: string } {
  const slash = key.indexOf('/');
  return slash < 0 ? { namespace: undefined, name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

export class Informer<T extends KubeObject> {
  readonly #options: InformerOptions<T>;
  readonly #objects = new Map<string, T>();
  readonly #byNamespace: Index<T> = { values: (object) => [object.metadata.namespace ?? ''], entries: new Map() };
  readonly #indexes = new Map<string, Index<T>>();
  readonly #listeners: ((change: Change<T>) => void)[] = [];
  readonly #synced = deferred<void>();
  #isSynced = false;
  #version: string | undefined;
  #failures = 0;

  constructor(options: InformerOptions<T>) {
    this.#options = options;
  }

  /** Resolves, never rejects, when the signal has ended it. Not waiting for it is fine. */
  async start(signal: AbortSignal): Promise<void> {
    const { clock, logger, resource } = this.#options;
    while (!signal.aborted) {
      const startMs = clock.monotonicMs();
      try {
        if (this.#version === undefined) await this.#relist(signal);
        await this.#follow(signal);
      } catch (error) {
        if (signal.aborted) return;
        const lost = isReason(error, 'ServiceUnavailable') && this.#version !== undefined;
        if (!lost) this.#version = undefined;
        const gone = error instanceof StatusError && error.code === 410;
        logger[gone ? 'debug' : 'warn']({ resource: resource.resource, error }, lost ? 'watch lost' : 'listing again');
      }
      if (clock.monotonicMs() - startMs >= wellMs) this.#failures = 0;
      await this.#pause(signal);
    }
  }

  /** Resolves when the first list is in the copy. */
  synced(signal?: AbortSignal): Promise<void> {
    return abortable(this.#synced.promise, signal);
  }

  get isSynced(): boolean {
    return this.#isSynced;
  }

  get(namespace: string | undefined, name: string): T | undefined {
    return this.#objects.get(storeKey(namespace, name));
  }

  list(namespace?: string): T[] {
    return [...(namespace === undefined ? this.#objects.values() : (this.#byNamespace.entries.get(namespace) ?? []))];
  }

  /** Called at once for every change, after the copy has it, in the order of the server. */
  onChange(listener: (change: Change<T>) => void): void {
    this.#listeners.push(listener);
  }

  /** Adds a way to find objects; may be called at any time. */
  addIndex(name: string, values: IndexValues<T>): void {
    const index: Index<T> = { values, entries: new Map() };
    for (const object of this.#objects.values()) insert(index, object);
    this.#indexes.set(name, index);
  }

  /** The objects with this value in the index; the index must exist. */
  byIndex(name: string, value: string): T[] {
    const index = this.#indexes.get(name);
    if (!index) throw new RangeError(`no index ${name}`);
    return [...(index.entries.get(value) ?? [])];
  }

  async #relist(signal: AbortSignal): Promise<void> {
    const { client, resource } = this.#options;
    const { items, resourceVersion } = await client.list(resource, { ...this.#selection(), signal });
    const gone = new Set(this.#objects.keys());
    for (const item of items) {
      gone.delete(keyOf(item));
      this.#put(item);
    }
    for (const key of gone) this.#remove(key);
    this.#version = resourceVersion;
    if (this.#isSynced) return;
    this.#isSynced = true;
    this.#synced.resolve();
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { client, resource } = this.#options;
    const watch = client.watch(resource, {
      ...this.#selection(),
      resourceVersion: this.#version as string,
      allowWatchBookmarks: true,
      signal,
    });
    for await (const event of watch) {
      if (event.type === 'DELETED') this.#remove(keyOf(event.object), event.object);
      else if (event.type !== 'BOOKMARK') this.#put(event.object);
      this.#version = event.object.metadata.resourceVersion ?? this.#version;
    }
  }

  #selection(): { namespace?: string; labelSelector?: string; fieldSelector?: string } {
    const { namespace, labelSelector, fieldSelector } = this.#options;
    return {
      ...(namespace === undefined ? {} : { namespace }),
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
    };
  }

  #put(object: T): void {
    const key = keyOf(object);
    const previous = this.#objects.get(key);
    if (previous && previous.metadata.resourceVersion === object.metadata.resourceVersion) return;
    // Deleted and created again under the same name while nobody watched: two changes, not one.
    if (previous && previous.metadata.uid !== object.metadata.uid) {
      this.#remove(key);
      this.#put(object);
      return;
    }
    this.#objects.set(key, object);
    for (const index of this.#allIndexes()) {
      if (previous) withdraw(index, previous);
      insert(index, object);
    }
    this.#tell(previous ? { type: 'updated', object, previous } : { type: 'added', object });
  }

  #remove(key: string, last?: T): void {
    const previous = this.#objects.get(key);
    if (!previous) return;
    this.#objects.delete(key);
    for (const index of this.#allIndexes()) withdraw(index, previous);
    this.#tell({ type: 'deleted', object: last ?? previous, previous });
  }

  *#allIndexes(): Iterable<Index<T>> {
    yield this.#byNamespace;
    yield* this.#indexes.values();
  }

  #tell(change: Change<T>): void {
    for (const listener of this.#listeners) {
      try {
        listener(change);
      } catch (error) {
        // A listener's defect must not cost the others this change.
        this.#options.logger.error({ resource: this.#options.resource.resource, error }, 'a listener failed');
      }
    }
  }

  /** Full jitter over a doubling bound, so that many informers do not come back at once. */
  async #pause(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#options;
    const bound = Math.min(retryMsMax, retryMsMin * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 10);
    try {
      await delay(clock, bound / 2 + (random.float() * bound) / 2, signal);
    } catch {
      // Only the signal ends the pause early; the loop above sees it.
    }
  }
}

function insert<T>(index: Index<T>, object: T): void {
  for (const value of index.values(object)) {
    const entry = index.entries.get(value);
    if (entry) entry.add(object);
    else index.entries.set(value, new Set([object]));
  }
}

function withdraw<T>(index: Index<T>, object: T): void {
  for (const value of index.values(object)) {
    const entry = index.entries.get(value);
    entry?.delete(object);
    if (entry?.size === 0) index.entries.delete(value);
  }
}
