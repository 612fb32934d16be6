/** PersistentVolume: storage that outlives pods. */
import type { KindDefinition } from '../../machinery/kind.ts';
import type { PersistentVolume } from '../../machinery/kind-types.ts';
import { validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Subdomain } from '../../machinery/names.ts';
import { canonicalizeQuantities } from '../../machinery/pod-defaults.ts';
import type { FieldError } from '../../machinery/status.ts';
import { ageColumn, column, nameColumn, wideColumn } from './columns.ts';
import { checkOneOf, invalidWhen, notPermitted, required, sameJson, unsupported } from './field-errors.ts';
import { storageClassOf } from './persistent-volume-claim.ts';
import { checkPositive, formatAccessModes, validateAccessModes, volumeModes } from './persistent-volume-claim-spec.ts';

type Spec = NonNullable<PersistentVolume['spec']>;

const reclaimPolicies = ['Delete', 'Recycle', 'Retain'];
/** Everything else in a spec is the source of the volume. */
const notSources = new Set([
  'accessModes',
  'capacity',
  'claimRef',
  'mountOptions',
  'nodeAffinity',
  'persistentVolumeReclaimPolicy',
  'storageClassName',
  'volumeAttributesClassName',
  'volumeMode',
]);

export const persistentVolumeKind: KindDefinition<PersistentVolume> = {
  group: '',
  kind: 'PersistentVolume',
  plural: 'persistentvolumes',
  singular: 'persistentvolume',
  shortNames: ['pv'],
  namespaced: false,
  versions: [{ name: 'v1', schema: 'core.v1.PersistentVolume' }],
  hasStatus: true,
  generationFields: [],

  setDefaults(volume) {
    const { spec } = volume;
    if (spec) {
      spec.persistentVolumeReclaimPolicy ||= 'Retain';
      spec.volumeMode ||= 'Filesystem';
      canonicalizeQuantities(spec.capacity);
      if (spec.hostPath) spec.hostPath.type ??= '';
      if (spec.iscsi) spec.iscsi.iscsiInterface ||= 'default';
    }
    volume.status ??= {};
    volume.status.phase ||= 'Pending';
  },

  prepare(next, _previous, { creating, nowMs }) {
    const now = `${new Date(nowMs).toISOString().slice(0, 19)}Z`;
    if (creating) next.status = { phase: 'Pending', lastPhaseTransitionTime: now };
  },

  prepareStatus(next, previous, { nowMs }) {
    if (!next.status || next.status.phase === previous.status?.phase) return;
    next.status.lastPhaseTransitionTime = `${new Date(nowMs).toISOString().slice(0, 19)}Z`;
  },

  validate({ metadata, spec }) {
    const errors = validateMetadata(metadata, { namespaced: false, nameCheck: isDns1123Subdomain });
    return [...errors, ...validateSpec(spec ?? {})];
  },

  validateUpdate(next, previous) {
    if (sameJson(sourceOf(next.spec ?? {}), sourceOf(previous.spec ?? {}))) return [];
    return [notPermitted('spec.persistentvolumesource', 'spec.persistentvolumesource is immutable after creation')];
  },

  columns: [
    nameColumn,
    column('Capacity', ({ spec }) => spec?.capacity?.storage ?? '0', 'Size of the volume.'),
    column('Access Modes', ({ spec }) => formatAccessModes(spec?.accessModes), 'How pods may use it.'),
    column('Reclaim Policy', ({ spec }) => spec?.persistentVolumeReclaimPolicy ?? '', 'What happens to it after its claim.'),
    column(
      'Status',
      ({ metadata, status }) => (metadata.deletionTimestamp ? 'Terminating' : (status?.phase ?? '')),
      'Its phase.',
    ),
    column('Claim', claimCell, 'The claim that has it.'),
    column('StorageClass', (volume) => storageClassOf(volume), 'The class that it belongs to.'),
    column('VolumeAttributesClass', ({ spec }) => spec?.volumeAttributesClassName ?? '<unset>', 'Changeable settings.'),
    column('Reason', ({ status }) => status?.reason ?? '', 'Why it is in its phase.'),
    ageColumn,
    wideColumn('VolumeMode', ({ spec }) => spec?.volumeMode ?? '<unset>', 'A file system or a raw device.'),
  ],
};

const sourceOf = (spec: Spec) => Object.fromEntries(Object.entries(spec).filter(([name]) => !notSources.has(name)));

function claimCell({ spec }: PersistentVolume): string {
  return spec?.claimRef ? `${spec.claimRef.namespace ?? ''}/${spec.claimRef.name ?? ''}` : '';
}

function validateSpec(spec: Spec): FieldError[] {
  const errors = validateAccessModes(spec.accessModes, 'spec.accessModes');
  const names = Object.keys(spec.capacity ?? {});
  if (names.length === 0) errors.push(required('spec.capacity'));
  else if (names.length > 1 || names[0] !== 'storage') errors.push(unsupported('spec.capacity', spec.capacity, ['storage']));
  else errors.push(...checkPositive('spec.capacity[storage]', String(spec.capacity?.storage)));
  errors.push(...checkOneOf('spec.persistentVolumeReclaimPolicy', spec.persistentVolumeReclaimPolicy, reclaimPolicies));
  if (spec.volumeMode && !volumeModes.includes(spec.volumeMode)) {
    errors.push(unsupported('spec.volumeMode', spec.volumeMode, volumeModes));
  }
  if (spec.storageClassName) errors.push(...invalidWhen('spec.storageClassName', spec.storageClassName, isDns1123Subdomain));
  return [...errors, ...validateSource(spec)];
}

function validateSource(spec: Spec): FieldError[] {
  const [first, ...others] = Object.keys(sourceOf(spec));
  if (first === undefined) return [required('spec', 'must specify a volume type')];
  const errors = others.map((type) => notPermitted(`spec.${type}`, 'may not specify more than 1 volume type'));
  const { hostPath, nfs, csi, local } = spec;
  if (hostPath && !hostPath.path) errors.push(required('spec.hostPath.path'));
  if (hostPath?.path?.split('/').includes('..')) errors.push(backsteps('spec.hostPath.path', hostPath.path));
  if (hostPath?.path === '/' && spec.persistentVolumeReclaimPolicy === 'Recycle') {
    const detail = "may not be 'recycle' for a hostPath mount of '/'";
    errors.push(notPermitted('spec.persistentVolumeReclaimPolicy', detail));
  }
  if (nfs && !nfs.server) errors.push(required('spec.nfs.server'));
  if (nfs && !nfs.path) errors.push(required('spec.nfs.path'));
  if (csi && !csi.driver) errors.push(required('spec.csi.driver'));
  if (csi && !csi.volumeHandle) errors.push(required('spec.csi.volumeHandle'));
  if (local && !local.path) errors.push(required('spec.local.path'));
  if (local && !spec.nodeAffinity) errors.push(required('spec.nodeAffinity', 'Local volume requires node affinity'));
  return errors;
}

function backsteps(field: string, value: string): FieldError {
  return { type: 'Invalid', field, value, detail: "must not contain '..'" };
}
