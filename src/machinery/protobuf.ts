/**
 * Decodes the protobuf bodies that newer clients send for built-in kinds into the JSON form that everything else works on. Driven by
 * the generated messages, so it knows every built-in kind. Wire format: protobuf.dev, "Encoding"; envelope: the four bytes `k8s\0`, then
 * a message Unknown that holds the type and the object's bytes.
 *
 * The JSON form is that of the reference implementation: zero values are dropped unless the field is a pointer there.
 */
import type { ProtoField, ProtoMessage } from './protobuf-types.ts';
import { badRequest, failure } from './status.ts';
import { TypeFile } from './type-file.ts';
import type { KubeObject } from './types.ts';

const messages = new TypeFile<ProtoMessage>('protobuf.json');
const magic = Buffer.from('k8s\0', 'latin1');
const depthMax = 100;

type Json = Record<string, unknown>;
/** One field as it lies in the bytes: an integer, eight or four raw bytes, or a length-delimited run. */
type Wire = { number: number; integer: bigint } | { number: number; bytes: Buffer; fixed: boolean };

const malformed = (why: string) => badRequest(`the protobuf body cannot be decoded: ${why}`);

function* fieldsOf(bytes: Buffer): Generator<Wire> {
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (at >= bytes.length) throw malformed('it ends inside a number');
      const byte = bytes[at++]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw malformed('a number is too long');
  };
  while (at < bytes.length) {
    const tag = Number(varint() & 0xffffffffn);
    const number = tag >>> 3;
    const kind = tag & 7;
    if (number === 0) throw malformed('field number 0');
    if (kind === 0) {
      yield { number, integer: varint() };
      continue;
    }
    if (kind !== 1 && kind !== 2 && kind !== 5) throw malformed(`wire type ${kind}`);
    const length = kind === 2 ? Number(varint()) : kind === 1 ? 8 : 4;
    if (length > bytes.length - at) throw malformed('it ends inside a field');
    yield { number, bytes: bytes.subarray(at, at + length), fixed: kind !== 2 };
    at += length;
  }
}

function runOf(wire: Wire): Buffer {
  if (!('bytes' in wire) || wire.fixed) throw malformed(`field ${wire.number} is not a run of bytes`);
  return wire.bytes;
}

function integerOf(wire: Wire): bigint {
  if (!('integer' in wire)) throw malformed(`field ${wire.number} is not a number`);
  return BigInt.asIntN(64, wire.integer);
}

/** The runs and integers of a small message, by number; the last one of a number counts. */
function smallMessage(bytes: Buffer): Map<number, Wire> {
  return new Map([...fieldsOf(bytes)].map((wire) => [wire.number, wire]));
}
const textAt = (fields: Map<number, Wire>, number: number) => {
  const wire = fields.get(number);
  return wire ? runOf(wire).toString('utf8') : '';
};
const integerAt = (fields: Map<number, Wire>, number: number) => {
  const wire = fields.get(number);
  return wire ? integerOf(wire) : 0n;
};

/** Undefined for the zero time, which JSON writes as null and a server drops. */
function timeOf(bytes: Buffer, micro: boolean): string | undefined {
  const fields = smallMessage(bytes);
  const seconds = integerAt(fields, 1);
  const nanos = Number(integerAt(fields, 2));
  if (fields.size === 0 || seconds === -62135596800n) return undefined;
  const date = new Date(Number(seconds) * 1000);
  if (Number.isNaN(date.getTime())) throw malformed('a time is out of range');
  const whole = date.toISOString().slice(0, 19);
  return micro ? `${whole}.${String(Math.trunc(nanos / 1000)).padStart(6, '0')}Z` : `${whole}Z`;
}

/** Nanoseconds as Go prints a duration: `1m30s`, `250ms`. */
function durationOf(nanos: bigint): string {
  if (nanos === 0n) return '0s';
  const sign = nanos < 0n ? '-' : '';
  const size = nanos < 0n ? -nanos : nanos;
  const units: [string, bigint][] = [
    ['ns', 1n],
    ['µs', 1_000n],
    ['ms', 1_000_000n],
  ];
  if (size < 1_000_000_000n) {
    const [unit, scale] = units.findLast(([, least]) => size >= least)!;
    return `${sign}${Number(size) / Number(scale)}${unit}`;
  }
  const seconds = Number(size % 60_000_000_000n) / 1e9;
  const minutes = size / 60_000_000_000n;
  if (minutes === 0n) return `${sign}${seconds}s`;
  return minutes < 60n ? `${sign}${minutes}m${seconds}s` : `${sign}${minutes / 60n}h${minutes % 60n}m${seconds}s`;
}

function rawOf(bytes: Buffer): unknown {
  const raw = smallMessage(bytes).get(1);
  if (!raw) return undefined;
  const run = runOf(raw);
  if (run.subarray(0, 4).equals(magic)) return decodeProtobuf(run);
  try {
    return JSON.parse(run.toString('utf8'));
  } catch {
    throw malformed('an embedded object is not JSON');
  }
}

/** JSON schemas have fields that are either a schema or something simpler. */
function alternativeOf(bytes: Buffer, type: ProtoField['type'], depth: number): unknown {
  const wires = [...fieldsOf(bytes)];
  const schemaNumber = type === 'schemaOrBool' ? 2 : 1;
  const found = wires.find(({ number }) => number === schemaNumber);
  if (found) return messageOf(runOf(found), 'apiextensions.v1.JSONSchemaProps', depth + 1);
  if (type === 'schemaOrBool') return wires.some((wire) => wire.number === 1 && integerOf(wire) !== 0n);
  const rest = wires.filter(({ number }) => number === 2).map(runOf);
  if (type === 'schemaOrStrings') return rest.map((run) => run.toString('utf8'));
  return rest.map((run) => messageOf(run, 'apiextensions.v1.JSONSchemaProps', depth + 1));
}

function decoded(wire: Wire, field: ProtoField, depth: number): unknown {
  switch (field.type) {
    case 'int':
      return Number(integerOf(wire));
    case 'bool':
      return integerOf(wire) !== 0n;
    case 'double':
      if (!('bytes' in wire) || wire.bytes.length !== 8) throw malformed(`field ${wire.number} is not a double`);
      return wire.bytes.readDoubleLE();
    case 'string':
      return runOf(wire).toString('utf8');
    case 'bytes':
      return runOf(wire).toString('base64');
    case 'message':
      return messageOf(runOf(wire), field.ref!, depth + 1);
    case 'quantity':
      return textAt(smallMessage(runOf(wire)), 1) || '0';
    case 'time':
    case 'microtime':
      return timeOf(runOf(wire), field.type === 'microtime');
    case 'duration':
      return durationOf(integerAt(smallMessage(runOf(wire)), 1));
    case 'raw':
      return rawOf(runOf(wire));
    case 'strings':
      return [...fieldsOf(runOf(wire))].map((item) => runOf(item).toString('utf8'));
    case 'intOrString': {
      const fields = smallMessage(runOf(wire));
      return integerAt(fields, 1) === 0n ? Number(integerAt(fields, 2)) : textAt(fields, 3);
    }
    default:
      return alternativeOf(runOf(wire), field.type, depth);
  }
}

/** What a map's value is when the entry leaves it out. */
function zeroOf(field: ProtoField, depth: number): unknown {
  if (field.type === 'int' || field.type === 'double') return 0;
  if (field.type === 'bool') return false;
  if (field.type === 'string' || field.type === 'bytes') return '';
  return decoded({ number: 2, bytes: Buffer.alloc(0), fixed: false }, field, depth);
}

function isZero(value: unknown, { type }: ProtoField): boolean {
  if (value === undefined || value === '' || value === 0 || value === false) return true;
  return type === 'message' && Object.keys(value as Json).length === 0;
}

function store(into: Json, name: string, field: ProtoField, value: unknown): void {
  if (value === undefined) return;
  if (field.container === undefined && !field.pointer && isZero(value, field)) return;
  Object.defineProperty(into, name, { value, writable: true, enumerable: true, configurable: true });
}

/** Packed lists of numbers come as one run. */
function packed(run: Buffer, field: ProtoField): unknown[] {
  const values: unknown[] = [];
  if (field.type === 'double') {
    for (let at = 0; at + 8 <= run.length; at += 8) values.push(run.readDoubleLE(at));
    return values;
  }
  let value = 0n;
  let shift = 0n;
  for (const byte of run) {
    value |= BigInt(byte & 0x7f) << shift;
    shift += 7n;
    if (byte >= 0x80) continue;
    values.push(field.type === 'bool' ? value !== 0n : Number(BigInt.asIntN(64, value)));
    value = shift = 0n;
  }
  return values;
}

function addMember(into: Json, name: string, field: ProtoField, wire: Wire, depth: number): void {
  if (field.container === 'map') {
    const entry = smallMessage(runOf(wire));
    into[name] ??= {};
    const value = entry.get(2);
    store(
      into[name] as Json,
      textAt(entry, 1),
      { ...field, container: undefined, pointer: true },
      value ? decoded(value, field, depth) : zeroOf(field, depth),
    );
    return;
  }
  into[name] ??= [];
  const list = into[name] as unknown[];
  const isNumber = field.type === 'int' || field.type === 'bool' || field.type === 'double';
  if (isNumber && 'bytes' in wire && !wire.fixed) list.push(...packed(wire.bytes, field));
  else list.push(decoded(wire, field, depth));
}

const byNumber = new WeakMap<ProtoMessage, Map<number, [string, ProtoField]>>();

function numbersOf(message: ProtoMessage): Map<number, [string, ProtoField]> {
  let numbers = byNumber.get(message);
  if (!numbers) {
    numbers = new Map(Object.entries(message).map(([name, field]) => [field.number, [name, field]]));
    byNumber.set(message, numbers);
  }
  return numbers;
}

function messageOf(bytes: Buffer, name: string, depth: number): Json {
  if (depth > depthMax) throw malformed('it is nested too deeply');
  const message = messages.get(name);
  if (!message) throw unsupported(name);
  const numbers = numbersOf(message);
  const object: Json = {};
  for (const wire of fieldsOf(bytes)) {
    // Numbers that we do not know belong to newer clients; they are dropped as unknown fields are.
    const known = numbers.get(wire.number);
    if (!known) continue;
    const [jsonName, field] = known;
    if (field.inline) Object.assign(object, messageOf(runOf(wire), field.ref!, depth + 1));
    else if (field.container) addMember(object, jsonName, field, wire, depth);
    else store(object, jsonName, field, decoded(wire, field, depth));
  }
  return object;
}

const unsupported = (what: string) =>
  failure(415, 'UnsupportedMediaType', `the body of the request cannot be decoded: there is no protobuf form of ${what}`);

/** `apps/v1` → `apps.v1`; the API's own options (DeleteOptions, Status) may come under any group. */
function messageName(apiVersion: string, kind: string): string {
  const [group, version] = apiVersion.includes('/') ? (apiVersion.split('/') as [string, string]) : ['core', apiVersion];
  const name = `${group.split('.')[0]}.${version}.${kind}`;
  return messages.get(name) ? name : `meta.v1.${kind}`;
}

/** The object in a body of type `application/vnd.kubernetes.protobuf`. Throws StatusError 400 (malformed) and 415 (no such built-in type). */
export function decodeProtobuf(body: Uint8Array): KubeObject {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  if (!bytes.subarray(0, magic.length).equals(magic)) throw malformed('it does not begin with "k8s\\0"');
  const envelope = smallMessage(bytes.subarray(magic.length));
  const type = envelope.get(1);
  const raw = envelope.get(2);
  const typeMeta = type ? smallMessage(runOf(type)) : new Map<number, Wire>();
  const apiVersion = textAt(typeMeta, 1);
  const kind = textAt(typeMeta, 2);
  if (kind === '' || apiVersion === '') throw malformed('it names no kind');
  if (textAt(envelope, 3) !== '') throw unsupported(`content encoding ${textAt(envelope, 3)}`);
  const object = messageOf(raw ? runOf(raw) : Buffer.alloc(0), messageName(apiVersion, kind), 0);
  return { apiVersion, kind, ...object } as KubeObject;
}
