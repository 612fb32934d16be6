/** StatefulSet: pods with names and volumes that stay theirs. */
import type { KindDefinition } from '../../machinery/kind.ts';
import type { StatefulSet } from '../../machinery/kind-types.ts';
import { validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Subdomain } from '../../machinery/names.ts';
import { setPodSpecDefaults } from '../../machinery/pod-defaults.ts';
import type { FieldError } from '../../machinery/status.ts';
import type { LabelSelector } from '../../machinery/types.ts';
import { ageColumn, column, containerImages, containerNames, nameColumn, wideColumn } from './columns.ts';
import { checkNotNegative, checkOneOf, invalidValue, notPermitted, required, sameJson } from './field-errors.ts';
import { fromFirstWorkload, oldVersion } from './old-versions.ts';
import { type ClaimSpec, setClaimSpecDefaults } from './persistent-volume-claim-spec.ts';
import { validatePodTemplate } from './pod-spec-validation.ts';
import { notMoreThan, validateWorkloadSelector } from './replica-set.ts';
import { replicasScale } from './scale.ts';

type Spec = NonNullable<StatefulSet['spec']>;

const changeable = [
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
] as const;
const retentionPolicies = ['Delete', 'Retain'];
const use = 'apps/v1 StatefulSet';

export const statefulSetKind: KindDefinition<StatefulSet> = {
  group: 'apps',
  kind: 'StatefulSet',
  plural: 'statefulsets',
  singular: 'statefulset',
  shortNames: ['sts'],
  categories: ['all'],
  namespaced: true,
  versions: [
    { name: 'v1', schema: 'apps.v1.StatefulSet' },
    oldVersion('apps', { name: 'v1beta2', schema: 'apps.v1beta2.StatefulSet', releases: ['1.9', '1.16'], use }),
    oldVersion('apps', {
      name: 'v1beta1',
      schema: 'apps.v1beta1.StatefulSet',
      releases: ['1.8', '1.16'],
      use,
      toStorage: (object) => fromFirstWorkload(object, { defaults: { updateStrategy: { type: 'OnDelete' } } }),
    }),
  ],
  hasStatus: true,
  scale: replicasScale,

  setDefaults({ spec, status }) {
    if (status) status.replicas ??= 0;
    if (!spec) return;
    spec.replicas ??= 1;
    spec.revisionHistoryLimit ??= 10;
    spec.podManagementPolicy ||= 'OrderedReady';
    spec.updateStrategy ??= {};
    spec.updateStrategy.type ||= 'RollingUpdate';
    if (spec.updateStrategy.type === 'RollingUpdate') {
      spec.updateStrategy.rollingUpdate ??= {};
      spec.updateStrategy.rollingUpdate.partition ??= 0;
    }
    spec.persistentVolumeClaimRetentionPolicy ??= {};
    spec.persistentVolumeClaimRetentionPolicy.whenDeleted ||= 'Retain';
    spec.persistentVolumeClaimRetentionPolicy.whenScaled ||= 'Retain';
    if (spec.template?.spec) setPodSpecDefaults(spec.template.spec);
    for (const claim of spec.volumeClaimTemplates ?? []) {
      claim.apiVersion ||= 'v1';
      claim.kind ||= 'PersistentVolumeClaim';
      if (claim.spec) setClaimSpecDefaults(claim.spec as ClaimSpec);
      claim.status ??= {};
      claim.status.phase ||= 'Pending';
    }
  },

  prepare(next, _previous, { creating }) {
    if (creating) next.status = { replicas: 0 };
  },

  validate({ metadata, spec }) {
    const errors = validateMetadata(metadata, { namespaced: true, nameCheck: isDns1123Subdomain });
    return spec ? [...errors, ...validateSpec(spec)] : [...errors, required('spec.selector'), required('spec.template')];
  },

  validateUpdate(next, previous) {
    const kept = { ...next.spec } as Record<string, unknown>;
    for (const field of changeable) kept[field] = previous.spec?.[field];
    if (sameJson(kept, previous.spec)) return [];
    const names = changeable.map((field) => `'${field}'`);
    const list = `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
    return [notPermitted('spec', `updates to statefulset spec for fields other than ${list} are forbidden`)];
  },

  validateStatusUpdate({ status }) {
    const counts = ['replicas', 'readyReplicas', 'currentReplicas', 'updatedReplicas', 'availableReplicas'] as const;
    return [
      ...counts.flatMap((name) => checkNotNegative(`status.${name}`, status?.[name])),
      ...notMoreThan(status, ['readyReplicas', 'currentReplicas', 'updatedReplicas', 'availableReplicas'], 'replicas'),
      ...notMoreThan(status, ['availableReplicas'], 'readyReplicas'),
    ];
  },

  columns: [
    nameColumn,
    column(
      'Ready',
      ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec?.replicas ?? 0}`,
      'Ready pods of the wanted number.',
    ),
    ageColumn,
    wideColumn('Containers', ({ spec }) => containerNames(spec?.template), 'Names of the containers in the template.'),
    wideColumn('Images', ({ spec }) => containerImages(spec?.template), 'Images of the containers in the template.'),
  ],
};

function validateSpec(spec: Spec): FieldError[] {
  const selector = spec.selector as LabelSelector | undefined;
  const policy = spec.podManagementPolicy ?? '';
  const errors: FieldError[] = [];
  if (policy !== 'OrderedReady' && policy !== 'Parallel') {
    errors.push(invalidValue('spec.podManagementPolicy', policy, "must be 'OrderedReady' or 'Parallel'"));
  }
  const retention = 'spec.persistentVolumeClaimRetentionPolicy';
  return [
    ...errors,
    ...validateStrategy(spec),
    ...checkOneOf(`${retention}.whenDeleted`, spec.persistentVolumeClaimRetentionPolicy?.whenDeleted, retentionPolicies),
    ...checkOneOf(`${retention}.whenScaled`, spec.persistentVolumeClaimRetentionPolicy?.whenScaled, retentionPolicies),
    ...checkNotNegative('spec.replicas', spec.replicas),
    ...checkNotNegative('spec.minReadySeconds', spec.minReadySeconds),
    ...checkNotNegative('spec.ordinals.start', spec.ordinals?.start),
    ...validateWorkloadSelector(selector, 'statefulset'),
    ...validatePodTemplate(withClaims(spec), selector, 'StatefulSet', 'spec.template'),
  ];
}

function validateStrategy({ updateStrategy }: Spec): FieldError[] {
  const path = 'spec.updateStrategy';
  const rolling = updateStrategy?.rollingUpdate;
  switch (updateStrategy?.type) {
    case 'OnDelete':
      if (!rolling) return [];
      return [invalidValue(`${path}.rollingUpdate`, rolling, "only allowed for updateStrategy 'RollingUpdate'")];
    case 'RollingUpdate':
      return checkNotNegative(`${path}.rollingUpdate.partition`, rolling?.partition);
    default:
      return [invalidValue(path, updateStrategy, "must be 'RollingUpdate' or 'OnDelete'")];
  }
}

/** The template as its pods will be: with a volume for each claim, which the containers may mount. */
function withClaims({ template, volumeClaimTemplates = [] }: Spec): Spec['template'] {
  if (!template?.spec || volumeClaimTemplates.length === 0) return template;
  const names = volumeClaimTemplates.flatMap(({ metadata }) => (metadata?.name ? [metadata.name] : []));
  const given = (template.spec.volumes ?? []).filter(({ name }) => !names.includes(name));
  const claimed = [...new Set(names)].map((name) => ({ name, persistentVolumeClaim: { claimName: name } }));
  return { ...template, spec: { ...template.spec, volumes: [...given, ...claimed] } };
}
