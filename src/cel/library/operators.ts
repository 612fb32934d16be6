/** Operators: arithmetic with overflow as an error, comparison, membership, indexes. */

import { costExceeded } from '../budget.ts';
import { compare, equals, identityIn } from '../comparison.ts';
import { CelError, evaluationError, noSuchOverload } from '../errors.ts';
import { type Overload, overload } from '../functions.ts';
import { CelList } from '../lists.ts';
import { CelMap } from '../maps.ts';
import { durationOf, timestampOf } from '../time.ts';
import { type CelDuration, CelOptional, type CelTimestamp, CelUint, type CelValue, intMax, intMin, uintMax } from '../values.ts';
import { shown } from './text-forms.ts';

function int(value: bigint): bigint {
  if (value > intMax || value < intMin) throw evaluationError('integer overflow');
  return value;
}

function uint(value: bigint): CelUint {
  if (value > uintMax || value < 0n) throw evaluationError('unsigned integer overflow');
  return new CelUint(value);
}

function nonZero(divisor: bigint, word: 'division' | 'modulus'): bigint {
  if (divisor === 0n) throw evaluationError(`${word} by zero`);
  return divisor;
}

/** The longest list that an expression makes by joining. */
const listSizeMax = 1_000_000;

/** Lists of type set and map keep one of each element; the later one replaces the earlier. */
export function joined(a: CelList, b: CelList): CelList {
  if (a.size + b.size > listSizeMax) throw new CelError('CallCost', costExceeded);
  if (a.semantics.kind === 'atomic') return CelList.of([...a.items, ...b.items]);
  const identify = identityIn(a);
  const items = new Map(a.items.map((item) => [identify(item), item]));
  for (const item of b.items) items.set(identify(item), item);
  return CelList.of([...items.values()], a.semantics);
}

function element(list: CelList, index: CelValue): CelValue | undefined {
  const at = typeof index === 'bigint' ? Number(index) : index instanceof CelUint ? Number(index.value) : Number(index);
  return Number.isInteger(at) && at >= 0 ? list.items[at] : undefined;
}

/** `container[key]`, undefined when there is no such element. */
function at(container: CelValue, key: CelValue): CelValue | undefined {
  if (container instanceof CelList) return element(container, key);
  if (container instanceof CelMap) return container.get(key);
  throw noSuchOverload();
}

const optionalAt = (container: CelValue, key: CelValue): CelOptional => {
  const value = at(container, key);
  return value === undefined ? CelOptional.none : new CelOptional(value);
};

const throughOptional = (container: CelOptional, key: CelValue): CelOptional =>
  container.value === undefined ? CelOptional.none : optionalAt(container.value, key);

const arithmetic: Overload[] = [
  overload('add_int64', '_+_(int, int): int', (a: bigint, b: bigint) => int(a + b)),
  overload('add_uint64', '_+_(uint, uint): uint', (a: CelUint, b: CelUint) => uint(a.value + b.value)),
  overload('add_double', '_+_(double, double): double', (a: number, b: number) => a + b),
  overload('add_string', '_+_(string, string): string', (a: string, b: string) => a + b),
  overload('add_bytes', '_+_(bytes, bytes): bytes', (a: Uint8Array, b: Uint8Array) => new Uint8Array(Buffer.concat([a, b]))),
  overload('add_list', '_+_(list(T), list(T)): list(T)', joined),
  overload('add_duration_duration', '_+_(duration, duration): duration', (a: CelDuration, b: CelDuration) =>
    durationOf(a.nanos + b.nanos),
  ),
  overload('add_duration_timestamp', '_+_(duration, timestamp): timestamp', (a: CelDuration, b: CelTimestamp) =>
    timestampOf(a.nanos + b.nanos),
  ),
  overload('add_timestamp_duration', '_+_(timestamp, duration): timestamp', (a: CelTimestamp, b: CelDuration) =>
    timestampOf(a.nanos + b.nanos),
  ),
  overload('subtract_int64', '_-_(int, int): int', (a: bigint, b: bigint) => int(a - b)),
  overload('subtract_uint64', '_-_(uint, uint): uint', (a: CelUint, b: CelUint) => uint(a.value - b.value)),
  overload('subtract_double', '_-_(double, double): double', (a: number, b: number) => a - b),
  overload('subtract_timestamp_timestamp', '_-_(timestamp, timestamp): duration', (a: CelTimestamp, b: CelTimestamp) =>
    durationOf(a.nanos - b.nanos),
  ),
  overload('subtract_timestamp_duration', '_-_(timestamp, duration): timestamp', (a: CelTimestamp, b: CelDuration) =>
    timestampOf(a.nanos - b.nanos),
  ),
  overload('subtract_duration_duration', '_-_(duration, duration): duration', (a: CelDuration, b: CelDuration) =>
    durationOf(a.nanos - b.nanos),
  ),
  overload('multiply_int64', '_*_(int, int): int', (a: bigint, b: bigint) => int(a * b)),
  overload('multiply_uint64', '_*_(uint, uint): uint', (a: CelUint, b: CelUint) => uint(a.value * b.value)),
  overload('multiply_double', '_*_(double, double): double', (a: number, b: number) => a * b),
  overload('divide_int64', '_/_(int, int): int', (a: bigint, b: bigint) => int(a / nonZero(b, 'division'))),
  overload('divide_uint64', '_/_(uint, uint): uint', (a: CelUint, b: CelUint) => uint(a.value / nonZero(b.value, 'division'))),
  overload('divide_double', '_/_(double, double): double', (a: number, b: number) => a / b),
  overload('modulo_int64', '_%_(int, int): int', (a: bigint, b: bigint) => a % nonZero(b, 'modulus')),
  overload('modulo_uint64', '_%_(uint, uint): uint', (a: CelUint, b: CelUint) => uint(a.value % nonZero(b.value, 'modulus'))),
  overload('negate_int64', '-_(int): int', (a: bigint) => int(-a)),
  overload('negate_double', '-_(double): double', (a: number) => -a),
];

const comparisons: [string, string, (order: number) => boolean][] = [
  ['less', '_<_', (order) => order < 0],
  ['less_equals', '_<=_', (order) => order <= 0],
  ['greater', '_>_', (order) => order > 0],
  ['greater_equals', '_>=_', (order) => order >= 0],
];
const ordered = ['bool', 'int', 'uint', 'double', 'string', 'bytes', 'timestamp', 'duration'];
const numbers = ['int', 'uint', 'double'];
const pairs = [
  ...ordered.map((type) => [type, type] as const),
  ...numbers.flatMap((a) => numbers.filter((b) => b !== a).map((b) => [a, b] as const)),
];

const comparisonOverloads = comparisons.flatMap(([id, name, holds]) =>
  pairs.map(([a, b]) =>
    overload(a === b ? `${id}_${a}` : `${id}_${a}_${b}`, `${name}(${a}, ${b}): bool`, (x: CelValue, y: CelValue) =>
      holds(compare(x, y)),
    ),
  ),
);

const containers: Overload[] = [
  overload('in_list', '@in(T, list(T)): bool', (value: CelValue, list: CelList) =>
    list.items.some((item) => equals(item, value)),
  ),
  overload('in_map', '@in(K, map(K, V)): bool', (key: CelValue, map: CelMap) => map.get(key) !== undefined),
  overload('index_list', '_[_](list(T), int): T', (list: CelList, index: CelValue) => {
    const value = element(list, index);
    if (value === undefined) throw evaluationError(`index out of bounds: ${shown(index)}`);
    return value;
  }),
  overload('index_map', '_[_](map(K, V), K): V', (map: CelMap, key: CelValue) => {
    const value = map.get(key);
    if (value === undefined) throw evaluationError(`no such key: ${shown(key)}`);
    return value;
  }),
  overload('optional_list_index_int', '_[_](optional(list(T)), int): optional(T)', throughOptional),
  overload('optional_map_index_value', '_[_](optional(map(K, V)), K): optional(V)', throughOptional),
  overload('list_optindex_optional_int', '_[?_](list(T), int): optional(T)', optionalAt),
  overload('map_optindex_optional_value', '_[?_](map(K, V), K): optional(V)', optionalAt),
  overload('optional_list_optindex_optional_int', '_[?_](optional(list(T)), int): optional(T)', throughOptional),
  overload('optional_map_optindex_optional_value', '_[?_](optional(map(K, V)), K): optional(V)', throughOptional),
];

const logic: Overload[] = [
  // The evaluator does these itself, since they may leave an operand out; here they are declared.
  overload('conditional', '_?_:_(bool, T, T): T', (yes: boolean, a: CelValue, b: CelValue) => (yes ? a : b)),
  overload('logical_and', '_&&_(bool, bool): bool', (a: boolean, b: boolean) => a && b),
  overload('logical_or', '_||_(bool, bool): bool', (a: boolean, b: boolean) => a || b),
  overload('not_strictly_false', '@not_strictly_false(bool): bool', (value: boolean) => value),
  overload('logical_not', '!_(bool): bool', (value: boolean) => !value),
  overload('equals', '_==_(T, T): bool', (a: CelValue, b: CelValue) => equals(a, b)),
  overload('not_equals', '_!=_(T, T): bool', (a: CelValue, b: CelValue) => !equals(a, b)),
];

export const operators: readonly Overload[] = [...arithmetic, ...comparisonOverloads, ...containers, ...logic];
