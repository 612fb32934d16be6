/** PodDisruptionBudget: how many pods of an application may be taken away at one time. */
import type { KindDefinition } from '../../machinery/kind.ts';
import type { PodDisruptionBudget } from '../../machinery/kind-types.ts';
import { validateLabelSelector, validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Subdomain } from '../../machinery/names.ts';
import type { FieldError } from '../../machinery/status.ts';
import type { KubeObject, LabelSelector } from '../../machinery/types.ts';
import { ageColumn, column, integerColumn, nameColumn } from './columns.ts';
import { amountOf, validateCountOrPercent } from './count-or-percent.ts';
import { checkNotNegative, checkOneOf, invalidValue, sameJson } from './field-errors.ts';
import { oldVersion } from './old-versions.ts';

type Spec = NonNullable<PodDisruptionBudget['spec']>;

const none = { currentHealthy: 0, desiredHealthy: 0, disruptionsAllowed: 0, expectedPods: 0 };
/** An empty selector chose nothing in v1beta1 and chooses everything since. */
const emptyKey = 'pdb.kubernetes.io/deprecated-v1beta1-empty-selector-match';
const nothing = { matchExpressions: [{ key: emptyKey, operator: 'Exists' }] };
const everything = { matchExpressions: [{ key: emptyKey, operator: 'DoesNotExist' }] };

export const podDisruptionBudgetKind: KindDefinition<PodDisruptionBudget> = {
  group: 'policy',
  kind: 'PodDisruptionBudget',
  plural: 'poddisruptionbudgets',
  singular: 'poddisruptionbudget',
  shortNames: ['pdb'],
  namespaced: true,
  versions: [
    { name: 'v1', schema: 'policy.v1.PodDisruptionBudget' },
    oldVersion('policy', {
      name: 'v1beta1',
      schema: 'policy.v1beta1.PodDisruptionBudget',
      releases: ['1.21', '1.25'],
      use: 'policy/v1 PodDisruptionBudget',
      toStorage: (object) => withSelector(object, { from: {}, to: nothing }, { from: everything, to: {} }),
      fromStorage: (object) => withSelector(object, { from: {}, to: everything }, { from: nothing, to: {} }),
    }),
  ],
  hasStatus: true,

  setDefaults({ status }) {
    if (status) Object.assign(status, { ...none, ...status });
  },

  prepare(next, _previous, { creating }) {
    if (creating) next.status = { ...none };
  },

  validate: ({ metadata, spec }) => [
    ...validateMetadata(metadata, { namespaced: true, nameCheck: isDns1123Subdomain }),
    ...validateSpec(spec ?? {}),
  ],

  validateStatusUpdate: ({ status }) =>
    (['disruptionsAllowed', 'currentHealthy', 'desiredHealthy', 'expectedPods'] as const).flatMap((name) =>
      checkNotNegative(`status.${name}`, status?.[name]),
    ),

  columns: [
    nameColumn,
    column('Min Available', ({ spec }) => String(spec?.minAvailable ?? 'N/A'), 'Pods that must stay.'),
    column('Max Unavailable', ({ spec }) => String(spec?.maxUnavailable ?? 'N/A'), 'Pods that may be away.'),
    integerColumn('Allowed Disruptions', ({ status }) => status?.disruptionsAllowed ?? 0, 'Pods that may be evicted now.'),
    ageColumn,
  ],
};

interface Swap {
  from: object;
  to: object;
}

function withSelector(object: KubeObject, ...swaps: Swap[]): KubeObject {
  const { spec } = object as PodDisruptionBudget;
  const swap = swaps.find(({ from }) => spec?.selector && sameJson(spec.selector, from));
  if (spec && swap) spec.selector = structuredClone(swap.to) as Spec['selector'];
  return object;
}

function validateSpec(spec: Spec): FieldError[] {
  const { minAvailable, maxUnavailable, unhealthyPodEvictionPolicy: policy } = spec;
  const errors: FieldError[] = [];
  if (minAvailable != null && maxUnavailable != null) {
    errors.push(invalidValue('spec', spec, 'minAvailable and maxUnavailable cannot be both set'));
  }
  if (minAvailable != null) errors.push(...validateShare(minAvailable, 'spec.minAvailable'));
  if (maxUnavailable != null) errors.push(...validateShare(maxUnavailable, 'spec.maxUnavailable'));
  if (policy) errors.push(...checkOneOf('spec.unhealthyPodEvictionPolicy', policy, ['AlwaysAllow', 'IfHealthyBudget']));
  return [...errors, ...validateLabelSelector(spec.selector as LabelSelector | undefined, 'spec.selector')];
}

function validateShare(value: number | string, path: string): FieldError[] {
  const errors = validateCountOrPercent(value, path);
  if (typeof value === 'string' && (amountOf(value) ?? 0) > 100) {
    errors.push(invalidValue(path, value, 'must not be greater than 100%'));
  }
  return errors;
}
