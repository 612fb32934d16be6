/**
 * Acting as somebody else: Impersonate-User, -Group, -Uid and -Extra-* headers name the whole user that the request is to be
 * by. Each part needs the verb `impersonate` on what it names.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { internalError } from '../machinery/status.ts';
import { anonymous, authenticatedGroup } from './authentication.ts';
import { type Authorizer, demandAccess } from './authorization.ts';
import { serviceAccountGroups } from './tokens/service-account-tokens.ts';
import type { User } from './types.ts';

const extraPrefix = 'impersonate-extra-';
const accountPattern = /^system:serviceaccount:([^:]+):([^:]+)$/;
const authentication = 'authentication.k8s.io';

type DistinctHeaders = Record<string, string[]>;

/** Who the request is by. StatusError 403 when `user` may not be them. */
export function impersonated(user: User, rawHeaders: readonly string[], authorizer: Authorizer): User {
  const headers = distinct(rawHeaders);
  const name = headers['impersonate-user']?.[0] ?? '';
  const groups = headers['impersonate-group'] ?? [];
  const uid = headers['impersonate-uid']?.[0] ?? '';
  const extra = extraOf(headers);
  const others = groups.length > 0 || uid !== '' || Object.keys(extra).length > 0;
  if (name === '') {
    if (others) throw internalError('requested to impersonate groups, uid or extra without impersonating a user');
    return user;
  }
  const demand = (group: string, resource: string, of: { name: string; namespace?: string; subresource?: string }) =>
    demandAccess(authorizer, { user, verb: 'impersonate', group, resource, ...of });
  const [, namespace, account] = accountPattern.exec(name) ?? [];
  if (namespace && account) demand('', 'serviceaccounts', { namespace, name: account });
  else demand('', 'users', { name });
  for (const group of groups) demand('', 'groups', { name: group });
  for (const [key, values] of Object.entries(extra)) {
    for (const value of values) demand(authentication, 'userextras', { subresource: key, name: value });
  }
  if (uid !== '') demand(authentication, 'uids', { name: uid });
  const own = groups.length > 0 || !namespace ? groups : serviceAccountGroups(namespace);
  const everybody = name === anonymous.name ? anonymous.groups : [authenticatedGroup];
  return { name, groups: [...new Set([...own, ...everybody])], ...(uid ? { uid } : {}), extra };
}

/** Names and values in turn, as Node gives them before it joins those that repeat. */
function distinct(rawHeaders: readonly string[]): DistinctHeaders {
  const headers: DistinctHeaders = {};
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]?.toLowerCase() ?? '';
    headers[name] = [...(headers[name] ?? []), rawHeaders[i + 1] ?? ''];
  }
  return headers;
}

function extraOf(headers: DistinctHeaders): Record<string, string[]> {
  const extra: Record<string, string[]> = {};
  for (const [header, values] of Object.entries(headers)) {
    if (header.startsWith(extraPrefix)) extra[unescaped(header.slice(extraPrefix.length))] = values;
  }
  return extra;
}

/** Keys are percent-encoded where a header's name may not hold a character. */
function unescaped(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    // Not an escape: taken as it stands.
    return key;
  }
}

/** True when a request means to be somebody else's; the usual one is not looked at further. */
export function impersonates(headers: IncomingHttpHeaders): boolean {
  return Object.keys(headers).some((header) => header.startsWith('impersonate-'));
}
