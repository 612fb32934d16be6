/**
 * Checks a value against the part of JSON Schema that cluster-config/schema.json uses, and fills in defaults. Every problem is
 * reported with its path; an unknown key comes with the nearest known one. Pure.
 */
import { isIPv4 } from 'node:net';
import { nearest } from '../lib/nearest.ts';
import { isQuantity } from '../machinery/quantity.ts';

export interface JsonSchema {
  type?: string;
  properties?: Record<string, JsonSchema>;
  additionalProperties?: boolean | JsonSchema;
  items?: JsonSchema;
  enum?: string[];
  pattern?: string;
  format?: string;
  minimum?: number;
  maximum?: number;
  default?: unknown;
  description?: string;
}

/** The value with defaults, and what is wrong with it (empty: nothing). */
export function checkSchema(value: unknown, schema: JsonSchema, path = ''): { value: unknown; problems: string[] } {
  const where = path || 'the file';
  switch (schema.type) {
    case 'object':
      return checkProperties(value ?? {}, schema, path);
    case 'array': {
      if (!Array.isArray(value)) return { value, problems: [`${where} must be a list`] };
      const items = value.map((item, index) => checkSchema(item, schema.items ?? {}, `${path}[${index}]`));
      return { value: items.map((item) => item.value), problems: items.flatMap((item) => item.problems) };
    }
    case 'integer': {
      const { minimum = -Infinity, maximum = Infinity } = schema;
      const fine = Number.isInteger(value) && (value as number) >= minimum && (value as number) <= maximum;
      return { value, problems: fine ? [] : [`${where} must be a whole number from ${minimum} to ${maximum}`] };
    }
    case 'boolean':
      return { value, problems: typeof value === 'boolean' ? [] : [`${where} must be true or false`] };
    case 'string':
      return { value, problems: typeof value === 'string' ? checkText(value, schema, where) : [`${where} must be text`] };
    default:
      return { value, problems: [] };
  }
}

function checkText(text: string, schema: JsonSchema, where: string): string[] {
  if (schema.enum && !schema.enum.includes(text)) return [`${where} must be one of ${schema.enum.join(', ')}; it is "${text}"`];
  if (schema.pattern && !new RegExp(schema.pattern).test(text))
    return [`${where} is "${text}", which does not match ${schema.pattern}`];
  switch (schema.format) {
    case 'ipv4':
      return isIPv4(text) ? [] : [`${where} must be an IPv4 address such as 10.0.0.1; it is "${text}"`];
    case 'cidr': {
      const [address = '', bits = ''] = text.split('/');
      const fine = isIPv4(address) && /^\d+$/.test(bits) && Number(bits) >= 8 && Number(bits) <= 24;
      return fine ? [] : [`${where} must be a range such as 10.42.0.0/16 (/8 to /24); it is "${text}"`];
    }
    case 'quantity':
      return isQuantity(text) ? [] : [`${where} must be a quantity such as 500m or 256Mi; it is "${text}"`];
    default:
      return [];
  }
}

function checkProperties(value: unknown, schema: JsonSchema, path: string): { value: unknown; problems: string[] } {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { value, problems: [`${path || 'the file'} must be a group of keys`] };
  }
  const known = schema.properties ?? {};
  const given = value as Record<string, unknown>;
  const result: Record<string, unknown> = {};
  const problems: string[] = [];
  const under = (key: string) => (path ? `${path}.${key}` : key);

  for (const [key, item] of Object.entries(given)) {
    if (Object.hasOwn(known, key)) continue;
    if (typeof schema.additionalProperties === 'object') {
      const checked = checkSchema(item, schema.additionalProperties, under(key));
      result[key] = checked.value;
      problems.push(...checked.problems);
      continue;
    }
    const near = nearest(key, Object.keys(known));
    problems.push(
      `${under(key)} is not a known key${near ? `; did you mean ${under(near)}?` : `; known here: ${Object.keys(known).join(', ')}`}`,
    );
  }
  for (const [key, part] of Object.entries(known)) {
    const item = given[key] ?? (part.type === 'object' ? (part.default ?? {}) : structuredClone(part.default));
    if (item === undefined) continue;
    const checked = checkSchema(item, part, under(key));
    result[key] = checked.value;
    problems.push(...checked.problems);
  }
  return { value: result, problems };
}
