/**
 * apiextensions.k8s.io/v1beta1: what all versions share stood once in the spec, unknown fields were kept unless the definition said
 * otherwise, and a schema could leave out types. Source: the deprecation guide of Kubernetes, "CustomResourceDefinition".
 */
import {
  isObject,
  itemSchema,
  type JsonObject,
  type JsonSchema,
  memberSchema,
  sameJson,
} from '../../machinery/custom/json-schema.ts';
import type { KubeObject } from '../../machinery/types.ts';

type Loose = KubeObject & { spec?: JsonObject };

const shared = ['subresources', 'additionalPrinterColumns'] as const;

/** Takes over `object`. */
export function fromFirstDefinition(object: KubeObject): KubeObject {
  const { spec } = object as Loose;
  if (!spec) return object;
  const { version, validation, subresources, additionalPrinterColumns, conversion, preserveUnknownFields, ...rest } = spec;
  const common = { schema: validation, subresources, additionalPrinterColumns };
  const named = Array.isArray(spec.versions) && spec.versions.length > 0 ? spec.versions : undefined;
  const versions = (named ?? [{ name: version ?? '', served: true, storage: true }]) as JsonObject[];
  const keeps = preserveUnknownFields !== false;
  // Only this version takes a scope for granted.
  const next: JsonObject = {
    ...rest,
    scope: spec.scope || 'Namespaced',
    versions: versions.map((one) => versionOf(one, common, keeps)),
  };
  if (isObject(conversion)) next.conversion = conversionOf(conversion);
  return { ...object, spec: next } as KubeObject;
}

function versionOf(version: JsonObject, common: JsonObject, keeps: boolean): JsonObject {
  const next: JsonObject = { ...version };
  for (const name of ['schema', ...shared]) if (next[name] === undefined && common[name] !== undefined) next[name] = common[name];
  const { openAPIV3Schema } = (next.schema ?? {}) as { openAPIV3Schema?: JsonSchema };
  next.schema = { openAPIV3Schema: keeps ? keepingRoot(openAPIV3Schema ?? {}) : openAPIV3Schema };
  if (Array.isArray(next.additionalPrinterColumns)) {
    next.additionalPrinterColumns = (next.additionalPrinterColumns as JsonObject[]).map(({ JSONPath, ...column }) => ({
      ...column,
      jsonPath: JSONPath,
    }));
  }
  return next;
}

/** The metadata of objects is not the definition's business. */
function keepingRoot(schema: JsonSchema): JsonSchema {
  const next = keeping(schema);
  const metadata = schema.properties?.metadata;
  return metadata ? { ...next, properties: { ...next.properties, metadata: { ...metadata, type: 'object' } } } : next;
}

/** The schema with the types that it implies; objects keep what it does not know. */
function keeping(schema: JsonSchema): JsonSchema {
  const next: JsonSchema = { ...schema };
  if (schema.properties) {
    const inner = Object.entries(schema.properties).map(([name, property]) => [name, keepingField(property)]);
    next.properties = Object.fromEntries(inner) as Record<string, JsonSchema>;
  }
  const item = itemSchema(schema);
  const member = memberSchema(schema);
  if (item) next.items = keepingField(item);
  if (member) next.additionalProperties = keepingField(member);
  next.type ??= 'object';
  if (next.type === 'object' && schema.additionalProperties === undefined) next['x-kubernetes-preserve-unknown-fields'] = true;
  return next;
}

function keepingField(schema: JsonSchema): JsonSchema {
  const implied = schema.properties || schema.additionalProperties ? 'object' : schema.items ? 'array' : undefined;
  const type = schema.type ?? implied;
  if (type) return keeping({ ...schema, type });
  return schema['x-kubernetes-int-or-string'] ? schema : { ...schema, 'x-kubernetes-preserve-unknown-fields': true };
}

function conversionOf({ webhookClientConfig, conversionReviewVersions, ...rest }: JsonObject): JsonObject {
  if (rest.strategy !== 'Webhook') return rest;
  const webhook = {
    clientConfig: webhookClientConfig,
    conversionReviewVersions: conversionReviewVersions ?? ['v1beta1'],
  };
  return { ...rest, webhook };
}

/** Takes over `object`. What all versions say alike stands once. */
export function toFirstDefinition(object: KubeObject): KubeObject {
  const { spec } = object as Loose;
  if (!spec) return object;
  const versions = ((spec.versions ?? []) as JsonObject[]).map(firstVersion);
  const next: JsonObject = { ...spec, versions, preserveUnknownFields: false };
  const [first] = versions;
  if (first) next.version = first.name;
  for (const name of ['schema', ...shared]) {
    if (first?.[name] === undefined || !versions.every((version) => sameJson(version[name], first[name]))) continue;
    next[name === 'schema' ? 'validation' : name] = first[name];
    for (const version of versions) delete version[name];
  }
  const { webhook, ...conversion } = (spec.conversion ?? {}) as JsonObject & { webhook?: JsonObject };
  const { clientConfig, conversionReviewVersions } = webhook ?? {};
  next.conversion = {
    ...conversion,
    ...(clientConfig ? { webhookClientConfig: clientConfig } : {}),
    ...(conversionReviewVersions ? { conversionReviewVersions } : {}),
  };
  return { ...object, spec: next } as KubeObject;
}

function firstVersion(version: JsonObject): JsonObject {
  const { additionalPrinterColumns: columns, ...rest } = version;
  if (!Array.isArray(columns)) return { ...rest };
  return {
    ...rest,
    additionalPrinterColumns: (columns as JsonObject[]).map(({ jsonPath, ...column }) => ({ ...column, JSONPath: jsonPath })),
  };
}
