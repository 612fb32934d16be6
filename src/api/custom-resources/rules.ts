/**
 * The rules of a schema (`x-kubernetes-validations`), compiled once for each version of a kind, and what they have against an object.
 * `self` is the value where the rule stands, `oldSelf` what it was before the update. What an update leaves as it was is not complained
 * about, unless the rule is about the change.
 */
import {
  CelBudget,
  CelEnvironment,
  CelError,
  CelOptional,
  type CelProgram,
  type CelType,
  celCosts,
  celTypes,
  fromJson,
  optionalOf,
  typeOfSchema,
} from '../../cel/index.ts';
import {
  isObject,
  itemSchema,
  type JsonObject,
  type JsonSchema,
  memberSchema,
  sameJson,
  type ValidationRule,
} from '../../machinery/custom/json-schema.ts';
import type { FieldError } from '../../machinery/status.ts';
import type { KubeObject } from '../../machinery/types.ts';

/** Called only when the object fits its schema. */
export type RuleCheck = (object: KubeObject, previous?: KubeObject) => FieldError[];

const messageLengthMax = 5 * 1024;
const outOfBudget = 'validation failed due to running out of cost budget, no further validation rules will be run';

export interface CompiledRule {
  rule: ValidationRule;
  /** Or what is wrong with it. */
  program: CelProgram | CelError;
  message: CelProgram | CelError | undefined;
  usesOldSelf: boolean;
}

/** The rules at one place of a schema. Errors are in the results. */
export function compileAt(schema: JsonSchema, isResource: boolean): CompiledRule[] {
  const rules = schema['x-kubernetes-validations'] ?? [];
  if (rules.length === 0) return [];
  const self = typeOfSchema(schema, { resource: isResource });
  return rules.map((rule) => {
    const oldSelf = rule.optionalOldSelf ? optionalOf(self) : self;
    const environment = new CelEnvironment({ variables: { self, oldSelf } });
    const program = attempt(() => environment.compile(rule.rule.trim(), { result: celTypes.bool }));
    const text = rule.messageExpression;
    return {
      rule,
      program,
      message: text ? attempt(() => environment.compile(text, { result: celTypes.string })) : undefined,
      usesOldSelf: !(program instanceof CelError) && program.uses.has('oldSelf'),
    };
  });
}

function attempt(compile: () => CelProgram): CelProgram | CelError {
  try {
    return compile();
  } catch (error) {
    if (error instanceof CelError) return error;
    throw error;
  }
}

/** The part of a schema's tree that leads to rules. */
interface Node {
  schema: JsonSchema;
  type: CelType;
  rules: CompiledRule[];
  properties: Map<string, Node>;
  member: Node | undefined;
  item: Node | undefined;
  allOf: Node[];
}

function nodeOf(schema: JsonSchema, isResource: boolean): Node | undefined {
  const inner = (part: JsonSchema | undefined) => part && nodeOf(part, part['x-kubernetes-embedded-resource'] === true);
  const properties = new Map<string, Node>();
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const node = inner(property);
    if (node) properties.set(name, node);
  }
  const member = inner(memberSchema(schema));
  const item = inner(itemSchema(schema));
  const allOf = (schema.allOf ?? []).flatMap((one) => inner(typed(one, schema)) ?? []);
  const rules = compileAt(schema, isResource);
  const type = rules.length > 0 ? typeOfSchema(schema, { resource: isResource }) : celTypes.dyn;
  const leads = rules.length > 0 || properties.size > 0 || member || item || allOf.length > 0;
  return leads ? { schema, type, rules, properties, member, item, allOf } : undefined;
}

/** A schema inside allOf says nothing about types: those are the outer schema's. */
export function typed(part: JsonSchema, outer: JsonSchema): JsonSchema {
  const { properties, ...rest } = part;
  const inherited: JsonSchema = {
    ...outer,
    ...rest,
    allOf: part.allOf,
    'x-kubernetes-validations': part['x-kubernetes-validations'],
  };
  if (!properties) return { ...inherited, properties: bare(outer.properties) };
  const merged: Record<string, JsonSchema> = { ...bare(outer.properties) };
  for (const [name, property] of Object.entries(properties)) merged[name] = typed(property, outer.properties?.[name] ?? {});
  return { ...inherited, properties: merged };
}

/** Without the rules inside, which are the outer schema's own business. */
function bare(properties: Record<string, JsonSchema> | undefined): Record<string, JsonSchema> | undefined {
  if (!properties) return undefined;
  return Object.fromEntries(Object.entries(properties).map(([name, property]) => [name, withoutRules(property)]));
}

function withoutRules(schema: JsonSchema): JsonSchema {
  const { 'x-kubernetes-validations': _rules, allOf: _allOf, ...rest } = schema;
  const item = itemSchema(schema);
  const member = memberSchema(schema);
  return {
    ...rest,
    ...(schema.properties ? { properties: bare(schema.properties) } : {}),
    ...(item ? { items: withoutRules(item) } : {}),
    ...(member ? { additionalProperties: withoutRules(member) } : {}),
  };
}

export function compileRules(schema: JsonSchema): RuleCheck {
  return compileValueRules(schema, true);
}

/** The rules of a part of a schema, for values at that place. `isResource`: the values are whole objects. */
export function compileValueRules(schema: JsonSchema, isResource: boolean): (value: unknown, previous?: unknown) => FieldError[] {
  const root = nodeOf(schema, isResource);
  if (!root) return () => [];
  return (value, previous) => new Run().check(value, previous, root);
}

/** All rules on one object. They share a budget; when it is used up no more are run. */
class Run {
  readonly #budget = new CelBudget(celCosts.perObject);
  readonly #errors: FieldError[] = [];
  #over = false;

  check(object: unknown, previous: unknown, root: Node): FieldError[] {
    this.#visit(object, previous, root, '', false);
    return this.#errors;
  }

  /** `same`: a value that holds this one is as it was. */
  #visit(value: unknown, previous: unknown, node: Node, path: string, same: boolean): void {
    if (this.#over || value === null || value === undefined) return;
    const unchanged = same || (previous !== undefined && sameJson(value, previous));
    for (const rule of node.rules) {
      if (this.#over) return;
      this.#apply(rule, { value, previous, node, path, unchanged });
    }
    for (const part of node.allOf) this.#visit(value, previous, part, path, same);
    if (Array.isArray(value)) this.#visitItems(value, previous, node, path, unchanged);
    else if (isObject(value)) this.#visitMembers(value, previous, node, path, unchanged);
  }

  #visitItems(value: unknown[], previous: unknown, { schema, item }: Node, path: string, unchanged: boolean): void {
    if (!item) return;
    const keys = schema['x-kubernetes-list-type'] === 'map' ? schema['x-kubernetes-list-map-keys'] : undefined;
    const keyOf = (one: unknown) => JSON.stringify((keys ?? []).map((key) => (isObject(one) ? one[key] : undefined)));
    const before = new Map(keys && Array.isArray(previous) ? previous.map((one) => [keyOf(one), one]) : []);
    for (const [index, one] of value.entries()) {
      this.#visit(one, keys ? before.get(keyOf(one)) : undefined, item, `${path}[${index}]`, unchanged);
    }
  }

  #visitMembers(value: JsonObject, previous: unknown, node: Node, path: string, unchanged: boolean): void {
    const comparable = node.schema['x-kubernetes-map-type'] !== 'atomic' && isObject(previous);
    for (const [name, member] of Object.entries(value)) {
      const inner = node.properties.get(name) ?? (Object.hasOwn(node.schema.properties ?? {}, name) ? undefined : node.member);
      if (!inner) continue;
      const before = comparable && Object.hasOwn(previous, name) ? previous[name] : undefined;
      const at = node.member ? `${path}[${name}]` : path === '' ? name : `${path}.${name}`;
      this.#visit(member, before, inner, at, unchanged);
    }
  }

  #apply(
    compiled: CompiledRule,
    place: { value: unknown; previous: unknown; node: Node; path: string; unchanged: boolean },
  ): void {
    const { rule, program, usesOldSelf } = compiled;
    const { value, previous, node, path, unchanged } = place;
    if (usesOldSelf && (previous === undefined || previous === null) && !rule.optionalOldSelf) return;
    // What was accepted before, and has not changed, is not complained about again.
    if (unchanged && !usesOldSelf) return;
    const shown = node.schema.type ?? '';
    const fail = (detail: string) => void this.#errors.push({ type: 'Invalid', field: path || '<nil>', value: shown, detail });
    if (program instanceof CelError) {
      fail(`rule compile error: ${program.message}`);
      return;
    }
    const old = rule.optionalOldSelf ? optional(previous, node.type) : previous;
    const variables = { self: value, ...(usesOldSelf ? { oldSelf: old } : {}) };
    try {
      if (program.evaluate(variables, this.#budget) === true) return;
    } catch (error) {
      fail(this.#failed(error, rule));
      return;
    }
    this.#errors.push(this.#violation(compiled, { self: value, oldSelf: old }, path, shown));
  }

  #failed(error: unknown, rule: ValidationRule): string {
    if (!(error instanceof CelError)) throw error;
    const text = rule.message ? `${rule.rule} (${rule.message})` : rule.rule;
    if (error.code === 'Budget' || error.code === 'CallCost') this.#over = true;
    if (error.code === 'Budget') return outOfBudget;
    if (error.code === 'CallCost') {
      return `'${error.message}': no further validation rules will be run due to call cost exceeds limit for rule: ${text}`;
    }
    if (!error.message.startsWith('no such overload')) return `${error.message} evaluating rule: ${text}`;
    return `'${error.message}': call arguments did not match a supported operator, function or macro signature for rule: ${text}`;
  }

  #violation(compiled: CompiledRule, variables: Record<string, unknown>, path: string, shown: string): FieldError {
    const { rule } = compiled;
    const inside = rule.fieldPath?.trim() ?? '';
    const field = path === '' ? inside.replace(/^\./, '') || '<nil>' : `${path}${inside}`;
    const detail = this.#messageOf(compiled, variables) ?? (rule.message?.trim() || `failed rule: ${rule.rule.trim()}`);
    switch (rule.reason) {
      case 'FieldValueRequired':
        return { type: 'Required', field, detail };
      case 'FieldValueForbidden':
        return { type: 'Forbidden', field, detail };
      case 'FieldValueDuplicate':
        return { type: 'Duplicate', field, value: shown, detail: '' };
      default:
        return { type: 'Invalid', field, value: shown, detail };
    }
  }

  /** Undefined when there is no such expression, or it gives nothing that can be shown: then the fixed message stands. */
  #messageOf({ message }: CompiledRule, variables: Record<string, unknown>): string | undefined {
    if (!message || message instanceof CelError) return undefined;
    try {
      const text = message.evaluate(variables, this.#budget);
      if (typeof text !== 'string') return undefined;
      const shown = text.trim();
      return shown === '' || shown.length > messageLengthMax || /[\r\n]/.test(shown) ? undefined : shown;
    } catch (error) {
      if (!(error instanceof CelError)) throw error;
      if (error.code === 'Budget') this.#over = true;
      return undefined;
    }
  }
}

function optional(previous: unknown, type: CelType): CelOptional {
  return previous === undefined || previous === null ? CelOptional.none : new CelOptional(fromJson(previous, type));
}
