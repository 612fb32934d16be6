/**
 * Groups and versions that are served by servers in the cluster instead of this one (APIService): requests for them are handed
 * on after authorization, and what they serve is told with what we serve ourselves.
 */
import type { Clock } from '../../lib/clock.ts';
import { delay } from '../../lib/clock.ts';
import type { Logger } from '../../lib/logger.ts';
import type { Client } from '../../machinery/client.ts';
import type { ApiService } from '../../machinery/kind-types.ts';
import { isReason, serviceUnavailable } from '../../machinery/status.ts';
import type { StoreReader, Watch } from '../../store/types.ts';
import type { GroupVersions, KindTable } from '../kind-table.ts';
import { timestamp } from '../object-metadata.ts';
import type { Forwarding } from '../proxy/forward.ts';
import type { User } from '../types.ts';
import type { Upstreams } from '../upstream/upstream.ts';
import { ApiServices, apiServicePrefix, isAvailable, type RemoteService } from './api-services.ts';
import { type Availability, availabilityOf } from './availability.ts';
import { extensionServer, remoteUserHeaders, type Surroundings } from './extension-servers.ts';
import { publishFrontProxy } from './front-proxy.ts';
import { apiServices, syncLocalServices } from './local-services.ts';
import { RemoteDiscovery } from './remote-discovery.ts';

const checkEveryMs = 30_000;
/** A server that was not available is asked sooner. */
const retryMs = 5_000;
/** However often objects change, rounds of checks are this far apart. */
const roundMsMin = 250;
const watchedPrefixes = [apiServicePrefix, '/registry/core/services/', '/registry/discovery.k8s.io/endpointslices/'];

export interface AggregatorOptions extends Surroundings {
  /** What this peer has, for decisions that must not wait. */
  local: StoreReader;
  table: KindTable;
  upstreams: Upstreams;
  clock: Clock;
  logger: Logger;
}

export class Aggregator {
  readonly #options: AggregatorOptions;
  readonly #services: ApiServices;
  readonly discovery: RemoteDiscovery;

  constructor(options: AggregatorOptions) {
    this.#options = options;
    this.#services = new ApiServices(options.local);
    this.discovery = new RemoteDiscovery(this.#services, options);
  }

  /** Where a request goes that is another server's; undefined when it is ours. StatusError 503 while that server is not available. */
  forwarding(path: string, search: string, user: User): Forwarding | undefined {
    const match = /^\/+(?:openapi\/v3\/)?apis\/+([^/]+)\/+([^/]+)(?:\/|$)/.exec(path);
    const [, group = '', version = ''] = match ?? [];
    const service = match ? this.#services.remote(group, version) : undefined;
    if (!service || this.#servedHere(group, version)) return undefined;
    if (!isAvailable(service)) throw serviceUnavailable('the server is currently unable to handle the request');
    const { name, namespace } = service.spec.service;
    return {
      server: extensionServer(service, this.#options),
      path: `${path}${search}`,
      headers: { host: `${name}.${namespace}.svc`, ...remoteUserHeaders(user) },
    };
  }

  /** All groups with all their versions, ours and those of others, in the order of their priorities. */
  groups(): GroupVersions[] {
    const own = this.#options.table.groups();
    const merged = new Map(own.map(({ group, versions }) => [group, [...versions]]));
    for (const { spec } of this.#services.remotes()) {
      const versions = merged.get(spec.group) ?? [];
      if (!versions.includes(spec.version)) merged.set(spec.group, [...versions, spec.version]);
    }
    const priority = new Map([...merged.keys()].map((group) => [group, this.#services.priorityOf(group)]));
    return [...merged]
      .map(([group, versions]) => ({ group, versions }))
      .sort((a, b) => (priority.get(b.group) ?? 0) - (priority.get(a.group) ?? 0));
  }

  /** Keeps the APIServices of our own groups, and finds out whether the others can be used. Ends by the signal. Run by the leader. */
  async run(client: Client, signal: AbortSignal): Promise<void> {
    const { frontProxy, table, clock, local } = this.#options;
    if (frontProxy) await publishFrontProxy(client, frontProxy, signal);
    const changes = new Changes(local);
    try {
      while (!signal.aborted) {
        changes.forget();
        await syncLocalServices(client, { groups: table.groups(), isOld: (group) => table.isOld(group) }, signal);
        const remotes = this.#services.remotes();
        const found = await Promise.all(remotes.map((service) => this.#check(client, service, signal)));
        await delay(clock, roundMsMin, signal);
        await changes.next(clock, found.every(Boolean) ? checkEveryMs : retryMs, signal);
      }
    } finally {
      changes.close();
    }
  }

  close(): void {
    this.#services.close();
  }

  #servedHere(group: string, version: string): boolean {
    return this.#options.table.inVersion(group, version).length > 0;
  }

  /** True when it is available. */
  async #check(client: Client, service: RemoteService, signal: AbortSignal): Promise<boolean> {
    const { clock } = this.#options;
    const { group, version } = service.spec;
    const found: Availability = this.#servedHere(group, version)
      ? { status: 'True', reason: 'Local', message: 'this server serves the group and version itself' }
      : await availabilityOf(service, { ...this.#options, signal });
    const before = service.status?.conditions?.find(({ type }) => type === 'Available');
    const same = before?.status === found.status && before.reason === found.reason && before.message === found.message;
    if (same) return found.status === 'True';
    const since = before?.status === found.status ? before.lastTransitionTime : timestamp(clock.wallMs());
    const condition = { type: 'Available', ...found, lastTransitionTime: since };
    const others = service.status?.conditions?.filter(({ type }) => type !== 'Available') ?? [];
    const next = { ...service, status: { ...service.status, conditions: [...others, condition] } } as ApiService;
    try {
      await client.update(apiServices, next, { subresource: 'status', signal });
    } catch (error) {
      // Changed or gone meanwhile: its change begins another round.
      if (!isReason(error, 'Conflict') && !isReason(error, 'NotFound')) throw error;
    }
    return found.status === 'True';
  }
}

/** Tells when something has changed that decides about availability. */
class Changes {
  readonly #store: StoreReader;
  readonly #watches = new Map<string, Watch>();
  #changed = new AbortController();

  constructor(store: StoreReader) {
    this.#store = store;
    for (const prefix of watchedPrefixes) this.#follow(prefix);
  }

  forget(): void {
    this.#changed = new AbortController();
  }

  /** Resolves at the next change since `forget`, or after so long. Rejects with the signal's reason. */
  async next(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
    const changed = this.#changed.signal;
    try {
      await delay(clock, ms, AbortSignal.any([changed, signal]));
    } catch (error) {
      signal.throwIfAborted();
      if (!changed.aborted) throw error;
    }
  }

  close(): void {
    for (const watch of this.#watches.values()) watch.cancel();
  }

  #follow(prefix: string): void {
    const watch = this.#store.watch(prefix, this.#store.revision, {
      onEvents: () => this.#changed.abort(),
      onEnd: (reason) => {
        this.#changed.abort();
        if (reason === 'restored') this.#follow(prefix);
      },
    });
    this.#watches.set(prefix, watch);
  }
}
