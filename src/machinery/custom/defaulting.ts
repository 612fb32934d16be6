/**
 * Fills in the defaults of a structural schema, in place, and drops nulls where null is no value. Idempotent. Source: the Kubernetes
 * page "Extend the Kubernetes API with CustomResourceDefinitions", sections "Defaulting" and "Defaulting and Nullable".
 */
import { isObject, itemSchema, type JsonObject, type JsonSchema, memberSchema, propertyOf } from './json-schema.ts';

/** True when something was changed. */
export function defaultCustom(value: unknown, schema: JsonSchema): boolean {
  if (Array.isArray(value)) return defaultItems(value, schema);
  return isObject(value) ? defaultMembers(value, schema) : false;
}

function defaultItems(value: unknown[], schema: JsonSchema): boolean {
  const item = itemSchema(schema);
  if (!item) return false;
  let changed = false;
  for (const [index, member] of value.entries()) {
    if (isWrongNull(member, item) && item.default !== undefined) {
      value[index] = structuredClone(item.default);
      changed = true;
    }
    changed = defaultCustom(value[index], item) || changed;
  }
  return changed;
}

function defaultMembers(value: JsonObject, schema: JsonSchema): boolean {
  let changed = false;
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    if (property.default === undefined) continue;
    if (Object.hasOwn(value, name) && !isWrongNull(value[name], property)) continue;
    // A member that is called __proto__ must not become the prototype.
    Object.defineProperty(value, name, {
      value: structuredClone(property.default),
      writable: true,
      enumerable: true,
      configurable: true,
    });
    changed = true;
  }
  for (const [name, member] of Object.entries(value)) {
    const known = propertyOf(schema, name) ?? memberSchema(schema);
    if (!known) continue;
    if (isWrongNull(member, known)) {
      if (known.default === undefined) delete value[name];
      else value[name] = structuredClone(known.default);
      changed = true;
    }
    changed = defaultCustom(value[name], known) || changed;
  }
  return changed;
}

function isWrongNull(value: unknown, schema: JsonSchema): boolean {
  return value === null && schema.nullable !== true;
}
