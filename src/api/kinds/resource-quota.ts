/** ResourceQuota: what all objects of a namespace may have together. */
import type { KindDefinition } from '../../machinery/kind.ts';
import type { ResourceQuota } from '../../machinery/kind-types.ts';
import { validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Subdomain, isQualifiedName } from '../../machinery/names.ts';
import { canonicalizeQuantities } from '../../machinery/pod-defaults.ts';
import type { FieldError } from '../../machinery/status.ts';
import { ageColumn, column, nameColumn } from './columns.ts';
import { checkQuantity, invalidValue, invalidWhen, required, sameJson } from './field-errors.ts';

type Amounts = Record<string, string>;
type Spec = NonNullable<ResourceQuota['spec']>;

const standard = new Set([
  'cpu',
  'memory',
  'ephemeral-storage',
  'storage',
  'pods',
  'services',
  'replicationcontrollers',
  'resourcequotas',
  'secrets',
  'configmaps',
  'persistentvolumeclaims',
  'services.nodeports',
  'services.loadbalancers',
]);
const scopes = ['Terminating', 'NotTerminating', 'BestEffort', 'NotBestEffort', 'PriorityClass', 'CrossNamespacePodAffinity'];
const exclusive = [
  ['BestEffort', 'NotBestEffort'],
  ['Terminating', 'NotTerminating'],
] as const;

export const resourceQuotaKind: KindDefinition<ResourceQuota> = {
  group: '',
  kind: 'ResourceQuota',
  plural: 'resourcequotas',
  singular: 'resourcequota',
  shortNames: ['quota'],
  namespaced: true,
  versions: [{ name: 'v1', schema: 'core.v1.ResourceQuota' }],
  hasStatus: true,
  generationFields: [],

  setDefaults({ spec, status }) {
    canonicalizeQuantities(spec?.hard);
    canonicalizeQuantities(status?.hard);
    canonicalizeQuantities(status?.used);
  },

  prepare(next, _previous, { creating }) {
    if (creating) next.status = {};
  },

  validate: ({ metadata, spec }) => [
    ...validateMetadata(metadata, { namespaced: true, nameCheck: isDns1123Subdomain }),
    ...validateAmounts(spec?.hard, 'spec.hard'),
    ...validateScopes(spec ?? {}),
  ],

  validateUpdate(next, previous) {
    const sorted = (quota: ResourceQuota) => [...(quota.spec?.scopes ?? [])].sort();
    return sameJson(sorted(next), sorted(previous))
      ? []
      : [invalidValue('spec.scopes', next.spec?.scopes ?? [], 'field is immutable')];
  },

  validateStatusUpdate: ({ status }) => [
    ...validateAmounts(status?.hard, 'status.hard'),
    ...validateAmounts(status?.used, 'status.used'),
  ],

  columns: [
    nameColumn,
    column('Request', (quota) => usage(quota, (name) => !name.startsWith('limits.')), 'What is asked for, and what may be.'),
    column('Limit', (quota) => usage(quota, (name) => name.startsWith('limits.')), 'The sum of limits, and what it may be.'),
    ageColumn,
  ],
};

function usage({ status }: ResourceQuota, chosen: (name: string) => boolean): string {
  const names = Object.keys(status?.hard ?? {}).filter(chosen);
  return names
    .sort()
    .map((name) => `${name}: ${status?.used?.[name] ?? '0'}/${status?.hard?.[name]}`)
    .join(', ');
}

function validateAmounts(amounts: Amounts | undefined, path: string): FieldError[] {
  return Object.entries(amounts ?? {}).flatMap(([name, amount]) => {
    const at = `${path}[${name}]`;
    const errors = invalidWhen(at, name, isQualifiedName);
    const plain = name.replace(/^(requests|limits)\./, '');
    if (errors.length === 0 && !name.includes('/') && !standard.has(plain) && !plain.startsWith('hugepages-')) {
      errors.push(invalidValue(at, name, 'must be a standard resource for quota'));
    }
    return [...errors, ...checkQuantity(at, amount)];
  });
}

function validateScopes({ scopes: given = [], scopeSelector }: Spec): FieldError[] {
  const errors: FieldError[] = [];
  for (const scope of given) {
    if (!scopes.includes(scope)) errors.push(invalidValue('spec.scopes', given, 'unsupported scope'));
  }
  if (exclusive.some(([a, b]) => given.includes(a) && given.includes(b))) {
    errors.push(invalidValue('spec.scopes', given, 'conflicting scopes'));
  }
  const path = 'spec.scopeSelector.matchExpressions';
  for (const { scopeName, operator, values = [] } of scopeSelector?.matchExpressions ?? []) {
    if (!scopes.includes(scopeName)) errors.push(invalidValue(`${path}.scopeName`, scopeName ?? '', 'unsupported scope'));
    if (operator === 'In' || operator === 'NotIn') {
      const detail = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
      if (values.length === 0) errors.push(required(`${path}.values`, detail));
    } else if (operator === 'Exists' || operator === 'DoesNotExist') {
      const detail = "must be no value when `operator` is 'Exists' or 'DoesNotExist' for scope selector";
      if (values.length > 0) errors.push(invalidValue(`${path}.values`, values, detail));
    } else errors.push(invalidValue(`${path}.operator`, operator ?? '', 'not a valid selector operator'));
  }
  return errors;
}
