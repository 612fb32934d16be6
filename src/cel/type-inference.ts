/**
 * Whether a value of one type may stand where another is declared, with parameters that get their type on the way. A dyn fits
 * everywhere; what it is shows when the expression runs.
 */
import { type CelType, celTypes, isDyn, listOf, mapOf, optionalOf, sameType, typeOf } from './types.ts';

/** What parameters stand for. */
export type Substitutions = ReadonlyMap<string, CelType>;

/** The parts of a type that can hold parameters. */
function partsOf(type: CelType): CelType[] {
  if (type.kind === 'list') return [type.element];
  if (type.kind === 'map') return [type.key, type.value];
  if (type.kind === 'optional') return [type.value];
  if (type.kind === 'type') return type.of ? [type.of] : [];
  return [];
}

function withParts(type: CelType, parts: readonly CelType[]): CelType {
  const [first, second] = parts as [CelType, CelType];
  if (type.kind === 'list') return listOf(first, type);
  if (type.kind === 'map') return mapOf(first, second, type.maxSize);
  if (type.kind === 'optional') return optionalOf(first);
  return typeOf(first);
}

/** The type with parameters replaced; those that stand for nothing become dyn when `toDyn`. */
export function substitute(substitutions: Substitutions, type: CelType, toDyn: boolean): CelType {
  if (type.kind === 'parameter') {
    const known = substitutions.get(type.name);
    if (known) return substitute(substitutions, known, toDyn);
    return toDyn ? celTypes.dyn : type;
  }
  const parts = partsOf(type);
  if (parts.length === 0) return type;
  const replaced = parts.map((part) => substitute(substitutions, part, toDyn));
  return replaced.every((part, index) => part === parts[index]) ? type : withParts(type, replaced);
}

/** Whether the parameter stays out of the type, so that no type contains itself. */
function free(substitutions: Substitutions, name: string, within: CelType): boolean {
  if (within.kind === 'parameter') {
    if (within.name === name) return false;
    const known = substitutions.get(within.name);
    return known === undefined || free(substitutions, name, known);
  }
  return partsOf(within).every((part) => free(substitutions, name, part));
}

function lessSpecific(a: CelType, b: CelType): boolean {
  if (isDyn(a) || a.kind === 'parameter') return true;
  if (isDyn(b) || b.kind === 'parameter' || a.kind !== b.kind) return false;
  const others = partsOf(b);
  return partsOf(a).every((part, index) => lessSpecific(part, others[index] as CelType));
}

export const mostGeneral = (a: CelType, b: CelType) => (lessSpecific(a, b) ? a : b);

const nullable = (type: CelType) => ['object', 'opaque', 'duration', 'timestamp', 'null', 'optional'].includes(type.kind);

/** Work that is thrown away when the types do not fit. */
class Attempt {
  readonly substitutions: Map<string, CelType>;

  constructor(substitutions: Substitutions) {
    this.substitutions = new Map(substitutions);
  }

  fits(from: CelType, to: CelType): boolean {
    if (to.kind === 'parameter') {
      const known = this.substitutions.get(to.name);
      if (known) return this.#fitsKnown(from, to.name, known);
      if (from.kind !== 'parameter') return this.#bind(to.name, from);
    }
    if (from.kind === 'parameter') {
      if (to.kind === 'parameter' && to.name === from.name) return true;
      const known = this.substitutions.get(from.name);
      if (known) return this.#fitsKnown(to, from.name, known);
      return this.#bind(from.name, to);
    }
    if (isDyn(from) || isDyn(to)) return true;
    if (from.kind === 'null') return nullable(to);
    if (to.kind === 'null') return nullable(from);
    if (from.kind !== to.kind) return false;
    if ('name' in from && from.name !== (to as typeof from).name) return false;
    if (from.kind === 'type') return true;
    const others = partsOf(to);
    return partsOf(from).every((part, index) => this.fits(part, others[index] as CelType));
  }

  #fitsKnown(type: CelType, name: string, known: CelType): boolean {
    if (sameType(type, known) || (type.kind === 'parameter' && type.name === name)) return true;
    if (!this.fits(type, known)) return false;
    const general = mostGeneral(type, known);
    if (free(this.substitutions, name, general)) this.substitutions.set(name, general);
    return true;
  }

  #bind(name: string, type: CelType): boolean {
    if (!free(this.substitutions, name, type)) return false;
    this.substitutions.set(name, type);
    return true;
  }
}

/** The substitutions under which every type fits its place; undefined when there are none. */
export function assign(
  substitutions: Substitutions,
  from: readonly CelType[],
  to: readonly CelType[],
): Map<string, CelType> | undefined {
  if (from.length !== to.length) return undefined;
  const attempt = new Attempt(substitutions);
  return from.every((type, index) => attempt.fits(type, to[index] as CelType)) ? attempt.substitutions : undefined;
}
