/** Resources inside custom resources (`x-kubernetes-embedded-resource`): they have a kind, a version and metadata like any other. */
import {
  isObject,
  itemSchema,
  type JsonObject,
  type JsonSchema,
  memberSchema,
  propertyOf,
} from '../../machinery/custom/json-schema.ts';
import { validateMetadata } from '../../machinery/metadata.ts';
import { checkObject } from '../../machinery/schemas.ts';
import type { FieldError } from '../../machinery/status.ts';
import type { ObjectMeta } from '../../machinery/types.ts';
import { invalidValue, required } from '../kinds/field-errors.ts';

export function embeddedErrors(object: JsonObject, schema: JsonSchema): FieldError[] {
  return visit(object, schema, '');
}

function visit(value: unknown, schema: JsonSchema, path: string): FieldError[] {
  if (Array.isArray(value)) {
    const item = itemSchema(schema);
    return item ? value.flatMap((member, index) => inside(member, item, `${path}[${index}]`)) : [];
  }
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([name, member]) => {
    const known = propertyOf(schema, name) ?? memberSchema(schema);
    return known ? inside(member, known, path === '' ? name : `${path}.${name}`) : [];
  });
}

function inside(value: unknown, schema: JsonSchema, path: string): FieldError[] {
  const errors = schema['x-kubernetes-embedded-resource'] && isObject(value) ? resourceErrors(value, path) : [];
  return [...errors, ...visit(value, schema, path)];
}

function resourceErrors({ apiVersion, kind, metadata }: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const text = (name: string, value: unknown) => {
    if (value === undefined || value === '') errors.push(required(`${path}.${name}`, 'must not be empty'));
    else if (typeof value !== 'string') errors.push(invalidValue(`${path}.${name}`, value, 'must be a string'));
  };
  text('apiVersion', apiVersion);
  text('kind', kind);
  if (metadata === undefined) return errors;
  const [complaint] = checkObject(metadata, 'meta.v1.ObjectMeta').errors;
  if (!isObject(metadata) || complaint) {
    return [...errors, invalidValue(`${path}.metadata`, metadata, complaint ?? 'must be an object')];
  }
  const meta = metadata as unknown as ObjectMeta;
  const namespaced = meta.namespace !== undefined;
  const found = validateMetadata(meta, { namespaced, nameCheck: () => [], path: `${path}.metadata` });
  return [...errors, ...found.filter(({ field }) => field !== `${path}.metadata.name`)];
}
