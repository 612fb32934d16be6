/** Values as text: what `string()` gives, and what messages show. */
import { formatDuration, formatTimestamp } from '../time.ts';
import { CelDuration, CelOpaque, CelTimestamp, CelTypeValue, CelUint, type CelValue } from '../values.ts';

/** A double without an exponent: `1e21` is `1000000000000000000000`. */
export function doubleText(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  if (Object.is(value, -0)) return '-0';
  const text = String(value);
  const match = /^(-?)(\d+)(?:\.(\d+))?e([+-]\d+)$/.exec(text);
  if (!match) return text;
  const [, sign, whole = '', fraction = '', power] = match;
  const exponent = Number(power);
  const digits = whole + fraction;
  if (exponent > 0) return sign + digits.padEnd(whole.length + exponent, '0');
  return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
}

/** The text of a scalar; undefined for what has none. */
export function textOf(value: CelValue): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'bigint' || typeof value === 'boolean') return String(value);
  if (typeof value === 'number') return doubleText(value);
  if (value instanceof CelUint) return String(value.value);
  if (value instanceof CelTimestamp) return formatTimestamp(value);
  if (value instanceof CelDuration) return formatDuration(value);
  if (value instanceof CelTypeValue) return value.name;
  if (value instanceof CelOpaque) return value.form;
  return undefined;
}

/** As messages show a key or an index. */
export function shown(value: CelValue): string {
  return textOf(value) ?? (value === null ? 'null' : '');
}
