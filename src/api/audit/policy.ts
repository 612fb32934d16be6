/**
 * Audit policies (audit.k8s.io/v1 Policy): which request is told of, in how much detail, at which stages. The first rule that
 * matches decides; without one nothing is told. Pure. Source: Kubernetes documentation, "Auditing", and the type's reference.
 */
import { isRecord } from '../object-input.ts';
import type { User } from '../types.ts';

export const levels = ['None', 'Metadata', 'Request', 'RequestResponse'] as const;
export type AuditLevel = (typeof levels)[number];
export const stages = ['RequestReceived', 'ResponseStarted', 'ResponseComplete', 'Panic'] as const;
export type AuditStage = (typeof stages)[number];

/** Also a bound of what one request costs. */
const rulesMax = 500;

export interface AuditRule {
  level: AuditLevel;
  users: string[];
  userGroups: string[];
  verbs: string[];
  resources: { group: string; resources: string[]; resourceNames: string[] }[];
  /** '' is the requests without a namespace. */
  namespaces: string[];
  nonResourceURLs: string[];
  omitStages: AuditStage[];
  omitManagedFields: boolean;
}

export interface AuditPolicy {
  rules: AuditRule[];
}

/** What a rule looks at. */
export interface AuditAttributes {
  user: User | undefined;
  verb: string;
  path: string;
  resource?: { group: string; resource: string; subresource: string; namespace: string; name: string };
}

export interface AuditDecision {
  level: AuditLevel;
  omitStages: readonly AuditStage[];
  omitManagedFields: boolean;
}

/** What is told when nothing else is asked for: who did what, without bodies. */
export const metadataPolicy: AuditPolicy = {
  rules: [
    {
      ...{ level: 'Metadata', users: [], userGroups: [], verbs: [], resources: [], namespaces: [], nonResourceURLs: [] },
      omitStages: ['RequestReceived'],
      omitManagedFields: false,
    },
  ],
};

export function decide({ rules }: AuditPolicy, attributes: AuditAttributes): AuditDecision {
  return rules.find((rule) => matches(rule, attributes)) ?? { level: 'None', omitStages: [], omitManagedFields: false };
}

function matches(rule: AuditRule, { user, verb, path, resource }: AuditAttributes): boolean {
  if (rule.users.length > 0 && !rule.users.includes(user?.name ?? '')) return false;
  if (rule.userGroups.length > 0 && !rule.userGroups.some((group) => user?.groups.includes(group))) return false;
  if (rule.verbs.length > 0 && !rule.verbs.includes('*') && !rule.verbs.includes(verb)) return false;
  if (rule.resources.length > 0 || rule.namespaces.length > 0) return resource !== undefined && matchesResource(rule, resource);
  if (rule.nonResourceURLs.length > 0) return resource === undefined && rule.nonResourceURLs.some((url) => matchesUrl(url, path));
  return true;
}

function matchesResource(rule: AuditRule, asked: NonNullable<AuditAttributes['resource']>): boolean {
  if (rule.namespaces.length > 0 && !rule.namespaces.includes(asked.namespace)) return false;
  if (rule.resources.length === 0) return true;
  const { resource, subresource } = asked;
  return rule.resources.some(({ group, resources, resourceNames }) => {
    if (group !== asked.group) return false;
    if (resourceNames.length > 0 && !resourceNames.includes(asked.name)) return false;
    if (resources.length === 0) return true;
    const full = subresource ? `${resource}/${subresource}` : resource;
    return resources.some((wanted) => [full, '*', `${resource}/*`, `*/${subresource || '*'}`].includes(wanted));
  });
}

function matchesUrl(url: string, path: string): boolean {
  return url === '*' || url === path || (url.endsWith('*') && path.startsWith(url.slice(0, -1)));
}

/** Gives the policy, or every problem with its path. */
export function parsePolicy(value: unknown): { policy: AuditPolicy; problems: string[] } {
  const problems: string[] = [];
  const fields = isRecord(value) ? value : {};
  if (fields.apiVersion !== 'audit.k8s.io/v1' || fields.kind !== 'Policy') {
    problems.push('apiVersion and kind must be audit.k8s.io/v1 and Policy');
  }
  unknownFields(fields, ['apiVersion', 'kind', 'metadata', 'rules', 'omitStages', 'omitManagedFields'], '', problems);
  const omitStages = stageList(fields.omitStages, 'omitStages', problems);
  const rules = Array.isArray(fields.rules) ? fields.rules : [];
  if (rules.length === 0) problems.push('rules must name at least one rule');
  if (rules.length > rulesMax) problems.push(`rules must be at most ${rulesMax}`);
  const parsed = rules.slice(0, rulesMax).map((rule, index) => parseRule(rule, `rules[${index}]`, problems));
  const common = fields.omitManagedFields === true;
  return {
    policy: {
      rules: parsed.map((rule) => ({
        ...rule,
        omitStages: [...new Set([...omitStages, ...rule.omitStages])],
        omitManagedFields: rule.omitManagedFields ?? common,
      })),
    },
    problems,
  };
}

const ruleFields = ['level', 'users', 'userGroups', 'verbs', 'resources', 'namespaces', 'nonResourceURLs', 'omitStages'];

function parseRule(value: unknown, at: string, problems: string[]) {
  const rule = isRecord(value) ? value : {};
  unknownFields(rule, [...ruleFields, 'omitManagedFields'], `${at}.`, problems);
  const level = levels.find((known) => known === rule.level);
  if (!level) problems.push(`${at}.level must be one of ${levels.join(', ')}`);
  const names = (field: string) => texts(rule[field], `${at}.${field}`, problems);
  const nonResourceURLs = names('nonResourceURLs');
  const resources = (Array.isArray(rule.resources) ? rule.resources : []).map((entry: unknown, index) => {
    const where = `${at}.resources[${index}]`;
    const { group = '', resources: of, resourceNames, ...others } = isRecord(entry) ? entry : {};
    unknownFields(others, [], `${where}.`, problems);
    if (typeof group !== 'string') problems.push(`${where}.group must be text`);
    const one = {
      group: String(group),
      resources: texts(of, `${where}.resources`, problems),
      resourceNames: texts(resourceNames, `${where}.resourceNames`, problems),
    };
    if (one.resourceNames.length > 0 && one.resources.length === 0) {
      problems.push(`${where}.resourceNames needs resources`);
    }
    return one;
  });
  for (const [index, url] of nonResourceURLs.entries()) {
    if (url !== '*' && (!url.startsWith('/') || url.slice(0, -1).includes('*'))) {
      problems.push(`${at}.nonResourceURLs[${index}] must begin with / and may have * only at its end`);
    }
  }
  const namespaces = names('namespaces');
  if (nonResourceURLs.length > 0 && (resources.length > 0 || namespaces.length > 0)) {
    problems.push(`${at} cannot name both resources and nonResourceURLs`);
  }
  return {
    ...{ level: level ?? ('None' as const), users: names('users'), userGroups: names('userGroups'), verbs: names('verbs') },
    ...{ resources, namespaces, nonResourceURLs, omitStages: stageList(rule.omitStages, `${at}.omitStages`, problems) },
    omitManagedFields: typeof rule.omitManagedFields === 'boolean' ? rule.omitManagedFields : undefined,
  };
}

function texts(value: unknown, at: string, problems: string[]): string[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value) && value.every((entry) => typeof entry === 'string')) return value;
  problems.push(`${at} must be a list of texts`);
  return [];
}

function stageList(value: unknown, at: string, problems: string[]): AuditStage[] {
  return texts(value, at, problems).filter((stage): stage is AuditStage => {
    const known = (stages as readonly string[]).includes(stage);
    if (!known) problems.push(`${at} must be of ${stages.join(', ')}`);
    return known;
  });
}

function unknownFields(fields: Record<string, unknown>, known: string[], at: string, problems: string[]): void {
  for (const name of Object.keys(fields)) if (!known.includes(name)) problems.push(`${at}${name} is not known`);
}
