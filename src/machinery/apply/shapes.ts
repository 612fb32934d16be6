/**
 * How the parts of an object are owned: which are one field as a whole, which are owned member by member, and what tells
 * the items of a list apart. Made from the schemas of the built-in kinds; custom resources can bring shapes of their own.
 */
import { type FieldSchema, type Schema, schema } from '../schemas.ts';

export type Shape =
  /** One field: a scalar, an atomic list or map. */
  | { form: 'leaf' }
  /** By what the value is: maps member by member, all else as one field. */
  | { form: 'deduced' }
  | StructShape
  | { form: 'map'; member: Shape }
  /** A list of scalars, each owned by itself. */
  | { form: 'set' }
  /** A list whose items are told apart by some of their members. */
  | { form: 'keyed'; keys: readonly string[]; defaults: Readonly<Record<string, unknown>>; item: Shape };

export interface FieldShape {
  shape: Shape;
  /** What Kubernetes' typed objects hold where JSON has nothing: owners never own the mere presence of such a field. */
  standIn?: object;
}

export interface StructShape {
  form: 'struct';
  /** Undefined for a field that the type does not have. */
  field(name: string): FieldShape | undefined;
}

export const leaf: Shape = { form: 'leaf' };
export const deduced: Shape = { form: 'deduced' };

/** Key members that items may leave out. */
const keyDefaults: Record<string, Record<string, unknown>> = {
  'core.v1.ContainerPort': { protocol: 'TCP' },
  'core.v1.ServicePort': { protocol: 'TCP' },
  'core.v1.LocalObjectReference': { name: '' },
};

const shapes = new Map<string, StructShape>();
/** Kinds without a generated schema: metadata is as everywhere. */
const untyped: StructShape = {
  form: 'struct',
  field: (name) => (name === 'metadata' ? { shape: shapeOf('meta.v1.ObjectMeta'), standIn: {} } : { shape: deduced }),
};

/** The shape of a type by the name of its schema. */
export function shapeOf(schemaName: string): StructShape {
  const known = shapes.get(schemaName);
  if (known) return known;
  const of = schema(schemaName);
  const shape = of ? structOf(of) : untyped;
  shapes.set(schemaName, shape);
  return shape;
}

function structOf(of: Schema): StructShape {
  const fields = new Map<string, FieldShape | undefined>();
  return {
    form: 'struct',
    field(name) {
      if (!fields.has(name)) fields.set(name, Object.hasOwn(of.fields, name) ? fieldShape(of.fields[name]!) : undefined);
      return fields.get(name);
    },
  };
}

function fieldShape(field: FieldSchema): FieldShape {
  const shape = shapeOfField(field);
  if (shape.form === 'struct' && field.embedded) return { shape, standIn: {} };
  const list = shape.form === 'keyed' || shape.form === 'set';
  return list && field.required ? { shape, standIn: [] } : { shape };
}

function shapeOfField(field: FieldSchema): Shape {
  const { container, mapType } = field;
  if (!container) return mapType === 'atomic' ? leaf : valueShape(field);
  if (container === 'list') return listShape(field);
  if (mapType === 'atomic') return leaf;
  return { form: 'map', member: container === 'map' ? valueShape(field) : leaf };
}

function valueShape({ type, ref }: FieldSchema): Shape {
  if (type === 'any') return deduced;
  if (type !== 'object') return leaf;
  const of = schema(ref!);
  if (!of) return deduced;
  return of.mapType === 'atomic' ? leaf : shapeOf(ref!);
}

function listShape(field: FieldSchema): Shape {
  if (field.listType === 'set') return { form: 'set' };
  if (field.listType !== 'map' || !field.listKeys) return leaf;
  const keys = [...field.listKeys].sort();
  const of = schema(field.ref ?? '');
  const item = field.ref && of ? shapeOf(field.ref) : deduced;
  return { form: 'keyed', keys, defaults: keyDefaults[field.ref ?? ''] ?? {}, item };
}
