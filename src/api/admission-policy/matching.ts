/** Which writes a policy or a binding is about. Pure. */
import { groupOf, type KindDefinition, type KindVersion } from '../../machinery/kind.ts';
import { labelSelectorMatches } from '../../machinery/selectors.ts';
import type { KubeObject, LabelSelector } from '../../machinery/types.ts';
import type { AdmissionRequest } from '../admission/types.ts';
import type { PolicySpec } from './expressions.ts';

type MatchResources = NonNullable<PolicySpec['matchConstraints']>;
type Rule = NonNullable<MatchResources['resourceRules']>[number];

/** Policies and their bindings are never asked about themselves: else nobody could mend one that refuses everything. */
export function isExempt({ group, plural }: KindDefinition): boolean {
  return group === 'admissionregistration.k8s.io' && /admissionpolic(ies|ybindings)$/.test(plural);
}

/**
 * The version in which the objects are to be seen, undefined when the write is not meant. `namespace` is the object of the
 * namespace that it happens in.
 */
export function matchedVersion(
  match: MatchResources | undefined,
  request: AdmissionRequest,
  namespace: KubeObject | undefined,
): KindVersion | undefined {
  const { resolved } = request.target;
  const { resourceRules, excludeResourceRules, matchPolicy, namespaceSelector, objectSelector } = match ?? {};
  if (!namespaceMatches(namespaceSelector as LabelSelector, request, namespace)) return undefined;
  if (!objectMatches(objectSelector as LabelSelector, request)) return undefined;
  const versions = matchPolicy === 'Exact' ? [resolved.version] : [resolved.version, ...resolved.kind.versions];
  const named = (rules: readonly Rule[]) => versions.find((version) => rules.some((rule) => ruleMatches(rule, request, version)));
  if (named(excludeResourceRules ?? [])) return undefined;
  return resourceRules?.length ? named(resourceRules) : resolved.version;
}

const includes = (names: readonly string[] | undefined, name: string) =>
  names !== undefined && (names.includes('*') || names.includes(name));

function ruleMatches(rule: Rule, { operation, target }: AdmissionRequest, version: KindVersion): boolean {
  const { kind } = target.resolved;
  if (!includes(rule.operations, operation)) return false;
  if (!includes(rule.apiGroups, groupOf(kind, version)) || !includes(rule.apiVersions, version.name)) return false;
  if (rule.scope === 'Namespaced' && !kind.namespaced) return false;
  if (rule.scope === 'Cluster' && kind.namespaced) return false;
  if (rule.resourceNames?.length && !rule.resourceNames.includes(target.name)) return false;
  return (rule.resources ?? []).some((name) => {
    const [resource, subresource = ''] = name.split('/');
    return (resource === '*' || resource === kind.plural) && (subresource === (target.subresource ?? '') || subresource === '*');
  });
}

function selectsAll(selector: LabelSelector | undefined): boolean {
  return Object.keys(selector?.matchLabels ?? {}).length === 0 && (selector?.matchExpressions ?? []).length === 0;
}

/** An object cannot slip out of a rule by the write that the rule is about: its labels of before and after both count. */
function objectMatches(selector: LabelSelector | undefined, { object, oldObject }: AdmissionRequest): boolean {
  if (selectsAll(selector)) return true;
  return [object, oldObject].some((one) => one !== undefined && labelSelectorMatches(selector, one.metadata?.labels));
}

function namespaceMatches(
  selector: LabelSelector | undefined,
  request: AdmissionRequest,
  namespace: KubeObject | undefined,
): boolean {
  if (selectsAll(selector)) return true;
  const { kind } = request.target.resolved;
  if (kind.group === '' && kind.kind === 'Namespace') {
    return labelSelectorMatches(selector, (request.object ?? request.oldObject)?.metadata?.labels);
  }
  return !kind.namespaced || labelSelectorMatches(selector, namespace?.metadata.labels);
}
