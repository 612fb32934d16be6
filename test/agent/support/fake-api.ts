/** A cluster in memory behind the Client interface: objects, revisions, watches, patches, graceful deletion of pods. */
import type {
  Client,
  DeleteOptions,
  ListOptions,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from '../../../src/machinery/client.ts';
import { applyMergePatch } from '../../../src/machinery/merge-patch.ts';
import type { Resource } from '../../../src/machinery/resources.ts';
import { parseFieldSelector } from '../../../src/machinery/selectors.ts';
import { alreadyExists, conflict, notFound, serviceUnavailable } from '../../../src/machinery/status.ts';
import { applyStrategicMerge } from '../../../src/machinery/strategic-merge.ts';
import type { KubeObject, Pod } from '../../../src/machinery/types.ts';

type Kind = Pick<Resource, 'group' | 'resource' | 'kind'>;
type Happening = { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: KubeObject };
type Listener = (event: Happening) => void;

export class FakeApi implements Client {
  readonly #objects = new Map<string, KubeObject>();
  readonly #listeners = new Map<string, Set<Listener>>();
  readonly #history = new Map<string, Happening[]>();
  #revision = 0;
  #away = false;
  #awaySignal = new AbortController();
  /** Every status written, in order. */
  readonly statusWrites: KubeObject[] = [];

  /** While away every request fails and watches end. */
  setAway(away: boolean): void {
    this.#away = away;
    if (!away) return;
    this.#awaySignal.abort();
    this.#awaySignal = new AbortController();
  }

  async get<T extends KubeObject>(resource: Resource<T>, name: string, options: { namespace?: string } = {}): Promise<T> {
    this.#check();
    return structuredClone(this.#find(resource, name, options.namespace)) as T;
  }

  async list<T extends KubeObject>(
    resource: Resource<T>,
    options: ListOptions = {},
  ): Promise<{ resourceVersion: string; items: T[] }> {
    this.#check();
    const items = [...this.#objects].filter(
      ([key, object]) => key.startsWith(`${resource.resource}/`) && matches(object, options),
    );
    return { resourceVersion: String(this.#revision), items: items.map(([, object]) => structuredClone(object) as T) };
  }

  async *watch<T extends KubeObject>(resource: Resource<T>, options: WatchOptions): AsyncIterable<WatchEvent<T>> {
    this.#check();
    const since = Number(options.resourceVersion ?? this.#revision);
    const queue = (this.#history.get(resource.resource) ?? [])
      .filter(({ object }) => Number(object.metadata.resourceVersion) > since && matches(object, options))
      .map((event) => structuredClone(event));
    let wake = () => {};
    const listener: Listener = (event) => {
      if (matches(event.object, options)) queue.push(structuredClone(event));
      wake();
    };
    const listeners = this.#listeners.get(resource.resource) ?? new Set();
    this.#listeners.set(resource.resource, listeners.add(listener));
    const away = this.#awaySignal.signal;
    const ended = AbortSignal.any([options.signal, away]);
    try {
      while (!ended.aborted) {
        const next = queue.shift();
        if (next) yield next as WatchEvent<T>;
        else {
          await new Promise<void>((resolve) => {
            wake = resolve;
            ended.addEventListener('abort', () => resolve(), { once: true });
          });
        }
      }
      if (options.signal.aborted) throw options.signal.reason;
    } finally {
      listeners.delete(listener);
    }
  }

  async create<T extends KubeObject>(resource: Resource<T>, object: unknown, options: WriteOptions = {}): Promise<T> {
    this.#check();
    const copy = structuredClone(object) as T;
    copy.apiVersion = resource.group ? `${resource.group}/v1` : 'v1';
    copy.kind = resource.kind;
    copy.metadata.name ||= `${copy.metadata.generateName ?? 'x'}${this.#revision}`;
    copy.metadata.namespace ??= options.namespace;
    const key = keyOf(resource, copy.metadata.namespace, copy.metadata.name);
    if (this.#objects.has(key)) throw alreadyExists(resource, copy.metadata.name);
    copy.metadata.uid ??= crypto.randomUUID();
    copy.metadata.creationTimestamp = new Date().toISOString();
    return this.#store(resource, key, copy, 'ADDED') as T;
  }

  async update<T extends KubeObject>(resource: Resource<T>, object: T, options: WriteOptions = {}): Promise<T> {
    this.#check();
    const namespace = options.namespace ?? object.metadata.namespace;
    const found = this.#find(resource, object.metadata.name, namespace);
    const next = { ...structuredClone(object), metadata: { ...found.metadata, ...object.metadata } };
    return this.#store(resource, keyOf(resource, namespace, object.metadata.name), next, 'MODIFIED') as T;
  }

  async patch<T extends KubeObject>(
    resource: Resource<T>,
    name: string,
    type: string,
    patch: unknown,
    options: WriteOptions = {},
  ): Promise<T> {
    this.#check();
    const found = this.#find(resource, name, options.namespace);
    const { uid } = (patch as { metadata?: { uid?: string } }).metadata ?? {};
    if (uid && uid !== found.metadata.uid) throw conflict(resource, name, 'the uid is another');
    const schema = `core.v1.${resource.kind}`;
    const next = type === 'strategic' ? applyStrategicMerge(found, patch, schema) : applyMergePatch(found, patch);
    const stored = this.#store(resource, keyOf(resource, options.namespace, name), next as KubeObject, 'MODIFIED');
    if (options.subresource === 'status') this.statusWrites.push(stored);
    return stored as T;
  }

  async delete<T extends KubeObject>(resource: Resource<T>, name: string, options: DeleteOptions = {}): Promise<void> {
    this.#check();
    const found = this.#find(resource, name, options.namespace);
    const key = keyOf(resource, options.namespace, name);
    if (options.preconditions?.uid && options.preconditions.uid !== found.metadata.uid)
      throw conflict(resource, name, 'the uid is another');
    const grace = options.gracePeriodSeconds ?? (found as Pod).spec?.terminationGracePeriodSeconds ?? 30;
    if (resource.resource === 'pods' && grace > 0) {
      const deletionTimestamp = new Date(Date.now() + grace * 1000).toISOString();
      const metadata = { ...found.metadata, deletionTimestamp, deletionGracePeriodSeconds: grace };
      this.#store(resource, key, { ...found, metadata }, 'MODIFIED');
      return;
    }
    this.#objects.delete(key);
    this.#tell(resource, 'DELETED', { ...found, metadata: { ...found.metadata, resourceVersion: String(++this.#revision) } });
  }

  #check(): void {
    if (this.#away) throw serviceUnavailable('the API is away');
  }

  #find(resource: Kind, name: string, namespace: string | undefined): KubeObject {
    const found = this.#objects.get(keyOf(resource, namespace, name));
    if (!found) throw notFound(resource, name);
    return found;
  }

  #store(resource: Kind, key: string, object: KubeObject, type: 'ADDED' | 'MODIFIED'): KubeObject {
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(++this.#revision) } };
    this.#objects.set(key, JSON.parse(JSON.stringify(stored)) as KubeObject);
    this.#tell(resource, type, stored);
    return structuredClone(this.#objects.get(key)!);
  }

  #tell(resource: Kind, type: 'ADDED' | 'MODIFIED' | 'DELETED', object: KubeObject): void {
    const event: Happening = { type, object: structuredClone(object) };
    const history = this.#history.get(resource.resource) ?? [];
    this.#history.set(resource.resource, history);
    history.push(event);
    for (const listener of this.#listeners.get(resource.resource) ?? []) listener({ type, object: structuredClone(object) });
  }
}

function keyOf(resource: { resource: string }, namespace: string | undefined, name: string): string {
  return `${resource.resource}/${namespace ?? ''}/${name}`;
}

function matches(object: KubeObject, { namespace, fieldSelector }: ListOptions): boolean {
  if (namespace && object.metadata.namespace !== namespace) return false;
  return parseFieldSelector(fieldSelector ?? '').every(({ field, value }) => {
    const found = field.split('.').reduce<unknown>((part, name) => (part as Record<string, unknown> | undefined)?.[name], object);
    return found === value;
  });
}
