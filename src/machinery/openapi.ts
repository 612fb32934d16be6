/**
 * The OpenAPI v3 documents: an index, and one document for each group and version, made from the kinds' declarations and the generated
 * schemas. kubectl explains kinds from them and computes the patches of apply and diff.
 */
import { createHash } from 'node:crypto';
import { groupOf, type KindDefinition, type KindVersion } from './kind.ts';
import { kindPaths } from './openapi-paths.ts';
import { Components, type GroupVersionKind } from './openapi-schemas.ts';
import { schema, schemasDigest } from './schemas.ts';

const apiVersionServed = 'v1.33.0';

/** `v1` for the core group, else `apps/v1`. */
function groupVersions(kinds: KindDefinition[]): Map<string, KindDefinition[]> {
  const found = new Map<string, KindDefinition[]>();
  for (const kind of kinds) {
    for (const version of kind.versions) {
      if (version.served === false) continue;
      const groupVersion = pathOf(kind, version);
      found.set(groupVersion, [...(found.get(groupVersion) ?? []), kind]);
    }
  }
  return found;
}

/** Changes when the document would: with the types and with what the kinds declare. */
function documentHash(groupVersion: string, kinds: KindDefinition[], types: Buffer): string {
  const declared = kinds.map(({ group, kind, plural, namespaced, versions, verbs, hasStatus, scale, ...more }) => [
    [group, kind, plural, namespaced, versions.map((version) => [version.group, version.name, version.schema, version.openApi])],
    [verbs, hasStatus, more.subresources, more.statusSubresources, scale !== undefined],
  ]);
  const hash = createHash('sha256')
    .update(types)
    .update(JSON.stringify([apiVersionServed, groupVersion, declared]));
  return hash.digest('hex').slice(0, 64).toUpperCase();
}

export interface OpenApiIndex {
  paths: Record<string, { serverRelativeURL: string }>;
}

/** What `/openapi/v3` answers. */
export function openApiV3Index(kinds: KindDefinition[]): OpenApiIndex {
  const types = schemasDigest();
  const paths: OpenApiIndex['paths'] = {};
  for (const [groupVersion, members] of groupVersions(kinds)) {
    const path = groupVersion.includes('/') ? `apis/${groupVersion}` : `api/${groupVersion}`;
    paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${documentHash(groupVersion, members, types)}` };
  }
  return { paths };
}

/** Which kinds each schema stands for, with lists and the options that every group takes. */
function kindsOfSchemas(groupVersion: string, kinds: KindDefinition[]): Map<string, GroupVersionKind[]> {
  const [group, version] = groupVersion.includes('/') ? (groupVersion.split('/') as [string, string]) : ['', groupVersion];
  const found = new Map<string, GroupVersionKind[]>([
    ['meta.v1.Status', [{ group: '', kind: 'Status', version: 'v1' }]],
    ['meta.v1.DeleteOptions', [{ group, kind: 'DeleteOptions', version }]],
    ['autoscaling.v1.Scale', [{ group: 'autoscaling', kind: 'Scale', version: 'v1' }]],
    ['core.v1.Binding', [{ group: '', kind: 'Binding', version: 'v1' }]],
    ['policy.v1.Eviction', [{ group: 'policy', kind: 'Eviction', version: 'v1' }]],
    ['authentication.v1.TokenRequest', [{ group: 'authentication.k8s.io', kind: 'TokenRequest', version: 'v1' }]],
  ]);
  for (const kind of kinds) {
    for (const of of kind.versions) {
      const full = schema(of.schema)?.name;
      if (full === undefined) continue;
      const known = { group: groupOf(kind, of), version: of.name };
      found.set(full, [...(found.get(full) ?? []), { ...known, kind: kind.kind }]);
      found.set(`${full}List`, [...(found.get(`${full}List`) ?? []), { ...known, kind: `${kind.kind}List` }]);
    }
  }
  return found;
}

/** `stable.example.com`, `v1`, `CronTab` → `com.example.stable.v1.CronTab`. */
function customComponentName({ group, version, kind }: GroupVersionKind): string {
  return [...group.split('.').reverse(), version, kind].join('.');
}

/** `apps/v1` → `AppsV1`, `v1` → `CoreV1`. */
function idPrefix(groupVersion: string): string {
  const [group, version] = groupVersion.includes('/') ? (groupVersion.split('/') as [string, string]) : ['core', groupVersion];
  const name = group.split('.')[0]!;
  return [name, version].map((part) => part[0]!.toUpperCase() + part.slice(1)).join('');
}

/**
 * What `/openapi/v3/api/v1` or `/openapi/v3/apis/GROUP/VERSION` answers; `groupVersion` is `v1` or `apps/v1`. Large (the core group's has
 * about half a megabyte of text): keep its bytes, not the object. An unknown group and version gives a document without paths.
 */
export function openApiV3Document(groupVersion: string, kinds: KindDefinition[]): object {
  const members = groupVersions(kinds).get(groupVersion) ?? [];
  const components = new Components(kindsOfSchemas(groupVersion, members));
  const paths: Record<string, unknown> = {};
  for (const kind of members) {
    const version = kind.versions.find((candidate) => groupVersion === pathOf(kind, candidate))!;
    const gvk = { group: groupOf(kind, version), kind: kind.kind, version: version.name };
    if (version.openApi) components.define(version.schema, customComponentName(gvk), version.openApi, gvk);
    Object.assign(paths, kindPaths({ components, gvk, prefix: idPrefix(groupVersion), kind, version }));
  }
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: apiVersionServed },
    paths,
    components: { schemas: components.schemas },
  };
}

function pathOf(kind: KindDefinition, version: KindVersion): string {
  const group = groupOf(kind, version);
  return group === '' ? version.name : `${group}/${version.name}`;
}

/**
 * The whole OpenAPI v2 document in protobuf: only its version number. Clients before 1.29 ask for it before they apply, create or explain,
 * and are content with nothing in it, since the real documents are those of v3.
 */
export const openApiV2Protobuf: Buffer = Buffer.from([0x0a, 0x03, 0x32, 0x2e, 0x30]);
