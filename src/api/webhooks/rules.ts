/** Which writes a webhook is asked about. Pure. */
import { groupOf, type KindDefinition, type KindVersion } from '../../machinery/kind.ts';
import { labelSelectorMatches } from '../../machinery/selectors.ts';
import type { KubeObject, LabelSelector } from '../../machinery/types.ts';
import type { Webhook } from './types.ts';

type Rule = NonNullable<Webhook['rules']>[number];

export interface Asked {
  operation: string;
  kind: KindDefinition;
  /** The version that the caller used. */
  version: KindVersion;
  subresource: string | undefined;
  namespace: string | undefined;
}

/** Configurations of admission are never shown to webhooks: else nobody could mend one that refuses everything. */
export function isExempt({ group, plural }: KindDefinition): boolean {
  return (
    group === 'admissionregistration.k8s.io' &&
    /^(validating|mutating)(webhookconfigurations|admissionpolic(ies|ybindings))$/.test(plural)
  );
}

/**
 * The version of the kind in which the webhook wants to see it: the caller's when a rule names that, else (matchPolicy
 * Equivalent) another one in which the same objects are served. Undefined when no rule matches.
 */
export function matchingVersion(webhook: Webhook, asked: Asked): KindVersion | undefined {
  const rules = (webhook.rules ?? []).filter((rule) => matchesOtherwise(rule, asked));
  const matches = (version: KindVersion) => rules.some((rule) => namesVersion(rule, asked.kind, version));
  if (matches(asked.version)) return asked.version;
  return webhook.matchPolicy === 'Exact' ? undefined : asked.kind.versions.find(matches);
}

/** Whether any write of the kind could be one that the webhook is asked about. */
export function mayConcern(webhook: Webhook, kind: KindDefinition): boolean {
  return (webhook.rules ?? []).some(
    (rule) =>
      (rule.resources ?? []).some((name) => ['*', kind.plural].includes(name.split('/')[0] ?? '')) &&
      kind.versions.some((version) => namesVersion(rule, kind, version)),
  );
}

function namesVersion({ apiGroups = [], apiVersions = [] }: Rule, kind: KindDefinition, version: KindVersion): boolean {
  return includes(apiGroups, groupOf(kind, version)) && includes(apiVersions, version.name);
}

function matchesOtherwise(rule: Rule, { operation, kind, subresource = '' }: Asked): boolean {
  if (!includes(rule.operations ?? [], operation)) return false;
  if (rule.scope === 'Namespaced' && !kind.namespaced) return false;
  if (rule.scope === 'Cluster' && kind.namespaced) return false;
  return (rule.resources ?? []).some((name) => {
    const [resource = '', sub = ''] = name.split('/');
    return (resource === '*' || resource === kind.plural) && (sub === subresource || sub === '*');
  });
}

const includes = (names: string[], name: string) => names.includes('*') || names.includes(name);

/** Both labels of before and after count: an object cannot slip out of a rule by the write that the rule is about. */
export function objectMatches(selector: unknown, objects: (KubeObject | undefined)[]): boolean {
  if (selectsAll(selector)) return true;
  return objects.some((object) => object && labelSelectorMatches(selector as LabelSelector, object.metadata?.labels));
}

export function namespaceMatches(selector: unknown, labels: Record<string, string> | undefined): boolean {
  return selectsAll(selector) || labelSelectorMatches(selector as LabelSelector, labels);
}

function selectsAll(selector: unknown): boolean {
  const { matchLabels, matchExpressions } = (selector ?? {}) as LabelSelector;
  return Object.keys(matchLabels ?? {}).length === 0 && (matchExpressions ?? []).length === 0;
}
