/** Optional values. `.?field` and `[?key]` are with the operators. */
import { evaluationError } from '../errors.ts';
import { type Overload, overload } from '../functions.ts';
import { CelList } from '../lists.ts';
import { CelMap } from '../maps.ts';
import { CelDuration, CelOptional, CelUint, type CelValue } from '../values.ts';

/** Whether it is what a field of this type has when nobody set it. */
function isZero(value: CelValue): boolean {
  if (value === null || value === false || value === '') return true;
  if (typeof value === 'bigint') return value === 0n;
  if (typeof value === 'number') return value === 0;
  if (value instanceof CelUint) return value.value === 0n;
  if (value instanceof CelDuration) return value.nanos === 0n;
  if (value instanceof Uint8Array) return value.length === 0;
  if (value instanceof CelList || value instanceof CelMap) return value.size === 0;
  return value instanceof CelOptional && value.value === undefined;
}

function dereferenced({ value }: CelOptional): CelValue {
  if (value === undefined) throw evaluationError('optional.none() dereference');
  return value;
}

const present = (list: CelList) =>
  CelList.of((list.items as readonly CelOptional[]).flatMap(({ value }) => (value === undefined ? [] : [value])));

export const optionals: readonly Overload[] = [
  overload('optional_of', 'optional.of(T): optional(T)', (value: CelValue) => new CelOptional(value)),
  overload('optional_ofNonZeroValue', 'optional.ofNonZeroValue(T): optional(T)', (value: CelValue) =>
    isZero(value) ? CelOptional.none : new CelOptional(value),
  ),
  overload('optional_none', 'optional.none(): optional(T)', () => CelOptional.none),
  overload('optional_value', 'optional(T).value(): T', dereferenced),
  overload('optional_hasValue', 'optional(T).hasValue(): bool', ({ value }: CelOptional) => value !== undefined),
  overload('optional_or_optional', 'optional(T).or(optional(T)): optional(T)', (a: CelOptional, b: CelOptional) =>
    a.value === undefined ? b : a,
  ),
  overload('optional_orValue_value', 'optional(T).orValue(T): T', (a: CelOptional, b: CelValue) =>
    a.value === undefined ? b : a.value,
  ),
  overload('optional_unwrap', 'optional.unwrap(list(optional(T))): list(T)', present),
  overload('optional_unwrapOpt', 'list(optional(T)).unwrapOpt(): list(T)', present),
];
