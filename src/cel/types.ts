/** Types of the language and how they are written in messages. */
import type { ListSemantics } from './lists.ts';

export interface SizeBound {
  /** The most elements, bytes or characters that a value can have; costs are estimated with it. Unbounded when absent. */
  maxSize?: number;
}

export interface ScalarType extends SizeBound {
  kind: 'int' | 'uint' | 'double' | 'bool' | 'string' | 'bytes' | 'null' | 'duration' | 'timestamp' | 'dyn' | 'error';
}

export interface ListType extends SizeBound {
  kind: 'list';
  element: CelType;
  semantics?: ListSemantics;
}

export interface MapType extends SizeBound {
  kind: 'map';
  key: CelType;
  value: CelType;
}

export interface ObjectType extends SizeBound {
  kind: 'object';
  name: string;
  /** By the name that expressions use, which is escaped where the field's own is no identifier (escaping.ts). */
  fields: Readonly<Record<string, CelType>>;
  /** Fields that are not declared are dyn instead of a mistake. */
  open?: boolean;
}

export interface OptionalType extends SizeBound {
  kind: 'optional';
  value: CelType;
}

/** The type of a type: `type(int)` is what `int` as a value has. */
export interface TypeType extends SizeBound {
  kind: 'type';
  of?: CelType;
}

/** A type of a library, known by its name only: `net.IP`, `kubernetes.Quantity` … */
export interface OpaqueType extends SizeBound {
  kind: 'opaque';
  name: string;
}

/** A type that a call decides: `T` in `list(T)`. */
export interface ParameterType extends SizeBound {
  kind: 'parameter';
  name: string;
}

export type CelType = ScalarType | ListType | MapType | ObjectType | OptionalType | TypeType | OpaqueType | ParameterType;

const scalar = (kind: ScalarType['kind']): ScalarType => ({ kind });
const opaque = (name: string): OpaqueType => ({ kind: 'opaque', name });

export const celTypes = {
  int: scalar('int'),
  uint: scalar('uint'),
  double: scalar('double'),
  bool: scalar('bool'),
  string: scalar('string'),
  bytes: scalar('bytes'),
  null: scalar('null'),
  duration: scalar('duration'),
  timestamp: scalar('timestamp'),
  dyn: scalar('dyn'),
  error: scalar('error'),
  ip: opaque('net.IP'),
  cidr: opaque('net.CIDR'),
  url: opaque('kubernetes.URL'),
  quantity: opaque('kubernetes.Quantity'),
  semver: opaque('kubernetes.Semver'),
  format: opaque('kubernetes.NamedFormat'),
  authorizer: opaque('kubernetes.authorization.Authorizer'),
  pathCheck: opaque('kubernetes.authorization.PathCheck'),
  groupCheck: opaque('kubernetes.authorization.GroupCheck'),
  resourceCheck: opaque('kubernetes.authorization.ResourceCheck'),
  decision: opaque('kubernetes.authorization.Decision'),
} as const;

export const listOf = (element: CelType, bound: { maxSize?: number; semantics?: ListSemantics } = {}): ListType => ({
  kind: 'list',
  element,
  ...bound,
});
export const mapOf = (key: CelType, value: CelType, maxSize?: number): MapType => ({ kind: 'map', key, value, maxSize });
export const objectOf = (name: string, fields: Record<string, CelType>): ObjectType => ({ kind: 'object', name, fields });
export const optionalOf = (value: CelType): OptionalType => ({ kind: 'optional', value });
export const typeOf = (of?: CelType): TypeType => ({ kind: 'type', of });

/** `map(string, list(int))`, as in messages of the type checker. */
export function formatType(type: CelType): string {
  switch (type.kind) {
    case 'list':
      return `list(${formatType(type.element)})`;
    case 'map':
      return `map(${formatType(type.key)}, ${formatType(type.value)})`;
    case 'optional':
      return `optional_type(${formatType(type.value)})`;
    case 'type':
      return type.of ? `type(${formatType(type.of)})` : 'type';
    case 'object':
    case 'opaque':
    case 'parameter':
      return type.name;
    case 'error':
      return '!error!';
    default:
      return type.kind;
  }
}

/** Whether both are the same type; bounds of sizes do not count. */
export function sameType(a: CelType, b: CelType): boolean {
  if (a === b) return true;
  if (a.kind === 'list' && b.kind === 'list') return sameType(a.element, b.element);
  if (a.kind === 'map' && b.kind === 'map') return sameType(a.key, b.key) && sameType(a.value, b.value);
  if (a.kind === 'optional' && b.kind === 'optional') return sameType(a.value, b.value);
  if (a.kind === 'type' && b.kind === 'type') {
    return a.of === undefined || b.of === undefined ? a.of === b.of : sameType(a.of, b.of);
  }
  if (a.kind === 'object' && b.kind === 'object') return a.name === b.name;
  if (a.kind === 'opaque' && b.kind === 'opaque') return a.name === b.name;
  if (a.kind === 'parameter' && b.kind === 'parameter') return a.name === b.name;
  return a.kind === b.kind;
}

export const isDyn = (type: CelType) => type.kind === 'dyn' || type.kind === 'error';
