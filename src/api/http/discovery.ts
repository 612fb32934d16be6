/**
 * Which groups, versions and resources there are: the old documents (one per group version) and the aggregated ones, which
 * kubectl asks for first. What extension API servers serve is in them, too.
 */

import { groupOf, type KindDefinition } from '../../machinery/kind.ts';
import type { Aggregator } from '../aggregation/aggregator.ts';
import {
  type GroupVersions,
  type KindTable,
  type ResolvedKind,
  statusSubresourcesOf,
  subresourcesOf,
  verbsOf,
} from '../kind-table.ts';
import type { Exchange } from './exchange.ts';
import { parseAccept } from './negotiation.ts';

interface SubresourceForm {
  kind: string;
  group?: string;
  version?: string;
  verbs: string[];
}

const readWrite: string[] = ['get', 'patch', 'update'];
const stream: string[] = ['create', 'get'];
const subresourceForms: Record<string, SubresourceForm> = {
  scale: { kind: 'Scale', group: 'autoscaling', version: 'v1', verbs: ['get', 'patch', 'update'] },
  eviction: { kind: 'Eviction', group: 'policy', version: 'v1', verbs: ['create'] },
  binding: { kind: 'Binding', verbs: ['create'] },
  token: { kind: 'TokenRequest', group: 'authentication.k8s.io', version: 'v1', verbs: ['create'] },
  exec: { kind: 'PodExecOptions', verbs: stream },
  attach: { kind: 'PodAttachOptions', verbs: stream },
  portforward: { kind: 'PodPortForwardOptions', verbs: stream },
};

/** What is sent to a subresource, and what may be done with it. */
export function subresourceForm(kind: KindDefinition, name: string): SubresourceForm {
  if (statusSubresourcesOf(kind).includes(name)) return { kind: kind.kind, verbs: readWrite };
  if (name === 'proxy') return { kind: `${kind.kind}ProxyOptions`, verbs: ['create', 'delete', 'get', 'patch', 'update'] };
  const own = { ephemeralcontainers: readWrite, resize: readWrite, finalize: ['update'], log: ['get'] }[name];
  return subresourceForms[name] ?? { kind: kind.kind, verbs: own ?? ['get'] };
}

export interface Discovered {
  body: object;
  contentType: string;
}

export class Discovery {
  readonly #table: KindTable;

  readonly #others: Pick<Aggregator, 'groups' | 'discovery'>;

  constructor(table: KindTable, others: Pick<Aggregator, 'groups' | 'discovery'>) {
    this.#table = table;
    this.#others = others;
  }

  /** The document at `/api`, `/apis` or below, or undefined when there is none. */
  find(path: string, exchange: Exchange): Discovered | undefined {
    const parts = path.split('/').filter((part) => part !== '');
    const [root, first, second] = parts;
    if (root !== 'api' && root !== 'apis') return undefined;
    const groups = this.#others.groups().filter(({ group }) => (group === '') === (root === 'api'));
    if (parts.length === 1) return this.#root(root, groups, exchange);
    if (root === 'api') return parts.length === 2 ? this.#resources('', first ?? '') : undefined;
    const group = groups.find((candidate) => candidate.group === first);
    if (!group || parts.length > 3) return undefined;
    return second === undefined
      ? plain({ ...groupBody(group), kind: 'APIGroup', apiVersion: 'v1' })
      : this.#resources(group.group, second);
  }

  #root(root: 'api' | 'apis', groups: GroupVersions[], exchange: Exchange): Discovered {
    const version = aggregatedVersion(exchange.header('accept'));
    if (version) {
      return {
        body: {
          kind: 'APIGroupDiscoveryList',
          apiVersion: `apidiscovery.k8s.io/${version}`,
          metadata: {},
          items: groups.map((group) => this.#aggregated(group)),
        },
        contentType: `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`,
      };
    }
    if (root === 'apis') return plain({ kind: 'APIGroupList', apiVersion: 'v1', groups: groups.map(groupBody) });
    const serverAddress = exchange.header('host') || exchange.header(':authority');
    const serverAddressByClientCIDRs = [{ clientCIDR: '0.0.0.0/0', serverAddress }];
    return plain({ kind: 'APIVersions', versions: groups[0]?.versions ?? [], serverAddressByClientCIDRs });
  }

  #resources(group: string, version: string): Discovered | undefined {
    const kinds = this.#table.inVersion(group, version);
    if (kinds.length === 0) return undefined;
    const groupVersion = group ? `${group}/${version}` : version;
    const resources = kinds.flatMap((resolved) => [resourceBody(resolved), ...subresourceBodies(resolved)]);
    if (this.#hasBindings(group, version)) {
      resources.push({ name: 'bindings', singularName: 'binding', namespaced: true, kind: 'Binding', verbs: ['create'] });
    }
    return plain({ kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources });
  }

  #aggregated({ group, versions }: GroupVersions): object {
    return {
      metadata: { name: group, creationTimestamp: null },
      versions: versions.map(
        (version) =>
          this.#remoteVersion(group, version) ?? {
            version,
            resources: [
              ...this.#table.inVersion(group, version).map(aggregatedResource),
              ...this.#aggregatedBindings(group, version),
            ],
            freshness: 'Current',
          },
      ),
    };
  }

  /** A version that another server serves, as far as that is known; undefined for our own. */
  #remoteVersion(group: string, version: string): object | undefined {
    if (this.#table.inVersion(group, version).length > 0) return undefined;
    const known = this.#others.discovery.resources(group, version);
    return { version, resources: known?.resources ?? [], freshness: known?.fresh ? 'Current' : 'Stale' };
  }

  #hasBindings(group: string, version: string): boolean {
    return group === '' && this.#table.find('', version, 'pods') !== undefined;
  }

  #aggregatedBindings(group: string, version: string): object[] {
    if (!this.#hasBindings(group, version)) return [];
    const responseKind = { group, version, kind: 'Binding' };
    return [{ resource: 'bindings', responseKind, scope: 'Namespaced', singularResource: 'binding', verbs: ['create'] }];
  }
}

function plain(body: object): Discovered {
  return { body, contentType: 'application/json' };
}

/** The first version of the aggregated form that the client names before a plain one. */
function aggregatedVersion(accept: string): 'v2' | 'v2beta1' | undefined {
  for (const { type, parameters } of parseAccept(accept)) {
    if (type !== 'application/json') continue;
    const { g, v, as } = parameters;
    if (as === undefined) return undefined;
    if (g === 'apidiscovery.k8s.io' && as === 'APIGroupDiscoveryList' && (v === 'v2' || v === 'v2beta1')) return v;
  }
  return undefined;
}

function groupBody({ group, versions }: GroupVersions): object {
  const listed = versions.map((version) => ({ groupVersion: `${group}/${version}`, version }));
  return { name: group, versions: listed, preferredVersion: listed[0] };
}

function resourceBody(resolved: ResolvedKind): object {
  const { kind } = resolved;
  const { plural, singular, namespaced } = kind;
  return {
    name: plural,
    singularName: singular,
    namespaced,
    kind: kind.kind,
    verbs: verbsOf(kind),
    ...otherNames(resolved),
  };
}

/** Short names and categories; not of a former home of the kind, or `kubectl get all` would show its objects twice. */
function otherNames({ kind: { shortNames, categories }, version }: ResolvedKind): {
  shortNames?: string[];
  categories?: string[];
} {
  if (version.group !== undefined && version.deprecation) return {};
  return { ...(shortNames?.length ? { shortNames } : {}), ...(categories?.length ? { categories } : {}) };
}

function subresourceBodies({ kind }: ResolvedKind): object[] {
  return subresourcesOf(kind).map((name) => {
    const { plural, namespaced } = kind;
    return { name: `${plural}/${name}`, singularName: '', namespaced, ...subresourceForm(kind, name) };
  });
}

function aggregatedResource(resolved: ResolvedKind): object {
  const { kind, version } = resolved;
  const { plural, singular, namespaced } = kind;
  return {
    resource: plural,
    responseKind: { group: groupOf(kind, version), version: version.name, kind: kind.kind },
    scope: namespaced ? 'Namespaced' : 'Cluster',
    singularResource: singular,
    verbs: verbsOf(kind),
    ...otherNames(resolved),
    subresources: subresourcesOf(kind).map((name) => {
      const form = subresourceForm(kind, name);
      const responseKind = {
        group: form.group ?? groupOf(kind, version),
        version: form.version ?? version.name,
        kind: form.kind,
      };
      return { subresource: name, responseKind, verbs: form.verbs };
    }),
  };
}
