/**
 * What extension API servers say they serve, for the documents that tell of all groups. Asked when somebody wants such a
 * document, and kept for a while; of a server that does not answer, what it has said before.
 */
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/logger.ts';
import { systemUser } from '../authentication.ts';
import { isRecord } from '../object-input.ts';
import type { Upstreams } from '../upstream/upstream.ts';
import { type ApiServices, isAvailable, type RemoteService } from './api-services.ts';
import { extensionServer, remoteUserHeaders, type Surroundings } from './extension-servers.ts';

const keptMs = 10_000;
const askMs = 5_000;
const answerBytesMax = 4 * 1024 * 1024;

interface Listed {
  name: string;
  singularName?: string;
  namespaced?: boolean;
  kind: string;
  group?: string;
  version?: string;
  verbs?: string[];
  shortNames?: string[];
  categories?: string[];
}

interface Known {
  uid: string;
  askedMs: number;
  fresh: boolean;
  /** In the form of aggregated discovery. */
  resources: object[];
  /** Where the OpenAPI v3 document is, when the server has one. */
  openApi: string | undefined;
}

export class RemoteDiscovery {
  readonly #services: ApiServices;
  readonly #surroundings: Surroundings & { upstreams: Upstreams; clock: Clock; logger: Logger };
  readonly #known = new Map<string, Known>();
  #refreshing: Promise<void> | undefined;

  constructor(services: ApiServices, surroundings: Surroundings & { upstreams: Upstreams; clock: Clock; logger: Logger }) {
    this.#services = services;
    this.#surroundings = surroundings;
  }

  /** Asks again whom it has not asked for a while. Never rejects. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  /** The versions of one group and their resources, as last heard. */
  resources(group: string, version: string): { resources: object[]; fresh: boolean } | undefined {
    return this.#known.get(`${version}.${group}`);
  }

  /** Paths of OpenAPI v3 documents, by `apis/GROUP/VERSION`. */
  openApiPaths(): [path: string, url: string][] {
    return this.#services.remotes().flatMap(({ spec, metadata }): [string, string][] => {
      const url = this.#known.get(metadata.name)?.openApi;
      return url === undefined ? [] : [[`apis/${spec.group}/${spec.version}`, url]];
    });
  }

  async #refresh(): Promise<void> {
    const { clock } = this.#surroundings;
    const remotes = this.#services.remotes();
    const names = new Set(remotes.map(({ metadata }) => metadata.name));
    for (const name of this.#known.keys()) if (!names.has(name)) this.#known.delete(name);
    const due = remotes.filter(({ metadata: { name, uid } }) => {
      const known = this.#known.get(name);
      return !known || known.uid !== uid || !known.fresh || clock.monotonicMs() - known.askedMs >= keptMs;
    });
    await Promise.all(due.filter(isAvailable).map((service) => this.#learn(service)));
  }

  async #learn(service: RemoteService): Promise<void> {
    const { name, uid = '' } = service.metadata;
    const { group, version } = service.spec;
    const { clock, logger } = this.#surroundings;
    const before = this.#known.get(name);
    try {
      const list = await this.#get(service, `/apis/${group}/${version}`);
      const listed = (isRecord(list) && Array.isArray(list.resources) ? list.resources : []) as Listed[];
      const index = await this.#get(service, '/openapi/v3').catch(() => undefined);
      const openApi = openApiUrl(index, `apis/${group}/${version}`);
      const resources = aggregatedForm(listed, { group, version });
      this.#known.set(name, { uid, askedMs: clock.monotonicMs(), fresh: true, resources, openApi });
    } catch (error) {
      logger.debug({ error, apiService: name }, 'an extension server did not say what it serves');
      const resources = before?.uid === uid ? before.resources : [];
      this.#known.set(name, { uid, askedMs: clock.monotonicMs(), fresh: false, resources, openApi: before?.openApi });
    }
  }

  async #get(service: RemoteService, path: string): Promise<unknown> {
    const { upstreams } = this.#surroundings;
    const { code, body } = await upstreams.ask(extensionServer(service, this.#surroundings), {
      method: 'GET',
      path,
      headers: { accept: 'application/json', ...remoteUserHeaders(systemUser) },
      body: Buffer.alloc(0),
      bytesMax: answerBytesMax,
      signal: AbortSignal.timeout(askMs),
    });
    if (code !== 200) throw new RangeError(`${path} was answered with ${code}`);
    return JSON.parse(body.toString('utf8'));
  }
}

function openApiUrl(index: unknown, path: string): string | undefined {
  if (!isRecord(index) || !isRecord(index.paths)) return undefined;
  const entry = index.paths[path];
  if (!isRecord(entry) || typeof entry.serverRelativeURL !== 'string') return undefined;
  return entry.serverRelativeURL.startsWith(`/openapi/v3/${path}`) ? entry.serverRelativeURL : undefined;
}

/** An APIResourceList's entries, subresources within their resources. Pure. */
export function aggregatedForm(listed: readonly Listed[], own: { group: string; version: string }): object[] {
  const kindOf = ({ group, version, kind }: Listed) => ({ group: group || own.group, version: version || own.version, kind });
  return listed
    .filter(({ name }) => !name.includes('/'))
    .map((resource) => {
      const { name, namespaced, singularName = '', verbs = [], shortNames, categories } = resource;
      const subresources = listed
        .filter((candidate) => candidate.name.startsWith(`${name}/`))
        .map((sub) => ({ subresource: sub.name.slice(name.length + 1), responseKind: kindOf(sub), verbs: sub.verbs ?? [] }));
      return {
        resource: name,
        responseKind: kindOf(resource),
        scope: namespaced ? 'Namespaced' : 'Cluster',
        singularResource: singularName,
        verbs,
        ...(shortNames?.length ? { shortNames } : {}),
        ...(categories?.length ? { categories } : {}),
        ...(subresources.length ? { subresources } : {}),
      };
    });
}
