/**
 * Which kinds there are, found by the names that URLs, objects and our own code use: the built-in ones, and those that users have
 * defined, which come and go.
 */
import { compareVersions } from '../machinery/custom/definition.ts';
import { groupOf, type KindDefinition, type KindVersion, type Verb } from '../machinery/kind.ts';
import type { GroupResource } from '../machinery/status.ts';
import { ApiError } from './errors.ts';

/** A kind at one of its versions: what a URL names. */
export interface ResolvedKind {
  kind: KindDefinition;
  version: KindVersion;
}

export interface GroupVersions {
  group: string;
  /** Preferred first. */
  versions: string[];
}

const allVerbs: Verb[] = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];

/** One state of the table. */
class KindIndex {
  readonly byResource = new Map<string, ResolvedKind>();
  /** Versions that only our own code may use. */
  readonly unserved = new Map<string, ResolvedKind>();
  readonly groups = new Map<string, string[]>();
  /** Groups with at least one version of a kind that is not deprecated. */
  readonly current = new Set<string>();

  /** False when there is such a resource already. */
  add(kind: KindDefinition): boolean {
    let fresh = true;
    for (const version of kind.versions) {
      const group = groupOf(kind, version);
      const key = `${group}/${version.name}/${kind.plural}`;
      if (version.served === false) {
        if (version === kind.versions[0]) this.unserved.set(key, { kind, version });
        continue;
      }
      if (this.byResource.has(key)) {
        fresh = false;
        continue;
      }
      const versions = this.groups.get(group) ?? [];
      this.groups.set(group, versions);
      if (!version.deprecation) this.current.add(group);
      this.byResource.set(key, { kind, version });
      if (!versions.includes(version.name)) versions.push(version.name);
    }
    return fresh;
  }
}

export class KindTable {
  readonly #builtIn: readonly KindDefinition[];
  #custom: readonly KindDefinition[] = [];
  #index: KindIndex;
  #generation = 0;

  /** Throws ApiError 'DuplicateKind' when two kinds have the same group, version and plural name. */
  constructor(kinds: readonly KindDefinition[]) {
    this.#builtIn = kinds;
    this.#index = new KindIndex();
    for (const kind of kinds) {
      if (this.#index.add(kind)) continue;
      const key = `${kind.group}/${kind.plural}`;
      throw new ApiError('DuplicateKind', `two kinds are served as ${key}`, { key });
    }
  }

  /** Changes whenever the kinds do. */
  get generation(): number {
    return this.#generation;
  }

  get kinds(): readonly KindDefinition[] {
    return [...this.#builtIn, ...this.#custom];
  }

  /** The kinds that users have defined, one for each version. A built-in kind of the same name wins. */
  setCustom(kinds: readonly KindDefinition[]): void {
    this.#custom = kinds;
    this.#index = new KindIndex();
    for (const kind of this.kinds) this.#index.add(kind);
    const custom = new Set(kinds.map(({ group }) => group));
    const builtIn = new Set(this.#builtIn.flatMap((kind) => kind.versions.map((version) => groupOf(kind, version))));
    for (const [group, versions] of this.#index.groups) {
      if (custom.has(group) && !builtIn.has(group)) versions.sort(compareVersions);
    }
    this.#generation++;
  }

  find(group: string, version: string, plural: string): ResolvedKind | undefined {
    return this.#index.byResource.get(`${group}/${version}/${plural}`);
  }

  /** Also versions that are not served, for our own code. */
  findStored(group: string, version: string, plural: string): ResolvedKind | undefined {
    return this.find(group, version, plural) ?? this.#index.unserved.get(`${group}/${version}/${plural}`);
  }

  /** All kinds of one group at one version, in the order they were declared. */
  inVersion(group: string, version: string): ResolvedKind[] {
    return [...this.#index.byResource.values()].filter(
      ({ kind, version: candidate }) => groupOf(kind, candidate) === group && candidate.name === version,
    );
  }

  /**
   * The core group first, then by name; groups that hold nothing but deprecated versions last, since clients take a resource
   * that several groups serve from the first.
   */
  groups(): GroupVersions[] {
    return [...this.#index.groups]
      .map(([group, versions]) => ({ group, versions }))
      .sort((a, b) => this.#rank(a.group) - this.#rank(b.group) || (a.group < b.group ? -1 : a.group > b.group ? 1 : 0));
  }

  /** True for a group that holds nothing but deprecated versions. */
  isOld(group: string): boolean {
    return !this.#index.current.has(group);
  }

  #rank(group: string): number {
    return this.#index.current.has(group) ? 0 : 1;
  }
}

export function verbsOf(kind: KindDefinition): Verb[] {
  return kind.verbs ? [...kind.verbs].sort() : allVerbs;
}

/** Names the kind in error texts. */
export function groupResource(kind: KindDefinition): GroupResource {
  return { group: kind.group, resource: kind.plural };
}

/** The apiVersion of objects of this kind at this version. */
export function apiVersionOf({ kind, version }: ResolvedKind): string {
  const group = groupOf(kind, version);
  return group ? `${group}/${version.name}` : version.name;
}

export function isStorageVersion({ kind, version }: ResolvedKind): boolean {
  return kind.versions[0] === version;
}

/** All subresources of a kind, sorted. */
export function subresourcesOf(kind: KindDefinition): string[] {
  const names = new Set([...(kind.subresources ?? []), ...(kind.statusSubresources ?? [])]);
  if (kind.hasStatus) names.add('status');
  if (kind.scale) names.add('scale');
  return [...names].sort();
}

/** Subresources whose writes change the status and nothing else. */
export function statusSubresourcesOf(kind: KindDefinition): string[] {
  return [...(kind.hasStatus ? ['status'] : []), ...(kind.statusSubresources ?? [])];
}
