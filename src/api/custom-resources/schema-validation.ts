import { isObject, itemSchema, type JsonSchema, parts, propertyOf } from '../../machinery/custom/json-schema.ts';
import { checkObject } from '../../machinery/schemas.ts';
import type { FieldError } from '../../machinery/status.ts';
import { invalidValue, notPermitted, required } from '../kinds/field-errors.ts';
import { defaultErrors, defaultRuleErrors } from './default-validation.ts';
import { ruleErrors } from './rule-validation.ts';
import { structuralErrors } from './structural.ts';

const types = ['array', 'boolean', 'integer', 'number', 'object', 'string'];
const reasons = ['FieldValueDuplicate', 'FieldValueForbidden', 'FieldValueInvalid', 'FieldValueRequired'];
/** Of a schema; the parser of bodies allows no more than a few hundred levels anyhow. */
const depthMax = 100;
/** Words that may stand at the root of a schema whose status is a subresource. */
const rootWords = new Set([
  'description',
  'type',
  'format',
  'title',
  'maximum',
  'exclusiveMaximum',
  'minimum',
  'exclusiveMinimum',
  'maxLength',
  'minLength',
  'pattern',
  'maxItems',
  'minItems',
  'uniqueItems',
  'multipleOf',
  'required',
  'items',
  'properties',
  'externalDocs',
  'example',
  'x-kubernetes-preserve-unknown-fields',
  'x-kubernetes-validations',
]);

/** `path` is that of the schema, for example `spec.versions[0].schema.openAPIV3Schema`. */
export function schemaErrors(schema: JsonSchema, path: string, hasStatus: boolean): FieldError[] {
  const malformed = malformedErrors(schema, path, 0);
  if (malformed.length > 0) return malformed;
  const errors = hasStatus ? rootErrors(schema, path) : [];
  if (schema.nullable) errors.push(notPermitted(`${path}.nullable`, 'nullable cannot be true at the root'));
  const structure = structuralErrors(schema, path);
  const own = wordErrors(schema, path, { root: true });
  errors.push(...(structure.length > 0 ? structure : defaultErrors(schema, path)), ...own);
  if (errors.length === 0) errors.push(...ruleErrors(schema, path));
  // Rules that cannot be run say nothing of defaults.
  if (errors.length === 0) errors.push(...defaultRuleErrors(schema, path, true));
  return errors;
}

/** Types that the decoder leaves to us, because a schema may hold another or a plain value in the same place. */
function malformedErrors(schema: JsonSchema, path: string, depth: number): FieldError[] {
  if (depth > depthMax) return [invalidValue(path, '', `must not be nested more than ${depthMax} levels deep`)];
  const errors: FieldError[] = [];
  const { items, additionalProperties } = schema as { items?: unknown; additionalProperties?: unknown };
  for (const [word, value] of Object.entries({ items, additionalProperties })) {
    if (!isObject(value)) continue;
    const [complaint] = checkObject(value, 'apiextensions.v1.JSONSchemaProps').errors;
    if (complaint) return [invalidValue(`${path}.${word}`, '', complaint)];
  }
  if (Array.isArray(items)) errors.push(notPermitted(`${path}.items`, 'items must be a schema object and not an array'));
  else if (items !== undefined && !isObject(items)) errors.push(invalidValue(`${path}.items`, items, 'must be a schema'));
  if (additionalProperties !== undefined && typeof additionalProperties !== 'boolean' && !isObject(additionalProperties)) {
    errors.push(invalidValue(`${path}.additionalProperties`, additionalProperties, 'must be a schema or a boolean'));
  }
  for (const [step, part] of allParts(schema)) errors.push(...malformedErrors(part, `${path}.${step}`, depth + 1));
  return errors;
}

/** All schemas directly below, also those of combinations. */
function* allParts(schema: JsonSchema): Generator<[string, JsonSchema]> {
  yield* parts(schema);
  for (const word of ['allOf', 'anyOf', 'oneOf'] as const) {
    for (const [index, one] of (schema[word] ?? []).entries()) yield [`${word}[${index}]`, one];
  }
  if (schema.not) yield ['not', schema.not];
}

function rootErrors(schema: JsonSchema, path: string): FieldError[] {
  if (schema.type !== 'object') {
    const why = 'only "object" is allowed as the type at the root of the schema if the status subresource is enabled';
    return [invalidValue(`${path}.type`, schema.type ?? '', why)];
  }
  const odd = Object.entries(schema).find(([word, value]) => value !== undefined && !rootWords.has(word));
  if (!odd) return [];
  const allowed = [...rootWords].map((word) => word[0]!.toUpperCase() + word.slice(1)).join(' ');
  const why = `only [${allowed}] fields are allowed at the root of the schema if the status subresource is enabled`;
  return [invalidValue(path, schema, why)];
}

interface Place {
  root?: boolean;
  /** Inside the apiVersion, kind or metadata of a resource. */
  meta?: boolean;
  /** Why there may be no defaults here. */
  noDefault?: string;
}

/** Checks of single words, at every level. */
function wordErrors(schema: JsonSchema, path: string, place: Place): FieldError[] {
  const errors = forbiddenWords(schema, path, place);
  errors.push(...mapErrors(schema, path), ...listErrors(schema, path), ...validationErrors(schema, path));
  const resource = place.root || schema['x-kubernetes-embedded-resource'];
  for (const [step, part] of allParts(schema)) {
    const name = /^properties\[(.*)\]$/s.exec(step)?.[1];
    const meta = resource && name !== undefined && ['metadata', 'kind', 'apiVersion'].includes(name);
    const inherited: Place = { meta: meta || place.meta, noDefault: place.noDefault };
    if (meta && place.root) inherited.noDefault = `in top-level ${name}`;
    if (step === 'additionalProperties' && place.meta) {
      inherited.noDefault = 'inside additionalProperties applying to object metadata';
    }
    errors.push(...wordErrors(part, `${path}.${step}`, inherited));
  }
  return errors;
}

function forbiddenWords(schema: JsonSchema, path: string, place: Place): FieldError[] {
  const errors: FieldError[] = [];
  const { type } = schema;
  if (type && !types.includes(type)) {
    const list = types.map((one) => JSON.stringify(one)).join(', ');
    errors.push({ type: 'NotSupported', field: `${path}.type`, value: type, detail: `supported values: ${list}` });
  }
  if (schema.default !== undefined && place.noDefault) {
    errors.push(notPermitted(`${path}.default`, `must not be set ${place.noDefault}`));
  }
  for (const word of ['id', 'additionalItems', 'patternProperties', 'definitions', 'dependencies', '$ref'] as const) {
    if (schema[word] !== undefined && schema[word] !== '') {
      errors.push(notPermitted(`${path}.${word}`, `${word} is not supported`));
    }
  }
  if (type === 'null') {
    errors.push(notPermitted(`${path}.type`, 'type cannot be set to null, use nullable as an alternative'));
  }
  if (place.meta && schema['x-kubernetes-embedded-resource']) {
    errors.push(notPermitted(`${path}.x-kubernetes-embedded-resource`, 'must not be used inside of resource meta'));
  }
  if (schema.uniqueItems) {
    const why = 'uniqueItems cannot be set to true since the runtime complexity becomes quadratic';
    errors.push(notPermitted(`${path}.uniqueItems`, why));
  }
  const { additionalProperties, properties = {} } = schema;
  if (additionalProperties !== undefined && additionalProperties !== true && Object.keys(properties).length > 0) {
    errors.push(notPermitted(`${path}.additionalProperties`, 'additionalProperties and properties are mutual exclusive'));
  }
  if (schema['x-kubernetes-preserve-unknown-fields'] === false) {
    errors.push(invalidValue(`${path}.x-kubernetes-preserve-unknown-fields`, false, 'must be true or undefined'));
  }
  return errors;
}

function wrongType(path: string, type: string | undefined, detail: string): FieldError {
  return type ? invalidValue(`${path}.type`, type, detail) : required(`${path}.type`, detail);
}

function mapErrors(schema: JsonSchema, path: string): FieldError[] {
  const mapType = schema['x-kubernetes-map-type'];
  if (mapType === undefined) return [];
  const errors: FieldError[] = [];
  if (schema.type !== 'object') {
    errors.push(wrongType(path, schema.type, 'must be object if x-kubernetes-map-type is specified'));
  }
  if (mapType !== 'atomic' && mapType !== 'granular') {
    const detail = 'supported values: "atomic", "granular"';
    errors.push({ type: 'NotSupported', field: `${path}.x-kubernetes-map-type`, value: mapType, detail });
  }
  return errors;
}

function listErrors(schema: JsonSchema, path: string): FieldError[] {
  const listType = schema['x-kubernetes-list-type'];
  const keys = schema['x-kubernetes-list-map-keys'] ?? [];
  const at = `${path}.x-kubernetes-list-type`;
  const errors: FieldError[] = [];
  if (keys.length > 0 && listType !== 'map') {
    const why = 'must be map if x-kubernetes-list-map-keys is non-empty';
    errors.push(listType === undefined ? required(at, why) : invalidValue(at, listType, why));
  }
  if (listType === undefined) return errors;
  if (schema.type !== 'array') {
    errors.push(wrongType(path, schema.type, 'must be array if x-kubernetes-list-type is specified'));
  }
  if (listType !== 'atomic' && listType !== 'set' && listType !== 'map') {
    const detail = 'supported values: "atomic", "set", "map"';
    errors.push({ type: 'NotSupported', field: at, value: listType, detail });
  }
  const item = itemSchema(schema);
  if ((listType === 'set' || listType === 'map') && item?.nullable) {
    const why = `cannot be nullable when x-kubernetes-list-type is ${listType}`;
    errors.push(notPermitted(`${path}.items.nullable`, why));
  }
  if (listType === 'set' && item) errors.push(...setErrors(item, path));
  if (listType === 'map') errors.push(...keyErrors(item, keys, path));
  return errors;
}

/** Items of a set are compared as wholes, so they cannot be owned in parts. */
function setErrors(item: JsonSchema, path: string): FieldError[] {
  const why = 'must be atomic as item of a list with x-kubernetes-list-type=set';
  const listType = item['x-kubernetes-list-type'];
  const mapType = item['x-kubernetes-map-type'];
  if (item.type === 'array' && listType !== undefined && listType !== 'atomic') {
    return [invalidValue(`${path}.items.x-kubernetes-list-type`, listType, why)];
  }
  return item.type === 'object' && mapType !== 'atomic'
    ? [invalidValue(`${path}.items.x-kubernetes-map-type`, mapType ?? null, why)]
    : [];
}

function keyErrors(item: JsonSchema | undefined, keys: readonly string[], path: string): FieldError[] {
  const at = `${path}.x-kubernetes-list-map-keys`;
  const errors: FieldError[] = [];
  if (keys.length === 0) errors.push(required(at, 'must not be empty if x-kubernetes-list-type is map'));
  if (!item) return [...errors, required(`${path}.items`, 'must have a schema if x-kubernetes-list-type is map')];
  if (item.type !== 'object') {
    const why = "must be object if parent array's x-kubernetes-list-type is map";
    return [...errors, invalidValue(`${path}.items.type`, item.type ?? '', why)];
  }
  if (new Set(keys).size < keys.length) errors.push(invalidValue(at, keys, 'must not contain duplicate entries'));
  for (const key of keys) {
    const property = propertyOf(item, key);
    const of = `${path}.items.properties[${key}]`;
    if (!property) errors.push(invalidValue(at, keys, 'entries must all be names of item properties'));
    else if (property.type === 'array' || property.type === 'object') {
      const why = "must be a scalar type if parent array's x-kubernetes-list-type is map";
      errors.push(invalidValue(`${of}.type`, property.type, why));
    }
    if (property && property.default === undefined && !item.required?.includes(key)) {
      const why = 'this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property';
      errors.push(required(`${of}.default`, why));
    }
    if (property?.nullable) {
      errors.push(notPermitted(`${of}.nullable`, 'this property is in x-kubernetes-list-map-keys, so it cannot be nullable'));
    }
  }
  return errors;
}

/** The form of rules; what they say is checked when the rest of the schema is sound. */
function validationErrors(schema: JsonSchema, path: string): FieldError[] {
  return (schema['x-kubernetes-validations'] ?? []).flatMap((rule, index) => {
    const at = `${path}.x-kubernetes-validations[${index}]`;
    const errors: FieldError[] = [];
    const { message, messageExpression, reason, fieldPath } = rule;
    if (!rule.rule?.trim()) errors.push(required(`${at}.rule`, 'rule is not specified'));
    if (message !== undefined && message.trim() === '' && message !== '') {
      errors.push(invalidValue(`${at}.message`, message, 'must be non-empty if specified'));
    } else if (message && /[\r\n]/.test(message.trim())) {
      errors.push(invalidValue(`${at}.message`, message, 'must not contain line breaks'));
    } else if (!message && /[\r\n]/.test(rule.rule?.trim() ?? '')) {
      errors.push(required(`${at}.message`, 'message must be specified if rule contains line breaks'));
    }
    if (messageExpression && messageExpression.trim() === '') {
      errors.push(required(`${at}.messageExpression`, 'messageExpression must be non-empty if specified'));
    }
    if (reason !== undefined && !reasons.includes(reason)) {
      const list = reasons.map((one) => JSON.stringify(one)).join(', ');
      errors.push({ type: 'NotSupported', field: `${at}.reason`, value: reason, detail: `supported values: ${list}` });
    }
    if (fieldPath && fieldPath.trim() === '') {
      errors.push(invalidValue(`${at}.fieldPath`, fieldPath, 'must be non-empty if specified'));
    } else if (fieldPath && /[\r\n]/.test(fieldPath)) {
      errors.push(invalidValue(`${at}.fieldPath`, fieldPath, 'must not contain line breaks'));
    }
    return errors;
  });
}
