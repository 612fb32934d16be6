/** Whether the rules of a schema (`x-kubernetes-validations`) can be carried out. */
import { type JsonSchema, parts } from '../../machinery/custom/json-schema.ts';
import type { FieldError } from '../../machinery/status.ts';
import { notPermitted } from '../kinds/field-errors.ts';

/** A rule that would not be enforced is refused: an object that breaks it must never be taken for a valid one. */
export function ruleErrors(schema: JsonSchema, path: string): FieldError[] {
  const own = (schema['x-kubernetes-validations'] ?? []).map((_, index) =>
    notPermitted(`${path}.x-kubernetes-validations[${index}].rule`, 'this server does not evaluate validation rules'),
  );
  const inside = [...parts(schema)].flatMap(([step, part]) => ruleErrors(part, `${path}.${step}`));
  const all = (schema.allOf ?? []).flatMap((one, index) => ruleErrors(one, `${path}.allOf[${index}]`));
  return [...own, ...inside, ...all];
}
