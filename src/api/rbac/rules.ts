/** What a rule of a role allows. Pure. Source: the Kubernetes page "Using RBAC Authorization". */
import type { PolicyRule } from '../../machinery/types.ts';
import type { PathAttributes, ResourceAttributes } from '../authorization.ts';

const has = (list: string[] | undefined, value: string) => list !== undefined && (list.includes('*') || list.includes(value));

export function ruleAllowsResource(rule: PolicyRule, asked: Omit<ResourceAttributes, 'user'>): boolean {
  return (
    has(rule.verbs, asked.verb) &&
    has(rule.apiGroups, asked.group) &&
    resourceMatches(rule.resources ?? [], asked) &&
    nameMatches(rule.resourceNames ?? [], asked.name)
  );
}

export function ruleAllowsPath(rule: PolicyRule, asked: Omit<PathAttributes, 'user'>): boolean {
  return has(rule.verbs, asked.verb) && (rule.nonResourceURLs ?? []).some((pattern) => pathCovers(pattern, asked.path));
}

/** `pods` does not mean `pods/log`; `pods/log`, `*` + `/log` and `*` do. */
function resourceMatches(resources: string[], { resource, subresource }: { resource: string; subresource?: string }): boolean {
  if (has(resources, subresource ? `${resource}/${subresource}` : resource)) return true;
  return subresource !== undefined && subresource !== '' && resources.includes(`*/${subresource}`);
}

function nameMatches(names: string[], name: string | undefined): boolean {
  return names.length === 0 || names.includes(name ?? '');
}

/** A pattern may end in `*`. */
export function pathCovers(pattern: string, path: string): boolean {
  if (pattern === '*' || pattern === path) return true;
  return pattern.endsWith('*') && path.startsWith(pattern.replace(/\*+$/, ''));
}
