/** Conversions between types, sizes, and the functions on strings that the language itself has. */
import { evaluationError } from '../errors.ts';
import { type Overload, overload } from '../functions.ts';
import type { CelList } from '../lists.ts';
import type { CelMap } from '../maps.ts';
import { matches } from '../regex/index.ts';
import { durationOf, parseDuration, parseTimestamp, timestampOf } from '../time.ts';
import {
  type CelDuration,
  type CelTimestamp,
  CelTypeValue,
  CelUint,
  type CelValue,
  intMax,
  intMin,
  stringSize,
  typeNameOf,
  uintMax,
} from '../values.ts';
import { textOf } from './text-forms.ts';

const second = 1_000_000_000n;

function failed(from: string, to: string): never {
  throw evaluationError(`type conversion error from '${from}' to '${to}'`);
}

function toInt(value: bigint): bigint {
  if (value > intMax || value < intMin) throw evaluationError('integer overflow');
  return value;
}

function toUint(value: bigint): CelUint {
  if (value > uintMax || value < 0n) throw evaluationError('unsigned integer overflow');
  return new CelUint(value);
}

function whole(value: number, word: string): bigint {
  if (!Number.isFinite(value)) throw evaluationError(`${word} overflow`);
  return BigInt(Math.trunc(value));
}

function doubleToInt(value: number): bigint {
  // The double nearest to the largest int is one too much.
  if (Number.isFinite(value) && Math.abs(value) >= 2 ** 63) throw evaluationError('integer overflow');
  return toInt(whole(value, 'integer'));
}

function parseInteger(text: string, to: 'int' | 'uint'): bigint {
  const valid = to === 'int' ? /^[+-]?\d+$/.test(text) : /^\d+$/.test(text);
  if (!valid || text.length > 64) return failed('string', to);
  const value = BigInt(text.replace(/^\+/, ''));
  const inRange = to === 'int' ? value <= intMax && value >= intMin : value <= uintMax;
  return inRange ? value : failed('string', to);
}

function parseDouble(text: string): number {
  const special: Record<string, number> = { inf: Infinity, infinity: Infinity, nan: Number.NaN };
  const word = /^([+-]?)(inf|infinity|nan)$/i.exec(text);
  if (word) return (word[1] === '-' ? -1 : 1) * (special[(word[2] as string).toLowerCase()] as number);
  if (!/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) return failed('string', 'double');
  const value = Number(text);
  return Number.isFinite(value) ? value : failed('string', 'double');
}

function parseBool(text: string): boolean {
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text)) return true;
  if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(text)) return false;
  return failed('string', 'bool');
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decode(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw evaluationError('invalid UTF-8 in bytes, cannot convert to string');
  }
}

const same = (value: CelValue) => value;
const text = (value: CelValue) => textOf(value) as string;
const uintOf = (value: CelUint) => value.value;

export const conversions: readonly Overload[] = [
  overload('type', 'type(T): type(T)', (value: CelValue) => new CelTypeValue(typeNameOf(value))),
  overload('to_dyn', 'dyn(T): dyn', same),
  overload('bool_to_bool', 'bool(bool): bool', same),
  overload('string_to_bool', 'bool(string): bool', parseBool),
  overload('bytes_to_bytes', 'bytes(bytes): bytes', same),
  overload('string_to_bytes', 'bytes(string): bytes', (value: string) => new Uint8Array(Buffer.from(value))),
  overload('double_to_double', 'double(double): double', same),
  overload('int64_to_double', 'double(int): double', (value: bigint) => Number(value)),
  overload('uint64_to_double', 'double(uint): double', (value: CelUint) => Number(value.value)),
  overload('string_to_double', 'double(string): double', parseDouble),
  overload('duration_to_duration', 'duration(duration): duration', same),
  overload('int64_to_duration', 'duration(int): duration', (value: bigint) => durationOf(value)),
  overload(
    'string_to_duration',
    'duration(string): duration',
    (value: string) => parseDuration(value) ?? failed('string', 'google.protobuf.Duration'),
  ),
  overload('int64_to_int64', 'int(int): int', same),
  overload('uint64_to_int64', 'int(uint): int', (value: CelUint) => toInt(uintOf(value))),
  overload('double_to_int64', 'int(double): int', doubleToInt),
  overload('string_to_int64', 'int(string): int', (value: string) => parseInteger(value, 'int')),
  overload(
    'timestamp_to_int64',
    'int(timestamp): int',
    ({ nanos }: CelTimestamp) => (nanos - (((nanos % second) + second) % second)) / second,
  ),
  overload('duration_to_int64', 'int(duration): int', ({ nanos }: CelDuration) => nanos),
  overload('uint64_to_uint64', 'uint(uint): uint', same),
  overload('int64_to_uint64', 'uint(int): uint', toUint),
  overload('double_to_uint64', 'uint(double): uint', (value: number) => toUint(whole(value, 'unsigned integer'))),
  overload('string_to_uint64', 'uint(string): uint', (value: string) => new CelUint(parseInteger(value, 'uint'))),
  overload('string_to_string', 'string(string): string', same),
  overload('bool_to_string', 'string(bool): string', text),
  overload('int64_to_string', 'string(int): string', text),
  overload('uint64_to_string', 'string(uint): string', text),
  overload('double_to_string', 'string(double): string', text),
  overload('bytes_to_string', 'string(bytes): string', decode),
  overload('timestamp_to_string', 'string(timestamp): string', text),
  overload('duration_to_string', 'string(duration): string', text),
  overload('timestamp_to_timestamp', 'timestamp(timestamp): timestamp', same),
  overload('int64_to_timestamp', 'timestamp(int): timestamp', (value: bigint) => timestampOf(value * second)),
  overload(
    'string_to_timestamp',
    'timestamp(string): timestamp',
    (value: string) => parseTimestamp(value) ?? failed('string', 'google.protobuf.Timestamp'),
  ),
  ...(['size(X): int', 'X.size(): int'] as const).flatMap((form) => [
    overload(form.startsWith('X') ? 'string_size' : 'size_string', form.replace('X', 'string'), (value: string) =>
      BigInt(stringSize(value)),
    ),
    overload(form.startsWith('X') ? 'bytes_size' : 'size_bytes', form.replace('X', 'bytes'), (value: Uint8Array) =>
      BigInt(value.length),
    ),
    overload(form.startsWith('X') ? 'list_size' : 'size_list', form.replace('X', 'list(T)'), (value: CelList) =>
      BigInt(value.size),
    ),
    overload(form.startsWith('X') ? 'map_size' : 'size_map', form.replace('X', 'map(K, V)'), (value: CelMap) =>
      BigInt(value.size),
    ),
  ]),
  overload('contains_string', 'string.contains(string): bool', (value: string, part: string) => value.includes(part)),
  overload('starts_with_string', 'string.startsWith(string): bool', (value: string, part: string) => value.startsWith(part)),
  overload('ends_with_string', 'string.endsWith(string): bool', (value: string, part: string) => value.endsWith(part)),
  overload('matches', 'matches(string, string): bool', matches),
  overload('matches_string', 'string.matches(string): bool', matches),
];
