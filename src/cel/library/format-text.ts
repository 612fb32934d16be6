/** `"%s has %d".format([name, count])`: the clauses s, d, f, e, b, x, X and o. */
import { costExceeded } from '../budget.ts';
import { CelError, evaluationError } from '../errors.ts';
import { CelList } from '../lists.ts';
import { CelMap, keyForm } from '../maps.ts';
import { CelOpaque, CelOptional, CelUint, type CelValue, typeNameOf } from '../values.ts';
import { textOf } from './text-forms.ts';

/** The longest text that one call may make, in UTF-16 units. */
export const textSizeMax = 10 * 1024 * 1024;
const precisionMax = 1000;
const precisionUsual = 6;

export const tooLarge = () => new CelError('CallCost', costExceeded);

export function bounded(text: string): string {
  if (text.length > textSizeMax) throw tooLarge();
  return text;
}

/** Throws CelError when a clause does not fit its value. */
export function formatted(format: string, values: readonly CelValue[]): string {
  let text = '';
  let index = 0;
  let at = 0;
  while (at < format.length) {
    const percent = format.indexOf('%', at);
    if (percent < 0) return bounded(text + format.slice(at));
    text += format.slice(at, percent);
    if (format[percent + 1] === '%') {
      text += '%';
      at = percent + 2;
      continue;
    }
    if (percent + 1 >= format.length) throw evaluationError('unexpected end of string');
    if (index >= values.length) throw evaluationError(`index ${index} out of range`);
    const clause = /^(?:\.(\d*))?(.)/u.exec(format.slice(percent + 1, percent + 24));
    const letter = clause?.[2] ?? '';
    const precision = clause?.[1] === undefined ? precisionUsual : Number(clause[1] || 0);
    if (precision > precisionMax) {
      throw evaluationError(
        `could not parse formatting clause: error while parsing precision: precision ${precision} exceeds maximum allowed precision ${precisionMax}`,
      );
    }
    text = bounded(text + clauseText(letter, precision, values[index++] as CelValue));
    at = percent + 1 + (clause?.[0].length ?? 1);
  }
  return bounded(text);
}

function refused(complaint: string, value: CelValue): never {
  throw evaluationError(`error during formatting: ${complaint}, was given ${typeNameOf(value)}`);
}

const integer = (value: CelValue) => (typeof value === 'bigint' ? value : value instanceof CelUint ? value.value : undefined);

function clauseText(letter: string, precision: number, value: CelValue): string {
  const whole = integer(value);
  switch (letter) {
    case 's':
      return plain(value);
    case 'd':
      return String(whole ?? refused('decimal clause can only be used on integers', value));
    case 'f':
      return floating(value, 'fixed-point', (number) => number.toFixed(Math.min(precision, 100)));
    case 'e':
      return floating(value, 'scientific', (number) =>
        number.toExponential(Math.min(precision, 100)).replace(/e([+-])(\d)$/, 'e$10$2'),
      );
    case 'b':
      if (typeof value === 'boolean') return value ? '1' : '0';
      return whole?.toString(2) ?? refused('only integers and bools can be formatted as binary', value);
    case 'x':
    case 'X': {
      const hex = hexadecimal(value);
      return letter === 'X' ? hex.toUpperCase() : hex;
    }
    case 'o':
      return whole?.toString(8) ?? refused('octal clause can only be used on integers', value);
    default:
      throw evaluationError(`could not parse formatting clause: unrecognized formatting clause "${letter}"`);
  }
}

function hexadecimal(value: CelValue): string {
  if (typeof value === 'string' || value instanceof Uint8Array) return Buffer.from(value as string).toString('hex');
  return integer(value)?.toString(16) ?? refused('only integers, byte buffers, and strings can be formatted as hex', value);
}

function floating(value: CelValue, clause: string, write: (number: number) => string): string {
  if (value === 'NaN' || value === 'Infinity' || value === '-Infinity')
    return value === 'NaN' ? value : value.replace('Infinity', '∞');
  if (typeof value !== 'number') return refused(`${clause} clause can only be used on doubles`, value);
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '-∞';
  return write(value);
}

const onlyPlain =
  'string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps';

/** `%s`: scalars as `string()` gives them, lists and maps in brackets with keys in order. */
function plain(value: CelValue): string {
  if (value === null) return 'null';
  if (value instanceof CelList) return bounded(`[${value.items.map(plain).join(', ')}]`);
  if (value instanceof CelMap) {
    const keys = value.keys().sort((a, b) => ((keyForm(a) as string) < (keyForm(b) as string) ? -1 : 1));
    return bounded(`{${keys.map((key) => `${plain(key)}: ${plain(value.get(key) as CelValue)}`).join(', ')}}`);
  }
  if (value instanceof Uint8Array) return Buffer.from(value).toString('utf8');
  if (value instanceof CelOpaque || value instanceof CelOptional) return refused(onlyPlain, value);
  return textOf(value) ?? refused(onlyPlain, value);
}
