/** PodPreset: settings that admission once put into pods. Kubernetes has none any more; tutorials still do. */
import type { KindDefinition } from '../../machinery/kind.ts';
import { validateLabelSelector, validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Subdomain } from '../../machinery/names.ts';
import type { FieldError } from '../../machinery/status.ts';
import type { Container, KubeObject, LabelSelector, PodSpec } from '../../machinery/types.ts';
import { ageColumn, nameColumn } from './columns.ts';
import { validateEnv, validateEnvFrom } from './env-validation.ts';
import { required } from './field-errors.ts';
import { oldVersion } from './old-versions.ts';
import { validateVolumes } from './volume-validation.ts';

export interface PodPreset extends KubeObject {
  spec?: {
    selector?: LabelSelector;
    env?: Container['env'];
    envFrom?: Container['envFrom'];
    volumes?: PodSpec['volumes'];
    volumeMounts?: Container['volumeMounts'];
  };
}

export const podPresetKind: KindDefinition<PodPreset> = {
  group: 'settings.k8s.io',
  kind: 'PodPreset',
  plural: 'podpresets',
  singular: 'podpreset',
  namespaced: true,
  versions: [
    oldVersion('settings.k8s.io', {
      name: 'v1alpha1',
      schema: 'settings.v1alpha1.PodPreset',
      releases: ['1.19', '1.20'],
      use: 'the pod template of the workload',
    }),
  ],
  hasStatus: false,
  generationFields: [],

  setDefaults(preset) {
    preset.spec ??= {};
    preset.spec.selector ??= {};
  },

  validate({ metadata, spec = {} }) {
    const errors = validateMetadata(metadata, { namespaced: true, nameCheck: isDns1123Subdomain });
    const { env = [], envFrom = [], volumes = [], volumeMounts = [] } = spec;
    if (env.length + envFrom.length + volumes.length + volumeMounts.length === 0) {
      errors.push(required('spec.volumes, env, envFrom, volumeMounts', 'must specify at least one'));
    }
    return [
      ...errors,
      ...validateLabelSelector(spec.selector, 'spec.selector'),
      ...validateEnv(env, 'spec.env'),
      ...validateEnvFrom(envFrom, 'spec.envFrom'),
      ...validateVolumes(volumes, 'spec.volumes').errors,
      ...validateMounts(volumeMounts),
    ];
  },

  columns: [nameColumn, ageColumn],
};

function validateMounts(mounts: NonNullable<Container['volumeMounts']>): FieldError[] {
  return mounts.flatMap(({ name, mountPath }, index) => [
    ...(name ? [] : [required(`spec.volumeMounts[${index}].name`)]),
    ...(mountPath ? [] : [required(`spec.volumeMounts[${index}].mountPath`)]),
  ]);
}
