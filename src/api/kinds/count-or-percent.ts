/** Values that are a number of pods or a share of them, such as `1` or `25%`. */
import type { FieldError } from '../../machinery/status.ts';
import { invalidValue, notNegativeDetail } from './field-errors.ts';

const percentage = /^[0-9]+%$/;

export function validateCountOrPercent(value: number | string, path: string): FieldError[] {
  if (typeof value === 'number') return value < 0 ? [invalidValue(path, value, notNegativeDetail)] : [];
  if (percentage.test(value)) return [];
  const detail =
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
  return [invalidValue(path, value, detail)];
}

/** The number in it; undefined when it is none. */
export function amountOf(value: number | string): number | undefined {
  if (typeof value === 'number') return value;
  return percentage.test(value) ? Number.parseInt(value, 10) : undefined;
}
