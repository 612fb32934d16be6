/**
 * Types from structural OpenAPI schemas. What a schema does not describe is not visible to expressions: untyped fields, lists
 * without items, unknown fields that are preserved. The bounds of a schema become bounds of sizes; where it sets none, a
 * request of 3 MiB does.
 */
import { escapeFieldName } from './escaping.ts';
import type { ListSemantics } from './lists.ts';
import { type CelType, celTypes, listOf, mapOf, type ObjectType } from './types.ts';

/** Bytes. */
const requestSizeMax = 3 * 1024 * 1024;
const durationSizeMax = 32;
const dateSize = 12;
const dateTimeSizeMax = 32;
const depthMax = 500;

interface Schema {
  type?: string;
  format?: string;
  properties?: Record<string, Schema>;
  additionalProperties?: Schema | boolean;
  items?: Schema;
  required?: string[];
  enum?: unknown[];
  default?: unknown;
  maxLength?: number;
  maxItems?: number;
  maxProperties?: number;
  nullable?: boolean;
  'x-kubernetes-int-or-string'?: boolean;
  'x-kubernetes-embedded-resource'?: boolean;
  'x-kubernetes-list-type'?: string;
  'x-kubernetes-list-map-keys'?: string[];
}

/** A type, and the least bytes that a value of it takes in JSON. */
interface Described {
  type: CelType;
  least: number;
}

export interface SchemaTypeOptions {
  /** The schema is that of a whole object: apiVersion, kind, metadata.name and metadata.generateName are always there. */
  resource?: boolean;
  /** The name of the type; parts are named behind it with dots. */
  name?: string;
}

/** The type of what the schema describes; dyn when expressions cannot see it. */
export function typeOfSchema(schema: unknown, { resource = false, name = 'object' }: SchemaTypeOptions = {}): CelType {
  return describe(asSchema(schema), name, resource, 0)?.type ?? celTypes.dyn;
}

const asSchema = (schema: unknown): Schema => (typeof schema === 'object' && schema !== null ? (schema as Schema) : {});
const count = (bound: number) => Math.max(0, bound);

function describe(schema: Schema, name: string, resource: boolean, depth: number): Described | undefined {
  if (depth > depthMax) return undefined;
  if (schema['x-kubernetes-int-or-string']) {
    const maxSize = schema.maxLength === undefined ? requestSizeMax - 2 : count(schema.maxLength) * 4;
    return { type: { kind: 'dyn', maxSize }, least: 1 };
  }
  const whole = resource ? withObjectMeta(schema) : schema;
  switch (whole.type) {
    case 'array':
      return describeList(whole, name, depth);
    case 'object':
      return describeObject(whole, name, depth);
    case 'string':
      return describeString(whole);
    case 'boolean':
      return { type: { kind: 'bool', maxSize: 0 }, least: 4 };
    case 'integer':
      return { type: { kind: 'int', maxSize: 0 }, least: 1 };
    case 'number':
      return { type: { kind: 'double', maxSize: 0 }, least: 1 };
    default:
      return undefined;
  }
}

function withObjectMeta(schema: Schema): Schema {
  const text: Schema = { type: 'string' };
  const metadata: Schema = { type: 'object', properties: { name: text, generateName: text } };
  return {
    ...schema,
    type: 'object',
    additionalProperties: undefined,
    properties: { ...schema.properties, kind: text, apiVersion: text, metadata },
  };
}

const part = (schema: Schema, name: string, depth: number) =>
  describe(schema, name, schema['x-kubernetes-embedded-resource'] === true, depth + 1);

function describeList(schema: Schema, name: string, depth: number): Described | undefined {
  const element = schema.items && part(asSchema(schema.items), `${name}.@items`, depth);
  if (!element) return undefined;
  const maxSize = schema.maxItems === undefined ? Math.floor((requestSizeMax - 2) / (element.least + 1)) : count(schema.maxItems);
  return { type: listOf(element.type, { maxSize, semantics: semanticsOf(schema) }), least: 2 };
}

function semanticsOf(schema: Schema): ListSemantics | undefined {
  const kind = schema['x-kubernetes-list-type'];
  if (kind === 'set') return { kind };
  return kind === 'map' ? { kind, keys: schema['x-kubernetes-list-map-keys'] ?? [] } : undefined;
}

function describeObject(schema: Schema, name: string, depth: number): Described | undefined {
  const { additionalProperties } = schema;
  if (typeof additionalProperties === 'object' && additionalProperties !== null) {
    const value = part(additionalProperties, `${name}.@values`, depth);
    if (!value) return undefined;
    const maxSize =
      schema.maxProperties === undefined ? Math.floor((requestSizeMax - 2) / (value.least + 6)) : count(schema.maxProperties);
    return { type: mapOf({ kind: 'string', maxSize: 0 }, value.type, maxSize), least: 2 };
  }
  const fields: Record<string, CelType> = {};
  const required = new Set(schema.required ?? []);
  let least = 2;
  for (const [property, propertySchema] of Object.entries(schema.properties ?? {})) {
    const described = part(asSchema(propertySchema), `${name}.${property}`, depth);
    if (!described) continue;
    const escaped = escapeFieldName(property);
    if (escaped !== undefined) fields[escaped] = described.type;
    if (required.has(property) && propertySchema.default === undefined) least += property.length + described.least + 4;
  }
  const type: ObjectType = { kind: 'object', name, fields, maxSize: 0 };
  return { type, least };
}

function describeString(schema: Schema): Described {
  switch (schema.format) {
    case 'byte':
      return {
        type: { kind: 'bytes', maxSize: schema.maxLength === undefined ? requestSizeMax - 2 : count(schema.maxLength) },
        least: 2,
      };
    case 'duration':
      return { type: { kind: 'duration', maxSize: durationSizeMax }, least: 3 };
    case 'date':
      return { type: { kind: 'timestamp', maxSize: dateSize }, least: dateSize };
    case 'date-time':
      return { type: { kind: 'timestamp', maxSize: dateTimeSizeMax }, least: 21 };
    default:
      return { type: { kind: 'string', maxSize: stringSizeMax(schema) }, least: 2 };
  }
}

function stringSizeMax(schema: Schema): number {
  // A character can take four bytes.
  if (schema.maxLength !== undefined) return count(schema.maxLength) * 4;
  if (!schema.enum?.length) return requestSizeMax - 2;
  return Math.max(0, ...schema.enum.map((value) => (typeof value === 'string' ? Buffer.byteLength(value) : 0)));
}
