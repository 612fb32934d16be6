/** Runs the expressions of a policy about one write. Pure: everything it looks at is given. */
import { CelBudget, CelError, CelMap, type CelProgram, type CelValue, celCosts } from '../../cel/index.ts';
import type { KubeObject } from '../../machinery/types.ts';
import type { PolicyExpressions, PolicySpec } from './expressions.ts';

/** A rule that does not hold, or that could not be asked. */
export interface Denial {
  message: string;
  /** Of the answer, for example `Invalid`. */
  reason: string;
  /** Whether it is an error rather than a rule's verdict. */
  failed: boolean;
  /** Of the rule among those of the policy; 0 for what is no rule's. */
  index: number;
  /** It is about what the audit log should say, and so none of the actions of a binding. */
  ofAnnotation?: true;
}

export interface PolicyInput {
  spec: PolicySpec;
  expressions: PolicyExpressions;
  /** Of the request, by name; see request-variables.ts. */
  values: Readonly<Record<string, unknown>>;
  namespace: KubeObject | undefined;
  params: KubeObject | null;
}

export interface PolicyVerdict {
  denials: Denial[];
  auditAnnotations: { key: string; value: string }[];
}

const messageBytesMax = 5 * 1024;
const outOfBudget = 'validation failed due to running out of cost budget, no further validation rules will be run';

/** With failurePolicy Ignore, what fails counts as nothing. */
export function evaluatePolicy({ spec, expressions, values, namespace, params }: PolicyInput): PolicyVerdict {
  const verdict: PolicyVerdict = { denials: [], auditAnnotations: [] };
  const fail = (message: string, of: Partial<Denial> = {}) => {
    if (spec.failurePolicy !== 'Ignore') verdict.denials.push({ message, reason: 'Invalid', failed: true, index: 0, ...of });
  };
  const [broken] = expressions.errors;
  if (broken) {
    fail(`compilation error: ${broken.detail}`);
    return verdict;
  }
  const given = { ...values, params, namespaceObject: namespaceValue(namespace) };
  const conditions = conditionsHold(expressions.matchConditions, given);
  if (typeof conditions === 'string') fail(conditions);
  if (conditions !== true) return verdict;

  const budget = new CelBudget(celCosts.perObject);
  const all = { ...given, variables: new Variables(expressions.variables, given, budget) };
  for (const [index, { program, message }] of expressions.validations.entries()) {
    const { message: text, reason } = spec.validations?.[index] ?? {};
    try {
      if (program.evaluate(all, budget) === true) continue;
    } catch (error) {
      fail(failureText(program, error), { index });
      if (isOutOfBudget(error)) return verdict;
      continue;
    }
    const said = messageOf(message, all, budget) || text?.trim() || `failed expression: ${program.source.trim()}`;
    verdict.denials.push({ message: said, reason: reason ?? 'Invalid', failed: false, index });
  }
  const annotationBudget = new CelBudget(celCosts.perObject);
  const annotated = { ...given, variables: new Variables(expressions.variables, given, annotationBudget) };
  for (const { key, program } of expressions.auditAnnotations) {
    try {
      const value = program.evaluate(annotated, annotationBudget);
      if (typeof value === 'string' && value.trim() !== '') verdict.auditAnnotations.push({ key, value: value.trim() });
    } catch (error) {
      fail(failureText(program, error), { ofAnnotation: true });
    }
  }
  return verdict;
}

/** True or false, or what is wrong. One that does not hold decides, also when another one fails. */
export function conditionsHold(
  conditions: readonly { name: string; program: CelProgram }[],
  values: Readonly<Record<string, unknown>>,
): boolean | string {
  const budget = new CelBudget(celCosts.perMatchConditions);
  let failure: string | undefined;
  for (const { program } of conditions) {
    try {
      if (program.evaluate(values, budget) !== true) return false;
    } catch (error) {
      failure ??= failureText(program, error);
    }
  }
  return failure ?? true;
}

const isOutOfBudget = (error: unknown) => error instanceof CelError && error.code === 'Budget';

function failureText(program: CelProgram, error: unknown): string {
  if (!(error instanceof CelError)) throw error;
  return isOutOfBudget(error) ? outOfBudget : `expression '${program.source}' resulted in error: ${error.message}`;
}

/** The text of a messageExpression; undefined when it fails or gives what no message can be. */
function messageOf(
  program: CelProgram | undefined,
  values: Readonly<Record<string, unknown>>,
  budget: CelBudget,
): string | undefined {
  if (!program) return undefined;
  try {
    const value = program.evaluate(values, budget);
    if (typeof value !== 'string') return undefined;
    const text = value.trim();
    return text.includes('\n') || Buffer.byteLength(text) > messageBytesMax ? undefined : text;
  } catch (error) {
    // A rule that does not hold is denied with another message instead.
    if (error instanceof CelError) return undefined;
    throw error;
  }
}

function namespaceValue(namespace: KubeObject | undefined): unknown {
  if (!namespace) return null;
  const { uid, ...metadata } = namespace.metadata;
  return { ...namespace, metadata: { ...metadata, UID: uid } };
}

/** `variables.name`: each is run when it is asked for, once. */
class Variables extends CelMap {
  override readonly objectName = 'kubernetes.variables';
  readonly #programs: ReadonlyMap<string, CelProgram>;
  readonly #given: Readonly<Record<string, unknown>>;
  readonly #budget: CelBudget;
  readonly #values = new Map<string, CelValue>();

  constructor(programs: ReadonlyMap<string, CelProgram>, given: Readonly<Record<string, unknown>>, budget: CelBudget) {
    super();
    this.#programs = programs;
    this.#given = given;
    this.#budget = budget;
  }

  get size(): number {
    return this.#programs.size;
  }

  keys(): CelValue[] {
    return [...this.#programs.keys()];
  }

  get(key: CelValue): CelValue | undefined {
    if (typeof key !== 'string') return undefined;
    const known = this.#values.get(key);
    const program = this.#programs.get(key);
    if (known !== undefined || !program) return known;
    const value = this.#run(key, program);
    this.#values.set(key, value);
    return value;
  }

  #run(name: string, program: CelProgram): CelValue {
    try {
      return program.evaluate({ ...this.#given, variables: this }, this.#budget);
    } catch (error) {
      if (!(error instanceof CelError) || error.code !== 'Evaluation') throw error;
      throw new CelError('Evaluation', `composited variable "${name}" fails to evaluate: ${error.message}`);
    }
  }
}
