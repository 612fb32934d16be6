/**
 * A cluster's state in memory behind the Client interface, as control loops see it: versions, conflicts, watches, selectors,
 * generateName, finalizers, graceful deletion of pods. No defaults, no validation: tests write whole objects.
 * Watches can be held back to show a control loop an old world, and calls can be made to fail.
 */
import { deferred } from '../../src/lib/deferred.ts';
import type { Random } from '../../src/lib/random.ts';
import type {
  Client,
  DeleteOptions,
  List,
  ListOptions,
  NewObject,
  PatchType,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from '../../src/machinery/client.ts';
import { apiVersionOf, type Resource } from '../../src/machinery/resources.ts';
import { parseFieldSelector, parseLabelSelector } from '../../src/machinery/selectors.ts';
import { alreadyExists, conflict, expired, notFound } from '../../src/machinery/status.ts';
import type { KubeObject, Namespace, Pod } from '../../src/machinery/types.ts';

export interface Call {
  verb: 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete';
  resource: string;
  subresource?: string | undefined;
  namespace?: string | undefined;
  name?: string | undefined;
}

interface Entry {
  version: number;
  resource: string;
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  object: KubeObject;
  previous?: KubeObject;
}

const letters = 'bcdfghjklmnpqrstvwxz2456789';
type Kinds = Pick<Resource, 'group' | 'version' | 'resource' | 'kind' | 'namespaced'>;

export class MemoryClient implements Client {
  readonly calls: Call[] = [];
  /** Throw to make a call fail. */
  intercept: ((call: Call) => void) | undefined;
  readonly #clock: { wallMs(): number };
  readonly #random: Random;
  readonly #objects = new Map<string, Map<string, KubeObject>>();
  readonly #history: Entry[] = [];
  #oldest = 0;
  #version = 0;
  #news = deferred<void>();
  #held = new Set<string>();
  #uids = 0;

  constructor(options: { clock: { wallMs(): number }; random: Random }) {
    this.#clock = options.clock;
    this.#random = options.random;
  }

  /** From now on watches of this resource show nothing new until `release`. */
  hold(resource: Kinds): void {
    this.#held.add(resource.resource);
  }

  release(resource: Kinds): void {
    this.#held.delete(resource.resource);
    this.#wake();
  }

  /** Forgets the past: watches that are behind end with 410. */
  compact(): void {
    this.#history.length = 0;
    this.#oldest = this.#version;
    this.#wake();
  }

  /** What is stored, for assertions; in order of creation. */
  all<T extends KubeObject>(resource: Resource<T>, namespace?: string): T[] {
    const objects = [...(this.#objects.get(resource.resource)?.values() ?? [])] as T[];
    return namespace === undefined ? objects : objects.filter((object) => object.metadata.namespace === namespace);
  }

  find<T extends KubeObject>(resource: Resource<T>, name: string, namespace?: string): T | undefined {
    return this.#objects.get(resource.resource)?.get(`${namespace ?? ''}/${name}`) as T | undefined;
  }

  async get<T extends KubeObject>(
    resource: Resource<T>,
    name: string,
    options: { namespace?: string; signal?: AbortSignal } = {},
  ): Promise<T> {
    await this.#enter({ verb: 'get', resource: resource.resource, namespace: options.namespace, name }, options.signal);
    return structuredClone(this.#need(resource, name, options.namespace));
  }

  async list<T extends KubeObject>(resource: Resource<T>, options: ListOptions = {}): Promise<List<T>> {
    await this.#enter({ verb: 'list', resource: resource.resource, namespace: options.namespace }, options.signal);
    const selected = selection(options);
    const items = this.all(resource).filter(selected);
    return { resourceVersion: String(this.#version), items: structuredClone(items) };
  }

  async *watch<T extends KubeObject>(resource: Resource<T>, options: WatchOptions): AsyncGenerator<WatchEvent<T>> {
    const { signal } = options;
    await this.#enter({ verb: 'watch', resource: resource.resource, namespace: options.namespace }, signal);
    const selected = selection(options);
    const aborted = deferred<void>();
    const onAbort = () => aborted.resolve();
    signal.addEventListener('abort', onAbort, { once: true });
    let version = Number(options.resourceVersion ?? this.#version);
    try {
      for (;;) {
        if (signal.aborted) throw signal.reason;
        if (version < this.#oldest) throw expired(`too old resource version: ${version} (${this.#oldest})`);
        const news = this.#news.promise;
        if (!this.#held.has(resource.resource)) {
          for (const entry of this.#history.slice(version - this.#oldest)) {
            version = entry.version;
            if (entry.resource !== resource.resource) continue;
            const now = entry.type !== 'DELETED' && selected(entry.object);
            const before = entry.previous !== undefined && selected(entry.previous);
            const object = structuredClone(entry.object) as T;
            if (now) yield { type: before ? 'MODIFIED' : 'ADDED', object };
            else if (before) yield { type: 'DELETED', object };
            if (signal.aborted) throw signal.reason;
          }
        }
        await Promise.race([news, aborted.promise]);
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  async create<T extends KubeObject>(
    resource: Resource<T>,
    object: NewObject<T>,
    options: WriteOptions & { name?: string } = {},
  ): Promise<T> {
    const namespace = resource.namespaced ? (options.namespace ?? object.metadata.namespace ?? 'default') : undefined;
    const { subresource } = options;
    const call: Call = { verb: 'create', resource: resource.resource, subresource, namespace, name: options.name };
    await this.#enter(call, options.signal);
    if (subresource === 'binding') return this.#bind(object, options.name ?? '', namespace) as unknown as T;
    let name = object.metadata.name ?? '';
    while (!name || (object.metadata.generateName && !object.metadata.name && this.find(resource, name, namespace))) {
      name = (object.metadata.generateName ?? '').slice(0, 58);
      for (let count = 0; count < 5; count++) name += letters[this.#random.int(letters.length)];
    }
    if (this.find(resource, name, namespace)) throw alreadyExists(resource, name);
    const stored = {
      apiVersion: apiVersionOf(resource),
      kind: resource.kind,
      ...structuredClone(object),
      metadata: {
        ...structuredClone(object.metadata),
        name,
        ...(namespace === undefined ? {} : { namespace }),
        uid: `uid-${++this.#uids}`,
        generation: 1,
        creationTimestamp: this.#timestamp(),
      },
    } as unknown as T;
    if (resource.resource === 'namespaces') {
      (stored as unknown as Namespace).spec = { finalizers: ['kubernetes'] };
      (stored as unknown as Namespace).status = { phase: 'Active' };
    }
    return this.#store(resource, stored, 'ADDED');
  }

  async update<T extends KubeObject>(resource: Resource<T>, object: T, options: WriteOptions = {}): Promise<T> {
    const { name } = object.metadata;
    const namespace = resource.namespaced ? (options.namespace ?? object.metadata.namespace) : undefined;
    const { subresource } = options;
    await this.#enter({ verb: 'update', resource: resource.resource, subresource, namespace, name }, options.signal);
    return this.#replace(resource, name, namespace, structuredClone(object), subresource);
  }

  async patch<T extends KubeObject>(
    resource: Resource<T>,
    name: string,
    type: PatchType,
    patch: unknown,
    options: WriteOptions = {},
  ): Promise<T> {
    const namespace = resource.namespaced ? options.namespace : undefined;
    const { subresource } = options;
    await this.#enter({ verb: 'patch', resource: resource.resource, subresource, namespace, name }, options.signal);
    if (type !== 'merge') throw new Error(`the memory client knows merge patches only, not ${type}`);
    const previous = this.#need(resource, name, namespace);
    const next = merged(structuredClone(previous), structuredClone(patch)) as T;
    const { uid } = (patch as { metadata?: { uid?: string } }).metadata ?? {};
    if (uid !== undefined && uid !== previous.metadata.uid) throw conflict(resource, name, 'the uid differs');
    return this.#replace(resource, name, namespace, next, subresource);
  }

  async delete<T extends KubeObject>(resource: Resource<T>, name: string, options: DeleteOptions = {}): Promise<void> {
    const namespace = resource.namespaced ? options.namespace : undefined;
    await this.#enter({ verb: 'delete', resource: resource.resource, namespace, name }, options.signal);
    const previous = this.#need(resource, name, namespace);
    const { uid, resourceVersion } = options.preconditions ?? {};
    if (uid !== undefined && uid !== previous.metadata.uid) throw conflict(resource, name, 'the uid differs');
    if (resourceVersion !== undefined && resourceVersion !== previous.metadata.resourceVersion) throw conflict(resource, name);
    const next = structuredClone(previous);
    const finalizers = new Set(next.metadata.finalizers ?? []);
    if (options.propagationPolicy === 'Foreground') finalizers.add('foregroundDeletion');
    if (options.propagationPolicy === 'Orphan') finalizers.add('orphan');
    next.metadata.finalizers = [...finalizers];
    const graceSeconds = this.#grace(resource, previous, options.gracePeriodSeconds);
    const waits = finalizers.size > 0 || graceSeconds > 0 || resource.resource === 'namespaces';
    if (!waits) {
      this.#remove(resource, previous);
      return;
    }
    if (previous.metadata.deletionTimestamp && options.gracePeriodSeconds === undefined) return;
    next.metadata.deletionTimestamp = this.#timestamp(graceSeconds);
    next.metadata.deletionGracePeriodSeconds = graceSeconds;
    if (resource.resource === 'namespaces') (next as unknown as Namespace).status = { phase: 'Terminating' };
    this.#store(resource, next, 'MODIFIED', previous);
  }

  /** Only a pod that has a machine needs time to stop. */
  #grace(resource: Kinds, object: KubeObject, requested: number | undefined): number {
    if (resource.resource !== 'pods' || !(object as Pod).spec?.nodeName) return 0;
    return requested ?? (object as Pod).spec?.terminationGracePeriodSeconds ?? 30;
  }

  #bind(binding: unknown, name: string, namespace: string | undefined): KubeObject {
    const pods: Resource<Pod> = { group: '', version: 'v1', resource: 'pods', kind: 'Pod', namespaced: true };
    const pod = structuredClone(this.#need(pods, name, namespace));
    const { target } = binding as { target: { name: string } };
    if (pod.spec?.nodeName) throw conflict(pods, name, `pod ${name} is already assigned to node "${pod.spec.nodeName}"`);
    if (pod.metadata.deletionTimestamp) throw conflict(pods, name, `pod ${name} is being deleted, cannot be assigned to a host`);
    pod.spec = { ...pod.spec, nodeName: target.name } as Pod['spec'] & object;
    const others = pod.status?.conditions?.filter(({ type }) => type !== 'PodScheduled') ?? [];
    pod.status = { ...pod.status, conditions: [...others, { type: 'PodScheduled', status: 'True' }] };
    return this.#store(pods, pod, 'MODIFIED', this.#need(pods, name, namespace));
  }

  #replace<T extends KubeObject>(
    resource: Resource<T>,
    name: string,
    namespace: string | undefined,
    object: T,
    subresource: string | undefined,
  ): T {
    const previous = this.#need(resource, name, namespace);
    const expected = object.metadata.resourceVersion;
    if (expected && expected !== previous.metadata.resourceVersion) throw conflict(resource, name);
    const before = structuredClone(previous) as unknown as Record<string, unknown>;
    const asked = object as unknown as Record<string, unknown>;
    let next: Record<string, unknown>;
    if (subresource === 'status') next = { ...before, status: asked.status };
    else if (subresource === 'finalize') next = { ...before, spec: asked.spec };
    else next = 'status' in before ? { ...asked, status: before.status } : asked;
    const result = next as unknown as T;
    const { uid, creationTimestamp, deletionTimestamp, generation } = previous.metadata;
    Object.assign(result.metadata, { uid, creationTimestamp, generation }, deletionTimestamp ? { deletionTimestamp } : {});
    if (JSON.stringify(next.spec) !== JSON.stringify(before.spec)) result.metadata.generation = (generation ?? 0) + 1;
    const finalizers = [
      ...(result.metadata.finalizers ?? []),
      ...(resource.resource === 'namespaces' ? ((result as unknown as Namespace).spec?.finalizers ?? []) : []),
    ];
    const graceful = resource.resource === 'pods' && (result.metadata.deletionGracePeriodSeconds ?? 0) > 0;
    if (deletionTimestamp && finalizers.length === 0 && !graceful) {
      this.#remove(resource, previous);
      return structuredClone(result);
    }
    return this.#store(resource, result, 'MODIFIED', previous);
  }

  #store<T extends KubeObject>(resource: Kinds, object: T, type: 'ADDED' | 'MODIFIED', previous?: KubeObject): T {
    this.#version += 1;
    object.metadata.resourceVersion = String(this.#version);
    const objects = this.#objects.get(resource.resource) ?? new Map<string, KubeObject>();
    this.#objects.set(resource.resource, objects);
    objects.set(`${object.metadata.namespace ?? ''}/${object.metadata.name}`, object);
    this.#tell({ version: this.#version, resource: resource.resource, type, object, ...(previous ? { previous } : {}) });
    return structuredClone(object);
  }

  #remove(resource: Kinds, previous: KubeObject): void {
    this.#version += 1;
    const object = structuredClone(previous);
    object.metadata.resourceVersion = String(this.#version);
    this.#objects.get(resource.resource)?.delete(`${object.metadata.namespace ?? ''}/${object.metadata.name}`);
    this.#tell({ version: this.#version, resource: resource.resource, type: 'DELETED', object, previous });
  }

  #tell(entry: Entry): void {
    this.#history.push(entry);
    this.#wake();
  }

  #wake(): void {
    const news = this.#news;
    this.#news = deferred();
    news.resolve();
  }

  #need<T extends KubeObject>(resource: Resource<T>, name: string, namespace: string | undefined): T {
    const object = this.find(resource, name, resource.namespaced ? namespace : undefined);
    if (!object) throw notFound(resource, name);
    return object;
  }

  async #enter(call: Call, signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted) throw signal.reason;
    this.calls.push(call);
    // A real server is never there before the caller goes on.
    await Promise.resolve();
    this.intercept?.(call);
  }

  #timestamp(inSeconds = 0): string {
    return `${new Date(this.#clock.wallMs() + inSeconds * 1000).toISOString().slice(0, 19)}Z`;
  }
}

function selection(options: ListOptions): (object: KubeObject) => boolean {
  const labels = options.labelSelector ? parseLabelSelector(options.labelSelector) : () => true;
  const fields = options.fieldSelector ? parseFieldSelector(options.fieldSelector) : [];
  return (object) =>
    (options.namespace === undefined || object.metadata.namespace === options.namespace) &&
    labels(object.metadata.labels) &&
    fields.every(({ field, operator, value }) => (operator === '=') === (fieldOf(object, field) === value));
}

function fieldOf(object: KubeObject, path: string): string {
  let value: unknown = object;
  for (const part of path.split('.')) value = (value as Record<string, unknown> | undefined)?.[part];
  return value === undefined ? '' : String(value);
}

function merged(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const result = (typeof target === 'object' && target !== null && !Array.isArray(target) ? target : {}) as Record<
    string,
    unknown
  >;
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = merged(result[key], value);
  }
  return result;
}
