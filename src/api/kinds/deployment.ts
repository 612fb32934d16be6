/** Deployment: replaces the pods of a ReplicaSet by those of the next one, a few at a time. */
import type { KindDefinition } from '../../machinery/kind.ts';
import { validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Subdomain } from '../../machinery/names.ts';
import { setPodSpecDefaults } from '../../machinery/pod-defaults.ts';
import { formatLabelSelector } from '../../machinery/selectors.ts';
import type { FieldError } from '../../machinery/status.ts';
import type { Deployment, KubeObject, LabelSelector } from '../../machinery/types.ts';
import { ageColumn, column, containerImages, containerNames, nameColumn, wideColumn } from './columns.ts';
import { amountOf, validateCountOrPercent } from './count-or-percent.ts';
import { checkImmutable, checkNotNegative, invalidValue, notPermitted, required, unsupported } from './field-errors.ts';
import { fromFirstWorkload, oldVersion } from './old-versions.ts';
import { validatePodTemplate } from './pod-spec-validation.ts';
import { notMoreThan, validateWorkloadSelector } from './replica-set.ts';
import { replicasScale } from './scale.ts';

type DeploymentSpec = NonNullable<Deployment['spec']>;

const counts = [
  'observedGeneration',
  'replicas',
  'updatedReplicas',
  'readyReplicas',
  'availableReplicas',
  'unavailableReplicas',
  'collisionCount',
] as const;

const use = 'apps/v1 Deployment';
const unlimited = 2 ** 31 - 1;

export const deploymentKind: KindDefinition<Deployment> = {
  group: 'apps',
  kind: 'Deployment',
  plural: 'deployments',
  singular: 'deployment',
  shortNames: ['deploy'],
  categories: ['all'],
  namespaced: true,
  versions: [
    { name: 'v1', schema: 'apps.v1.Deployment' },
    oldVersion('apps', { name: 'v1beta2', schema: 'apps.v1beta2.Deployment', releases: ['1.9', '1.16'], use }),
    oldVersion('apps', {
      name: 'v1beta1',
      schema: 'apps.v1beta1.Deployment',
      releases: ['1.8', '1.16'],
      use,
      toStorage: (object) => fromFirstWorkload(object, { dropped: ['rollbackTo'], defaults: { revisionHistoryLimit: 2 } }),
    }),
    oldVersion('apps', {
      group: 'extensions',
      name: 'v1beta1',
      schema: 'extensions.v1beta1.Deployment',
      releases: ['1.8', '1.16'],
      use,
      toStorage: fromExtensions,
    }),
  ],
  hasStatus: true,
  scale: replicasScale,

  setDefaults({ spec }) {
    if (!spec) return;
    spec.replicas ??= 1;
    spec.strategy ??= {};
    spec.strategy.type ||= 'RollingUpdate';
    if (spec.strategy.type === 'RollingUpdate') {
      spec.strategy.rollingUpdate ??= {};
      spec.strategy.rollingUpdate.maxUnavailable ??= '25%';
      spec.strategy.rollingUpdate.maxSurge ??= '25%';
    }
    spec.revisionHistoryLimit ??= 10;
    spec.progressDeadlineSeconds ??= 600;
    if (spec.template?.spec) setPodSpecDefaults(spec.template.spec);
  },

  prepare(next, _previous, { creating }) {
    if (creating) next.status = {};
  },

  validate({ metadata, spec }) {
    const selector = spec?.selector as LabelSelector | undefined;
    return [
      ...validateMetadata(metadata, { namespaced: true, nameCheck: isDns1123Subdomain }),
      ...checkNotNegative('spec.replicas', spec?.replicas),
      ...validateWorkloadSelector(selector),
      ...validatePodTemplate(spec?.template, selector, 'Deployment', 'spec.template'),
      ...(spec ? [...validateStrategy(spec), ...validateTimes(spec)] : []),
    ];
  },

  validateUpdate: (next, previous) => checkImmutable('spec.selector', next.spec?.selector, previous.spec?.selector),

  validateStatusUpdate({ status }, previous) {
    const errors = counts.flatMap((name) => checkNotNegative(`status.${name}`, status?.[name]));
    errors.push(...notMoreThan(status, ['updatedReplicas', 'readyReplicas', 'availableReplicas'], 'replicas'));
    errors.push(...notMoreThan(status, ['availableReplicas'], 'readyReplicas'));
    const collisions = previous.status?.collisionCount;
    if (collisions != null && (status?.collisionCount ?? 0) < collisions) {
      errors.push(invalidValue('status.collisionCount', status?.collisionCount ?? 0, 'cannot be decremented'));
    }
    return errors;
  },

  columns: [
    nameColumn,
    column(
      'Ready',
      ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec?.replicas ?? 0}`,
      'Ready pods of the wanted number.',
    ),
    column('Up-to-date', ({ status }) => status?.updatedReplicas ?? 0, 'Pods made from the current template.'),
    column('Available', ({ status }) => status?.availableReplicas ?? 0, 'Pods that have been ready for long enough.'),
    ageColumn,
    wideColumn('Containers', ({ spec }) => containerNames(spec?.template), 'Names of the containers in the template.'),
    wideColumn('Images', ({ spec }) => containerImages(spec?.template), 'Images of the containers in the template.'),
    wideColumn('Selector', ({ spec }) => formatLabelSelector(spec?.selector), 'Chooses the pods.'),
  ],
};

function validateStrategy({ strategy }: DeploymentSpec): FieldError[] {
  const path = 'spec.strategy';
  const rolling = strategy?.rollingUpdate;
  switch (strategy?.type) {
    case 'Recreate':
      if (!rolling) return [];
      return [notPermitted(`${path}.rollingUpdate`, "may not be specified when strategy `type` is 'Recreate'")];
    case 'RollingUpdate':
      if (!rolling) return [required(`${path}.rollingUpdate`, 'this should be defaulted and never be nil')];
      return validateRollingUpdate(rolling, `${path}.rollingUpdate`);
    default:
      return [unsupported(path, strategy, ['Recreate', 'RollingUpdate'])];
  }
}

function validateRollingUpdate(
  rolling: { maxUnavailable?: number | string; maxSurge?: number | string },
  path: string,
): FieldError[] {
  const { maxUnavailable = 0, maxSurge = 0 } = rolling;
  const errors = [
    ...validateCountOrPercent(maxUnavailable, `${path}.maxUnavailable`),
    ...validateCountOrPercent(maxSurge, `${path}.maxSurge`),
  ];
  if (amountOf(maxUnavailable) === 0 && amountOf(maxSurge) === 0) {
    errors.push(invalidValue(`${path}.maxUnavailable`, maxUnavailable, 'may not be 0 when `maxSurge` is 0'));
  }
  const percent = typeof maxUnavailable === 'string' ? amountOf(maxUnavailable) : undefined;
  if (percent !== undefined && percent > 100) {
    errors.push(invalidValue(`${path}.maxUnavailable`, maxUnavailable, 'must not be greater than 100%'));
  }
  return errors;
}

function validateTimes(spec: DeploymentSpec): FieldError[] {
  const { minReadySeconds = 0, progressDeadlineSeconds } = spec;
  const errors = [
    ...checkNotNegative('spec.minReadySeconds', minReadySeconds),
    ...checkNotNegative('spec.revisionHistoryLimit', spec.revisionHistoryLimit),
    ...checkNotNegative('spec.progressDeadlineSeconds', progressDeadlineSeconds),
  ];
  if (progressDeadlineSeconds != null && progressDeadlineSeconds <= minReadySeconds) {
    errors.push(invalidValue('spec.progressDeadlineSeconds', progressDeadlineSeconds, 'must be greater than minReadySeconds'));
  }
  return errors;
}

/** The first form of all replaced pods one at a time and kept every former ReplicaSet. */
function fromExtensions(object: KubeObject): KubeObject {
  const { spec } = fromFirstWorkload(object, {
    dropped: ['rollbackTo'],
    defaults: { revisionHistoryLimit: unlimited, progressDeadlineSeconds: unlimited },
  }) as Deployment;
  if (spec && (spec.strategy?.type || 'RollingUpdate') === 'RollingUpdate') {
    const rollingUpdate = { maxUnavailable: 1, maxSurge: 1, ...spec.strategy?.rollingUpdate };
    spec.strategy = { type: 'RollingUpdate', rollingUpdate };
  }
  return object;
}
