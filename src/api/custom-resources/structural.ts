/**
 * Structural schemas: each field has a type, and what is said inside allOf, anyOf, oneOf and not only restricts it. Pruning, defaulting
 * and ownership of fields rest on that. Source: the Kubernetes page "Extend the Kubernetes API with CustomResourceDefinitions",
 * section "Specifying a structural schema"; the sentences are those that its users know.
 */

import { patternComplaint } from '../../cel/regex/index.ts';
import { isObject, itemSchema, type JsonSchema, memberSchema, propertyOf, sameJson } from '../../machinery/custom/json-schema.ts';
import type { FieldError } from '../../machinery/status.ts';
import { invalidValue, notPermitted, required } from '../kinds/field-errors.ts';

type Level = 'root' | 'field' | 'item';

const intOrString: JsonSchema[] = [{ type: 'integer' }, { type: 'string' }];

const emptyType: Record<Level, string> = {
  root: 'must not be empty at the root',
  item: 'must not be empty for specified array items',
  field: 'must not be empty for specified object fields',
};

/** What keeps a schema from being structural. `path` is where it stands in the definition. */
export function structuralErrors(schema: JsonSchema, path: string): FieldError[] {
  return invariants(schema, 'root', path);
}

function invariants(schema: JsonSchema, level: Level, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const item = itemSchema(schema);
  if (schema.type === 'array' && !item) errors.push(required(`${path}.items`, 'must be specified'));
  if (item) errors.push(...invariants(item, 'item', `${path}.items`));
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    errors.push(...invariants(property, 'field', `${path}.properties[${name}]`));
  }
  if (schema.additionalProperties !== undefined && level === 'root') {
    errors.push(notPermitted(`${path}.additionalProperties`, 'must not be used at the root'));
  }
  const member = memberSchema(schema);
  if (member) errors.push(...invariants(member, 'field', `${path}.additionalProperties`));
  const skip = {
    anyOf: sameJson(schema.anyOf, intOrString),
    allOf: sameJson(schema.allOf?.[0]?.anyOf, intOrString),
  };
  errors.push(...extensionErrors(schema, path), ...restrictions(schema, skip, path), ...typeErrors(schema, level, path));
  if (level === 'root' || schema['x-kubernetes-embedded-resource']) errors.push(...resourceErrors(schema, level, path));
  return errors;
}

function extensionErrors(schema: JsonSchema, path: string): FieldError[] {
  if (!schema['x-kubernetes-int-or-string']) return [];
  return (['x-kubernetes-preserve-unknown-fields', 'x-kubernetes-embedded-resource'] as const)
    .filter((name) => schema[name])
    .map((name) => invalidValue(`${path}.${name}`, true, 'must be false if x-kubernetes-int-or-string is true'));
}

function typeErrors(schema: JsonSchema, level: Level, path: string): FieldError[] {
  const { type } = schema;
  const at = `${path}.type`;
  const errors: FieldError[] = [];
  const embedded = 'must be object if x-kubernetes-embedded-resource is true';
  if (schema['x-kubernetes-embedded-resource'] && type !== 'object') {
    errors.push(type ? invalidValue(at, type, embedded) : required(at, embedded));
  } else if (!type && !schema['x-kubernetes-int-or-string'] && !schema['x-kubernetes-preserve-unknown-fields']) {
    errors.push(required(at, emptyType[level]));
  }
  if (level === 'root' && type && type !== 'object') errors.push(invalidValue(at, type, 'must be object at the root'));
  return errors;
}

/** What holds for schemas of whole resources: their own parts are Kubernetes' business. */
function resourceErrors(schema: JsonSchema, level: Level, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const embedded = schema['x-kubernetes-embedded-resource'];
  if (embedded && schema.additionalProperties !== undefined) {
    errors.push(notPermitted(`${path}.additionalProperties`, 'must not be used if x-kubernetes-embedded-resource is set'));
  }
  for (const name of ['kind', 'apiVersion']) {
    const property = propertyOf(schema, name);
    if (property && property.type !== 'string') {
      errors.push(invalidValue(`${path}.properties[${name}].type`, property.type ?? '', 'must be string'));
    }
  }
  const metadata = propertyOf(schema, 'metadata');
  if (metadata) errors.push(...metadataErrors(metadata, level, `${path}.properties[metadata]`));
  const empty = Object.keys(schema.properties ?? {}).length === 0;
  if (embedded && !schema['x-kubernetes-preserve-unknown-fields'] && empty) {
    const why = 'must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields';
    errors.push(required(`${path}.properties`, why));
  }
  return errors;
}

function metadataErrors(schema: JsonSchema, level: Level, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (schema.type !== 'object') errors.push(invalidValue(`${path}.type`, schema.type ?? '', 'must be object'));
  if (level !== 'root') return errors;
  const { type: _type, default: _default, description: _description, properties = {}, ...rest } = schema;
  const names = Object.keys(properties);
  const onlyNames = names.every((name) => name === 'name' || name === 'generateName');
  if (!onlyNames || Object.values(rest).some((value) => value !== undefined)) {
    const why = 'must not specify anything other than name and generateName, but metadata is implicitly specified';
    errors.push(notPermitted(path, why));
  }
  return errors;
}

interface Skipped {
  anyOf?: boolean;
  /** The `anyOf` of the first of allOf. */
  allOf?: boolean;
}

function restrictions(schema: JsonSchema, skip: Skipped, path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const word of ['anyOf', 'allOf', 'oneOf'] as const) {
    if (word === 'anyOf' && skip.anyOf) continue;
    for (const [index, one] of (schema[word] ?? []).entries()) {
      const first = word === 'allOf' && index === 0 && skip.allOf === true;
      errors.push(...restriction(one, { anyOf: first }, `${path}.${word}[${index}]`, word === 'allOf'));
    }
  }
  if (isObject(schema.not)) errors.push(...restriction(schema.not, {}, `${path}.not`, false));
  if (schema.pattern) {
    const complaint = patternComplaint(schema.pattern);
    if (complaint !== undefined) {
      const why = `must be a valid regular expression, but isn't: ${complaint}`;
      errors.push(invalidValue(`${path}.pattern`, schema.pattern, why));
    }
  }
  return errors;
}

/** Words that say what a field is, rather than what it may be. */
const forbiddenInside: [word: keyof JsonSchema, detail: string][] = [
  ['type', 'must be empty to be structural'],
  ['additionalProperties', 'must be undefined to be structural'],
  ['default', 'must be undefined to be structural'],
  ['title', 'must be empty to be structural'],
  ['description', 'must be empty to be structural'],
  ['nullable', 'must be false to be structural'],
  ['x-kubernetes-preserve-unknown-fields', 'must be false to be structural'],
  ['x-kubernetes-embedded-resource', 'must be false to be structural'],
  ['x-kubernetes-int-or-string', 'must be false to be structural'],
  ['x-kubernetes-list-map-keys', 'must be empty to be structural'],
  ['x-kubernetes-list-type', 'must be undefined to be structural'],
  ['x-kubernetes-map-type', 'must be undefined to be structural'],
];

/** A schema below allOf, anyOf, oneOf or not. `rules`: it may have rules of its own. */
function restriction(schema: JsonSchema, skip: Skipped, path: string, rules: boolean): FieldError[] {
  const errors = restrictions(schema, skip, path);
  const item = itemSchema(schema);
  if (item) errors.push(...restriction(item, {}, `${path}.items`, rules));
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    errors.push(...restriction(property, {}, `${path}.properties[${name}]`, rules));
  }
  for (const [word, detail] of forbiddenInside) {
    const value = schema[word];
    if (value === undefined || value === '' || value === false || (Array.isArray(value) && value.length === 0)) continue;
    errors.push(notPermitted(`${path}.${word}`, detail));
  }
  if (schema['x-kubernetes-validations']?.length && !rules) {
    errors.push(notPermitted(`${path}.x-kubernetes-validations`, 'must be empty to be structural'));
  }
  if (propertyOf(schema, 'metadata')) {
    errors.push(notPermitted(`${path}.properties[metadata]`, 'must not be specified in a nested context'));
  }
  return errors;
}
