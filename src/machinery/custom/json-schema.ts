/**
 * The schemas with which users describe their own kinds: OpenAPI v3 with Kubernetes' extensions, as a CustomResourceDefinition
 * holds them. What is served has passed structural.ts.
 */

export interface JsonSchema {
  type?: string;
  format?: string;
  title?: string;
  description?: string;
  default?: unknown;
  nullable?: boolean;
  enum?: unknown[];
  maximum?: number;
  exclusiveMaximum?: boolean;
  minimum?: number;
  exclusiveMinimum?: boolean;
  multipleOf?: number;
  maxLength?: number;
  minLength?: number;
  pattern?: string;
  maxItems?: number;
  minItems?: number;
  uniqueItems?: boolean;
  maxProperties?: number;
  minProperties?: number;
  required?: string[];
  properties?: Record<string, JsonSchema>;
  additionalProperties?: JsonSchema | boolean;
  items?: JsonSchema;
  allOf?: JsonSchema[];
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  not?: JsonSchema;
  'x-kubernetes-preserve-unknown-fields'?: boolean;
  'x-kubernetes-embedded-resource'?: boolean;
  'x-kubernetes-int-or-string'?: boolean;
  'x-kubernetes-list-type'?: string;
  'x-kubernetes-list-map-keys'?: string[];
  'x-kubernetes-map-type'?: string;
  'x-kubernetes-validations'?: ValidationRule[];
  /** Words that no structural schema may use. */
  id?: string;
  $ref?: string;
  additionalItems?: unknown;
  patternProperties?: unknown;
  definitions?: unknown;
  dependencies?: unknown;
  example?: unknown;
  externalDocs?: unknown;
}

/** One entry of `x-kubernetes-validations`. */
export interface ValidationRule {
  rule: string;
  message?: string;
  messageExpression?: string;
  reason?: string;
  fieldPath?: string;
  optionalOldSelf?: boolean;
}

export type JsonObject = Record<string, unknown>;

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The schema of a property, and of nothing that an object inherits. */
export function propertyOf(schema: JsonSchema, name: string): JsonSchema | undefined {
  return schema.properties && Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined;
}

/** The schema of members that are no properties. Undefined when there is none, or anything goes. */
export function memberSchema(schema: JsonSchema): JsonSchema | undefined {
  return isObject(schema.additionalProperties) ? (schema.additionalProperties as JsonSchema) : undefined;
}

export function itemSchema(schema: JsonSchema): JsonSchema | undefined {
  return isObject(schema.items) ? schema.items : undefined;
}

/** The direct parts of a schema that stand for a value of their own, each with its step in a path of the schema. */
export function* parts(schema: JsonSchema): Generator<[step: string, part: JsonSchema]> {
  for (const [name, property] of Object.entries(schema.properties ?? {})) yield [`properties[${name}]`, property];
  const member = memberSchema(schema);
  if (member) yield ['additionalProperties', member];
  const item = itemSchema(schema);
  if (item) yield ['items', item];
}

/** Equal as JSON, whatever the order of members. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, index) => sameJson(item, b[index]));
  }
  const [left, right] = [a as JsonObject, b as JsonObject];
  const names = Object.keys(left);
  return (
    names.length === Object.keys(right).length &&
    names.every((name) => Object.hasOwn(right, name) && sameJson(left[name], right[name]))
  );
}
