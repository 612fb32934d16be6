/** Whether the defaults of a schema are what the schema itself allows. */
import { defaultCustom } from '../../machinery/custom/defaulting.ts';
import { isObject, type JsonObject, type JsonSchema, parts, sameJson } from '../../machinery/custom/json-schema.ts';
import { pruneCustom } from '../../machinery/custom/pruning.ts';
import type { FieldError } from '../../machinery/status.ts';
import { invalidValue } from '../kinds/field-errors.ts';
import { compileValueRules } from './rules.ts';
import { validateCustom } from './value-validation.ts';

/** Defaults must be valid themselves, and hold nothing that would be pruned. */
export function defaultErrors(schema: JsonSchema, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (schema.default !== undefined) {
    const at = `${path}.default`;
    const value = structuredClone(schema.default);
    if (isObject(value) && !fitsWithoutPruning(value, schema)) {
      errors.push(invalidValue(at, schema.default, 'must not have unknown fields'));
    }
    defaultCustom(value, schema);
    for (const error of validateCustom(value, schema)) {
      errors.push({ ...error, field: fieldInDefault(error.field, at), detail: inDefault(error.detail, at) });
    }
  }
  for (const [step, part] of parts(schema)) errors.push(...defaultErrors(part, `${path}.${step}`));
  return errors;
}

/**
 * Defaults must keep the rules of their place: as values that come into being, and, for rules about changes, as values that stay
 * as they are.
 */
export function defaultRuleErrors(schema: JsonSchema, path: string, isResource: boolean): FieldError[] {
  const errors: FieldError[] = [];
  if (schema.default !== undefined) {
    const at = `${path}.default`;
    const value = structuredClone(schema.default);
    defaultCustom(value, schema);
    const check = compileValueRules(schema, isResource);
    const kept = check(value, value);
    for (const error of kept.length > 0 ? kept : check(value)) errors.push({ ...error, field: fieldInDefault(error.field, at) });
  }
  for (const [step, part] of parts(schema)) {
    errors.push(...defaultRuleErrors(part, `${path}.${step}`, part['x-kubernetes-embedded-resource'] === true));
  }
  return errors;
}

function fieldInDefault(field: string, at: string): string {
  return (field === '<nil>' ? at : `${at}.${field}`).replace('.[', '[');
}

/** The path of a complaint begins at the default. */
function inDefault(detail: string, at: string): string {
  return detail.replace(/^(\S*) in body/, (_, inside: string) => `${inside ? `${at}.${inside}` : at} in body`);
}

function fitsWithoutPruning(value: JsonObject, schema: JsonSchema): boolean {
  const copy = structuredClone(value);
  const wrapped = { value: copy };
  pruneCustom(wrapped, { type: 'object', properties: { value: schema } });
  return sameJson(wrapped.value, value);
}
