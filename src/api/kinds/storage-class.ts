/** StorageClass: a sort of storage from which volumes are made on demand. */
import type { KindDefinition } from '../../machinery/kind.ts';
import type { StorageClass } from '../../machinery/kind-types.ts';
import { validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Subdomain, isQualifiedName } from '../../machinery/names.ts';
import type { FieldError } from '../../machinery/status.ts';
import { ageColumn, column, nameColumn } from './columns.ts';
import { checkImmutable, checkOneOf, invalidValue, invalidWhen, notPermitted, required, sameJson } from './field-errors.ts';
import { oldVersion } from './old-versions.ts';

export const defaultAnnotations = [
  'storageclass.kubernetes.io/is-default-class',
  'storageclass.beta.kubernetes.io/is-default-class',
];
const parametersMax = 512;

export const storageClassKind: KindDefinition<StorageClass> = {
  group: 'storage.k8s.io',
  kind: 'StorageClass',
  plural: 'storageclasses',
  singular: 'storageclass',
  shortNames: ['sc'],
  namespaced: false,
  versions: [
    { name: 'v1', schema: 'storage.v1.StorageClass' },
    oldVersion('storage.k8s.io', {
      name: 'v1beta1',
      schema: 'storage.v1beta1.StorageClass',
      releases: ['1.19', '1.22'],
      use: 'storage.k8s.io/v1 StorageClass',
    }),
  ],
  hasStatus: false,
  generationFields: [],

  setDefaults(storageClass) {
    storageClass.reclaimPolicy ||= 'Delete';
    storageClass.volumeBindingMode ||= 'Immediate';
  },

  validate: (storageClass) => [
    ...validateMetadata(storageClass.metadata, { namespaced: false, nameCheck: isDns1123Subdomain }),
    ...validateProvisioner(storageClass),
    ...validateParameters(storageClass),
    ...checkOneOf('reclaimPolicy', storageClass.reclaimPolicy, ['Delete', 'Retain']),
    ...checkOneOf('volumeBindingMode', storageClass.volumeBindingMode, ['Immediate', 'WaitForFirstConsumer']),
  ],

  validateUpdate(next, previous) {
    const errors: FieldError[] = [];
    if (!sameJson(next.parameters ?? {}, previous.parameters ?? {})) {
      errors.push(notPermitted('parameters', 'updates to parameters are forbidden.'));
    }
    if (next.provisioner !== previous.provisioner) {
      errors.push(notPermitted('provisioner', 'updates to provisioner are forbidden.'));
    }
    if (next.reclaimPolicy !== previous.reclaimPolicy) {
      errors.push(notPermitted('reclaimPolicy', 'updates to reclaimPolicy are forbidden.'));
    }
    return [...errors, ...checkImmutable('volumeBindingMode', next.volumeBindingMode, previous.volumeBindingMode)];
  },

  columns: [
    { ...nameColumn, cell: nameCell },
    column('Provisioner', ({ provisioner }) => provisioner, 'What makes the volumes.'),
    column('ReclaimPolicy', ({ reclaimPolicy }) => reclaimPolicy ?? 'Delete', 'What happens to volumes after their claims.'),
    column('VolumeBindingMode', ({ volumeBindingMode }) => volumeBindingMode ?? 'Immediate', 'When a volume is made.'),
    column('AllowVolumeExpansion', ({ allowVolumeExpansion }) => allowVolumeExpansion ?? false, 'Whether claims may grow.'),
    ageColumn,
  ],
};

function nameCell({ metadata }: { metadata: StorageClass['metadata'] }): string {
  const isDefault = defaultAnnotations.some((name) => metadata.annotations?.[name] === 'true');
  return isDefault ? `${metadata.name} (default)` : metadata.name;
}

function validateProvisioner({ provisioner }: StorageClass): FieldError[] {
  if (!provisioner) return [required('provisioner')];
  return invalidWhen('provisioner', provisioner, (value) => isQualifiedName(value.toLowerCase()));
}

function validateParameters({ parameters = {} }: StorageClass): FieldError[] {
  const names = Object.keys(parameters);
  if (names.length > parametersMax) {
    return [{ type: 'TooLong', field: 'parameters', detail: `may not have more than ${parametersMax} entries` }];
  }
  return names.includes('') ? [invalidValue('parameters', '', 'field can not be empty.')] : [];
}
