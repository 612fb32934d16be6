/**
 * The types of the built-in kinds as OpenAPI v3 components: with descriptions for `kubectl explain`, and with the patch strategies from
 * which `kubectl apply` and `diff` compute their patches. Source: the Kubernetes page "OpenAPI V3" and the extensions that it lists.
 */
import { type FieldSchema, schema } from './schemas.ts';
import { TypeFile } from './type-file.ts';

type Json = Record<string, unknown>;

/** Field texts by name; the type's own under the empty name. */
const descriptions = new TypeFile<Record<string, string>>('descriptions.json');

const machinery = 'io.k8s.apimachinery.pkg';
const prefixes: Record<string, string> = {
  meta: `${machinery}.apis`,
  apiextensions: 'io.k8s.apiextensions-apiserver.pkg.apis',
  apiregistration: 'io.k8s.kube-aggregator.pkg.apis',
};

/** Types that are plain values in JSON but have a name in the documents. The last two are explained by every field that has them. */
const namedValues: Record<string, { name: string; schema: Json }> = {
  time: {
    name: `${machinery}.apis.meta.v1.Time`,
    schema: { type: 'string', format: 'date-time', description: 'A time in the form of RFC 3339, to the second.' },
  },
  microtime: {
    name: `${machinery}.apis.meta.v1.MicroTime`,
    schema: { type: 'string', format: 'date-time', description: 'A time in the form of RFC 3339, to the microsecond.' },
  },
  duration: {
    name: `${machinery}.apis.meta.v1.Duration`,
    schema: { type: 'string', description: 'A length of time such as 1m30s.' },
  },
  quantity: {
    name: `${machinery}.api.resource.Quantity`,
    schema: {
      oneOf: [{ type: 'string' }, { type: 'number' }],
      description: 'An amount with an optional suffix, such as 250m, 1.5 or 64Mi.',
    },
  },
  intOrString: {
    name: `${machinery}.util.intstr.IntOrString`,
    schema: {
      format: 'int-or-string',
      oneOf: [{ type: 'integer' }, { type: 'string' }],
    },
  },
};

const plainValues: Record<string, Json> = {
  string: { type: 'string' },
  boolean: { type: 'boolean' },
  bytes: { type: 'string', format: 'byte' },
  int32: { type: 'integer', format: 'int32' },
  int64: { type: 'integer', format: 'int64' },
  double: { type: 'number', format: 'double' },
  any: {},
};

/** `core.v1.Pod` → `io.k8s.api.core.v1.Pod`. */
export function componentName(schemaName: string): string {
  const full = /^v\d\w*\.\w+$/.test(schemaName) ? `core.${schemaName}` : schemaName;
  return `${prefixes[full.split('.')[0]!] ?? 'io.k8s.api'}.${full}`;
}

export const reference = (component: string): Json => ({ $ref: `#/components/schemas/${component}` });

export interface GroupVersionKind {
  group: string;
  kind: string;
  version: string;
}

/** Collects the components of one document: everything that is reachable from the types that are asked for. */
export class Components {
  readonly schemas: Record<string, Json> = {};
  readonly #kinds: Map<string, GroupVersionKind[]>;
  /** Component names of schemas that are not generated. */
  readonly #defined = new Map<string, string>();

  /** `kinds` by schema name: what a type is called in the API. */
  constructor(kinds: Map<string, GroupVersionKind[]>) {
    this.#kinds = kinds;
  }

  /** A reference to the type, which is then part of the document. Any object when the type is not built in. */
  use(schemaName: string): Json {
    const defined = this.#defined.get(schemaName);
    if (defined) return reference(defined);
    const of = schema(schemaName);
    if (!of) return { type: 'object' };
    const name = componentName(schemaName);
    if (!this.schemas[name]) this.#define(name, of.name);
    return reference(name);
  }

  /** For the few types that no table has, such as the body of a patch. */
  add(name: string, of: Json): Json {
    this.schemas[name] ??= of;
    return reference(name);
  }

  /** A kind that users have described themselves, and its list. `openApi` is its schema, found as `schemaName` from now on. */
  define(schemaName: string, name: string, openApi: object, gvk: GroupVersionKind): void {
    const { properties, ...rest } = openApi as { properties?: Json };
    const metadata = { allOf: [this.use('meta.v1.ObjectMeta')], description: 'Standard metadata of the object.' };
    const text = (description: string) => ({ type: 'string', description });
    this.schemas[name] = {
      ...rest,
      properties: {
        ...properties,
        apiVersion: text('The group and version of the schema of this object.'),
        kind: text('What this object is.'),
        metadata,
      },
      'x-kubernetes-group-version-kind': [gvk],
    };
    this.schemas[`${name}List`] = {
      type: 'object',
      description: `A list of ${gvk.kind}.`,
      required: ['items'],
      properties: {
        apiVersion: text('The group and version of the schema of this object.'),
        items: { type: 'array', items: reference(name), description: 'The objects.' },
        kind: text('What this object is.'),
        metadata: { allOf: [this.use('meta.v1.ListMeta')], description: 'Standard metadata of the list.' },
      },
      'x-kubernetes-group-version-kind': [{ ...gvk, kind: `${gvk.kind}List` }],
    };
    this.#defined.set(schemaName, name);
    this.#defined.set(`${schemaName}List`, `${name}List`);
  }

  #define(name: string, schemaName: string): void {
    const of = schema(schemaName)!;
    const texts = descriptions.peek(of.name) ?? {};
    const component: Json = { type: 'object' };
    // Registered before its fields are, since types refer to themselves.
    this.schemas[name] = component;
    if (texts['']) component.description = texts[''];
    const properties: Json = {};
    const required: string[] = [];
    for (const [field, rule] of Object.entries(of.fields)) {
      properties[field] = this.#property(rule, texts[field]);
      if (rule.required) required.push(field);
    }
    if (Object.keys(properties).length > 0) component.properties = properties;
    if (required.length > 0) component.required = required;
    if (of.mapType) component['x-kubernetes-map-type'] = of.mapType;
    const kinds = this.#kinds.get(of.name);
    if (kinds) component['x-kubernetes-group-version-kind'] = kinds;
  }

  #property(rule: FieldSchema, description: string | undefined): Json {
    const member = this.#member(rule);
    const property: Json = rule.container ? contained(member, rule.container) : { ...member };
    // What only repeats the type's own description would be shown twice.
    if (description && description !== ownText(rule)) property.description = description;
    if (rule.strategy) property['x-kubernetes-patch-strategy'] = rule.strategy.join(',');
    if (rule.mergeKey) property['x-kubernetes-patch-merge-key'] = rule.mergeKey;
    if (rule.listType) property['x-kubernetes-list-type'] = rule.listType;
    if (rule.listKeys) property['x-kubernetes-list-map-keys'] = rule.listKeys;
    if (rule.mapType) property['x-kubernetes-map-type'] = rule.mapType;
    return property;
  }

  /** A reference cannot stand beside other words in OpenAPI 3.0, so it is wrapped. */
  #member({ type, ref }: FieldSchema): Json {
    if (type === 'object') return schema(ref!) ? { allOf: [this.use(ref!)] } : { type: 'object' };
    const named = namedValues[type];
    return named ? { allOf: [this.add(named.name, named.schema)] } : plainValues[type]!;
  }
}

/** The description of the type that the field consists of. */
function ownText({ type, ref = '', container }: FieldSchema): string | undefined {
  const of = type === 'object' && !container ? schema(ref) : undefined;
  return of && descriptions.peek(of.name)?.[''];
}

function contained(member: Json, container: NonNullable<FieldSchema['container']>): Json {
  if (container === 'list') return { type: 'array', items: member };
  const additionalProperties = container === 'map' ? member : { type: 'array', items: member };
  return { type: 'object', additionalProperties };
}
