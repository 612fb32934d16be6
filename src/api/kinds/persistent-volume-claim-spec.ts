/** A claim's spec, in claims and in the templates of stateful sets. Source: API reference, "PersistentVolumeClaimSpec v1 core". */
import type { PersistentVolumeClaim } from '../../machinery/kind-types.ts';
import { validateLabelSelector } from '../../machinery/metadata.ts';
import { isDns1123Subdomain } from '../../machinery/names.ts';
import { canonicalizeQuantities } from '../../machinery/pod-defaults.ts';
import { isQuantity, quantityComplaint, quantityMilli } from '../../machinery/quantity.ts';
import type { FieldError } from '../../machinery/status.ts';
import type { LabelSelector } from '../../machinery/types.ts';
import { invalidValue, invalidWhen, notPermitted, required, unsupported } from './field-errors.ts';

export type ClaimSpec = NonNullable<PersistentVolumeClaim['spec']>;

export const accessModes = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod'];
export const volumeModes = ['Block', 'Filesystem'];

export function setClaimSpecDefaults(spec: ClaimSpec): void {
  spec.volumeMode ||= 'Filesystem';
  canonicalizeQuantities(spec.resources?.requests);
  canonicalizeQuantities(spec.resources?.limits);
}

export function validateClaimSpec(spec: ClaimSpec, path: string): FieldError[] {
  const errors = [
    ...validateAccessModes(spec.accessModes, `${path}.accessModes`),
    ...validateLabelSelector(spec.selector as LabelSelector | undefined, `${path}.selector`),
  ];
  const storage = spec.resources?.requests?.storage;
  if (storage === undefined) errors.push(required(`${path}.resources[storage]`));
  else errors.push(...checkPositive(`${path}.resources[storage]`, storage));
  if (spec.storageClassName) errors.push(...invalidWhen(`${path}.storageClassName`, spec.storageClassName, isDns1123Subdomain));
  if (spec.volumeMode && !volumeModes.includes(spec.volumeMode)) {
    errors.push(unsupported(`${path}.volumeMode`, spec.volumeMode, volumeModes));
  }
  const { dataSource } = spec;
  if (dataSource && !dataSource.name) errors.push(required(`${path}.dataSource.name`));
  if (dataSource && !dataSource.kind) errors.push(required(`${path}.dataSource.kind`));
  return errors;
}

/** Of claims and volumes alike. */
export function validateAccessModes(modes: string[] | undefined, path: string): FieldError[] {
  if (!modes?.length) return [required(path, 'at least 1 access mode is required')];
  const errors = modes.filter((mode) => !accessModes.includes(mode)).map((mode) => unsupported(path, mode, accessModes));
  if (modes.includes('ReadWriteOncePod') && modes.length > 1) {
    errors.push(notPermitted(path, 'may not use ReadWriteOncePod with other access modes'));
  }
  return errors;
}

export function checkPositive(field: string, value: string): FieldError[] {
  const complaint = quantityComplaint(value);
  if (complaint) return [invalidValue(field, value, complaint)];
  return isQuantity(value) && quantityMilli(value) > 0 ? [] : [invalidValue(field, value, 'must be greater than zero')];
}

const shortModes = { ReadWriteOnce: 'RWO', ReadOnlyMany: 'ROX', ReadWriteMany: 'RWX', ReadWriteOncePod: 'RWOP' };

/** `RWO,RWX`, each once, in a fixed order. */
export function formatAccessModes(modes: string[] = []): string {
  const known = Object.entries(shortModes).filter(([mode]) => modes.includes(mode));
  return known.map(([, short]) => short).join(',');
}
