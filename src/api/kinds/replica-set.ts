/** ReplicaSet: keeps a number of equal pods. */
import type { KindDefinition } from '../../machinery/kind.ts';
import { validateLabelSelector, validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Subdomain } from '../../machinery/names.ts';
import { setPodSpecDefaults } from '../../machinery/pod-defaults.ts';
import { formatLabelSelector } from '../../machinery/selectors.ts';
import type { FieldError } from '../../machinery/status.ts';
import type { LabelSelector, ReplicaSet } from '../../machinery/types.ts';
import { ageColumn, containerImages, containerNames, integerColumn, nameColumn, wideColumn } from './columns.ts';
import { checkImmutable, checkNotNegative, invalidValue, required } from './field-errors.ts';
import { fromFirstWorkload, oldVersion } from './old-versions.ts';
import { validatePodTemplate } from './pod-spec-validation.ts';
import { replicasScale } from './scale.ts';

const counts = ['replicas', 'fullyLabeledReplicas', 'readyReplicas', 'availableReplicas', 'observedGeneration'] as const;

const use = 'apps/v1 ReplicaSet';

export const replicaSetKind: KindDefinition<ReplicaSet> = {
  group: 'apps',
  kind: 'ReplicaSet',
  plural: 'replicasets',
  singular: 'replicaset',
  shortNames: ['rs'],
  categories: ['all'],
  namespaced: true,
  versions: [
    { name: 'v1', schema: 'apps.v1.ReplicaSet' },
    oldVersion('apps', { name: 'v1beta2', schema: 'apps.v1beta2.ReplicaSet', releases: ['1.9', '1.16'], use }),
    oldVersion('apps', {
      group: 'extensions',
      name: 'v1beta1',
      schema: 'extensions.v1beta1.ReplicaSet',
      releases: ['1.8', '1.16'],
      use,
      toStorage: (object) => fromFirstWorkload(object),
    }),
  ],
  hasStatus: true,
  scale: replicasScale,

  setDefaults(replicaSet) {
    const { spec } = replicaSet;
    if (!spec) return;
    spec.replicas ??= 1;
    if (spec.template?.spec) setPodSpecDefaults(spec.template.spec);
    if (replicaSet.status) replicaSet.status.replicas ??= 0;
  },

  prepare(next, _previous, { creating }) {
    if (creating) next.status = { replicas: 0 };
  },

  validate({ metadata, spec }) {
    const selector = spec?.selector as LabelSelector | undefined;
    return [
      ...validateMetadata(metadata, { namespaced: true, nameCheck: isDns1123Subdomain }),
      ...checkNotNegative('spec.replicas', spec?.replicas),
      ...checkNotNegative('spec.minReadySeconds', spec?.minReadySeconds),
      ...validateWorkloadSelector(selector),
      ...validatePodTemplate(spec?.template, selector, 'ReplicaSet', 'spec.template'),
    ];
  },

  validateUpdate: (next, previous) => checkImmutable('spec.selector', next.spec?.selector, previous.spec?.selector),

  validateStatusUpdate({ status }) {
    const errors = counts.flatMap((name) => checkNotNegative(`status.${name}`, status?.[name]));
    return [
      ...errors,
      ...notMoreThan(status, ['fullyLabeledReplicas', 'readyReplicas', 'availableReplicas'], 'replicas'),
      ...notMoreThan(status, ['availableReplicas'], 'readyReplicas'),
    ];
  },

  columns: [
    nameColumn,
    integerColumn('Desired', ({ spec }) => spec?.replicas ?? 0, 'The wanted number of pods.'),
    integerColumn('Current', ({ status }) => status?.replicas ?? 0, 'The number of pods there are.'),
    integerColumn('Ready', ({ status }) => status?.readyReplicas ?? 0, 'The number of pods that are ready.'),
    ageColumn,
    wideColumn('Containers', ({ spec }) => containerNames(spec?.template), 'Names of the containers in the template.'),
    wideColumn('Images', ({ spec }) => containerImages(spec?.template), 'Images of the containers in the template.'),
    wideColumn('Selector', ({ spec }) => formatLabelSelector(spec?.selector), 'Chooses the pods.'),
  ],

  selectableFields: { 'status.replicas': ({ status }) => String(status?.replicas ?? 0) },
};

/** A workload must choose its own pods: neither none nor all. */
export function validateWorkloadSelector(selector: LabelSelector | undefined, workload = 'deployment'): FieldError[] {
  if (!selector) return [required('spec.selector')];
  const errors = validateLabelSelector(selector, 'spec.selector');
  if (Object.keys(selector.matchLabels ?? {}).length + (selector.matchExpressions?.length ?? 0) === 0) {
    errors.push(invalidValue('spec.selector', selector, `empty selector is invalid for ${workload}`));
  }
  return errors;
}

/** Parts that are larger than their whole, in a status. */
export function notMoreThan<T extends object>(
  status: T | undefined,
  parts: (keyof T & string)[],
  whole: keyof T & string,
): FieldError[] {
  const bound = Number(status?.[whole] ?? 0);
  return parts
    .filter((part) => Number(status?.[part] ?? 0) > bound)
    .map((part) => invalidValue(`status.${part}`, status?.[part] ?? 0, `cannot be greater than status.${whole}`));
}
