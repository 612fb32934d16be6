/**
 * Amounts of resources: `250m`, `1.5Gi`, `2e3`. Exact decimal arithmetic on integers, because a CPU share or a byte count
 * that is off by one fails tools that compare. Source: the Kubernetes page "Quantity" of the API reference.
 *
 * An amount is digits × 10^exponent. Nothing finer than a billionth is kept: smaller amounts are rounded up, away from zero.
 */
import { badRequest } from './status.ts';

type Form = 'binary' | 'decimal' | 'exponent';

interface Amount {
  digits: bigint;
  exponent: number;
  form: Form;
}

const wrongFormat = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const wrongSuffix = "unable to parse quantity's suffix";
const shape = /^([+-]?)(\d*)(?:\.(\d*))?([a-zA-Z]*)([+-]?\d*)$/;
const lengthMax = 128;
const exponentMax = 256;
const nanoExponent = -9;
/** Amounts with more digits than fit are capped, as every implementation with 64-bit integers does. */
const largest = 2n ** 63n - 1n;
const exactDigitsMax = 18;

const decimalSuffixes = ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E'];
const binarySuffixes = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
const decimalExponent = new Map(decimalSuffixes.map((suffix, index) => [suffix, (index - 3) * 3]));
const binaryPower = new Map(binarySuffixes.slice(1).map((suffix, index) => [suffix, index + 1]));

const power10 = (exponent: number) => 10n ** BigInt(exponent);

/** Division that rounds away from zero. */
function divideUp(value: bigint, by: bigint): bigint {
  const quotient = value / by;
  if (quotient * by === value) return quotient;
  return value > 0n ? quotient + 1n : quotient - 1n;
}

/** The amount in units of 10^exponent, rounded away from zero. */
function scaled({ digits, exponent }: Amount, to: number): bigint {
  return exponent >= to ? digits * power10(exponent - to) : divideUp(digits, power10(to - exponent));
}

function capped(amount: Amount): Amount {
  const nano = scaled(amount, nanoExponent);
  const limit = largest * power10(-nanoExponent);
  if (nano > limit) return { ...amount, digits: largest, exponent: 0 };
  if (nano < -limit) return { ...amount, digits: -largest, exponent: 0 };
  return { ...amount, digits: nano, exponent: nanoExponent };
}

function withSuffix(digits: bigint, places: number, letters: string, number: string): Amount | string {
  if (letters === 'e' || letters === 'E') {
    if (/\d/.test(number)) {
      const exponent = Number(number);
      if (Math.abs(exponent) > exponentMax) return wrongSuffix;
      return { digits, exponent: exponent - places, form: 'exponent' };
    }
    if (letters === 'e') return wrongSuffix;
  }
  if (number !== '') return wrongSuffix;
  const exponent = decimalExponent.get(letters);
  if (exponent !== undefined) return { digits, exponent: exponent - places, form: 'decimal' };
  const power = binaryPower.get(letters);
  if (power === undefined) return wrongSuffix;
  return { digits: digits * 1024n ** BigInt(power), exponent: -places, form: 'binary' };
}

/** The amount, or what is wrong with the text. */
function parse(text: string): Amount | string {
  if (text.length > lengthMax) return wrongFormat;
  const match = shape.exec(text);
  if (!match) return wrongFormat;
  const [, sign, whole = '', fraction = '', letters = '', number = ''] = match;
  if (whole === '' && fraction === '') return wrongFormat;
  const digits = BigInt(whole + fraction);
  const amount = withSuffix(sign === '-' ? -digits : digits, fraction.length, letters, number);
  if (typeof amount === 'string') return amount;
  const simple = amount.form !== 'binary' && whole.length + fraction.length <= exactDigitsMax && amount.exponent >= nanoExponent;
  return simple ? amount : capped(amount);
}

function amountOf(value: string | number): Amount {
  const amount = parse(typeof value === 'number' ? String(value) : value);
  if (typeof amount === 'string') throw badRequest(amount);
  return amount;
}

/** True when the value can stand for an amount. Numbers are amounts, too. */
export function isQuantity(value: unknown): boolean {
  if (typeof value !== 'string' && typeof value !== 'number') return false;
  return typeof parse(String(value)) !== 'string';
}

/** What is wrong with a text that should be an amount; undefined when it is one. */
export function quantityComplaint(value: string): string | undefined {
  const amount = parse(value);
  return typeof amount === 'string' ? amount : undefined;
}

/** Thousandths, rounded up: `250m` → 250, `1` → 1000. Throws StatusError 400. */
export function quantityMilli(value: string | number): number {
  return Number(scaled(amountOf(value), -3));
}

/** Whole units, rounded up: `1Ki` → 1024, `1500m` → 2. Throws StatusError 400. */
export function quantityValue(value: string | number): number {
  return Number(scaled(amountOf(value), 0));
}

/** Billionths, exactly: nothing finer is kept. Throws StatusError 400. */
export function quantityNano(value: string | number): bigint {
  return scaled(amountOf(value), nanoExponent);
}

function formatDecimal(digits: bigint, exponent: number, form: Form): string {
  let mantissa = digits;
  let power = exponent;
  while (mantissa % 10n === 0n) {
    mantissa /= 10n;
    power++;
  }
  const rest = ((power % 3) + 3) % 3;
  mantissa *= power10(rest);
  power -= rest;
  if (form === 'exponent') return power === 0 ? `${mantissa}` : `${mantissa}e${power}`;
  // Beyond exa there is no letter, so the digits are written out.
  while (power > 18) {
    mantissa *= 1000n;
    power -= 3;
  }
  return `${mantissa}${decimalSuffixes[power / 3 + 3]}`;
}

function formatBinary(value: bigint): string {
  let mantissa = value;
  let power = 0;
  while (power < binarySuffixes.length - 1 && mantissa % 1024n === 0n) {
    mantissa /= 1024n;
    power++;
  }
  return `${mantissa}${binarySuffixes[power]}`;
}

function format(amount: Amount): string {
  if (amount.digits === 0n) return '0';
  if (amount.form === 'binary') {
    const whole = scaled(amount, 0);
    const exact = scaled(amount, nanoExponent) === whole * power10(-nanoExponent);
    if (exact && (whole >= 1024n || whole <= -1024n)) return formatBinary(whole);
    return formatDecimal(amount.digits, amount.exponent, 'decimal');
  }
  return formatDecimal(amount.digits, amount.exponent, amount.form);
}

/** The one way in which Kubernetes prints this amount: `1000m` → `1`, `1024Mi` → `1Gi`, `0.5Gi` → `512Mi`. Throws StatusError 400. */
export function canonicalQuantity(value: string | number): string {
  return format(amountOf(value));
}

function combined(a: Amount, b: Amount, sign: bigint): Amount {
  const exponent = Math.min(a.exponent, b.exponent);
  const digits = scaled(a, exponent) + sign * scaled(b, exponent);
  return { digits, exponent, form: a.digits === 0n ? b.form : a.form };
}

/** The exact sum, printed in the form of the first that is not zero: `1Gi` and `512Mi` → `1536Mi`. Throws StatusError 400. */
export function addQuantities(a: string, b: string): string {
  return format(combined(amountOf(a), amountOf(b), 1n));
}

/** As `addQuantities`, for many: each text counts as often as the number beside it says. Quick when there are few different ones. */
export function sumQuantities(counts: ReadonlyMap<string, number>): string {
  let sum = amountOf('0');
  for (const [text, count] of counts) {
    const amount = amountOf(text);
    sum = combined(sum, { ...amount, digits: amount.digits * BigInt(count) }, 1n);
  }
  return format(sum);
}

/** As `addQuantities`, for the difference. */
export function subtractQuantities(a: string, b: string): string {
  return format(combined(amountOf(a), amountOf(b), -1n));
}

/** Below zero when `a` is the smaller one, zero when they are equal. Throws StatusError 400. */
export function compareQuantities(a: string, b: string): number {
  const { digits } = combined(amountOf(a), amountOf(b), -1n);
  return digits === 0n ? 0 : digits < 0n ? -1 : 1;
}

/** Thousandths as an amount: 250 → `250m`, 2000 → `2`. */
export function formatMilli(milli: number): string {
  const rounded = BigInt(Math.ceil(milli));
  return rounded === 0n ? '0' : formatDecimal(rounded, -3, 'decimal');
}

/** Bytes as an amount: 134217728 → `128Mi`; what is no multiple of 1024 stays a number. */
export function formatBytes(bytes: number): string {
  const rounded = BigInt(Math.ceil(bytes));
  if (rounded === 0n) return '0';
  if (rounded > -1024n && rounded < 1024n) return formatDecimal(rounded, 0, 'decimal');
  return formatBinary(rounded);
}
