/** Libraries of lists: Kubernetes' own (isSorted, sum, min, max, indexOf), the general one (slice, sort …), and sets. */
import { compare, equals, formOf } from '../comparison.ts';
import { evaluationError, noSuchOverload } from '../errors.ts';
import { type Overload, type OverloadCall, overload } from '../functions.ts';
import { CelList } from '../lists.ts';
import { durationOf } from '../time.ts';
import { CelDuration, CelOptional, CelUint, type CelValue, intMax, intMin, uintMax } from '../values.ts';

const comparable = ['int', 'uint', 'double', 'bool', 'duration', 'timestamp', 'string', 'bytes'];

/** A range or list that an expression makes is no longer than this. */
const sizeMax = 1_000_000;

function isSorted({ items }: CelList): boolean {
  return items.every((item, index) => index === 0 || compare(items[index - 1] as CelValue, item) <= 0);
}

function extreme({ items }: CelList, name: string, better: (order: number) => boolean): CelValue {
  if (items.length === 0) throw evaluationError(`${name} called on empty list`);
  return items.reduce((best, item) => (better(compare(item, best)) ? item : best));
}

function sumOfInts({ items }: CelList): bigint {
  const sum = (items as bigint[]).reduce((total, item) => total + item, 0n);
  if (sum > intMax || sum < intMin) throw evaluationError('integer overflow');
  return sum;
}

function sumOfUints({ items }: CelList): CelUint {
  const sum = (items as CelUint[]).reduce((total, { value }) => total + value, 0n);
  if (sum > uintMax) throw evaluationError('unsigned integer overflow');
  return new CelUint(sum);
}

const sums: [string, OverloadCall][] = [
  ['int', sumOfInts],
  ['uint', sumOfUints],
  ['double', ({ items }: CelList) => (items as number[]).reduce((total, item) => total + item, 0)],
  ['duration', ({ items }: CelList) => durationOf((items as CelDuration[]).reduce((total, { nanos }) => total + nanos, 0n))],
];

function slice({ items, semantics }: CelList, start: bigint, end: bigint): CelList {
  const words = `cannot slice(${start}, ${end})`;
  if (start < 0n || end < 0n) throw evaluationError(`${words}, negative indexes not supported`);
  if (start > end) throw evaluationError(`${words}, start index must be less than or equal to end index`);
  if (end > items.length) throw evaluationError(`${words}, list is length ${items.length}`);
  return CelList.of(items.slice(Number(start), Number(end)), semantics);
}

function flatten(list: CelList, depth: bigint): CelValue[] {
  if (depth < 0n) throw evaluationError('level must be non-negative');
  return list.items.flatMap((item) => (item instanceof CelList && depth > 0n ? flatten(item, depth - 1n) : [item]));
}

function distinct({ items }: CelList): CelList {
  const seen = new Set<string>();
  return CelList.of(items.filter((item) => seen.size < seen.add(formOf(item)).size));
}

/** The items in the order of their keys, equal ones as they were. */
function sortedBy({ items }: CelList, keys: CelList): CelList {
  if (keys.size !== items.length) {
    throw evaluationError(
      `@sortByAssociatedKeys() expected a list of the same size as the associated keys list, but got ${items.length} and ${keys.size} elements respectively.`,
    );
  }
  const order = items.map((_, index) => index);
  order.sort((a, b) => compare(keys.items[a] as CelValue, keys.items[b] as CelValue) || a - b);
  return CelList.of(order.map((index) => items[index] as CelValue));
}

function range(size: bigint): CelList {
  if (size > sizeMax) throw evaluationError(`range of ${size} elements is too large`);
  return CelList.of(Array.from({ length: Math.max(0, Number(size)) }, (_, index) => BigInt(index)));
}

function contains(list: CelList, part: CelList): boolean {
  const forms = new Set(list.items.map(formOf));
  return part.items.every((item) => forms.has(formOf(item)));
}

const optional = (value: CelValue | undefined) => (value === undefined ? CelOptional.none : new CelOptional(value));

const perType = comparable.flatMap((type) => [
  overload(`list_${type}_is_sorted_bool`, `list(${type}).isSorted(): bool`, isSorted),
  overload(`list_${type}_max_${type}`, `list(${type}).max(): ${type}`, (list: CelList) =>
    extreme(list, 'max', (order) => order > 0),
  ),
  overload(`list_${type}_min_${type}`, `list(${type}).min(): ${type}`, (list: CelList) =>
    extreme(list, 'min', (order) => order < 0),
  ),
  overload(`list_${type}_sort`, `list(${type}).sort(): list(${type})`, (list: CelList) => sortedBy(list, list)),
  overload(`list_${type}_sortByAssociatedKeys`, `list(T).@sortByAssociatedKeys(list(${type})): list(T)`, sortedBy),
]);

export const lists: readonly Overload[] = [
  ...perType,
  ...sums.map(([type, sum]) =>
    overload(`list_${type}_sum_${type}`, `list(${type}).sum(): ${type}`, (list: CelList) => {
      // A list of dyn fits several of these; which one is meant shows in its elements.
      if (list.items.length > 0 && !kinds[type]?.(list.items[0] as CelValue)) throw noSuchOverload();
      return sum(list as never);
    }),
  ),
  overload('list_a_index_of_int', 'list(T).indexOf(T): int', (list: CelList, value: CelValue) =>
    BigInt(list.items.findIndex((item) => equals(item, value))),
  ),
  overload('list_a_last_index_of_int', 'list(T).lastIndexOf(T): int', (list: CelList, value: CelValue) =>
    BigInt(list.items.findLastIndex((item) => equals(item, value))),
  ),
  overload('list_slice', 'list(T).slice(int, int): list(T)', slice),
  overload('list_flatten', 'list(list(T)).flatten(): list(T)', (list: CelList) => CelList.of(flatten(list, 1n))),
  overload('list_flatten_int', 'list(dyn).flatten(int): list(dyn)', (list: CelList, depth: bigint) =>
    CelList.of(flatten(list, depth)),
  ),
  overload('list_distinct', 'list(T).distinct(): list(T)', distinct),
  overload('list_reverse', 'list(T).reverse(): list(T)', (list: CelList) => CelList.of([...list.items].reverse())),
  overload('lists_range', 'lists.range(int): list(int)', range),
  overload('list_first', 'list(T).first(): optional(T)', (list: CelList) => optional(list.items[0])),
  overload('list_last', 'list(T).last(): optional(T)', (list: CelList) => optional(list.items.at(-1))),
  overload('list_sets_contains_list', 'sets.contains(list(T), list(T)): bool', contains),
  overload('list_sets_intersects_list', 'sets.intersects(list(T), list(T)): bool', (a: CelList, b: CelList) => {
    const forms = new Set(a.items.map(formOf));
    return b.items.some((item) => forms.has(formOf(item)));
  }),
  overload(
    'list_sets_equivalent_list',
    'sets.equivalent(list(T), list(T)): bool',
    (a: CelList, b: CelList) => contains(a, b) && contains(b, a),
  ),
];

const kinds: Record<string, ((value: CelValue) => boolean) | undefined> = {
  int: (value) => typeof value === 'bigint',
  uint: (value) => value instanceof CelUint,
  double: (value) => typeof value === 'number',
  duration: (value) => value instanceof CelDuration,
};
