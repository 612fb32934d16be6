/** JSON ↔ values. What a number in JSON is depends on the declared type; where none is declared, whole numbers are ints. */
import { evaluationError } from './errors.ts';
import { unescapeFieldName } from './escaping.ts';
import { textOf } from './library/text-forms.ts';
import { CelList } from './lists.ts';
import { CelMap, JsonMap } from './maps.ts';
import { parseDate, parseDuration, parseTimestamp } from './time.ts';
import { type CelType, celTypes } from './types.ts';
import { CelDuration, CelOpaque, CelOptional, CelTimestamp, CelTypeValue, CelUint, type CelValue } from './values.ts';

const classes = [CelList, CelMap, CelUint, CelDuration, CelTimestamp, CelTypeValue, CelOptional, CelOpaque, Uint8Array];

const isValue = (json: object): json is Exclude<CelValue, string | number | boolean | bigint | null> =>
  classes.some((type) => json instanceof type);

/** The value of JSON of this type; values stay as they are. Lists and objects are converted as they are read. Throws CelError. */
export function fromJson(json: unknown, type: CelType): CelValue {
  if (json === null || json === undefined) return null;
  switch (typeof json) {
    case 'string':
      return fromText(json, type);
    case 'number':
      return type.kind === 'double' || !Number.isInteger(json) ? json : BigInt(json);
    case 'boolean':
    case 'bigint':
      return json;
    case 'object':
      break;
    default:
      throw evaluationError(`unsupported conversion to ref.Val: (${typeof json})`);
  }
  if (isValue(json)) return json;
  if (Array.isArray(json)) {
    const element = type.kind === 'list' ? type.element : celTypes.dyn;
    const semantics = type.kind === 'list' ? type.semantics : undefined;
    return CelList.lazy(json.length, () => json.map((item) => fromJson(item, element)), semantics);
  }
  const record = json as Record<string, unknown>;
  const names = Object.keys(record).filter((name) => record[name] !== undefined);
  if (type.kind !== 'object') {
    const value = type.kind === 'map' ? type.value : celTypes.dyn;
    return new JsonMap(record, names, (member) => fromJson(member, value));
  }
  const members = membersOf(type);
  return new JsonMap(
    record,
    type.open ? names : names.filter((name) => members.has(name)),
    (member, name) => fromJson(member, members.get(name) ?? celTypes.dyn),
    { name: type.name, nameOf: (field) => (members.has(field) ? field : unescapeFieldName(field)) },
  );
}

const memberTypes = new WeakMap<object, ReadonlyMap<string, CelType>>();

/** The types of an object's fields by their own names. */
function membersOf(type: Extract<CelType, { kind: 'object' }>): ReadonlyMap<string, CelType> {
  const known = memberTypes.get(type);
  if (known) return known;
  const members = new Map(Object.entries(type.fields).map(([name, field]) => [unescapeFieldName(name), field]));
  memberTypes.set(type, members);
  return members;
}

function fromText(text: string, { kind }: CelType): CelValue {
  if (kind === 'bytes') return new Uint8Array(Buffer.from(text, 'base64'));
  if (kind === 'duration') {
    const duration = parseDuration(text);
    if (!duration) throw evaluationError(`Invalid duration ${text}`);
    return duration;
  }
  if (kind === 'timestamp') {
    const timestamp = parseTimestamp(text) ?? parseDate(text);
    if (!timestamp) throw evaluationError(`Invalid date-time ${text}`);
    return timestamp;
  }
  return text;
}

/**
 * JSON of a value: whole numbers that a double holds exactly become numbers, others stay bigints; bytes become base64, an empty
 * optional and what has no text becomes undefined. Names of objects' fields that were escaped are their own again.
 */
export function toJson(value: CelValue): unknown {
  if (typeof value === 'bigint') return integerJson(value);
  if (value instanceof CelUint) return integerJson(value.value);
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof CelList) return value.items.map(toJson);
  if (value instanceof CelMap) {
    const members = value.keys().map((key) => {
      const name = textOf(key) as string;
      return [value.objectName === undefined ? name : unescapeFieldName(name), toJson(value.get(key) as CelValue)] as const;
    });
    return Object.fromEntries(members.filter(([, member]) => member !== undefined));
  }
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (value instanceof CelOptional) return value.value === undefined ? undefined : toJson(value.value);
  return textOf(value);
}

const integerJson = (value: bigint) => (Number.isSafeInteger(Number(value)) ? Number(value) : value);
