/**
 * Removes what a structural schema does not know, in place. Source: the Kubernetes page "Extend the Kubernetes API with
 * CustomResourceDefinitions", section "Field pruning".
 */
import { isObject, itemSchema, type JsonObject, type JsonSchema, memberSchema, propertyOf } from './json-schema.ts';

/** Every object has these, whatever its schema says. */
const ofEveryObject = new Set(['apiVersion', 'kind', 'metadata']);
/** Paths that are told; all of them are removed. */
const pathsMax = 100;

/** The paths of what was removed (at most 100), such as `spec.items[0].foo`. `object` is a whole resource. */
export function pruneCustom(object: JsonObject, schema: JsonSchema): string[] {
  const removed: string[] = [];
  prune(object, schema, '', true, removed);
  return removed;
}

function prune(value: unknown, schema: JsonSchema | undefined, path: string, isResource: boolean, removed: string[]): void {
  if (Array.isArray(value)) {
    const item = schema && itemSchema(schema);
    const keeps = schema?.['x-kubernetes-preserve-unknown-fields'];
    if (!item && keeps) return;
    for (const [index, member] of value.entries()) {
      prune(member, item, `${path}[${index}]`, item?.['x-kubernetes-embedded-resource'] ?? false, removed);
    }
  } else if (isObject(value)) pruneMembers(value, schema, path, isResource, removed);
}

function pruneMembers(
  value: JsonObject,
  schema: JsonSchema | undefined,
  path: string,
  isResource: boolean,
  removed: string[],
): void {
  const keeps = schema?.['x-kubernetes-preserve-unknown-fields'];
  for (const [name, member] of Object.entries(value)) {
    if (isResource && ofEveryObject.has(name)) continue;
    const at = path === '' ? name : `${path}.${name}`;
    const property = schema && (propertyOf(schema, name) ?? memberSchema(schema));
    if (property) prune(member, property, at, property['x-kubernetes-embedded-resource'] ?? false, removed);
    else if (!keeps && schema?.additionalProperties !== true) {
      delete value[name];
      if (removed.length < pathsMax) removed.push(at);
    }
  }
}
