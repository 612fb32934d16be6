/** DaemonSet: a pod on every node. */
import type { KindDefinition } from '../../machinery/kind.ts';
import type { DaemonSet } from '../../machinery/kind-types.ts';
import { validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Subdomain } from '../../machinery/names.ts';
import { setPodSpecDefaults } from '../../machinery/pod-defaults.ts';
import { formatLabelSelector } from '../../machinery/selectors.ts';
import type { FieldError } from '../../machinery/status.ts';
import type { LabelSelector } from '../../machinery/types.ts';
import {
  ageColumn,
  column,
  containerImages,
  containerNames,
  formatMap,
  integerColumn,
  nameColumn,
  wideColumn,
} from './columns.ts';
import { amountOf, validateCountOrPercent } from './count-or-percent.ts';
import { checkImmutable, checkNotNegative, invalidValue, required, unsupported } from './field-errors.ts';
import { fromFirstWorkload, oldVersion } from './old-versions.ts';
import { validatePodTemplate } from './pod-spec-validation.ts';
import { validateWorkloadSelector } from './replica-set.ts';

type Spec = NonNullable<DaemonSet['spec']>;

const counts = [
  'currentNumberScheduled',
  'numberMisscheduled',
  'desiredNumberScheduled',
  'numberReady',
  'observedGeneration',
  'updatedNumberScheduled',
  'numberAvailable',
  'numberUnavailable',
] as const;
const none = { currentNumberScheduled: 0, numberMisscheduled: 0, desiredNumberScheduled: 0, numberReady: 0 };
const use = 'apps/v1 DaemonSet';

export const daemonSetKind: KindDefinition<DaemonSet> = {
  group: 'apps',
  kind: 'DaemonSet',
  plural: 'daemonsets',
  singular: 'daemonset',
  shortNames: ['ds'],
  categories: ['all'],
  namespaced: true,
  versions: [
    { name: 'v1', schema: 'apps.v1.DaemonSet' },
    oldVersion('apps', { name: 'v1beta2', schema: 'apps.v1beta2.DaemonSet', releases: ['1.9', '1.16'], use }),
    oldVersion('apps', {
      group: 'extensions',
      name: 'v1beta1',
      schema: 'extensions.v1beta1.DaemonSet',
      releases: ['1.8', '1.16'],
      use,
      toStorage: (object) =>
        fromFirstWorkload(object, { dropped: ['templateGeneration'], defaults: { updateStrategy: { type: 'OnDelete' } } }),
    }),
  ],
  hasStatus: true,

  setDefaults({ spec, status }) {
    if (status) Object.assign(status, { ...none, ...status });
    if (!spec) return;
    spec.revisionHistoryLimit ??= 10;
    spec.updateStrategy ??= {};
    spec.updateStrategy.type ||= 'RollingUpdate';
    if (spec.updateStrategy.type === 'RollingUpdate') {
      spec.updateStrategy.rollingUpdate ??= {};
      spec.updateStrategy.rollingUpdate.maxUnavailable ??= 1;
      spec.updateStrategy.rollingUpdate.maxSurge ??= 0;
    }
    if (spec.template?.spec) setPodSpecDefaults(spec.template.spec);
  },

  prepare(next, _previous, { creating }) {
    if (creating) next.status = { ...none };
  },

  validate({ metadata, spec }) {
    const selector = spec?.selector as LabelSelector | undefined;
    return [
      ...validateMetadata(metadata, { namespaced: true, nameCheck: isDns1123Subdomain }),
      ...validateWorkloadSelector(selector, 'daemonset'),
      ...validatePodTemplate(spec?.template, selector, 'DaemonSet', 'spec.template'),
      ...checkNotNegative('spec.minReadySeconds', spec?.minReadySeconds),
      ...checkNotNegative('spec.revisionHistoryLimit', spec?.revisionHistoryLimit),
      ...(spec ? validateStrategy(spec) : []),
    ];
  },

  validateUpdate: (next, previous) => checkImmutable('spec.selector', next.spec?.selector, previous.spec?.selector),

  validateStatusUpdate: ({ status }) => counts.flatMap((name) => checkNotNegative(`status.${name}`, status?.[name])),

  columns: [
    nameColumn,
    integerColumn('Desired', ({ status }) => status?.desiredNumberScheduled ?? 0, 'Nodes that should run the pod.'),
    integerColumn('Current', ({ status }) => status?.currentNumberScheduled ?? 0, 'Nodes that should run the pod and do.'),
    integerColumn('Ready', ({ status }) => status?.numberReady ?? 0, 'Nodes on which the pod is ready.'),
    integerColumn('Up-to-date', ({ status }) => status?.updatedNumberScheduled ?? 0, 'Pods made from the current template.'),
    integerColumn('Available', ({ status }) => status?.numberAvailable ?? 0, 'Pods that have been ready for long enough.'),
    column('Node Selector', ({ spec }) => formatMap(spec?.template?.spec?.nodeSelector), 'Labels of the nodes that run it.'),
    ageColumn,
    wideColumn('Containers', ({ spec }) => containerNames(spec?.template), 'Names of the containers in the template.'),
    wideColumn('Images', ({ spec }) => containerImages(spec?.template), 'Images of the containers in the template.'),
    wideColumn('Selector', ({ spec }) => formatLabelSelector(spec?.selector), 'Chooses the pods.'),
  ],
};

function validateStrategy({ updateStrategy }: Spec): FieldError[] {
  const path = 'spec.updateStrategy';
  if (updateStrategy?.type === 'OnDelete') return [];
  if (updateStrategy?.type !== 'RollingUpdate') return [unsupported(path, updateStrategy, ['OnDelete', 'RollingUpdate'])];
  const { maxUnavailable = 0, maxSurge = 0 } = updateStrategy.rollingUpdate ?? {};
  const at = `${path}.rollingUpdate`;
  const errors = [
    ...validateCountOrPercent(maxUnavailable, `${at}.maxUnavailable`),
    ...validateCountOrPercent(maxSurge, `${at}.maxSurge`),
  ];
  const unavailable = amountOf(maxUnavailable) !== 0;
  const surge = amountOf(maxSurge) !== 0;
  if (unavailable && surge) {
    errors.push(invalidValue(`${at}.maxSurge`, maxSurge, 'may not be set when maxUnavailable is non-zero'));
  } else if (!unavailable && !surge) {
    errors.push(required(`${at}.maxUnavailable`, 'cannot be 0 when maxSurge is 0'));
  }
  return errors;
}
