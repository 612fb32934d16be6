/** Field errors in Kubernetes' words, and the small checks that every kind's validation is made of. */
import { quantityComplaint, quantityMilli } from '../../machinery/quantity.ts';
import type { FieldError } from '../../machinery/status.ts';

export const notNegativeDetail = 'must be greater than or equal to 0';
export const portRangeDetail = 'must be between 1 and 65535, inclusive';

export const required = (field: string, detail = ''): FieldError => ({ type: 'Required', field, detail });
export const invalidValue = (field: string, value: unknown, detail: string): FieldError => ({
  type: 'Invalid',
  field,
  value,
  detail,
});
export const duplicate = (field: string, value: unknown): FieldError => ({ type: 'Duplicate', field, value, detail: '' });
export const notPermitted = (field: string, detail: string): FieldError => ({ type: 'Forbidden', field, detail });
export const missingReference = (field: string, value: unknown): FieldError => ({ type: 'NotFound', field, value, detail: '' });

/** `supported` is shown in the order of its texts. */
export function unsupported(field: string, value: unknown, supported: readonly string[]): FieldError {
  const list = [...supported].sort().map((item) => JSON.stringify(item));
  return { type: 'NotSupported', field, value, detail: `supported values: ${list.join(', ')}` };
}

export function tooLong(field: string, bytesMax: number): FieldError {
  return { type: 'TooLong', field, detail: `may not be more than ${bytesMax} bytes` };
}

/** One Invalid for each message of a name check. */
export function invalidWhen(field: string, value: string, check: (value: string) => string[]): FieldError[] {
  return check(value).map((detail) => invalidValue(field, value, detail));
}

/** Required when empty, else the messages of `check`. */
export function checkName(field: string, value: string | undefined, check: (value: string) => string[]): FieldError[] {
  return value ? invalidWhen(field, value, check) : [required(field)];
}

/** Required when empty, else NotSupported unless it is one of `supported`. */
export function checkOneOf(field: string, value: string | undefined, supported: readonly string[]): FieldError[] {
  if (!value) return [required(field)];
  return supported.includes(value) ? [] : [unsupported(field, value, supported)];
}

/** A missing value is fine. */
export function checkNotNegative(field: string, value: number | undefined): FieldError[] {
  return value != null && value < 0 ? [invalidValue(field, value, notNegativeDetail)] : [];
}

export function checkPortNumber(field: string, value: number): FieldError[] {
  return Number.isInteger(value) && value >= 1 && value <= 65535 ? [] : [invalidValue(field, value, portRangeDetail)];
}

/** A quantity that is not below zero. */
export function checkQuantity(field: string, value: string): FieldError[] {
  const complaint = quantityComplaint(value);
  if (complaint) return [invalidValue(field, value, complaint)];
  return quantityMilli(value) < 0 ? [invalidValue(field, value, notNegativeDetail)] : [];
}

/** A change of a field that must stay as it was at creation. Compares as JSON values. */
export function checkImmutable(field: string, next: unknown, previous: unknown): FieldError[] {
  return sameJson(next, previous) ? [] : [invalidValue(field, next, 'field is immutable')];
}

/** Equality of JSON values: order of keys does not matter; null, undefined and a missing key are one. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b || (a == null && b == null)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, index) => sameJson(item, b[index]));
  }
  const left = a as Record<string, unknown>;
  const right = b as Record<string, unknown>;
  return [...new Set([...Object.keys(left), ...Object.keys(right)])].every((key) => sameJson(left[key], right[key]));
}

/** Text size in UTF-8. */
export const bytesOf = (text: string): number => Buffer.byteLength(text, 'utf8');
