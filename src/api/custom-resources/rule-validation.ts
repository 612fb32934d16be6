/**
 * Whether the rules of a schema (`x-kubernetes-validations`) can be carried out, and at what cost at most. What their messages cost is
 * paid from the budget of the object when there is something to tell.
 */
import { CelError, type CelProgram, celCosts, typeOfSchema } from '../../cel/index.ts';
import { itemSchema, type JsonSchema, memberSchema } from '../../machinery/custom/json-schema.ts';
import type { FieldError } from '../../machinery/status.ts';
import { invalidValue, notPermitted } from '../kinds/field-errors.ts';
import { type CompiledRule, compileAt, typed } from './rules.ts';

/** Bytes of the largest request, and of the smallest item in it. */
const itemsMax = (3 * 1024 * 1024) / 2;

interface Place {
  /** How many values there can be here in one object. */
  count: number;
  /** The path of a list or map whose items cannot be compared with what they were. */
  uncorrelated: string | undefined;
}

/** The schema must be sound otherwise. */
export function ruleErrors(schema: JsonSchema, path: string): FieldError[] {
  const check = new RuleCheck(path);
  check.visit(schema, path, true, { count: 1, uncorrelated: undefined });
  return check.errors();
}

class RuleCheck {
  readonly #path: string;
  readonly #errors: FieldError[] = [];
  #total = 0;

  constructor(path: string) {
    this.#path = path;
  }

  errors(): FieldError[] {
    const most = celCosts.estimatedPerDefinition;
    if (this.#total <= most) return this.#errors;
    const what = 'x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema';
    return [...this.#errors, notPermitted(this.#path, costMessage(what, this.#total, most))];
  }

  visit(schema: JsonSchema, path: string, isResource: boolean, place: Place): void {
    for (const [index, rule] of compileAt(schema, isResource).entries()) {
      this.#rule(rule, `${path}.x-kubernetes-validations[${index}]`, place);
    }
    for (const [index, one] of (schema.allOf ?? []).entries()) {
      this.visit(typed(one, schema), `${path}.allOf[${index}]`, false, place);
    }
    const atomic = schema['x-kubernetes-map-type'] === 'atomic' ? (place.uncorrelated ?? path) : place.uncorrelated;
    for (const [name, property] of Object.entries(schema.properties ?? {})) {
      this.#inner(property, `${path}.properties[${name}]`, { count: place.count, uncorrelated: atomic });
    }
    const member = memberSchema(schema);
    const item = itemSchema(schema);
    if (!member && !item) return;
    const bound = item ? schema.maxItems : schema.maxProperties;
    const { maxSize = itemsMax } = typeOfSchema(schema) as { maxSize?: number };
    const count = Math.min(place.count * (bound ?? Math.max(1, maxSize)), itemsMax);
    if (member) this.#inner(member, `${path}.additionalProperties`, { count, uncorrelated: place.uncorrelated });
    const comparable = schema['x-kubernetes-list-type'] === 'map';
    const uncorrelated = comparable ? place.uncorrelated : (place.uncorrelated ?? path);
    if (item) this.#inner(item, `${path}.items`, { count, uncorrelated });
  }

  #inner(schema: JsonSchema, path: string, place: Place): void {
    this.visit(schema, path, schema['x-kubernetes-embedded-resource'] === true, place);
  }

  #rule({ rule, program, message, usesOldSelf }: CompiledRule, path: string, place: Place): void {
    const errors = this.#errors;
    if (program instanceof CelError) {
      const why = program.message.startsWith('must evaluate to')
        ? 'cel expression must evaluate to a bool'
        : `compilation failed: ${program.message}`;
      errors.push(invalidValue(`${path}.rule`, rule, why));
      return;
    }
    this.#cost(program, place.count, `${path}.rule`);
    if (message instanceof CelError) {
      const why = message.message.startsWith('must evaluate to')
        ? 'messageExpression must evaluate to a string'
        : `messageExpression compilation failed: ${message.message}`;
      errors.push(invalidValue(`${path}.messageExpression`, rule, why));
    }
    if (usesOldSelf && place.uncorrelated !== undefined) {
      const why = `oldSelf cannot be used on the uncorrelatable portion of the schema within ${place.uncorrelated}`;
      errors.push(invalidValue(`${path}.rule`, rule.rule, why));
    } else if (!usesOldSelf && rule.optionalOldSelf !== undefined) {
      const why = 'may not be set if oldSelf is not used in rule';
      errors.push(invalidValue(`${path}.optionalOldSelf`, rule.optionalOldSelf, why));
    }
  }

  #cost(program: CelProgram, count: number, path: string): void {
    const cost = program.estimateCost() * count;
    this.#total += cost;
    const most = celCosts.estimatedPerRule;
    if (cost > most) this.#errors.push(notPermitted(path, costMessage('estimated rule cost', cost, most)));
  }
}

function costMessage(what: string, cost: number, most: number): string {
  const times = cost / most;
  const factor = times > 100 ? 'more than 100x' : times < 1.5 ? `${times.toFixed(6)}x` : `${times.toFixed(1)}x`;
  return `${what} exceeds budget by factor of ${factor} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)`;
}
