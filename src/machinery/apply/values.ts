/** What the walks over objects share: kinds of values, equality, and the steps that name the items of a list. */
import { deduced, type Shape } from './shapes.ts';

export type Members = Record<string, unknown>;

export const isMap = (value: unknown): value is Members => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Neither a value nor null counts as there. */
export const isAbsent = (value: unknown): value is null | undefined => value === null || value === undefined;

/** Equal as JSON; members that are null or undefined are as good as missing. */
export function sameValue(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (isAbsent(a) || isAbsent(b)) return isAbsent(a) && isAbsent(b);
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, index) => sameValue(item, b[index]));
  }
  if (!isMap(a) || !isMap(b)) return false;
  for (const key in a) if (!sameValue(a[key], b[key])) return false;
  for (const key in b) if (!(key in a) && !isAbsent(b[key])) return false;
  return true;
}

export type ListShape = Extract<Shape, { form: 'keyed' | 'set' }>;

/** The step that names an item of a list. Undefined when the item has no name: a missing key, or a set's item that is not a scalar. */
export function stepOf(item: unknown, shape: ListShape): string | undefined {
  if (shape.form === 'set') return typeof item === 'object' ? undefined : `v:${JSON.stringify(item)}`;
  if (!isMap(item)) return undefined;
  const key: Members = {};
  for (const name of shape.keys) {
    const value = isAbsent(item[name]) ? shape.defaults[name] : item[name];
    if (isAbsent(value)) return undefined;
    key[name] = value;
  }
  return `k:${JSON.stringify(key)}`;
}

/** The items of a list by their steps, in order. Undefined when an item has none: such a list is one field. */
export function stepsOf(list: readonly unknown[], shape: ListShape): string[] | undefined {
  const steps: string[] = [];
  for (const item of list) {
    const step = stepOf(item, shape);
    if (step === undefined) return undefined;
    steps.push(step);
  }
  return steps;
}

/** The shape of a map's member; members that the type does not know are owned by what they are. */
export function memberShape(shape: Shape, name: string): Shape {
  if (shape.form === 'struct') return shape.field(name)?.shape ?? deduced;
  return shape.form === 'map' ? shape.member : shape;
}

/** How a value is walked: by members, by items, or not at all. */
export function walkOf(shape: Shape, one: unknown, other?: unknown): 'members' | 'items' | 'leaf' {
  if (shape.form === 'leaf') return 'leaf';
  if (shape.form === 'keyed' || shape.form === 'set') {
    const fits = (value: unknown) => isAbsent(value) || (Array.isArray(value) && stepsOf(value, shape) !== undefined);
    return fits(one) && fits(other) ? 'items' : 'leaf';
  }
  return (isAbsent(one) || isMap(one)) && (isAbsent(other) || isMap(other)) ? 'members' : 'leaf';
}
