/**
 * The pods of each node and what they name, in memory: an agent reads no other pod, ConfigMap or Secret. Fed by a watch of this peer's
 * store, so it knows a pod's names when an agent learns of the pod through this peer.
 */
import { referencesOf } from '../../machinery/pod-references.ts';
import type { Pod } from '../../machinery/types.ts';
import type { StoreReader, StoreRecord, Watch } from '../../store/types.ts';
import type { NodeReferences } from '../authorization.ts';
import { objectOf } from '../stored-objects.ts';

const prefix = '/registry/core/pods/';

export class PodReferences implements NodeReferences {
  readonly #store: StoreReader;
  /** Node → `RESOURCE/NAMESPACE/NAME` → how many of its pods name it. */
  readonly #counts = new Map<string, Map<string, number>>();
  #watch: Watch | undefined;

  constructor(store: StoreReader) {
    this.#store = store;
    this.#follow();
  }

  /** Follows no more changes. */
  close(): void {
    this.#watch?.cancel();
  }

  has(node: string, resource: string, namespace: string, name: string): boolean {
    return this.#counts.get(node)?.has(`${resource}/${namespace}/${name}`) ?? false;
  }

  #follow(): void {
    this.#counts.clear();
    const { records, revision } = this.#store.list(prefix);
    for (const record of records) this.#count(record, 1);
    this.#watch = this.#store.watch(prefix, revision, {
      onEvents: (events) => {
        for (const { type, record, previous } of events) {
          if (type === 'put') this.#count(record, 1);
          if (previous) this.#count(previous, -1);
        }
      },
      onEnd: (reason) => {
        if (reason === 'restored') this.#follow();
      },
    });
  }

  #count(record: StoreRecord, by: 1 | -1): void {
    const { metadata, spec } = objectOf(record) as Pod;
    if (!spec?.nodeName) return;
    const counts = this.#counts.get(spec.nodeName) ?? new Map<string, number>();
    const { configMaps, secrets } = referencesOf(spec);
    const named = [
      ['pods', metadata.name],
      ...[...configMaps].map((name) => ['configmaps', name]),
      ...[...secrets].map((name) => ['secrets', name]),
    ];
    for (const [resource, name] of named) {
      const key = `${resource}/${metadata.namespace}/${name}`;
      const count = (counts.get(key) ?? 0) + by;
      if (count > 0) counts.set(key, count);
      else counts.delete(key);
    }
    if (counts.size > 0) this.#counts.set(spec.nodeName, counts);
    else this.#counts.delete(spec.nodeName);
  }
}
