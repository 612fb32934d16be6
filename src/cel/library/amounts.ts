/** Quantities and semantic versions. */
import { quantityComplaint, quantityNano } from '../../machinery/quantity.ts';
import { evaluationError } from '../errors.ts';
import { type Overload, overload } from '../functions.ts';
import { CelOpaque, intMax, intMin } from '../values.ts';

const nano = 1_000_000_000n;

export class CelQuantity extends CelOpaque {
  readonly typeName = 'kubernetes.Quantity';
  /** Billionths. */
  readonly nanos: bigint;

  constructor(nanos: bigint) {
    super();
    this.nanos = nanos;
  }

  get form(): string {
    return String(this.nanos);
  }
}

function quantity(text: string): CelQuantity {
  const complaint = quantityComplaint(text);
  if (complaint !== undefined) throw evaluationError(complaint);
  return new CelQuantity(quantityNano(text));
}

const isInteger = ({ nanos }: CelQuantity) => nanos % nano === 0n && nanos / nano <= intMax && nanos / nano >= intMin;

function asInteger(amount: CelQuantity): bigint {
  if (!isInteger(amount)) throw evaluationError('cannot convert value to integer');
  return amount.nanos / nano;
}

const order = (a: bigint, b: bigint) => (a < b ? -1n : a > b ? 1n : 0n);

const quantities: readonly Overload[] = [
  overload('string_to_quantity', 'quantity(string): Quantity', quantity),
  overload('is_quantity_string', 'isQuantity(string): bool', (text: string) => quantityComplaint(text) === undefined),
  overload('quantity_sign', 'Quantity.sign(): int', ({ nanos }: CelQuantity) => order(nanos, 0n)),
  overload(
    'quantity_is_greater_than',
    'Quantity.isGreaterThan(Quantity): bool',
    (a: CelQuantity, b: CelQuantity) => a.nanos > b.nanos,
  ),
  overload('quantity_is_less_than', 'Quantity.isLessThan(Quantity): bool', (a: CelQuantity, b: CelQuantity) => a.nanos < b.nanos),
  overload('quantity_compare_to', 'Quantity.compareTo(Quantity): int', (a: CelQuantity, b: CelQuantity) =>
    order(a.nanos, b.nanos),
  ),
  overload('quantity_get_float', 'Quantity.asApproximateFloat(): double', ({ nanos }: CelQuantity) => Number(nanos) / 1e9),
  overload('quantity_get_int', 'Quantity.asInteger(): int', asInteger),
  overload('quantity_is_integer', 'Quantity.isInteger(): bool', isInteger),
  overload(
    'quantity_add',
    'Quantity.add(Quantity): Quantity',
    (a: CelQuantity, b: CelQuantity) => new CelQuantity(a.nanos + b.nanos),
  ),
  overload('quantity_add_int', 'Quantity.add(int): Quantity', (a: CelQuantity, b: bigint) => new CelQuantity(a.nanos + b * nano)),
  overload(
    'quantity_sub',
    'Quantity.sub(Quantity): Quantity',
    (a: CelQuantity, b: CelQuantity) => new CelQuantity(a.nanos - b.nanos),
  ),
  overload('quantity_sub_int', 'Quantity.sub(int): Quantity', (a: CelQuantity, b: bigint) => new CelQuantity(a.nanos - b * nano)),
];

export class CelSemver extends CelOpaque {
  readonly typeName = 'kubernetes.Semver';
  /** Major, minor, patch. */
  readonly numbers: readonly [bigint, bigint, bigint];
  readonly prerelease: readonly string[];

  constructor(numbers: readonly [bigint, bigint, bigint], prerelease: readonly string[]) {
    super();
    this.numbers = numbers;
    this.prerelease = prerelease;
  }

  /** Build metadata does not count. */
  get form(): string {
    return `${this.numbers.join('.')}${this.prerelease.length > 0 ? `-${this.prerelease.join('.')}` : ''}`;
  }

  compareTo(other: CelSemver): bigint {
    for (const [index, number] of this.numbers.entries()) {
      const result = order(number, other.numbers[index] as bigint);
      if (result !== 0n) return result;
    }
    const [mine, theirs] = [this.prerelease, other.prerelease];
    // A release comes after what was released before it.
    if (mine.length === 0 || theirs.length === 0) return order(mine.length === 0 ? 1n : 0n, theirs.length === 0 ? 1n : 0n);
    for (const [index, part] of mine.entries()) {
      const result = theirs[index] === undefined ? 1n : comparePart(part, theirs[index]);
      if (result !== 0n) return result;
    }
    return mine.length < theirs.length ? -1n : 0n;
  }
}

const isNumber = (part: string) => /^\d+$/.test(part);

function comparePart(a: string, b: string): bigint {
  if (isNumber(a) && isNumber(b)) return order(BigInt(a), BigInt(b));
  if (isNumber(a) !== isNumber(b)) return isNumber(a) ? -1n : 1n;
  return a < b ? -1n : a > b ? 1n : 0n;
}

/** The version, or what is wrong with the text. With `lenient`, a v before it and missing parts are allowed. */
function parseVersion(text: string, lenient: boolean): CelSemver | string {
  let written = text;
  if (lenient) {
    const parts = text.replace(/^v/, '').split('.');
    const head = [...parts.slice(0, 2), parts.slice(2).join('.')].slice(0, Math.min(parts.length, 3));
    const trimmed = head.map((part) => part.replace(/^0+(?=\d)/, ''));
    if (trimmed.length < 3 && /[+-]/.test(trimmed.at(-1) as string))
      return 'short version cannot contain PreRelease/Build meta data';
    while (trimmed.length < 3) trimmed.push('0');
    written = trimmed.join('.');
  }
  if (written === '') return 'Version string empty';
  if (written.length > 256) return 'Version string too long';
  const match = /^(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+([0-9A-Za-z.-]+))?$/.exec(written);
  if (!match)
    return written.split('.').length < 3
      ? 'No Major.Minor.Patch elements found'
      : `Invalid character(s) found in version ${JSON.stringify(text)}`;
  const numbers = match.slice(1, 4) as [string, string, string];
  const zero = numbers.find((number) => number.length > 1 && number.startsWith('0'));
  if (zero !== undefined) return `Version number must not contain leading zeroes ${JSON.stringify(zero)}`;
  const prerelease = match[4] === undefined ? [] : match[4].split('.');
  if (prerelease.includes('')) return 'Prerelease is empty';
  const padded = prerelease.find((part) => /^0\d+$/.test(part));
  if (padded !== undefined) return `Numeric PreRelease version must not contain leading zeroes ${JSON.stringify(padded)}`;
  if (match[5]?.split('.').includes('')) return 'Build meta data is empty';
  return new CelSemver(numbers.map(BigInt) as [bigint, bigint, bigint], prerelease);
}

function version(text: string, lenient = false): CelSemver {
  const parsed = parseVersion(text, lenient);
  if (typeof parsed === 'string') throw evaluationError(parsed);
  return parsed;
}

const isVersion = (text: string, lenient = false) => parseVersion(text, lenient) instanceof CelSemver;

const versions: readonly Overload[] = [
  overload('string_to_semver', 'semver(string): Semver', (text: string) => version(text)),
  overload('string_bool_to_semver', 'semver(string, bool): Semver', version),
  overload('is_semver_string', 'isSemver(string): bool', (text: string) => isVersion(text)),
  overload('is_semver_string_bool', 'isSemver(string, bool): bool', isVersion),
  overload('semver_is_greater_than', 'Semver.isGreaterThan(Semver): bool', (a: CelSemver, b: CelSemver) => a.compareTo(b) > 0n),
  overload('semver_is_less_than', 'Semver.isLessThan(Semver): bool', (a: CelSemver, b: CelSemver) => a.compareTo(b) < 0n),
  overload('semver_compare_to', 'Semver.compareTo(Semver): int', (a: CelSemver, b: CelSemver) => a.compareTo(b)),
  overload('semver_major', 'Semver.major(): int', ({ numbers }: CelSemver) => numbers[0]),
  overload('semver_minor', 'Semver.minor(): int', ({ numbers }: CelSemver) => numbers[1]),
  overload('semver_patch', 'Semver.patch(): int', ({ numbers }: CelSemver) => numbers[2]),
];

export const amounts: readonly Overload[] = [...quantities, ...versions];
