/** How the fields of a custom resource are owned, from its schema: see machinery/apply/shapes.ts. */
import { deduced, type FieldShape, leaf, type Shape, type StructShape, shapeOf } from '../apply/shapes.ts';
import { itemSchema, type JsonSchema, memberSchema, propertyOf } from './json-schema.ts';

const metadataShape = (): FieldShape => ({ shape: shapeOf('meta.v1.ObjectMeta'), standIn: {} });
const scalar: FieldShape = { shape: leaf };

/** The shape of a whole resource. */
export function customShape(schema: JsonSchema): StructShape {
  return structShape(schema, true);
}

function structShape(schema: JsonSchema, isResource: boolean): StructShape {
  const fields = new Map<string, FieldShape | undefined>();
  const fieldOf = (name: string): FieldShape | undefined => {
    if (isResource && name === 'metadata') return metadataShape();
    if (isResource && (name === 'apiVersion' || name === 'kind')) return scalar;
    const property = propertyOf(schema, name);
    if (property) return { shape: valueShape(property) };
    return schema['x-kubernetes-preserve-unknown-fields'] ? { shape: deduced } : undefined;
  };
  return {
    form: 'struct',
    field(name) {
      if (!fields.has(name)) fields.set(name, fieldOf(name));
      return fields.get(name);
    },
  };
}

function valueShape(schema: JsonSchema): Shape {
  if (schema.type === 'array') return listShape(schema);
  if (schema.type !== 'object') return schema['x-kubernetes-preserve-unknown-fields'] ? deduced : leaf;
  if (schema['x-kubernetes-map-type'] === 'atomic') return leaf;
  if (schema['x-kubernetes-embedded-resource']) return structShape(schema, true);
  const member = memberSchema(schema);
  if (member) return { form: 'map', member: valueShape(member) };
  if (!schema.properties) return deduced;
  return structShape(schema, false);
}

function listShape(schema: JsonSchema): Shape {
  const type = schema['x-kubernetes-list-type'];
  if (type === 'set') return { form: 'set' };
  const item = itemSchema(schema);
  const keys = schema['x-kubernetes-list-map-keys'];
  if (type !== 'map' || !keys || !item) return leaf;
  const defaults: Record<string, unknown> = {};
  for (const key of keys) {
    const value = propertyOf(item, key)?.default;
    if (value !== undefined) defaults[key] = value;
  }
  return { form: 'keyed', keys: [...keys].sort(), defaults, item: valueShape(item) };
}
