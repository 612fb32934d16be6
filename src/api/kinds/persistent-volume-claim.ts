/** PersistentVolumeClaim: a pod's wish for a volume of its own. */
import type { KindDefinition } from '../../machinery/kind.ts';
import type { PersistentVolumeClaim } from '../../machinery/kind-types.ts';
import { validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Subdomain } from '../../machinery/names.ts';
import { isQuantity, quantityMilli } from '../../machinery/quantity.ts';
import type { FieldError } from '../../machinery/status.ts';
import { ageColumn, column, nameColumn, wideColumn } from './columns.ts';
import { notPermitted, sameJson } from './field-errors.ts';
import { type ClaimSpec, formatAccessModes, setClaimSpecDefaults, validateClaimSpec } from './persistent-volume-claim-spec.ts';

/** The form of the field before there was one. */
export const classAnnotation = 'volume.beta.kubernetes.io/storage-class';

export const persistentVolumeClaimKind: KindDefinition<PersistentVolumeClaim> = {
  group: '',
  kind: 'PersistentVolumeClaim',
  plural: 'persistentvolumeclaims',
  singular: 'persistentvolumeclaim',
  shortNames: ['pvc'],
  namespaced: true,
  versions: [{ name: 'v1', schema: 'core.v1.PersistentVolumeClaim' }],
  hasStatus: true,
  generationFields: [],

  setDefaults(claim) {
    claim.spec ??= {};
    setClaimSpecDefaults(claim.spec);
    claim.status ??= {};
    claim.status.phase ||= 'Pending';
  },

  prepare(next, _previous, { creating }) {
    if (creating) next.status = { phase: 'Pending' };
    const { spec } = next;
    // Each of the two names of the field shows what the other says.
    if (spec?.dataSource && !spec.dataSourceRef) spec.dataSourceRef = { ...spec.dataSource };
    else if (spec?.dataSourceRef && !spec.dataSource && !spec.dataSourceRef.namespace)
      spec.dataSource = { ...spec.dataSourceRef };
  },

  validate: ({ metadata, spec }) => [
    ...validateMetadata(metadata, { namespaced: true, nameCheck: isDns1123Subdomain }),
    ...validateClaimSpec(spec as ClaimSpec, 'spec'),
  ],

  validateUpdate(next, previous) {
    const [spec, before] = [next.spec as ClaimSpec, previous.spec as ClaimSpec];
    const { volumeAttributesClassName } = spec;
    const kept: ClaimSpec = { ...before, volumeAttributesClassName };
    if (!before.volumeName) kept.volumeName = spec.volumeName;
    if (before.storageClassName == null) kept.storageClassName = spec.storageClassName;
    if (previous.status?.phase === 'Bound' && before.resources) {
      kept.resources = { ...before.resources, requests: spec.resources?.requests };
    }
    if (!sameJson(spec, kept)) {
      const detail = 'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims';
      return [notPermitted('spec', detail)];
    }
    return validateResize(spec, previous);
  },

  columns: [
    nameColumn,
    column(
      'Status',
      ({ metadata, status }) => (metadata.deletionTimestamp ? 'Terminating' : (status?.phase ?? '')),
      'Its phase.',
    ),
    column('Volume', ({ spec }) => spec?.volumeName ?? '', 'The volume that it has.'),
    column('Capacity', ({ spec, status }) => (spec?.volumeName ? (status?.capacity?.storage ?? '0') : ''), 'Size of the volume.'),
    column(
      'Access Modes',
      ({ spec, status }) => (spec?.volumeName ? formatAccessModes(status?.accessModes) : ''),
      'How pods may use the volume.',
    ),
    column('StorageClass', (claim) => storageClassOf(claim), 'The class that the volume comes from.'),
    column('VolumeAttributesClass', ({ spec }) => spec?.volumeAttributesClassName ?? '<unset>', 'Changeable settings.'),
    ageColumn,
    wideColumn('VolumeMode', ({ spec }) => spec?.volumeMode ?? '<unset>', 'A file system or a raw device.'),
  ],

  selectableFields: {},
};

/** Of claims and volumes alike. */
export function storageClassOf({ metadata, spec }: Pick<PersistentVolumeClaim, 'metadata' | 'spec'>): string {
  return metadata.annotations?.[classAnnotation] ?? spec?.storageClassName ?? '';
}

function validateResize(spec: ClaimSpec, previous: PersistentVolumeClaim): FieldError[] {
  const wanted = spec.resources?.requests?.storage;
  const before = previous.spec?.resources?.requests?.storage;
  const least = previous.status?.capacity?.storage ?? before;
  if (wanted === undefined || wanted === before || !isQuantity(wanted) || !least || !isQuantity(least)) return [];
  if (quantityMilli(wanted) >= quantityMilli(least)) return [];
  return [notPermitted('spec.resources.requests.storage', 'field can not be less than status.capacity')];
}
