/**
 * ConfigMaps and Secrets that pods of this machine refer to, each watched by name for as long as a pod needs it: changes
 * arrive within moments, and a short absence of the API does not stop a container from being restarted. An agent never
 * reads objects that none of its pods names.
 */
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/logger.ts';
import type { Random } from '../../lib/random.ts';
import type { Client } from '../../machinery/client.ts';
import { Informer } from '../../machinery/informer.ts';
import { referencesOf } from '../../machinery/pod-references.ts';
import { configMaps, type Resource, secrets } from '../../machinery/resources.ts';
import type { ConfigMap, KubeObject, Pod, Secret } from '../../machinery/types.ts';

export interface ObjectsOptions {
  client: Client;
  clock: Clock;
  random: Random;
  logger: Logger;
}

interface Entry {
  informer: Informer<KubeObject>;
  abort: AbortController;
  listeners: Set<() => void>;
}

/** The objects of one pod. */
export interface PodObjects {
  configMap(name: string): ConfigMap | undefined;
  secret(name: string): Secret | undefined;
  /** Resolves when every object has been looked up at least once. */
  synced(signal: AbortSignal): Promise<void>;
  /** Ends the watches that no other pod needs. */
  release(): void;
  /** Holds also what the pod names by now: containers may have been added to it. */
  extend(pod: Pod): void;
}

export class Objects {
  readonly #options: ObjectsOptions;
  readonly #entries = new Map<string, Entry>();

  constructor(options: ObjectsOptions) {
    this.#options = options;
  }

  /** Holds all that `pod` refers to; `onChange` is called when one of them changes. */
  hold(pod: Pod, onChange: () => void): PodObjects {
    const namespace = pod.metadata.namespace ?? '';
    const held = new Map<string, Entry>();
    let released = false;
    const extend = ({ spec }: Pod) => {
      if (released) return;
      const names = referencesOf(spec!);
      for (const [resource, wanted] of [[configMaps, names.configMaps] as const, [secrets, names.secrets] as const]) {
        for (const name of wanted) {
          const key = keyOf(resource, namespace, name);
          if (!held.has(key)) held.set(key, this.#acquire(resource, namespace, name, onChange));
        }
      }
    };
    extend(pod);
    const find = <T extends KubeObject>(resource: Resource<T>, name: string) =>
      this.#entries.get(keyOf(resource, namespace, name))?.informer.get(namespace, name) as T | undefined;
    return {
      configMap: (name) => find(configMaps, name),
      secret: (name) => find(secrets, name),
      synced: async (signal) => {
        await Promise.all([...held.values()].map(({ informer }) => informer.synced(signal)));
      },
      extend,
      release: () => {
        released = true;
        for (const key of held.keys()) this.#release(key, onChange);
      },
    };
  }

  #acquire(resource: Resource, namespace: string, name: string, onChange: () => void): Entry {
    const key = keyOf(resource, namespace, name);
    let entry = this.#entries.get(key);
    if (!entry) {
      const informer = new Informer({ ...this.#options, resource, namespace, fieldSelector: `metadata.name=${name}` });
      const created: Entry = { informer, abort: new AbortController(), listeners: new Set() };
      informer.onChange(() => {
        for (const listener of created.listeners) listener();
      });
      void informer.start(created.abort.signal);
      this.#entries.set(key, created);
      entry = created;
    }
    entry.listeners.add(onChange);
    return entry;
  }

  #release(key: string, onChange: () => void): void {
    const entry = this.#entries.get(key);
    if (!entry) return;
    entry.listeners.delete(onChange);
    if (entry.listeners.size > 0) return;
    entry.abort.abort(new Error('no pod needs it any more'));
    this.#entries.delete(key);
  }
}

function keyOf(resource: { resource: string }, namespace: string, name: string): string {
  return `${resource.resource}/${namespace}/${name}`;
}
