/** Equality and order of values. Values of different types are unequal; numbers are compared by what they mean. */
import { evaluationError, noSuchOverload } from './errors.ts';
import { CelList } from './lists.ts';
import { CelMap, keyForm } from './maps.ts';
import { CelDuration, CelOpaque, CelOptional, CelTimestamp, CelTypeValue, CelUint, type CelValue, typeNameOf } from './values.ts';

/** Counts the parts that a comparison has looked at. */
export interface Work {
  parts: number;
}

type Number_ = bigint | number;

function numberOf(value: CelValue): Number_ | undefined {
  if (typeof value === 'bigint' || typeof value === 'number') return value;
  return value instanceof CelUint ? value.value : undefined;
}

export function equals(a: CelValue, b: CelValue, work: Work = { parts: 0 }): boolean {
  work.parts++;
  const [left, right] = [numberOf(a), numberOf(b)];
  // biome-ignore lint/suspicious/noDoubleEquals: an int and a double are equal when they mean the same number
  if (left !== undefined && right !== undefined) return left == right;
  if (a === b) return true;
  if (a instanceof CelList && b instanceof CelList) return equalLists(a, b, work);
  if (a instanceof CelMap && b instanceof CelMap) return equalMaps(a, b, work);
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b) === 0;
  if (a instanceof CelDuration && b instanceof CelDuration) return a.nanos === b.nanos;
  if (a instanceof CelTimestamp && b instanceof CelTimestamp) return a.nanos === b.nanos;
  if (a instanceof CelTypeValue && b instanceof CelTypeValue) return a.name === b.name;
  if (a instanceof CelOpaque && b instanceof CelOpaque) return a.typeName === b.typeName && a.form === b.form;
  if (a instanceof CelOptional && b instanceof CelOptional) {
    if (a.value === undefined || b.value === undefined) return a.value === b.value;
    return equals(a.value, b.value, work);
  }
  return false;
}

function equalLists(a: CelList, b: CelList, work: Work): boolean {
  if (a.size !== b.size) return false;
  const unordered = [a, b].find((list) => list.semantics.kind !== 'atomic');
  if (!unordered) return a.items.every((item, index) => equals(item, b.items[index] as CelValue, work));
  const identify = identityIn(unordered);
  const others = new Map(b.items.map((item) => [identify(item), item]));
  return a.items.every((item) => {
    const other = others.get(identify(item));
    return other !== undefined && equals(item, other, work);
  });
}

function equalMaps(a: CelMap, b: CelMap, work: Work): boolean {
  if (a.size !== b.size) return false;
  return a.keys().every((key) => {
    const other = b.get(key);
    return other !== undefined && equals(a.get(key) as CelValue, other, work);
  });
}

/** What makes an element of a list the same element: its keys in a list of type map, otherwise all of it. */
export function identityIn({ semantics }: CelList): (item: CelValue) => string {
  if (semantics.kind !== 'map') return formOf;
  return (item) =>
    semantics.keys
      .map((key) => {
        const value = item instanceof CelMap ? item.get(key) : undefined;
        return value === undefined ? '-' : formOf(value);
      })
      .join('\0');
}

/** A text that is the same for equal values. */
export function formOf(value: CelValue): string {
  const key = keyForm(value);
  if (key !== undefined) return JSON.stringify(key);
  if (value === null) return 'null';
  if (typeof value === 'number') return `d${value}`;
  if (value instanceof CelList) return `[${value.items.map(formOf).join()}]`;
  if (value instanceof CelMap) {
    const members = value.keys().map((name) => `${formOf(name)}:${formOf(value.get(name) as CelValue)}`);
    return `{${members.sort().join()}}`;
  }
  if (value instanceof Uint8Array) return `x${Buffer.from(value).toString('hex')}`;
  if (value instanceof CelDuration) return `t${value.nanos}`;
  if (value instanceof CelTimestamp) return `@${value.nanos}`;
  if (value instanceof CelOptional) return value.value === undefined ? '?' : `?${formOf(value.value)}`;
  if (value instanceof CelOpaque) return `${value.typeName}(${JSON.stringify(value.form)})`;
  return `type ${typeNameOf(value)} ${value instanceof CelTypeValue ? value.name : ''}`;
}

const sign = (less: boolean, more: boolean) => (less ? -1 : more ? 1 : 0);

/** -1, 0 or 1. Throws CelError for values that have no order among each other. */
export function compare(a: CelValue, b: CelValue): number {
  const [left, right] = [numberOf(a), numberOf(b)];
  if (left !== undefined && right !== undefined) {
    if (Number.isNaN(left) || Number.isNaN(right)) throw evaluationError('NaN values cannot be ordered');
    return sign(left < right, left > right);
  }
  if (typeof a === 'string' && typeof b === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b));
  if (typeof a === 'boolean' && typeof b === 'boolean') return sign(!a && b, a && !b);
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b);
  if ((a instanceof CelDuration && b instanceof CelDuration) || (a instanceof CelTimestamp && b instanceof CelTimestamp)) {
    return sign(a.nanos < b.nanos, a.nanos > b.nanos);
  }
  throw noSuchOverload();
}
