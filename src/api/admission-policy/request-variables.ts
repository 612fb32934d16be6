/** Values of what expressions about a write can name; their types are in declarations.ts. */
import { CelAuthorizer, type CelAuthorizerAnswer, type CelAuthorizerQuestion, CelResourceCheck } from '../../cel/index.ts';
import { groupOf, type KindVersion } from '../../machinery/kind.ts';
import { type FieldRequirement, parseFieldSelector } from '../../machinery/selectors.ts';
import { StatusError } from '../../machinery/status.ts';
import type { KubeObject } from '../../machinery/types.ts';
import type { AdmissionRequest } from '../admission/types.ts';
import type { Authorizer } from '../authorization.ts';
import { serviceAccountUserName } from '../rbac/role-index.ts';
import { fromStorage } from '../stored-objects.ts';
import type { User } from '../types.ts';

export interface RequestFacts {
  request: AdmissionRequest;
  /** The version in which the objects are shown. */
  version: KindVersion;
  authorizer: Authorizer;
}

/** The objects of the request in a version; a subresource's own form stays as it is. */
export function objectsIn({ request, version }: Pick<RequestFacts, 'request' | 'version'>): {
  object: KubeObject | undefined;
  oldObject: KubeObject | undefined;
} {
  const resolved = { kind: request.target.resolved.kind, version };
  const shown = (object: KubeObject | undefined) =>
    object?.kind === resolved.kind.kind ? fromStorage(resolved, object) : object;
  return { object: shown(request.object), oldObject: shown(request.oldObject) };
}

/** Values of the variables; those that are not in the declarations of an expression are never made. */
export function requestValues(facts: RequestFacts): Record<string, unknown> {
  const { request, authorizer } = facts;
  const { object, oldObject } = objectsIn(facts);
  const { user, resolved, namespace, name, subresource } = request.target;
  const root = () => new CelAuthorizer((question) => answer(authorizer, user, question));
  return {
    object: object ?? null,
    oldObject: oldObject ?? null,
    request: () => requestValue(facts),
    authorizer: root,
    'authorizer.requestResource': () =>
      new CelResourceCheck(root(), {
        group: resolved.kind.group,
        resource: resolved.kind.plural,
        subresource: subresource ?? '',
        namespace: namespace ?? '',
        name: name ?? '',
      }),
  };
}

function requestValue({ request, version }: RequestFacts): Record<string, unknown> {
  const { operation, target, object, oldObject, dryRun, options } = request;
  const { resolved, namespace, name, subresource = '', user } = target;
  const { kind } = resolved;
  const kindIn = (at: KindVersion) => ({
    group: groupOf(kind, at),
    version: at.name,
    kind: ownKind(object ?? oldObject) ?? kind.kind,
  });
  const resourceIn = (at: KindVersion) => ({ group: groupOf(kind, at), version: at.name, resource: kind.plural });
  const { warnings: _, ...told } = options as Record<string, unknown>;
  return {
    kind: kindIn(version),
    resource: resourceIn(version),
    subResource: subresource,
    requestKind: kindIn(resolved.version),
    requestResource: resourceIn(resolved.version),
    requestSubResource: subresource,
    name: name ?? '',
    // A namespace is in itself.
    namespace: (kind.group === '' && kind.kind === 'Namespace' ? name : namespace) ?? '',
    operation,
    userInfo: { username: user.name, uid: user.uid ?? '', groups: user.groups, extra: user.extra ?? {} },
    dryRun,
    options: told,
  };
}

const ownKind = (object: KubeObject | undefined) => object?.kind;

function answer(authorizer: Authorizer, user: User, question: CelAuthorizerQuestion): CelAuthorizerAnswer {
  const { serviceAccount, verb } = question;
  const asked = serviceAccount ? serviceAccountUser(serviceAccount) : user;
  if ('path' in question) return authorizer.decidePath({ user: asked, verb, path: question.path });
  const { group, resource, subresource, namespace, name, fieldSelector } = question;
  return authorizer.decide({
    user: asked,
    verb,
    group,
    resource,
    subresource: subresource || undefined,
    namespace: namespace || undefined,
    name: name || undefined,
    fieldSelector: requirementsOf(fieldSelector),
  });
}

/** One that says nothing narrows nothing. */
function requirementsOf(text: string): FieldRequirement[] {
  try {
    return parseFieldSelector(text);
  } catch (error) {
    if (error instanceof StatusError) return [];
    throw error;
  }
}

function serviceAccountUser({ namespace, name }: { namespace: string; name: string }): User {
  const groups = ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'];
  return { name: serviceAccountUserName(namespace, name), groups };
}
