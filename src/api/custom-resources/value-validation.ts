/**
 * Checks a custom resource against its schema, in the words that kubectl users know. What an update leaves as it was is not complained
 * about ("ratcheting"), so that a stricter schema does not block changes elsewhere in old objects.
 */
import { matches } from '../../cel/regex/index.ts';
import {
  isObject,
  itemSchema,
  type JsonObject,
  type JsonSchema,
  memberSchema,
  propertyOf,
  sameJson,
} from '../../machinery/custom/json-schema.ts';
import type { FieldError } from '../../machinery/status.ts';
import { fitsFormat } from './formats.ts';

/** Complaints in one answer. */
const errorsMax = 100;
/** Where a failed combination of schemas is told: the reference implementation knows no path for it. */
const nowhere = '<nil>';

/** `previous` is the stored state of an object that is updated. At most 100 errors. */
export function validateCustom(object: unknown, schema: JsonSchema, previous?: unknown): FieldError[] {
  return check(object, schema, '', previous).slice(0, errorsMax);
}

const child = (path: string, name: string) => (path === '' ? name : `${path}.${name}`);

function check(value: unknown, schema: JsonSchema, path: string, previous: unknown): FieldError[] {
  if (previous !== undefined && sameJson(value, previous)) return [];
  const errors = checkType(value, schema, path);
  errors.push(...checkCombinations(value, schema, path));
  if (typeof value === 'string') errors.push(...checkText(value, schema, path));
  else if (typeof value === 'number') errors.push(...checkNumber(value, schema, path));
  else if (Array.isArray(value)) errors.push(...checkItems(value, schema, path, previous));
  if (schema.enum && !(value === null && schema.nullable)) errors.push(...checkEnum(value, schema.enum, path));
  if (isObject(value)) errors.push(...checkMembers(value, schema, path, previous));
  return errors;
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

function checkType(value: unknown, schema: JsonSchema, path: string): FieldError[] {
  const wanted = schema['x-kubernetes-int-or-string'] ? ['integer', 'string'] : schema.type ? [schema.type] : [];
  const actual = typeOf(value);
  if (wanted.length === 0 || wanted.includes(actual)) return [];
  if (actual === 'null' && schema.nullable) return [];
  if (actual === 'integer' && wanted.includes('number')) return [];
  return [typeError(path, wanted.join(','), actual)];
}

function typeError(path: string, wanted: string, given: string): FieldError {
  return {
    type: 'TypeInvalid',
    field: path || nowhere,
    value: given,
    detail: `${path} in body must be of type ${wanted}: ${JSON.stringify(given)}`,
  };
}

function wrong(path: string, value: unknown, words: string): FieldError {
  return { type: 'Invalid', field: path || nowhere, value, detail: `${path} in body ${words}` };
}

function tooMany(path: string, value: number, most: number): FieldError {
  return { type: 'TooMany', field: path || nowhere, value, detail: `must have at most ${most} ${most === 1 ? 'item' : 'items'}` };
}

function checkEnum(value: unknown, allowed: readonly unknown[], path: string): FieldError[] {
  if (allowed.some((one) => sameJson(one, value))) return [];
  const list = allowed.map((one) => JSON.stringify(typeof one === 'string' ? one : JSON.stringify(one)));
  return [{ type: 'NotSupported', field: path || nowhere, value, detail: `supported values: ${list.join(', ')}` }];
}

function checkText(value: string, schema: JsonSchema, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const { maxLength, minLength, pattern, format } = schema;
  const length = maxLength !== undefined || minLength !== undefined ? [...value].length : 0;
  if (maxLength !== undefined && length > maxLength) {
    errors.push({
      type: 'TooLong',
      field: path || nowhere,
      detail: `may not be more than ${maxLength} ${maxLength === 1 ? 'byte' : 'bytes'}`,
    });
  }
  if (minLength !== undefined && length < minLength) {
    errors.push(wrong(path, value, `should be at least ${minLength} chars long`));
  }
  if (pattern !== undefined && !matches(value, pattern)) errors.push(wrong(path, value, `should match '${pattern}'`));
  if (format !== undefined && !fitsFormat(value, format)) errors.push(typeError(path, format, value));
  return errors;
}

function checkNumber(value: number, schema: JsonSchema, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const { maximum, exclusiveMaximum, minimum, exclusiveMinimum, multipleOf } = schema;
  if (multipleOf !== undefined && !isMultiple(value, multipleOf)) {
    errors.push(wrong(path, value, `should be a multiple of ${multipleOf}`));
  }
  if (maximum !== undefined && (exclusiveMaximum ? value >= maximum : value > maximum)) {
    errors.push(wrong(path, value, `should be less than ${exclusiveMaximum ? '' : 'or equal to '}${maximum}`));
  }
  if (minimum !== undefined && (exclusiveMinimum ? value <= minimum : value < minimum)) {
    errors.push(wrong(path, value, `should be greater than ${exclusiveMinimum ? '' : 'or equal to '}${minimum}`));
  }
  return errors;
}

/** Division by a fraction of ten is not exact: 0.3 is a multiple of 0.1. */
function isMultiple(value: number, of: number): boolean {
  const quotient = value / of;
  return Math.abs(quotient - Math.round(quotient)) <= Number.EPSILON * Math.max(1, Math.abs(quotient)) * 4;
}

function checkItems(value: unknown[], schema: JsonSchema, path: string, previous: unknown): FieldError[] {
  const errors: FieldError[] = [];
  const { maxItems, minItems, uniqueItems } = schema;
  const item = itemSchema(schema);
  const before = item && earlierItems(previous, schema);
  if (item) {
    for (const [index, member] of value.entries()) {
      errors.push(...check(member, item, `${path}[${index}]`, before?.(member)));
      if (errors.length >= errorsMax) return errors;
    }
  }
  if (minItems !== undefined && value.length < minItems) {
    errors.push(wrong(path, value.length, `should have at least ${minItems} items`));
  }
  if (maxItems !== undefined && value.length > maxItems) errors.push(tooMany(path, value.length, maxItems));
  if (uniqueItems && repeated(value).length > 0) errors.push(wrong(path, '', "shouldn't contain duplicates"));
  errors.push(...checkListType(value, schema, path));
  return errors;
}

/** Items of a list can be told apart, and so compared with what they were, only by keys. */
function earlierItems(previous: unknown, schema: JsonSchema): ((item: unknown) => unknown) | undefined {
  const keys = schema['x-kubernetes-list-map-keys'];
  if (!Array.isArray(previous) || schema['x-kubernetes-list-type'] !== 'map' || !keys) return undefined;
  const known = new Map(previous.map((item) => [JSON.stringify(keyOf(item, keys)), item]));
  return (item) => known.get(JSON.stringify(keyOf(item, keys)));
}

function keyOf(item: unknown, keys: readonly string[]): JsonObject {
  const key: JsonObject = {};
  if (isObject(item)) for (const name of keys) if (item[name] !== undefined) key[name] = item[name];
  return key;
}

/** Lists that are sets or maps hold nothing twice. */
function checkListType(value: unknown[], schema: JsonSchema, path: string): FieldError[] {
  const type = schema['x-kubernetes-list-type'];
  if (type !== 'set' && type !== 'map') return [];
  const keys = schema['x-kubernetes-list-map-keys'] ?? [];
  const names = type === 'set' ? value : value.map((item) => keyOf(item, keys));
  return repeated(names).map((index) => ({
    type: 'Duplicate',
    field: `${path}[${index}]`,
    value: names[index],
    detail: '',
  }));
}

/** Indexes of items that occur before. */
function repeated(items: readonly unknown[]): number[] {
  const seen = new Set<string>();
  return items.flatMap((item, index) => {
    const text = JSON.stringify(sorted(item));
    if (seen.has(text)) return [index];
    seen.add(text);
    return [];
  });
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((name) => [name, sorted(value[name])]),
  );
}

function checkMembers(value: JsonObject, schema: JsonSchema, path: string, previous: unknown): FieldError[] {
  const errors: FieldError[] = [];
  const { maxProperties, minProperties, required } = schema;
  const before = isObject(previous) ? previous : {};
  const count = Object.keys(value).length;
  if (minProperties !== undefined && count < minProperties) {
    errors.push(wrong(path, count, `should have at least ${minProperties} properties`));
  }
  if (maxProperties !== undefined && count > maxProperties) errors.push(tooMany(path, count, maxProperties));
  for (const name of required ?? []) {
    if (!Object.hasOwn(value, name)) errors.push({ type: 'Required', field: child(path, name), detail: '' });
  }
  for (const [name, member] of Object.entries(value)) {
    const at = child(path, name);
    const known = propertyOf(schema, name) ?? memberSchema(schema);
    if (known) errors.push(...check(member, known, at, Object.hasOwn(before, name) ? before[name] : undefined));
    else if (schema.additionalProperties === false) errors.push(forbidden(path, name));
    if (errors.length >= errorsMax) return errors;
  }
  return errors;
}

function forbidden(path: string, name: string): FieldError {
  const at = child(path, name);
  return { type: 'Invalid', field: path || nowhere, value: '', detail: `${at} in body is a forbidden property` };
}

function checkCombinations(value: unknown, schema: JsonSchema, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const { anyOf, oneOf, allOf, not } = schema;
  const tryAll = (schemas: readonly JsonSchema[]) => schemas.map((one) => check(value, one, path, undefined));
  const failed = (words: string): FieldError => ({
    type: 'Invalid',
    field: nowhere,
    value: '',
    detail: `${JSON.stringify(path)} must ${words}`,
  });
  if (anyOf && anyOf.length > 0) {
    const results = tryAll(anyOf);
    if (!results.some(({ length }) => length === 0)) {
      errors.push(failed('validate at least one schema (anyOf)'), ...nearest(results));
    }
  }
  if (oneOf && oneOf.length > 0) {
    const results = tryAll(oneOf);
    const fits = results.filter(({ length }) => length === 0).length;
    if (fits === 0) errors.push(failed('validate one and only one schema (oneOf). Found none valid'), ...nearest(results));
    else if (fits > 1) errors.push(failed(`validate one and only one schema (oneOf). Found ${fits} valid alternatives`));
  }
  if (allOf && allOf.length > 0) {
    const results = tryAll(allOf);
    const fits = results.filter(({ length }) => length === 0).length;
    errors.push(...results.flat());
    if (fits < allOf.length) errors.push(failed(`validate all the schemas (allOf)${fits === 0 ? '. None validated' : ''}`));
  }
  if (not && check(value, not, path, undefined).length === 0) errors.push(failed('not validate the schema (not)'));
  return errors;
}

/** The complaints of the alternative that came closest. */
function nearest(results: readonly FieldError[][]): FieldError[] {
  return results.reduce((best, result) => (result.length < best.length ? result : best));
}
