/**
 * The types of the built-in kinds, from the generated files: which fields there are, of what type, and how patches merge them.
 * Checks decoded JSON against them with the words of the reference implementation, since clients show those to people.
 */
import { jsonDepthMax } from './depth.ts';
import { quantityComplaint } from './quantity.ts';
import { TypeFile } from './type-file.ts';

export type ValueType =
  | 'string'
  | 'int32'
  | 'int64'
  | 'double'
  | 'boolean'
  | 'bytes'
  | 'time'
  | 'microtime'
  | 'duration'
  | 'quantity'
  | 'intOrString'
  | 'object'
  /** Anything: embedded objects, JSON schemas' alternatives. */
  | 'any';

export type ListType = 'atomic' | 'set' | 'map';

export interface FieldSchema {
  /** Of the value, or of each member when `container` is set. */
  type: ValueType;
  container?: 'list' | 'map' | 'mapOfLists';
  /** Name of the schema when type is 'object'. */
  ref?: string;
  required?: true;
  /** A struct inside a struct, without a pointer: Kubernetes' typed objects always hold one. */
  embedded?: true;
  /** Go's name of a named string type, for error texts. */
  go?: string;
  strategy?: ('merge' | 'replace' | 'retainKeys')[];
  mergeKey?: string;
  listType?: ListType;
  listKeys?: string[];
  mapType?: 'atomic' | 'granular';
}

export interface Schema {
  /** For example `apps.v1.Deployment`. */
  name: string;
  fields: Record<string, FieldSchema>;
  mapType?: 'atomic';
}

const types = new TypeFile<Schema>('schemas.json');
const errorsMax = 50;

/** The schema of `<group>.<version>.<Type>`, the group's first label only and `core` for the core group (`v1.Pod` works, too). */
export function schema(name: string): Schema | undefined {
  const full = /^v\d\w*\.\w+$/.test(name) ? `core.${name}` : name;
  const found = types.get(full);
  if (found && found.name === undefined) found.name = full;
  return found;
}

/** Changes with the generated types, so that clients can tell when their copy of the OpenAPI documents is old. */
export function schemasDigest(): Buffer {
  return types.digest();
}

/** Own properties only: a field that is called `constructor` is unknown like any other. */
export function fieldOf(of: Schema | undefined, name: string): FieldSchema | undefined {
  return of && Object.hasOwn(of.fields, name) ? of.fields[name] : undefined;
}

export interface CheckResult {
  /** Paths such as `spec.template.spec.containers[0].foo`, in the order of the object. */
  unknownFields: string[];
  /** Type errors. The first is what the reference implementation would answer. At most 50. */
  errors: string[];
}

const typeName = (value: unknown) => (Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value);
const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const goTypes: Partial<Record<ValueType, string>> = {
  int32: 'int32',
  int64: 'int64',
  double: 'float64',
  boolean: 'bool',
  string: 'string',
  bytes: '[]uint8',
  time: 'v1.Time',
  microtime: 'v1.MicroTime',
  duration: 'v1.Duration',
  quantity: 'resource.Quantity',
  intOrString: 'intstr.IntOrString',
};

function goMember(field: FieldSchema): string {
  if (field.type === 'object') return field.ref!.split('.').slice(1).join('.');
  return field.go ?? goTypes[field.type] ?? 'interface {}';
}

function goContainer(field: FieldSchema): string {
  if (field.container === 'list') return `[]${goMember(field)}`;
  if (field.container === 'map') return `map[string]${goMember(field)}`;
  return field.container === 'mapOfLists' ? `map[string][]${goMember(field)}` : goMember(field);
}

const timeShape = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;
const base64Shape = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
/** 2^63 stands for all numbers near it, among them the largest one that is allowed. */
const integerMax = { int32: 2 ** 31 - 1, int64: 2 ** 63 };
const integerMin = { int32: -(2 ** 31), int64: -(2 ** 63) };

function isInteger(value: unknown, type: 'int32' | 'int64'): boolean {
  return Number.isInteger(value) && (value as number) <= integerMax[type] && (value as number) >= integerMin[type];
}

/** Where the walk is: the path for people, and Go's path, which has neither indexes nor keys. */
interface Place {
  path: string;
  goPath: string;
  /** Go's name of the struct that holds the field. */
  struct: string;
  depth: number;
}

const isPlainText = (value: unknown, field: FieldSchema) => field.type === 'string' && typeof value === 'string';

class Checker {
  readonly result: CheckResult = { unknownFields: [], errors: [] };

  #fail(text: string): void {
    if (this.result.errors.length < errorsMax) this.result.errors.push(text);
  }

  #mismatch(value: unknown, place: Place, goType: string): void {
    const what = typeof value === 'number' && /^u?int\d/.test(goType) ? `number ${value}` : typeName(value);
    const where = place.goPath === '' ? 'Go value' : `Go struct field ${place.struct}.${place.goPath}`;
    this.#fail(`json: cannot unmarshal ${what} into ${where} of type ${goType}`);
  }

  object(value: unknown, of: Schema, place: Place): void {
    if (value === null || value === undefined) return;
    if (!isMap(value)) this.#mismatch(value, place, of.name.split('.').slice(1).join('.'));
    else if (place.depth > jsonDepthMax) this.#fail('exceeded max depth');
    else this.#fields(value, of, place);
  }

  #fields(value: Record<string, unknown>, of: Schema, place: Place): void {
    const struct = of.name.slice(of.name.lastIndexOf('.') + 1);
    for (const name in value) {
      const member = value[name];
      const field = fieldOf(of, name);
      // Most fields; what follows is about where something is that may be wrong.
      if (field && isPlainText(member, field) && !field.container) continue;
      const path = place.path === '' ? name : `${place.path}.${name}`;
      if (!field) {
        this.result.unknownFields.push(path);
        continue;
      }
      const goPath = place.goPath === '' ? name : `${place.goPath}.${name}`;
      this.#field(member, field, { path, goPath, struct, depth: place.depth + 1 });
    }
  }

  #field(value: unknown, field: FieldSchema, place: Place): void {
    if (value === null || value === undefined) return;
    if (!field.container) this.#value(value, field, place);
    else if (field.container === 'list') this.#list(value, field, place);
    else if (!isMap(value)) this.#mismatch(value, place, goContainer(field));
    else {
      for (const key in value) {
        const member = value[key];
        if (field.container === 'map' && isPlainText(member, field)) continue;
        const at = { ...place, path: `${place.path}.${key}` };
        if (field.container === 'map') this.#value(member, field, at);
        else this.#list(member, field, at);
      }
    }
  }

  #list(value: unknown, field: FieldSchema, place: Place): void {
    if (value === null) return;
    if (!Array.isArray(value)) this.#mismatch(value, place, `[]${goMember(field)}`);
    else for (const [index, member] of value.entries()) this.#value(member, field, { ...place, path: `${place.path}[${index}]` });
  }

  #value(value: unknown, field: FieldSchema, place: Place): void {
    if (value === null || value === undefined) return;
    switch (field.type) {
      case 'any':
        return;
      case 'object': {
        const of = schema(field.ref!);
        if (of) this.object(value, of, place);
        return;
      }
      case 'int32':
      case 'int64':
        if (!isInteger(value, field.type)) this.#mismatch(value, place, field.type);
        return;
      case 'double':
        if (typeof value !== 'number') this.#mismatch(value, place, 'float64');
        return;
      case 'boolean':
        if (typeof value !== 'boolean') this.#mismatch(value, place, 'bool');
        return;
      case 'intOrString':
        if (typeof value === 'string') return;
        if (!isInteger(value, 'int32')) this.#mismatch(value, place, 'int32');
        return;
      case 'quantity': {
        const complaint =
          typeof value === 'string' || typeof value === 'number' ? quantityComplaint(String(value)) : quantityComplaint('');
        if (complaint) this.#fail(complaint);
        return;
      }
      default:
        if (typeof value !== 'string') this.#mismatch(value, place, goMember(field));
        else this.#text(value, field.type);
    }
  }

  #text(value: string, type: ValueType): void {
    if (type === 'bytes' && !base64Shape.test(value.replace(/[\r\n]/g, ''))) {
      const at = /[^A-Za-z0-9+/\r\n]/.exec(value)?.index ?? Math.max(0, value.length - (value.length % 4 || 4));
      this.#fail(`illegal base64 data at input byte ${at}`);
    }
    if ((type === 'time' || type === 'microtime') && !(timeShape.test(value) && !Number.isNaN(Date.parse(value)))) {
      const layout = type === 'time' ? '2006-01-02T15:04:05Z07:00' : '2006-01-02T15:04:05.000000Z07:00';
      this.#fail(`parsing time ${JSON.stringify(value)} as "${layout}": cannot parse ${JSON.stringify(value)} as a time`);
    }
  }
}

/** Compares decoded JSON with a schema. An unknown schema name finds nothing wrong (custom resources have rules of their own). */
export function checkObject(object: unknown, schemaName: string): CheckResult {
  const checker = new Checker();
  const of = schema(schemaName);
  if (of) checker.object(object, of, { path: '', goPath: '', struct: '', depth: 0 });
  return checker.result;
}

/** What a null stands for inside a list or a map: the type's zero value. */
function zero(type: ValueType): unknown {
  if (type === 'object') return {};
  if (type === 'boolean') return false;
  if (type === 'any' || type === 'time' || type === 'microtime') return null;
  if (type === 'quantity') return '0';
  return type === 'int32' || type === 'int64' || type === 'double' || type === 'intOrString' ? 0 : '';
}

function pruneValue(value: unknown, field: FieldSchema): void {
  const of = field.type === 'object' ? schema(field.ref!) : undefined;
  if (of && isMap(value)) pruneMap(value, of);
}

function pruneMembers(holder: Record<string, unknown> | unknown[], field: FieldSchema): void {
  for (const [key, member] of Object.entries(holder)) {
    if (member === null) (holder as Record<string, unknown>)[key] = zero(field.type);
    else pruneValue(member, field);
  }
}

function pruneMap(value: Record<string, unknown>, of: Schema): void {
  for (const [name, member] of Object.entries(value)) {
    const field = fieldOf(of, name);
    if (!field || member === null || member === undefined) delete value[name];
    else if (!field.container) pruneValue(member, field);
    else if (field.container === 'mapOfLists') {
      for (const list of Object.values(member)) if (Array.isArray(list)) pruneMembers(list, field);
    } else if (typeof member === 'object') pruneMembers(member as Record<string, unknown>, field);
  }
}

/**
 * Brings an object into the form in which the reference implementation would have decoded it, in place: unknown fields and nulls
 * are dropped, a null inside a list or a map becomes its type's zero value. Call it after checkObject found no type errors.
 */
export function pruneUnknown(object: unknown, schemaName: string): void {
  const of = schema(schemaName);
  if (of && isMap(object)) pruneMap(object, of);
}
