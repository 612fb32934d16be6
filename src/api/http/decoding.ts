/**
 * From the bytes of a body to what they say, by content type; what has none is JSON, as kubectl expects. Keys that occur twice
 * are only seen here, so they are handed on as complaints of a strict decoder.
 */
import type { PatchType } from '../../machinery/client.ts';
import { isDeep, jsonDepthMax } from '../../machinery/depth.ts';
import { goShape } from '../../machinery/go-format.ts';
import { duplicateKeys, jsonComplaint } from '../../machinery/json-text.ts';
import { decodeProtobuf } from '../../machinery/protobuf.ts';
import { badRequest, invalid } from '../../machinery/status.ts';
import { readYaml, YamlComplaint } from '../../machinery/yaml-text.ts';
import { isRecord } from '../object-input.ts';
import type { WriteOptions } from '../registry-types.ts';
import { mediaType, unsupportedMediaType } from './body.ts';

const objectTypes = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'];
const summaryMax = 30;

type Strictness = Pick<WriteOptions, 'fieldValidation' | 'warnings' | 'complaints'>;

/**
 * An object of some kind; `kind` is what is wanted, for the answers. Complaints are added to `options` unless those ignore them.
 * StatusError 415 for types that are not known, 400 for bodies that are not of their type.
 */
export function decodeObject(body: Buffer, contentType: string, kind: string, options?: Strictness): unknown {
  const unrecognized = (why: string) =>
    badRequest(`the object provided is unrecognized (must be of type ${kind}): ${why} (${summary(body)})`);
  const type = mediaType(contentType);
  let value: unknown;
  switch (type) {
    case '':
    case '*/*':
    case 'application/json': {
      const text = body.toString('utf8');
      const { parsed, complaint } = parseJson(text);
      if (complaint !== undefined) throw unrecognized(`couldn't get version/kind; json parse error: ${complaint}`);
      value = parsed;
      if (nestedDeeply(text, value)) throw unrecognized(`couldn't get version/kind; json parse error: ${tooDeep}`);
      if (wanted(options)) complain(options, duplicateKeys(text, value).map(duplicateField));
      break;
    }
    case 'application/yaml':
    case 'application/x-yaml':
    case 'text/yaml': {
      const yaml = orComplaint(() => readYaml(body.toString('utf8')), unrecognized);
      value = yaml.value;
      if (wanted(options) && yaml.duplicates.length > 0) complain(options, [yamlErrors(yaml.duplicates)]);
      break;
    }
    case 'application/vnd.kubernetes.protobuf':
      if (body.length === 0) throw unrecognized('empty data');
      return decodeProtobuf(body);
    default:
      throw unsupportedMediaType(type, objectTypes);
  }
  const why = shapeComplaint(value);
  if (why) throw unrecognized(why);
  return value ?? {};
}

/** A patch of the type. StatusError 400 when it is none; complaints as above, which JSON and merge patches do not outlive. */
export function decodePatch(body: Buffer, type: PatchType, options: Strictness): unknown {
  if (type === 'apply') return decodeConfiguration(body, options);
  const text = body.toString('utf8');
  const { parsed, complaint } = parseJson(text);
  const prefix = type === 'strategic' ? '' : 'error decoding patch: ';
  if (complaint !== undefined) throw badRequest(`${prefix}${complaint}`);
  const list = type === 'json';
  if (list ? !Array.isArray(parsed) : !isRecord(parsed)) {
    const goType = list ? '[]handlers.jsonPatchOp' : 'map[string]interface {}';
    throw badRequest(`${prefix}json: cannot unmarshal ${typeName(parsed)} into Go value of type ${goType}`);
  }
  if (nestedDeeply(text, parsed)) throw badRequest(`${prefix}${tooDeep}`);
  if (!wanted(options)) return parsed;
  const duplicates = duplicateKeys(text, parsed).map((path) => `${list ? 'json patch ' : ''}${duplicateField(path)}`);
  if (duplicates.length > 0 && options.fieldValidation === 'Strict') {
    const value = type === 'strategic' ? goShape(parsed) : text;
    throw invalid('', '', '', [
      { type: 'Invalid', field: 'patch', value, detail: `strict decoding error: ${duplicates.join(', ')}` },
    ]);
  }
  options.warnings.push(...duplicates);
  return parsed;
}

function decodeConfiguration(body: Buffer, options: Strictness): unknown {
  const { value, duplicates } = orComplaint(
    () => readYaml(body.toString('utf8')),
    (why) => badRequest(`error decoding YAML: error converting YAML to JSON: ${why}`),
  );
  if (duplicates.length > 0 && wanted(options)) {
    const text = `error converting YAML to JSON: ${yamlErrors(duplicates)}`;
    if (options.fieldValidation === 'Strict') throw badRequest(`error strict decoding YAML: ${text}`);
    options.warnings.push(text);
  }
  if (!isRecord(value)) {
    const why = `json: cannot unmarshal ${typeName(value)} into Go value of type map[string]interface {}`;
    throw badRequest(`error decoding YAML: error unmarshaling JSON: while decoding JSON: ${why}`);
  }
  return value;
}

function wanted(options: Strictness | undefined): options is Strictness {
  return options !== undefined && options.fieldValidation !== 'Ignore';
}

function complain(options: Strictness, complaints: string[]): void {
  if (complaints.length > 0) options.complaints = [...(options.complaints ?? []), ...complaints];
}

const duplicateField = (path: string) => `duplicate field ${JSON.stringify(path)}`;
const yamlErrors = (lines: string[]) => `yaml: unmarshal errors:\n${lines.map((line) => `  ${line}`).join('\n')}`;

function parseJson(text: string): { parsed?: unknown; complaint?: string } {
  try {
    return { parsed: JSON.parse(text) };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return { complaint: jsonComplaint(text) ?? error.message };
  }
}

const tooDeep = 'exceeded max depth';

/** All that handles the value later recurses. A short text cannot be deep. */
function nestedDeeply(text: string, value: unknown): boolean {
  return text.length > jsonDepthMax && isDeep(value);
}

function orComplaint<T>(read: () => T, refusal: (why: string) => Error): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof YamlComplaint ? refusal(error.message) : error;
  }
}

const typeMeta = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }';

/** What is wrong with apiVersion and kind, or with the place where they should be. */
function shapeComplaint(value: unknown): string | undefined {
  const wrong = (what: unknown, goType: string) =>
    `couldn't get version/kind; json parse error: json: cannot unmarshal ${typeName(what)} into Go ${goType}`;
  if (value === null || value === undefined) return undefined;
  if (!isRecord(value)) return wrong(value, `value of type ${typeMeta}`);
  for (const field of ['apiVersion', 'kind']) {
    const member = value[field] ?? '';
    if (typeof member !== 'string') return wrong(member, `struct field .${field} of type string`);
  }
  const apiVersion = String(value.apiVersion ?? '');
  return apiVersion.split('/').length > 2 ? `unexpected GroupVersion string: ${apiVersion}` : undefined;
}

function typeName(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  return typeof value === 'boolean' ? 'bool' : value === null ? 'null' : typeof value;
}

/** The beginning of the body, as text when it looks like an object. */
function summary(body: Buffer): string {
  if (body.length === 0) return '<empty>';
  const more = body.length > summaryMax ? ' ...' : '';
  const head = body.subarray(0, summaryMax);
  return `${head[0] === 0x7b ? head.toString('utf8') : head.toString('hex')}${more}`;
}
