/**
 * Validation that every kind shares: object metadata, labels and label selectors. The wording is what kubectl users know.
 * Source: API conventions, "Metadata".
 */
import { isDns1123Label, isLabelValue, isQualifiedName } from './names.ts';
import type { FieldError } from './status.ts';
import type { LabelSelector, ObjectMeta, OwnerReference } from './types.ts';

const annotationsBytesMax = 256 * 1024;
const immutable = 'field is immutable';

export interface MetadataRules {
  namespaced: boolean;
  /** The grammar of names of this kind, one of names.ts. */
  nameCheck: (value: string) => string[];
  /** Left out: `metadata`. */
  path?: string;
}

const invalidValue = (field: string, value: unknown, detail: string): FieldError => ({ type: 'Invalid', field, value, detail });

function complaints(field: string, value: string, details: string[]): FieldError[] {
  return details.map((detail) => invalidValue(field, value, detail));
}

/** Every label's key and value. `path` is that of the map, for example `metadata.labels`. */
export function validateLabels(labels: Record<string, string> | null | undefined, path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const [key, value] of Object.entries(labels ?? {})) {
    errors.push(...complaints(path, key, isQualifiedName(key)));
    errors.push(...complaints(path, value, isLabelValue(value)));
  }
  return errors;
}

function validateAnnotations(annotations: Record<string, string> | null | undefined, path: string): FieldError[] {
  const errors: FieldError[] = [];
  let bytes = 0;
  for (const [key, value] of Object.entries(annotations ?? {})) {
    // Keys of annotations may be written in capitals, for tools from before the rule.
    errors.push(...complaints(path, key, isQualifiedName(key.toLowerCase())));
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (bytes > annotationsBytesMax) {
    errors.push({ type: 'TooLong', field: path, detail: `may not be more than ${annotationsBytesMax} bytes` });
  }
  return errors;
}

function validateOwner(owner: OwnerReference, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const slash = owner.apiVersion?.lastIndexOf('/') ?? -1;
  const version = (owner.apiVersion ?? '').slice(slash + 1);
  if (version === '') errors.push(invalidValue(`${path}.apiVersion`, owner.apiVersion ?? '', 'version must not be empty'));
  for (const field of ['kind', 'name', 'uid'] as const) {
    if (!owner[field]) errors.push(invalidValue(`${path}.${field}`, owner[field] ?? '', `${field} must not be empty`));
  }
  if (owner.apiVersion === 'v1' && owner.kind === 'Event') {
    errors.push(invalidValue(path, owner, '/v1, Kind=Event is disallowed from being an owner'));
  }
  return errors;
}

function validateOwners(owners: OwnerReference[] | null | undefined, path: string): FieldError[] {
  const errors: FieldError[] = [];
  let controller: OwnerReference | undefined;
  for (const [index, owner] of (owners ?? []).entries()) {
    errors.push(...validateOwner(owner, `${path}[${index}]`));
    if (!owner.controller) continue;
    if (controller) {
      const both = `${controller.kind}/${controller.name} and ${owner.kind}/${owner.name}`;
      errors.push(
        invalidValue(path, owners, `Only one reference can have Controller set to true. Found "true" in references for ${both}`),
      );
    }
    controller = owner;
  }
  return errors;
}

const knownFinalizers = new Set(['orphan', 'foregroundDeletion', 'kubernetes']);

function validateFinalizers(finalizers: string[] | null | undefined, path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const finalizer of finalizers ?? []) {
    errors.push(...complaints(path, finalizer, isQualifiedName(finalizer)));
    if (!finalizer.includes('/') && !knownFinalizers.has(finalizer)) {
      errors.push(invalidValue(path, finalizer, 'name is neither a standard finalizer name nor is it fully qualified'));
    }
  }
  if (finalizers?.includes('orphan') && finalizers.includes('foregroundDeletion')) {
    errors.push(invalidValue(path, finalizers, 'finalizer orphan and foregroundDeletion cannot be both set'));
  }
  return errors;
}

/** A prefix may end with a hyphen, since more is added to it. */
function maskTrailingHyphen(prefix: string): string {
  return prefix.length > 1 && prefix.endsWith('-') ? `${prefix.slice(0, -1)}a` : prefix;
}

function validateNamespace(meta: ObjectMeta, namespaced: boolean, path: string): FieldError[] {
  if (!namespaced) return meta.namespace ? [{ type: 'Forbidden', field: path, detail: 'not allowed on this type' }] : [];
  if (!meta.namespace) return [{ type: 'Required', field: path, detail: '' }];
  return complaints(path, meta.namespace, isDns1123Label(meta.namespace));
}

/** Metadata of an object that is about to be stored: its name is already generated. */
export function validateMetadata(meta: ObjectMeta, { namespaced, nameCheck, path = 'metadata' }: MetadataRules): FieldError[] {
  const errors: FieldError[] = [];
  if (meta.generateName) {
    errors.push(...complaints(`${path}.generateName`, meta.generateName, nameCheck(maskTrailingHyphen(meta.generateName))));
  }
  if (!meta.name) errors.push({ type: 'Required', field: `${path}.name`, detail: 'name or generateName is required' });
  else errors.push(...complaints(`${path}.name`, meta.name, nameCheck(meta.name)));
  errors.push(...validateNamespace(meta, namespaced, `${path}.namespace`));
  if ((meta.generation ?? 0) < 0) {
    errors.push(invalidValue(`${path}.generation`, meta.generation, 'must be greater than or equal to 0'));
  }
  errors.push(...validateLabels(meta.labels, `${path}.labels`));
  errors.push(...validateAnnotations(meta.annotations, `${path}.annotations`));
  errors.push(...validateOwners(meta.ownerReferences, `${path}.ownerReferences`));
  errors.push(...validateFinalizers(meta.finalizers, `${path}.finalizers`));
  return errors;
}

const immutableFields = [
  'name',
  'namespace',
  'uid',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
] as const;

/**
 * What an update may not change. The caller has already carried over what clients may leave out (uid, times); a field
 * that is still missing counts as a change.
 */
export function validateMetadataUpdate(next: ObjectMeta, previous: ObjectMeta): FieldError[] {
  const errors: FieldError[] = [];
  for (const field of immutableFields) {
    if ((next[field] ?? null) !== (previous[field] ?? null)) {
      errors.push(invalidValue(`metadata.${field}`, next[field] ?? null, immutable));
    }
  }
  if ((next.generation ?? 0) < (previous.generation ?? 0)) {
    errors.push(invalidValue('metadata.generation', next.generation ?? 0, 'must not be decremented'));
  }
  if (previous.deletionTimestamp) {
    const added = (next.finalizers ?? []).filter((finalizer) => !previous.finalizers?.includes(finalizer));
    if (added.length > 0) {
      const list = added.map((finalizer) => JSON.stringify(finalizer)).join(', ');
      const detail = `no new finalizers can be added if the object is being deleted, found new finalizers []string{${list}}`;
      errors.push({ type: 'Forbidden', field: 'metadata.finalizers', detail });
    }
  }
  return errors;
}

/** A selector inside an object, for example `spec.selector`. A missing one is fine here: whether it is required is the kind's rule. */
export function validateLabelSelector(selector: LabelSelector | null | undefined, path: string): FieldError[] {
  if (!selector) return [];
  const errors = validateLabels(selector.matchLabels, `${path}.matchLabels`);
  for (const [index, { key, operator, values }] of (selector.matchExpressions ?? []).entries()) {
    const at = `${path}.matchExpressions[${index}]`;
    const count = values?.length ?? 0;
    if (operator === 'In' || operator === 'NotIn') {
      if (count === 0) {
        const detail = "must be specified when `operator` is 'In' or 'NotIn'";
        errors.push({ type: 'Required', field: `${at}.values`, detail });
      }
    } else if (operator === 'Exists' || operator === 'DoesNotExist') {
      if (count > 0) {
        const detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
        errors.push({ type: 'Forbidden', field: `${at}.values`, detail });
      }
    } else {
      errors.push(invalidValue(`${at}.operator`, operator ?? '', 'not a valid selector operator'));
    }
    errors.push(...complaints(`${at}.key`, key ?? '', isQualifiedName(key ?? '')));
    for (const [place, value] of (values ?? []).entries()) {
      errors.push(...complaints(`${at}.values[${place}]`, value, isLabelValue(value)));
    }
  }
  return errors;
}
