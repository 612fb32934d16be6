/** Maps and objects: both are read by key. A number is the same key whether it is int, uint or double. */
import { CelUint, type CelValue } from './values.ts';

/** The form in which keys are compared, or undefined for what cannot be a key. */
export function keyForm(key: CelValue): string | undefined {
  if (typeof key === 'string') return `s${key}`;
  if (typeof key === 'bigint') return `n${key}`;
  if (key instanceof CelUint) return `n${key.value}`;
  if (typeof key === 'number') return Number.isInteger(key) ? `n${BigInt(key)}` : undefined;
  if (typeof key === 'boolean') return `b${key}`;
  return undefined;
}

export abstract class CelMap {
  /** The name of the type when this is an object with declared fields. */
  readonly objectName: string | undefined = undefined;
  abstract readonly size: number;
  abstract get(key: CelValue): CelValue | undefined;
  abstract keys(): CelValue[];

  /** A field of an object or a key of a map, as `.name` reads it. */
  field(name: string): CelValue | undefined {
    return this.get(name);
  }
}

/** A map that an expression made. */
export class ValueMap extends CelMap {
  readonly #entries: ReadonlyMap<string, readonly [CelValue, CelValue]>;

  /** The entries by the form of their key. */
  constructor(entries: ReadonlyMap<string, readonly [CelValue, CelValue]>) {
    super();
    this.#entries = entries;
  }

  static of(pairs: Iterable<readonly [CelValue, CelValue]>): ValueMap {
    return new ValueMap(new Map([...pairs].map((pair) => [keyForm(pair[0]) as string, pair])));
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: CelValue): CelValue | undefined {
    const form = keyForm(key);
    return form === undefined ? undefined : this.#entries.get(form)?.[1];
  }

  keys(): CelValue[] {
    return [...this.#entries.values()].map(([key]) => key);
  }
}

/** A JSON object: `convert` makes a value of each member when it is asked for, once. */
export class JsonMap extends CelMap {
  override readonly objectName: string | undefined;
  readonly #json: Readonly<Record<string, unknown>>;
  readonly #names: readonly string[];
  readonly #convert: (json: unknown, name: string) => CelValue;
  readonly #nameOf: (field: string) => string;
  readonly #converted = new Map<string, CelValue>();

  /** `nameOf` gives the member's name for a field as an expression writes it. `names` are the members that can be seen. */
  constructor(
    json: Readonly<Record<string, unknown>>,
    names: readonly string[],
    convert: (json: unknown, name: string) => CelValue,
    object?: { name: string; nameOf(field: string): string },
  ) {
    super();
    this.#json = json;
    this.#names = names;
    this.#convert = convert;
    this.objectName = object?.name;
    this.#nameOf = object ? (field) => object.nameOf(field) : (field) => field;
  }

  get size(): number {
    return this.#names.length;
  }

  get(key: CelValue): CelValue | undefined {
    return typeof key === 'string' ? this.#member(key) : undefined;
  }

  override field(name: string): CelValue | undefined {
    return this.#member(this.#nameOf(name));
  }

  keys(): CelValue[] {
    return [...this.#names];
  }

  #member(name: string): CelValue | undefined {
    const known = this.#converted.get(name);
    if (known !== undefined) return known;
    if (!Object.hasOwn(this.#json, name) || this.#json[name] === undefined) return undefined;
    const value = this.#convert(this.#json[name], name);
    this.#converted.set(name, value);
    return value;
  }
}
