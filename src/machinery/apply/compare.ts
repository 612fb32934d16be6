/** What differs between two states of an object, as sets of fields. */
import { type FieldSet, FieldSetBuilder, isEmpty } from './field-set.ts';
import { deduced, leaf, type Shape } from './shapes.ts';
import { isAbsent, isMap, type ListShape, type Members, memberShape, sameValue, stepsOf, walkOf } from './values.ts';

export interface Difference {
  added: FieldSet;
  modified: FieldSet;
  removed: FieldSet;
}

export const isSame = ({ added, modified, removed }: Difference) => isEmpty(added) && isEmpty(modified) && isEmpty(removed);

/**
 * From `before` to `after`; undefined is an object that is not there. A value that becomes null is modified, one that is left
 * out is removed. The order of lists whose items are told apart is no difference.
 */
export function compare(before: unknown, after: unknown, shape: Shape): Difference {
  const comparison = new Comparison();
  comparison.walk(before, after, shape);
  return { added: comparison.added.set, modified: comparison.modified.set, removed: comparison.removed.set };
}

class Comparison {
  readonly added = new FieldSetBuilder();
  readonly modified = new FieldSetBuilder();
  readonly removed = new FieldSetBuilder();
  readonly #path: string[] = [];

  walk(before: unknown, after: unknown, shape: Shape): void {
    if (before === after || (isAbsent(before) && isAbsent(after))) return;
    const walk = walkOf(shape, before, after);
    // What becomes null is one change, whatever was in it.
    if (walk === 'leaf' || after === null || (isVoid(before) && isVoid(after))) {
      this.#leaf(before, after);
      return;
    }
    if (walk === 'members') this.#members(before as Members | undefined, after as Members | undefined, shape);
    else this.#items(before as unknown[] | undefined, after as unknown[] | undefined, shape as ListShape);
    if (isAbsent(before)) this.#add(this.added);
    else if (after === undefined) this.#add(this.removed);
  }

  #leaf(before: unknown, after: unknown): void {
    if (isAbsent(before)) this.#add(this.added);
    else if (after === undefined) this.#add(this.removed);
    else if (!sameValue(before, after)) this.#add(this.modified);
  }

  #add(to: FieldSetBuilder): void {
    if (this.#path.length > 0) to.add(this.#path);
  }

  #members(before: Members | undefined, after: Members | undefined, shape: Shape): void {
    for (const name in before) if (before[name] !== undefined) this.#member(name, before, after, shape);
    for (const name in after) if (!before || before[name] === undefined) this.#member(name, before, after, shape);
  }

  #member(name: string, before: Members | undefined, after: Members | undefined, shape: Shape): void {
    const standIn = shape.form === 'struct' ? shape.field(name)?.standIn : undefined;
    const was = before ? (before[name] ?? standIn) : undefined;
    const is = after ? (after[name] === undefined ? standIn : after[name]) : undefined;
    this.#path.push(`f:${name}`);
    this.walk(was, is, memberShape(shape, name));
    this.#path.pop();
  }

  #items(before: unknown[] | undefined, after: unknown[] | undefined, shape: ListShape): void {
    const [was, is] = [itemsOf(before, shape), itemsOf(after, shape)];
    for (const [step, items] of was) this.#item(step, items, is.get(step), shape);
    for (const [step, items] of is) if (!was.has(step)) this.#item(step, undefined, items, shape);
  }

  #item(step: string, before: unknown[] | undefined, after: unknown[] | undefined, shape: ListShape): void {
    this.#path.push(step);
    const repeated = Math.max(before?.length ?? 0, after?.length ?? 0) > 1;
    if (repeated) this.walk(before, after, leaf);
    else this.walk(before?.[0], after?.[0], shape.form === 'keyed' ? shape.item : leaf);
    this.#path.pop();
  }
}

const isVoid = (value: unknown) =>
  isAbsent(value) || (Array.isArray(value) ? value.length === 0 : isMap(value) && isEmptyMap(value));

function isEmptyMap(value: Members): boolean {
  for (const name in value) if (value[name] !== undefined) return false;
  return true;
}

/** The items of a list by step; a step may occur more than once in what is stored. */
function itemsOf(list: unknown[] | undefined, shape: ListShape): Map<string, unknown[]> {
  const items = new Map<string, unknown[]>();
  for (const [index, step] of (list ? stepsOf(list, shape) : undefined)?.entries() ?? []) {
    const same = items.get(step);
    if (same) same.push(list?.[index]);
    else items.set(step, [list?.[index]]);
  }
  return items;
}

/**
 * The fields of a configuration, as its applier owns them: leaves, members of maps and items of lists, but not the structs
 * and maps around them unless they are empty.
 */
export function fieldsOf(value: unknown, shape: Shape): FieldSet {
  const builder = new FieldSetBuilder();
  collect(value, shape, [], builder);
  return builder.set;
}

function collect(value: unknown, shape: Shape, path: string[], into: FieldSetBuilder): void {
  const walk = walkOf(shape, value);
  if (walk === 'leaf' || value === null) {
    if (path.length > 0) into.add(path);
    return;
  }
  if (walk === 'members') {
    for (const [name, member] of Object.entries(value as Members)) {
      if (member === undefined) continue;
      const at = [...path, `f:${name}`];
      collect(member, memberShape(shape, name), at, into);
      const declared = shape.form === 'struct' && shape.field(name) !== undefined;
      if (!declared || (isMap(member) && isEmptyMap(member))) into.add(at);
    }
    return;
  }
  const list = value as unknown[];
  const of = shape as ListShape;
  for (const [index, step] of (stepsOf(list, of) ?? []).entries()) {
    const at = [...path, step];
    if (of.form === 'keyed') collect(list[index], of.item ?? deduced, at, into);
    into.add(at);
  }
}
