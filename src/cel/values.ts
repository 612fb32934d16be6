/**
 * Values while an expression runs. int is a bigint, double a number, bytes a Uint8Array; the rest that JavaScript has no form
 * for is a class here. Sizes of strings count code points.
 */
import { CelList } from './lists.ts';
import { CelMap } from './maps.ts';

export const intMax = 2n ** 63n - 1n;
export const intMin = -(2n ** 63n);
export const uintMax = 2n ** 64n - 1n;

export class CelUint {
  readonly value: bigint;
  constructor(value: bigint) {
    this.value = value;
  }
}

/** Nanoseconds, within 64 bits. */
export class CelDuration {
  readonly nanos: bigint;
  constructor(nanos: bigint) {
    this.nanos = nanos;
  }
}

/** Nanoseconds since 1970 in UTC; years 1 to 9999. */
export class CelTimestamp {
  readonly nanos: bigint;
  constructor(nanos: bigint) {
    this.nanos = nanos;
  }
}

/** A type as a value: `type(1)`, `int`. */
export class CelTypeValue {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

export class CelOptional {
  static readonly none = new CelOptional(undefined);
  /** `undefined` is `optional.none()`. */
  readonly value: CelValue | undefined;
  constructor(value: CelValue | undefined) {
    this.value = value;
  }
}

/** Values of libraries: IP addresses, quantities, URLs … `typeName` is what `type()` shows. */
export abstract class CelOpaque {
  abstract readonly typeName: string;
  /** Two values of one type are equal when their forms are. */
  abstract readonly form: string;
}

export type CelValue =
  | null
  | boolean
  | bigint
  | number
  | string
  | Uint8Array
  | CelUint
  | CelDuration
  | CelTimestamp
  | CelTypeValue
  | CelOptional
  | CelOpaque
  | CelList
  | CelMap;

export type ValueKind =
  | 'null'
  | 'bool'
  | 'int'
  | 'double'
  | 'string'
  | 'bytes'
  | 'uint'
  | 'duration'
  | 'timestamp'
  | 'type'
  | 'optional'
  | 'opaque'
  | 'list'
  | 'map';

export function kindOf(value: CelValue): ValueKind {
  switch (typeof value) {
    case 'string':
      return 'string';
    case 'bigint':
      return 'int';
    case 'number':
      return 'double';
    case 'boolean':
      return 'bool';
    default:
  }
  if (value === null) return 'null';
  if (value instanceof CelMap) return 'map';
  if (value instanceof CelList) return 'list';
  if (value instanceof CelUint) return 'uint';
  if (value instanceof Uint8Array) return 'bytes';
  if (value instanceof CelDuration) return 'duration';
  if (value instanceof CelTimestamp) return 'timestamp';
  if (value instanceof CelOptional) return 'optional';
  if (value instanceof CelOpaque) return 'opaque';
  return 'type';
}

const typeNames: Partial<Record<ValueKind, string>> = {
  null: 'null_type',
  duration: 'google.protobuf.Duration',
  timestamp: 'google.protobuf.Timestamp',
  optional: 'optional_type',
};

/** What `type(value)` shows: `int`, `google.protobuf.Duration`, `net.IP`, the name of an object's type. */
export function typeNameOf(value: CelValue): string {
  if (value instanceof CelOpaque) return value.typeName;
  if (value instanceof CelMap && value.objectName !== undefined) return value.objectName;
  const kind = kindOf(value);
  return typeNames[kind] ?? kind;
}

/** Code points in a string. */
export function stringSize(text: string): number {
  let size = text.length;
  for (let index = 0; index < text.length - 1; index++) {
    const unit = text.charCodeAt(index);
    if (unit >= 0xd800 && unit <= 0xdbff) {
      const next = text.charCodeAt(index + 1);
      if (next >= 0xdc00 && next <= 0xdfff) {
        size--;
        index++;
      }
    }
  }
  return size;
}

/** The size that costs are counted with: length of strings, bytes, lists and maps, otherwise 1. */
export function sizeOf(value: CelValue): number {
  if (typeof value === 'string') return stringSize(value);
  if (value instanceof CelList || value instanceof CelMap) return value.size;
  if (value instanceof Uint8Array) return value.length;
  if (value instanceof CelOptional && value.value !== undefined) return sizeOf(value.value);
  return 1;
}
