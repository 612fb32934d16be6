/** The types of the objects of a kind, as the type checker of expressions sees them. Pure. */
import { type CelType, celTypes, escapeFieldName, listOf, mapOf, typeOfSchema } from '../../cel/index.ts';
import type { KindVersion } from '../../machinery/kind.ts';
import { type FieldSchema, type Schema, schema as schemaOf, type ValueType } from '../../machinery/schemas.ts';

const metadataSchema = 'meta.v1.ObjectMeta';

const plainTypes: Record<Exclude<ValueType, 'object'>, CelType> = {
  string: celTypes.string,
  int32: celTypes.int,
  int64: celTypes.int,
  double: celTypes.double,
  boolean: celTypes.bool,
  bytes: celTypes.bytes,
  time: celTypes.timestamp,
  microtime: celTypes.timestamp,
  duration: celTypes.string,
  // Written as a number or as a text: what it is shows only when it is there.
  quantity: celTypes.dyn,
  intOrString: celTypes.dyn,
  any: celTypes.dyn,
};

/** Undefined when nothing is known of the kind's fields. `name` stands for the type in messages. */
export function objectType({ schema, openApi }: KindVersion, name: string): CelType | undefined {
  if (!openApi) return namedType(schema, name);
  const type = typeOfSchema(openApi, { resource: true, name });
  const metadata = namedType(metadataSchema, `${name}.metadata`);
  return type.kind === 'object' && metadata ? { ...type, fields: { ...type.fields, metadata } } : type;
}

function namedType(of: string, name: string): CelType | undefined {
  const found = schemaOf(of);
  return found && structType(found, name, new Set([of]));
}

/** `around`: the types that this one is a part of. One that holds itself is not looked into again. */
function structType(of: Schema, name: string, around: ReadonlySet<string>): CelType {
  const fields: Record<string, CelType> = {};
  for (const [key, field] of Object.entries(of.fields)) {
    const escaped = escapeFieldName(key);
    if (escaped !== undefined) fields[escaped] = fieldType(field, `${name}.${key}`, around);
  }
  return { kind: 'object', name, fields };
}

function fieldType(field: FieldSchema, name: string, around: ReadonlySet<string>): CelType {
  const value = valueType(field, name, around);
  switch (field.container) {
    case 'list':
      return listOf(value);
    case 'map':
      return mapOf(celTypes.string, value);
    case 'mapOfLists':
      return mapOf(celTypes.string, listOf(value));
    default:
      return value;
  }
}

function valueType({ type, ref = '' }: FieldSchema, name: string, around: ReadonlySet<string>): CelType {
  if (type !== 'object') return plainTypes[type];
  const found = around.has(ref) ? undefined : schemaOf(ref);
  return found ? structType(found, name, new Set([...around, ref])) : celTypes.dyn;
}
