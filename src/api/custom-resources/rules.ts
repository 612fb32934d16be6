/** The rules of a schema (`x-kubernetes-validations`), made ready once for each version of a kind. */
import type { JsonSchema } from '../../machinery/custom/json-schema.ts';
import type { FieldError } from '../../machinery/status.ts';
import type { KubeObject } from '../../machinery/types.ts';

/** What the rules have against an object. Called only when it fits its schema. */
export type RuleCheck = (object: KubeObject, previous?: KubeObject) => FieldError[];

export function compileRules(_schema: JsonSchema): RuleCheck {
  return () => [];
}
