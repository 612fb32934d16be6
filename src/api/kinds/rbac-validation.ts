/** What the four kinds of role-based access control share: rules, subjects, references. Source: the API reference, RBAC. */
import type { KindVersion } from '../../machinery/kind.ts';
import { isDns1123Subdomain } from '../../machinery/names.ts';
import type { FieldError } from '../../machinery/status.ts';
import type { PolicyRule, RoleRef, Subject } from '../../machinery/types.ts';
import { invalidValue, invalidWhen, required, sameJson, unsupported } from './field-errors.ts';
import { oldVersion } from './old-versions.ts';

export const rbacGroup = 'rbac.authorization.k8s.io';
/** The form is the present one. */
export function firstRbac(kind: string): KindVersion {
  return oldVersion(rbacGroup, {
    name: 'v1beta1',
    schema: `rbac.v1beta1.${kind}`,
    releases: ['1.17', '1.22'],
    use: `${rbacGroup}/v1 ${kind}`,
  });
}

const subjectKinds = ['ServiceAccount', 'User', 'Group'];

/** Names of roles and bindings may hold what other names may not (`system:node`), but must fit into a path. */
export function isPathSegment(name: string): string[] {
  if (name === '.' || name === '..') return [`may not be '${name}'`];
  return ['/', '%'].filter((character) => name.includes(character)).map((character) => `may not contain '${character}'`);
}

export function validateRules(rules: PolicyRule[] | undefined, options: { namespaced: boolean }): FieldError[] {
  return (rules ?? []).flatMap((rule, index) => validateRule(rule, `rules[${index}]`, options));
}

function validateRule(rule: PolicyRule, path: string, { namespaced }: { namespaced: boolean }): FieldError[] {
  const { verbs = [], apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] } = rule;
  const errors: FieldError[] = [];
  if (verbs.length === 0) errors.push(required(`${path}.verbs`, 'verbs must contain at least one value'));
  if (nonResourceURLs.length > 0) {
    const at = `${path}.nonResourceURLs`;
    if (namespaced) errors.push(invalidValue(at, nonResourceURLs, 'namespaced rules cannot apply to non-resource URLs'));
    if (apiGroups.length + resources.length + resourceNames.length > 0) {
      const detail = 'rules cannot apply to both regular resources and non-resource URLs';
      errors.push(invalidValue(at, nonResourceURLs, detail));
    }
    return errors;
  }
  if (apiGroups.length === 0) errors.push(required(`${path}.apiGroups`, 'resource rules must supply at least one api group'));
  if (resources.length === 0) errors.push(required(`${path}.resources`, 'resource rules must supply at least one resource'));
  return errors;
}

export interface Binding {
  roleRef: RoleRef;
  subjects?: Subject[];
}

export function setBindingDefaults(binding: Binding): void {
  if (binding.roleRef) binding.roleRef.apiGroup ||= rbacGroup;
  for (const subject of binding.subjects ?? []) {
    if (!subject.apiGroup && (subject.kind === 'User' || subject.kind === 'Group')) subject.apiGroup = rbacGroup;
  }
}

export function validateBinding({ roleRef, subjects }: Binding, options: { namespaced: boolean }): FieldError[] {
  const { apiGroup = '', kind = '', name = '' } = roleRef ?? {};
  const errors: FieldError[] = [];
  if (apiGroup !== rbacGroup) errors.push(unsupported('roleRef.apiGroup', apiGroup, [rbacGroup]));
  const kinds = options.namespaced ? ['Role', 'ClusterRole'] : ['ClusterRole'];
  if (!kinds.includes(kind)) errors.push(unsupported('roleRef.kind', kind, kinds));
  if (name === '') errors.push(required('roleRef.name'));
  else errors.push(...invalidWhen('roleRef.name', name, isPathSegment));
  return [...errors, ...(subjects ?? []).flatMap((subject, index) => validateSubject(subject, `subjects[${index}]`, options))];
}

function validateSubject(subject: Subject, path: string, { namespaced }: { namespaced: boolean }): FieldError[] {
  const { kind, name = '', apiGroup = '', namespace = '' } = subject;
  const errors = name === '' ? [required(`${path}.name`)] : [];
  if (kind === 'ServiceAccount') {
    if (name !== '') errors.push(...invalidWhen(`${path}.name`, name, isDns1123Subdomain));
    if (apiGroup !== '') errors.push(unsupported(`${path}.apiGroup`, apiGroup, ['']));
    if (!namespaced && namespace === '') errors.push(required(`${path}.namespace`));
  } else if (kind === 'User' || kind === 'Group') {
    if (apiGroup !== rbacGroup) errors.push(unsupported(`${path}.apiGroup`, apiGroup, [rbacGroup]));
  } else errors.push(unsupported(`${path}.kind`, kind ?? '', subjectKinds));
  return errors;
}

/** A binding to another role is another binding. */
export function validateRoleRefUpdate(next: Binding, previous: Binding): FieldError[] {
  return sameJson(next.roleRef, previous.roleRef) ? [] : [invalidValue('roleRef', next.roleRef, 'cannot change roleRef')];
}

export const roleText = ({ roleRef }: Binding): string => `${roleRef.kind}/${roleRef.name}`;

/** The binding's subjects of one kind, as `kubectl get -o wide` lists them. */
export function subjectsText({ subjects }: Binding, kind: string): string {
  return (subjects ?? [])
    .filter((subject) => subject.kind === kind)
    .map(({ name, namespace }) => (kind === 'ServiceAccount' ? `${namespace ?? ''}/${name}` : name))
    .join(', ');
}
