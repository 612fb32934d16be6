/** ReplicationController: the forerunner of ReplicaSet; its selector is a plain map. */
import type { KindDefinition, ScaleMapping } from '../../machinery/kind.ts';
import type { ReplicationController } from '../../machinery/kind-types.ts';
import { validateLabels, validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Subdomain } from '../../machinery/names.ts';
import { setPodSpecDefaults } from '../../machinery/pod-defaults.ts';
import { ageColumn, containerImages, containerNames, formatMap, integerColumn, nameColumn, wideColumn } from './columns.ts';
import { checkNotNegative, required } from './field-errors.ts';
import { validatePodTemplate } from './pod-spec-validation.ts';
import { notMoreThan } from './replica-set.ts';
import { replicasScale } from './scale.ts';

const counts = ['replicas', 'fullyLabeledReplicas', 'readyReplicas', 'availableReplicas', 'observedGeneration'] as const;

const mapScale: ScaleMapping<ReplicationController> = {
  get({ spec, ...others }) {
    const { selector: matchLabels = {}, replicas } = spec ?? {};
    return replicasScale.get({ ...others, spec: { replicas, selector: { matchLabels } } });
  },
  setReplicas(object, replicas) {
    if (object.spec) object.spec.replicas = replicas;
  },
};

export const replicationControllerKind: KindDefinition<ReplicationController> = {
  group: '',
  kind: 'ReplicationController',
  plural: 'replicationcontrollers',
  singular: 'replicationcontroller',
  shortNames: ['rc'],
  categories: ['all'],
  namespaced: true,
  versions: [{ name: 'v1', schema: 'core.v1.ReplicationController' }],
  hasStatus: true,
  scale: mapScale,
  defaultPropagation: 'Orphan',

  setDefaults({ metadata, spec, status }) {
    if (status) status.replicas ??= 0;
    if (!spec) return;
    spec.replicas ??= 1;
    const labels = spec.template?.metadata?.labels;
    if (labels && Object.keys(spec.selector ?? {}).length === 0) spec.selector = { ...labels };
    if (labels && Object.keys(metadata.labels ?? {}).length === 0) metadata.labels = { ...labels };
    if (spec.template?.spec) setPodSpecDefaults(spec.template.spec);
  },

  prepare(next, _previous, { creating }) {
    if (creating) next.status = { replicas: 0 };
  },

  validate({ metadata, spec }) {
    const { selector = {}, template } = spec ?? {};
    const errors = validateMetadata(metadata, { namespaced: true, nameCheck: isDns1123Subdomain });
    if (Object.keys(selector).length === 0) errors.push(required('spec.selector'));
    return [
      ...errors,
      ...validateLabels(selector, 'spec.selector'),
      ...checkNotNegative('spec.minReadySeconds', spec?.minReadySeconds),
      ...checkNotNegative('spec.replicas', spec?.replicas),
      ...validatePodTemplate(template, { matchLabels: selector }, 'ReplicationController', 'spec.template'),
    ];
  },

  validateStatusUpdate: ({ status }) => [
    ...counts.flatMap((name) => checkNotNegative(`status.${name}`, status?.[name])),
    ...notMoreThan(status, ['fullyLabeledReplicas', 'readyReplicas', 'availableReplicas'], 'replicas'),
    ...notMoreThan(status, ['availableReplicas'], 'readyReplicas'),
  ],

  columns: [
    nameColumn,
    integerColumn('Desired', ({ spec }) => spec?.replicas ?? 0, 'The wanted number of pods.'),
    integerColumn('Current', ({ status }) => status?.replicas ?? 0, 'The number of pods there are.'),
    integerColumn('Ready', ({ status }) => status?.readyReplicas ?? 0, 'The number of pods that are ready.'),
    ageColumn,
    wideColumn('Containers', ({ spec }) => containerNames(spec?.template), 'Names of the containers in the template.'),
    wideColumn('Images', ({ spec }) => containerImages(spec?.template), 'Images of the containers in the template.'),
    wideColumn('Selector', ({ spec }) => formatMap(spec?.selector), 'Chooses the pods.'),
  ],

  selectableFields: { 'status.replicas': ({ status }) => String(status?.replicas ?? 0) },
};
