/**
 * Whether some rules give everything that others give, and if not, what is missing: nobody may give away what they do not
 * have. Pure.
 */
import { ruleText } from '../../machinery/aggregation.ts';
import type { PolicyRule } from '../../machinery/types.ts';
import { pathCovers } from './rules.ts';

/** Lists of a rule multiply; what comes after so many pieces is not checked, and so counts as missing. */
const piecesMax = 20_000;

/** What of `wanted` no single one of `owned` gives, in the smallest pieces. */
export function missingRules(owned: readonly PolicyRule[], wanted: readonly PolicyRule[]): PolicyRule[] {
  const missing: PolicyRule[] = [];
  let count = 0;
  for (const rule of wanted) {
    for (const piece of pieces(rule)) {
      if (++count > piecesMax) return [...missing, piece];
      if (!owned.some((candidate) => covers(candidate, piece))) missing.push(piece);
    }
  }
  return missing;
}

/** A rule as rules of one verb on one resource (with at most one name) or one path. */
function* pieces(rule: PolicyRule): Generator<PolicyRule> {
  const { apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [], verbs } = rule;
  const names = resourceNames.length > 0 ? resourceNames.map((name) => [name]) : [undefined];
  for (const group of apiGroups) {
    for (const resource of resources) {
      for (const verb of verbs) {
        for (const name of names) {
          yield { apiGroups: [group], resources: [resource], ...(name ? { resourceNames: name } : {}), verbs: [verb] };
        }
      }
    }
  }
  for (const path of nonResourceURLs) for (const verb of verbs) yield { nonResourceURLs: [path], verbs: [verb] };
}

function covers(rule: PolicyRule, piece: PolicyRule): boolean {
  if (!coversAll(rule.verbs, piece.verbs)) return false;
  const [path] = piece.nonResourceURLs ?? [];
  if (path !== undefined) return (rule.nonResourceURLs ?? []).some((pattern) => pathCovers(pattern, path));
  return (
    coversAll(rule.apiGroups, piece.apiGroups) &&
    coversResources(rule.resources ?? [], piece.resources ?? []) &&
    coversNames(rule.resourceNames ?? [], piece.resourceNames ?? [])
  );
}

function coversAll(owned: string[] = [], wanted: string[] = []): boolean {
  return owned.includes('*') || wanted.every((value) => owned.includes(value));
}

function coversResources(owned: string[], wanted: string[]): boolean {
  if (coversAll(owned, wanted)) return true;
  return wanted.every((resource) => {
    const slash = resource.indexOf('/');
    return owned.includes(resource) || (slash >= 0 && owned.includes(`*${resource.slice(slash)}`));
  });
}

/** No names: all of them. */
function coversNames(owned: string[], wanted: string[]): boolean {
  if (owned.length === 0) return true;
  return wanted.length > 0 && wanted.every((name) => owned.includes(name));
}

/** One line for each rule, the verbs of one resource gathered, sorted. */
export function describeRules(rules: readonly PolicyRule[]): string[] {
  const gathered = new Map<string, PolicyRule>();
  for (const rule of rules) {
    const key = rule.nonResourceURLs ? ruleText(rule) : ruleText({ ...rule, verbs: [] });
    const known = gathered.get(key);
    if (known) known.verbs = [...known.verbs, ...rule.verbs];
    else gathered.set(key, { ...rule });
  }
  return [...gathered.values()].map(describe).sort();
}

function describe({ apiGroups, resources, nonResourceURLs, resourceNames, verbs }: PolicyRule): string {
  const parts: [string, string[] | undefined][] = [
    ['APIGroups', apiGroups],
    ['Resources', resources],
    ['NonResourceURLs', nonResourceURLs],
    ['ResourceNames', resourceNames],
    ['Verbs', verbs],
  ];
  const shown = parts.flatMap(([name, values]) => (values?.length ? [`${name}:${quoteList(values)}`] : []));
  return `{${shown.join(', ')}}`;
}

/** `["a" "b"]`, as Kubernetes prints lists in sentences. */
export function quoteList(values: readonly string[]): string {
  return `[${values.map((value) => JSON.stringify(value)).join(' ')}]`;
}
