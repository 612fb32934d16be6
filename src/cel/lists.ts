/** Lists of values. The elements of an object's list are converted when the list is read for the first time. */
import type { CelValue } from './values.ts';

/** How Kubernetes compares and joins a list: x-kubernetes-list-type and x-kubernetes-list-map-keys. */
export type ListSemantics = { kind: 'atomic' } | { kind: 'set' } | { kind: 'map'; keys: readonly string[] };

export const atomicList: ListSemantics = { kind: 'atomic' };

export class CelList {
  readonly size: number;
  readonly semantics: ListSemantics;
  #items: readonly CelValue[] | undefined;
  readonly #convert: () => readonly CelValue[];

  private constructor(size: number, convert: () => readonly CelValue[], semantics: ListSemantics) {
    this.size = size;
    this.#convert = convert;
    this.semantics = semantics;
  }

  static of(items: readonly CelValue[], semantics = atomicList): CelList {
    return new CelList(items.length, () => items, semantics);
  }

  /** A list of `size` elements that `convert` makes when they are asked for; asked once. */
  static lazy(size: number, convert: () => readonly CelValue[], semantics = atomicList): CelList {
    return new CelList(size, convert, semantics);
  }

  get items(): readonly CelValue[] {
    this.#items ??= this.#convert();
    return this.#items;
  }
}
