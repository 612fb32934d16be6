/**
 * Builds what the machinery knows about the types of the Kubernetes API, from the official client's models (fields, formats,
 * required, descriptions; a build-time dependency) joined with our own tables in data/ (patch strategies, protobuf numbers).
 *
 * Writes into dist/ (or the folder given as argument): schemas.json, descriptions.json and protobuf.json. Each is an object with one
 * type per line, so that a reader can find and parse a single type without the rest (see src/machinery/type-file.ts).
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ProtoField, ProtoMessage } from '../src/machinery/protobuf-types.ts';
import type { FieldSchema, ListType, Schema, ValueType } from '../src/machinery/schemas.ts';

const root = join(import.meta.dirname, '..');
const models = join(root, 'node_modules/@kubernetes/client-node/dist/gen/models');
const dist = join(root, 'dist');

interface Attribute {
  name: string;
  baseName: string;
  type: string;
  format: string;
}

interface Model {
  /** For example `V1Deployment` or `CoreV1Event`. */
  model: string;
  group?: string;
  version: string;
  type: string;
  attributes: Attribute[];
  description: string;
  /** By property name, which is the attribute's `name`. */
  properties: Map<string, { description: string; required: boolean }>;
}

function table(file: string): string[][] {
  const lines = readFileSync(join(root, 'data', file), 'utf8').split('\n');
  return lines
    .slice(1)
    .filter((line) => line !== '')
    .map((line) => line.split('\t'));
}

/** `rbac.authorization.k8s.io` → `rbac`; the one group that does not follow the rule is named. */
function shortGroup(group: string): string {
  if (group === '') return 'core';
  if (group === 'internal.apiserver.k8s.io') return 'apiserverinternal';
  return group.split('.')[0]!;
}

/** `apps/v1` → `apps.v1`, `apimachinery/pkg/apis/meta/v1` → `meta.v1`. */
function shortPackage(path: string): string {
  return path.split('/').slice(-2).join('.');
}

type GoFields = Map<string, { number: number; go: string }>;

function readProtoTypes(): Map<string, GoFields> {
  const types = new Map<string, GoFields>();
  for (const [path, type, jsonField, number, go] of table('pbfields.tsv')) {
    const name = `${shortPackage(path!)}.${type}`;
    const fields: GoFields = types.get(name) ?? new Map();
    fields.set(jsonField!, { number: Number(number), go: go! });
    types.set(name, fields);
  }
  return types;
}

/** Messages that have a form of their own in JSON. */
const specialMessages: Record<string, ProtoField['type']> = {
  'resource.Quantity': 'quantity',
  'intstr.IntOrString': 'intOrString',
  'runtime.RawExtension': 'raw',
  'meta.v1.Time': 'time',
  'meta.v1.MicroTime': 'microtime',
  'meta.v1.Duration': 'duration',
  'meta.v1.FieldsV1': 'raw',
  'apiextensions.v1.JSON': 'raw',
  'apiextensions.v1.JSONSchemaPropsOrBool': 'schemaOrBool',
  'apiextensions.v1.JSONSchemaPropsOrArray': 'schemaOrArray',
  'apiextensions.v1.JSONSchemaPropsOrStringArray': 'schemaOrStrings',
};
/** Names that Go gives to maps and lists. ExtraValue is a message around its list, hence a type of its own. */
const goAliases: Record<string, string> = {
  ResourceList: 'map[string]resource.Quantity',
  JSONSchemaDependencies: 'map[string]JSONSchemaPropsOrStringArray',
  JSONSchemaDefinitions: 'map[string]JSONSchemaProps',
  ValidationRules: '[]ValidationRule',
};
const scalars: Record<string, ProtoField['type']> = {
  string: 'string',
  bool: 'bool',
  int32: 'int',
  int64: 'int',
  uint32: 'int',
  uint64: 'int',
  float64: 'double',
};
const packageAliases: Record<string, string> = {
  metav1: 'meta.v1',
  corev1: 'core.v1',
  apiv1: 'core.v1',
  batchv1: 'batch.v1',
  authenticationv1: 'authentication.v1',
  authorizationv1: 'authorization.v1',
};

/** Go's types, as the table of protobuf fields shows them. */
class GoTypes {
  readonly types = readProtoTypes();

  /** The full name of a type as it is written inside package `home`. */
  nameOf(go: string, home: string): string {
    const [qualifier, type] = go.includes('.') ? (go.split('.') as [string, string]) : [undefined, go];
    if (qualifier === undefined) return `${home}.${type}`;
    if (packageAliases[qualifier]) return `${packageAliases[qualifier]}.${type}`;
    if (qualifier !== 'v1') return go;
    // A plain `v1` means the stable version of whichever package has that type.
    const candidates = ['core', 'meta', home.split('.')[0], 'authentication'].map((group) => `${group}.v1.${type}`);
    return candidates.find((name) => this.types.has(name)) ?? `core.v1.${type}`;
  }

  /** The type of a field, looked up through inlined structs. */
  ofField(type: string, field: string): string | undefined {
    const fields = this.types.get(type);
    const own = fields?.get(field);
    if (own) return own.go;
    for (const [name, { go }] of fields ?? []) {
      if (!name.startsWith('(inline')) continue;
      const found = this.ofField(this.nameOf(go, homeOf(type)), field);
      if (found) return found;
    }
    return undefined;
  }

  #message(go: string, number: number, home: string): ProtoField {
    const field: ProtoField = { number, type: 'string' };
    let rest = go;
    if (rest.startsWith('*')) {
      field.pointer = true;
      rest = rest.slice(1);
    }
    rest = goAliases[rest.split('.').at(-1)!] ?? rest;
    const map = /^map\[[\w.]+\](.*)$/.exec(rest);
    if (map) {
      field.container = 'map';
      rest = map[1]!;
    } else if (rest.startsWith('[]') && rest !== '[]byte') {
      field.container = 'list';
      rest = rest.slice(2);
    }
    return { ...field, ...this.#value(rest, home) };
  }

  #value(go: string, home: string): Pick<ProtoField, 'type' | 'ref'> {
    if (go === '[]byte') return { type: 'bytes' };
    if (go === 'ExtraValue' || go.endsWith('.ExtraValue')) return { type: 'strings' };
    const name = this.nameOf(go, home);
    const simple = scalars[go] ?? specialMessages[name];
    if (simple) return { type: simple };
    // A beta package may borrow the type from its stable sibling.
    const ref = [name, name.replace(/\.v\d+\w+\./, '.v1.')].find((candidate) => this.types.has(candidate));
    return ref ? { type: 'message', ref } : { type: 'string' };
  }

  messages(): Map<string, ProtoMessage> {
    const messages = new Map<string, ProtoMessage>();
    for (const [name, fields] of this.types) {
      const message: ProtoMessage = {};
      for (const [jsonField, { number, go }] of fields) {
        message[jsonField] = this.#message(go, number, homeOf(name));
        if (jsonField.startsWith('(inline')) message[jsonField].inline = true;
      }
      messages.set(name, message);
    }
    return messages;
  }
}

const homeOf = (type: string) => type.split('.').slice(0, 2).join('.');

/** The text of a comment. The client's generator escapes quotes, backslashes and ends of comments. */
function cleanDescription(comment: string): string {
  const lines = comment.split('\n').map((line) => line.replace(/^\s*\*? ?/, ''));
  return lines
    .join(' ')
    .trim()
    .replace(/\\(["'\\])/g, '$1')
    .replaceAll('*_/', '*/');
}

function readModel(model: string): Model | undefined {
  const parts = /^([A-Z][a-z]+)?V(\d+(?:(?:alpha|beta)\d+)?)([A-Z].*)$/.exec(model);
  if (!parts) return undefined;
  const source = readFileSync(join(models, `${model}.js`), 'utf8');
  const list = /\.attributeTypeMap = (\[[\s\S]*?\n\]|\[\]);/.exec(source);
  if (!list) return undefined;
  const declaration = readFileSync(join(models, `${model}.d.ts`), 'utf8');
  const body = declaration.slice(declaration.indexOf('export declare class'));
  const head = /\/\*\*\n([^/]*(?:\/(?!\*\*)[^/]*)*?)\*\/\nexport declare class/.exec(declaration);
  const properties: Model['properties'] = new Map();
  for (const [, comment = '', name, optional] of body.matchAll(/(?:\/\*\*([\s\S]*?)\*\/\s*)?'([^']+)'(\??):/g)) {
    properties.set(name!, { description: cleanDescription(comment), required: optional === '' });
  }
  return {
    model,
    group: parts[1]?.toLowerCase(),
    version: `v${parts[2]}`,
    type: parts[3]!,
    attributes: JSON.parse(list[1]!) as Attribute[],
    description: cleanDescription(head?.[1] ?? ''),
    properties,
  };
}

function readModels(): Map<string, Model> {
  const all = new Map<string, Model>();
  for (const file of readdirSync(models)) {
    if (!file.endsWith('.d.ts')) continue;
    const model = readModel(file.slice(0, -'.d.ts'.length));
    if (model) all.set(model.model, model);
  }
  return all;
}

function groupOf(
  { group, version, type }: Model,
  packages: Iterable<string>,
  kindGroups: Map<string, string[]>,
): string | undefined {
  if (group) return group;
  const holders = [...packages].filter((name) => name.endsWith(`.${version}.${type}`)).map((name) => name.split('.')[0]!);
  const known = kindGroups.get(`${version}.${type}`) ?? [];
  const candidates = holders.length > 0 ? holders : known;
  // Groups that are no longer served gave up their types to others, so the client has only the newer one.
  const current = candidates.filter((name) => name !== 'extensions' && name !== 'imagepolicy' && name !== 'admission');
  return current.length === 1 ? current[0] : current.find((name) => name === 'meta' || known.includes(name));
}

/** Types that the tables do not know belong to the group of the type that reaches them. */
function nameReached(all: Map<string, Model>, names: Map<string, string>): boolean {
  let found = false;
  for (const model of all.values()) {
    const name = names.get(model.model);
    if (!name) continue;
    for (const [reached] of model.attributes
      .map(({ type }) => type)
      .join(' ')
      .matchAll(/\b[A-Z]\w*/g)) {
      const other = all.get(reached);
      if (!other || names.has(reached)) continue;
      names.set(reached, `${name.split('.')[0]}.${other.version}.${other.type}`);
      found = true;
    }
  }
  return found;
}

/** The schema's name of each model. Kinds that are newer than our tables stay without one. */
function nameModels(all: Map<string, Model>, go: GoTypes): Map<string, string> {
  const kindGroups = new Map<string, string[]>();
  for (const [group, version, kind] of table('kinds.tsv')) {
    for (const key of [`${version}.${kind}`, `${version}.${kind}List`]) {
      kindGroups.set(key, [...(kindGroups.get(key) ?? []), shortGroup(group!)]);
    }
  }
  const names = new Map<string, string>();
  for (const model of all.values()) {
    const group = groupOf(model, go.types.keys(), kindGroups);
    if (group) names.set(model.model, `${group}.${model.version}.${model.type}`);
  }
  let more = true;
  while (more) more = nameReached(all, names);
  return names;
}

const quantityText = 'Quantity is a fixed-point representation of a number.';

function unwrap(type: string): { container?: FieldSchema['container']; value: string } {
  const mapOfLists = /^\{ \[key: string\]: Array<(.+)>; \}$/.exec(type);
  if (mapOfLists) return { container: 'mapOfLists', value: mapOfLists[1]! };
  const map = /^\{ \[key: string\]: (.+); \}$/.exec(type);
  if (map) return { container: 'map', value: map[1]! };
  const list = /^Array<(.+)>$/.exec(type);
  if (list) return { container: 'list', value: list[1]! };
  return { value: type };
}

function stringType(format: string, go: string, description: string): ValueType {
  if (format === 'byte') return 'bytes';
  if (/(^|\W)(resource\.Quantity|ResourceList)$/.test(go) || description.startsWith(quantityText)) return 'quantity';
  return /(^|\W)metav1\.Duration$/.test(go) ? 'duration' : 'string';
}

/** Go's name of a named type, as error texts show it: `v1.PullPolicy`. */
function shownGoType(go: string, owner: string): string | undefined {
  const named = /([A-Za-z]\w*\.)?[A-Z]\w*$/.exec(go.replace(/^.*\]/, '').replace('*', ''));
  if (!named) return undefined;
  const alias = named[1]?.slice(0, -1);
  if (alias === undefined) return `${owner.split('.')[1]}.${named[0]}`;
  return named[0].replace(alias, packageAliases[alias] ? 'v1' : alias);
}

/** Versions that are served, converted, although the official client no longer has their types. */
const oldPackages = new Set([
  'admissionregistration.v1beta1',
  'apiextensions.v1beta1',
  'apps.v1beta1',
  'apps.v1beta2',
  'autoscaling.v2beta1',
  'autoscaling.v2beta2',
  'batch.v1beta1',
  'certificates.v1beta1',
  'coordination.v1beta1',
  'extensions.v1beta1',
  'networking.v1beta1',
  'node.v1beta1',
  'policy.v1beta1',
  'rbac.v1beta1',
  'scheduling.v1beta1',
  'settings.v1alpha1',
  'storage.v1beta1',
]);

const oldValues: Record<ProtoField['type'], ValueType> = {
  string: 'string',
  bool: 'boolean',
  int: 'int32',
  double: 'double',
  bytes: 'bytes',
  quantity: 'quantity',
  intOrString: 'intOrString',
  time: 'time',
  microtime: 'microtime',
  duration: 'duration',
  message: 'object',
  raw: 'any',
  strings: 'any',
  schemaOrBool: 'any',
  schemaOrArray: 'any',
  schemaOrStrings: 'any',
};

function oldField({ type, container, ref }: ProtoField): FieldSchema {
  const field: FieldSchema = { type: oldValues[type] };
  if (container) field.container = container;
  if (type === 'message') field.ref = ref!;
  return field;
}

const oldFields = (message: ProtoMessage) =>
  Object.fromEntries(Object.entries(message).map(([name, proto]) => [name, oldField(proto)]));

function mergeRulesOf(field: FieldSchema | undefined): Partial<FieldSchema> {
  if (!field) return {};
  const { type: _type, container: _container, ref: _ref, required: _required, go: _go, ...rules } = field;
  return rules;
}

class SchemaBuilder {
  readonly schemas = new Map<string, Omit<Schema, 'name'>>();
  readonly descriptions = new Map<string, Record<string, string>>();
  readonly #go: GoTypes;
  readonly #names: Map<string, string>;
  readonly #mergeRules = new Map<string, string[]>();
  readonly #atomicTypes = new Set<string>();

  constructor(all: Map<string, Model>, names: Map<string, string>, go: GoTypes) {
    this.#go = go;
    this.#names = names;
    for (const row of table('mergekeys.tsv')) {
      const [type, field, rule, value] = row as [string, string, string, string];
      if (field !== '(type)') this.#mergeRules.set(`${type} ${field}`, row);
      else if (rule === 'x-kubernetes-map-type' && value === 'atomic') this.#atomicTypes.add(type.split('.').slice(-3).join('.'));
    }
    for (const [model, name] of names) this.#add(name, all.get(model)!, all);
  }

  #add(name: string, { attributes, properties, description }: Model, all: Map<string, Model>): void {
    const fields: Record<string, FieldSchema> = {};
    const texts: Record<string, string> = { '': description };
    for (const attribute of attributes) {
      const { description = '', required = false } = properties.get(attribute.name) ?? {};
      const field = this.#field(name, attribute, description);
      fields[attribute.baseName] = required ? { ...field, required } : field;
      // The models drop the text of a field that refers to a type; the type's own text serves instead.
      const text = description || (all.get(unwrap(attribute.type).value)?.description ?? '');
      if (text) texts[attribute.baseName] = text;
    }
    this.schemas.set(name, this.#atomicTypes.has(name) ? { fields, mapType: 'atomic' } : { fields });
    this.descriptions.set(name, texts);
  }

  #field(owner: string, attribute: Attribute, description: string): FieldSchema {
    const { container, value } = unwrap(attribute.type);
    const go = this.#go.ofField(owner, attribute.baseName) ?? '';
    const field: FieldSchema = { type: this.#valueType(value, attribute.format, go, description) };
    if (container) field.container = container;
    if (field.type === 'object') field.ref = this.#names.get(value)!;
    if (field.type === 'object' && !container && go && !go.startsWith('*')) field.embedded = true;
    const shown = field.type === 'string' ? shownGoType(go, owner) : undefined;
    if (shown) field.go = shown;
    const [, , strategy, mergeKey, listType, listKeys, mapType] = this.#mergeRules.get(`${owner} ${attribute.baseName}`) ?? [];
    if (strategy) field.strategy = strategy.split(',') as NonNullable<FieldSchema['strategy']>;
    if (mergeKey) field.mergeKey = mergeKey;
    if (listType) field.listType = listType as ListType;
    if (listKeys) field.listKeys = listKeys.split(',');
    if (mapType) field.mapType = mapType as 'atomic' | 'granular';
    return field;
  }

  /**
   * Types of versions that the client no longer has, from the table of protobuf fields. What the same type of the current version knows of
   * a field (how patches merge it, its text) holds here, too.
   */
  addOld(messages: Map<string, ProtoMessage>): void {
    for (const [name, message] of messages) {
      if (this.schemas.has(name) || !oldPackages.has(homeOf(name))) continue;
      const sibling = this.#siblingOf(name);
      const known = this.schemas.get(sibling)?.fields ?? {};
      const texts = this.descriptions.get(sibling) ?? {};
      const fields: Record<string, FieldSchema> = { apiVersion: { type: 'string' }, kind: { type: 'string' } };
      if (!message.metadata) for (const field of ['apiVersion', 'kind']) delete fields[field];
      for (const [field, proto] of Object.entries(message)) {
        if (proto.inline) Object.assign(fields, oldFields(messages.get(proto.ref!) ?? {}));
        else fields[field] = { ...mergeRulesOf(known[field]), ...oldField(proto) };
      }
      this.schemas.set(name, { fields });
      const shown = Object.entries(texts).filter(([field]) => field === '' || fields[field]);
      this.descriptions.set(name, Object.fromEntries(shown));
    }
  }

  /** `extensions.v1beta1.Deployment` → `apps.v1.Deployment`. The name itself when there is no such type. */
  #siblingOf(name: string): string {
    const type = name.split('.')[2];
    const groups = [name.split('.')[0], 'apps', 'networking'];
    const names = groups.flatMap((group) => [`${group}.v1.${type}`, `${group}.v2.${type}`]);
    return names.find((candidate) => this.schemas.has(candidate)) ?? name;
  }

  #valueType(type: string, format: string, go: string, description: string): ValueType {
    if (type === 'string') return stringType(format, go, description);
    if (type === 'number') return format === 'int32' || format === 'int64' ? format : 'double';
    if (type === 'boolean') return 'boolean';
    if (type === 'Date') return 'time';
    if (type === 'V1MicroTime') return 'microtime';
    if (type === 'IntOrString') return 'intOrString';
    return this.#names.has(type) ? 'object' : 'any';
  }
}

function write(path: string, types: Map<string, unknown>): void {
  const sorted = [...types].sort(([a], [b]) => (a < b ? -1 : 1));
  const lines = sorted.map(([name, type]) => `${JSON.stringify(name)}:${JSON.stringify(type)}`);
  writeFileSync(path, `{\n${lines.join(',\n')}\n}\n`);
}

/** Writes the three files into `folder` and returns how many types and messages they hold. Takes well below a second. */
export function generateSchemas(folder = dist): { types: number; messages: number } {
  const go = new GoTypes();
  const all = readModels();
  const builder = new SchemaBuilder(all, nameModels(all, go), go);
  const messages = go.messages();
  builder.addOld(messages);
  const { schemas, descriptions } = builder;
  mkdirSync(folder, { recursive: true });
  write(join(folder, 'schemas.json'), schemas);
  write(join(folder, 'descriptions.json'), descriptions);
  write(join(folder, 'protobuf.json'), messages);
  return { types: schemas.size, messages: messages.size };
}

if (import.meta.main) {
  const { types, messages } = generateSchemas(process.argv[2]);
  console.log(`${types} types, ${messages} protobuf messages`);
}
