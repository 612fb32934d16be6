/** The APIServices in memory: who serves which group and version. Follows this peer's store. */
import type { ApiService } from '../../machinery/kind-types.ts';
import type { StoreReader, StoreRecord, Watch } from '../../store/types.ts';
import { objectOf } from '../stored-objects.ts';

export const apiServicePrefix = '/registry/apiregistration.k8s.io/apiservices/';

export type RemoteService = ApiService & {
  spec: NonNullable<ApiService['spec']> & {
    group: string;
    version: string;
    service: { name: string; namespace: string; port: number };
  };
};

export class ApiServices {
  readonly #store: StoreReader;
  readonly #byName = new Map<string, ApiService>();
  #watch: Watch | undefined;

  constructor(store: StoreReader) {
    this.#store = store;
    this.#follow();
  }

  /** The service that serves a group and version; undefined when none does, or this server itself. */
  remote(group: string, version: string): RemoteService | undefined {
    const found = this.#byName.get(`${version}.${group}`);
    return found?.spec?.service ? (found as RemoteService) : undefined;
  }

  /** Group by group, the highest priority first; the versions of each likewise. */
  remotes(): RemoteService[] {
    const all = [...this.#byName.values()].filter(({ spec }) => spec?.service) as RemoteService[];
    return all.sort(
      (a, b) =>
        this.priorityOf(b.spec.group) - this.priorityOf(a.spec.group) ||
        (a.spec.group < b.spec.group ? -1 : a.spec.group > b.spec.group ? 1 : 0) ||
        b.spec.versionPriority - a.spec.versionPriority ||
        (a.spec.version < b.spec.version ? -1 : 1),
    );
  }

  /** The highest that any version of the group asks for; 0 for a group without an APIService. */
  priorityOf(group: string): number {
    let highest = 0;
    for (const { spec } of this.#byName.values()) {
      if ((spec?.group ?? '') === group) highest = Math.max(highest, spec?.groupPriorityMinimum ?? 0);
    }
    return highest;
  }

  /** Follows no more changes. */
  close(): void {
    this.#watch?.cancel();
  }

  #follow(): void {
    this.#byName.clear();
    const { records, revision } = this.#store.list(apiServicePrefix);
    for (const record of records) this.#put(record);
    this.#watch = this.#store.watch(apiServicePrefix, revision, {
      onEvents: (events) => {
        for (const { type, record } of events) {
          if (type === 'put') this.#put(record);
          else this.#byName.delete(record.key.slice(apiServicePrefix.length));
        }
      },
      onEnd: (reason) => {
        if (reason === 'restored') this.#follow();
      },
    });
  }

  #put(record: StoreRecord): void {
    this.#byName.set(record.key.slice(apiServicePrefix.length), objectOf(record) as ApiService);
  }
}

export function isAvailable({ status }: ApiService): boolean {
  return status?.conditions?.some(({ type, status: is }) => type === 'Available' && is === 'True') ?? false;
}
