/** What a path means: a resource (and which of its objects and subresources), or one of the fixed paths. */
import type { KindTable, ResolvedKind } from '../kind-table.ts';
import { isNamespaceKind } from '../namespace-lifecycle.ts';

export interface ResourceRoute {
  group: string;
  version: string;
  /** Plural; may name no kind. */
  resource: string;
  resolved: ResolvedKind | undefined;
  namespace: string | undefined;
  name: string | undefined;
  subresource: string | undefined;
  /** The path had the old prefix `watch/`. */
  watch: boolean;
}

/** Undefined when the path is not below a group and version, or names no resource there. */
export function parseResourcePath(path: string, table: KindTable): ResourceRoute | undefined {
  const decoded: string[] = [];
  for (const part of path.split('/')) if (part !== '') decoded.push(decode(part));
  const core = decoded[0] === 'api';
  if (!core && decoded[0] !== 'apis') return undefined;
  const [group = '', version = ''] = core ? ['', decoded[1]] : [decoded[1], decoded[2]];
  let rest = decoded.slice(core ? 2 : 3);
  const watch = rest[0] === 'watch';
  if (watch) rest = rest.slice(1);
  if (rest.length === 0) return undefined;
  return { group, version, watch, ...locate(group, version, rest, table) };
}

function locate(group: string, version: string, rest: string[], table: KindTable) {
  const [first = '', second, third, fourth, fifth] = rest;
  const route = (resource: string, namespace?: string, name?: string, subresource?: string) => ({
    resource,
    resolved: table.find(group, version, resource),
    namespace,
    name,
    subresource,
  });
  const resolved = table.find(group, version, first);
  const namespaceItself = resolved !== undefined && isNamespaceKind(resolved.kind);
  const itsSubresource = third === 'status' || third === 'finalize';
  if (first === 'namespaces' && third !== undefined && !(namespaceItself && itsSubresource && fourth === undefined)) {
    return route(third, second, fourth, fifth);
  }
  // For the authorizer a namespace lies in itself, as in Kubernetes.
  return route(first, namespaceItself ? second : undefined, second, third);
}

function decode(part: string): string {
  if (!part.includes('%')) return part;
  try {
    return decodeURIComponent(part);
  } catch {
    // Not an escape: taken as it stands; no such name exists.
    return part;
  }
}

/** Kubernetes' verb for a request, as authorization and metrics know it. Undefined for methods that mean nothing here. */
export function verbOf(method: string, route: ResourceRoute, query: { watch: boolean }): string | undefined {
  switch (method) {
    case 'GET':
    case 'HEAD':
      if (route.name !== undefined && !route.watch) return 'get';
      return query.watch || route.watch ? 'watch' : 'list';
    case 'POST':
      return 'create';
    case 'PUT':
      return 'update';
    case 'PATCH':
      return 'patch';
    case 'DELETE':
      return route.name === undefined ? 'deletecollection' : 'delete';
    default:
      return undefined;
  }
}
