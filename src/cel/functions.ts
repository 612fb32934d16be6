/** Functions: what they take and give, written as signatures, and what they do. */

import { type CelType, celTypes, listOf, mapOf, optionalOf, typeOf } from './types.ts';
import type { CelValue } from './values.ts';

export interface Overload {
  id: string;
  name: string;
  /** `target.name(args)`; the target is the first of `args`. */
  member: boolean;
  args: readonly CelType[];
  result: CelType;
  /** Throws CelError. The arguments have the kinds that were declared. */
  call: OverloadCall;
}

/** The argument values are of the declared kinds, which the evaluator has checked; hence `never` stands for any of them. */
export type OverloadCall = (...args: never[]) => CelValue;

/** All overloads by name. */
export class FunctionTable {
  readonly #byName = new Map<string, Overload[]>();
  readonly #byId = new Map<string, Overload>();

  constructor(...libraries: (readonly Overload[])[]) {
    for (const overload of libraries.flat()) {
      const same = this.#byName.get(overload.name);
      if (same) same.push(overload);
      else this.#byName.set(overload.name, [overload]);
      this.#byId.set(overload.id, overload);
    }
  }

  named(name: string): readonly Overload[] | undefined {
    return this.#byName.get(name);
  }

  withId(id: string): Overload {
    return this.#byId.get(id) as Overload;
  }

  /** This table and more functions. */
  with(more: readonly Overload[]): FunctionTable {
    return more.length === 0 ? this : new FunctionTable([...this.#byName.values()].flat(), more);
  }
}

const opaqueNames: Record<string, CelType> = {
  IP: celTypes.ip,
  CIDR: celTypes.cidr,
  URL: celTypes.url,
  Quantity: celTypes.quantity,
  Semver: celTypes.semver,
  Format: celTypes.format,
  Authorizer: celTypes.authorizer,
  PathCheck: celTypes.pathCheck,
  GroupCheck: celTypes.groupCheck,
  ResourceCheck: celTypes.resourceCheck,
  Decision: celTypes.decision,
};

const plainNames = ['int', 'uint', 'double', 'bool', 'string', 'bytes', 'null', 'duration', 'timestamp', 'dyn'] as const;

/** Reads `map(string, list(T))`; an upper-case letter alone is a parameter. */
class TypeReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** Types with commas between them. */
  list(): CelType[] {
    const types: CelType[] = [];
    while (this.#at < this.#text.length && this.#text[this.#at] !== ')') {
      types.push(this.type());
      const separator = /[,\s]*/y;
      separator.lastIndex = this.#at;
      this.#at += separator.exec(this.#text)?.[0].length ?? 0;
    }
    return types;
  }

  type(): CelType {
    const word = /[A-Za-z]+/y;
    word.lastIndex = this.#at;
    const name = word.exec(this.#text)?.[0] ?? '';
    this.#at += name.length;
    let parts: CelType[] = [];
    if (this.#text[this.#at] === '(') {
      this.#at++;
      parts = this.list();
      this.#at++;
    }
    const [first = celTypes.dyn, second = celTypes.dyn] = parts;
    if (name === 'list') return listOf(first);
    if (name === 'map') return mapOf(first, second);
    if (name === 'optional') return optionalOf(first);
    if (name === 'type') return typeOf(parts[0]);
    const plain = plainNames.find((candidate) => candidate === name);
    if (plain) return celTypes[plain];
    return opaqueNames[name] ?? { kind: 'parameter', name };
  }
}

/**
 * An overload from its signature: `size(list(T)): int`, or `string.charAt(int): string` for a call on a target. `id` is the
 * name under which costs are looked up.
 */
export function overload(id: string, signature: string, call: OverloadCall): Overload {
  const colon = signature.lastIndexOf('): ');
  const head = signature.slice(0, colon);
  const result = new TypeReader(signature.slice(colon + 3)).type();
  const member = /^((?:[^().]|\((?:[^()]|\([^()]*\))*\))+)\.([@A-Za-z]+)\((.*)$/.exec(head);
  // A dot inside a name, as in `optional.of(T)`, belongs to the name: targets are types.
  if (member && isType(member[1] as string)) {
    const args = [new TypeReader(member[1] as string).type(), ...new TypeReader(member[3] as string).list()];
    return { id, name: member[2] as string, member: true, args, result, call };
  }
  const open = head.indexOf('(');
  return { id, name: head.slice(0, open), member: false, args: new TypeReader(head.slice(open + 1)).list(), result, call };
}

function isType(text: string): boolean {
  const name = /^[A-Za-z]+/.exec(text)?.[0] ?? '';
  if (text.includes('(') || /^[A-Z]$/.test(name)) return true;
  return Object.hasOwn(opaqueNames, name) || plainNames.some((candidate) => candidate === name);
}
