/** The expressions of a policy, compiled: match conditions, variables, validations, messages, audit annotations. */
import { CelEnvironment, CelError, type CelProgram, type CelType, celTypes, objectOf } from '../../cel/index.ts';
import type { ValidatingAdmissionPolicy } from '../../machinery/kind-types.ts';
import type { FieldError } from '../../machinery/status.ts';
import { authorizerVariables, namespaceVariables, requestVariables } from './declarations.ts';

export type PolicySpec = NonNullable<ValidatingAdmissionPolicy['spec']>;

export interface PolicyExpressions {
  matchConditions: { name: string; program: CelProgram }[];
  variables: ReadonlyMap<string, CelProgram>;
  validations: { program: CelProgram; message: CelProgram | undefined }[];
  auditAnnotations: { key: string; program: CelProgram }[];
  /** What does not compile; nothing is to be run then. */
  errors: FieldError[];
}

/** The name of the type of `variables`. */
export const variablesName = 'kubernetes.variables';

export function conditionEnvironment({ params = false } = {}): CelEnvironment {
  const variables = { ...requestVariables, ...authorizerVariables, ...(params ? { params: celTypes.dyn } : {}) };
  return new CelEnvironment({ variables });
}

/** What is wrong with an expression, in the words of a field's error; undefined when nothing is. */
export function compileComplaint(error: unknown): string {
  if (!(error instanceof CelError)) throw error;
  return error.issues.length > 0 ? `compilation failed: ${error.message}` : error.message;
}

/** Compiles everything; what is wrong is in `errors` under its field. */
export function compilePolicy(spec: PolicySpec): PolicyExpressions {
  const errors: FieldError[] = [];
  const hasParams = spec.paramKind !== undefined;
  const compile = (environment: CelEnvironment, field: string, text: string | undefined, result?: CelType[]) => {
    // An empty expression is a complaint of its own.
    if (!text?.trim()) return undefined;
    try {
      return environment.compile(text, { result });
    } catch (error) {
      errors.push({ type: 'Invalid', field, value: text, detail: compileComplaint(error) });
      return undefined;
    }
  };
  const conditions = conditionEnvironment({ params: hasParams });
  const matchConditions = (spec.matchConditions ?? []).flatMap(({ name, expression }, index) => {
    const program = compile(conditions, `spec.matchConditions[${index}].expression`, expression, [celTypes.bool]);
    return program ? [{ name, program }] : [];
  });

  const known: Record<string, CelType> = {};
  const environmentOf = (withAuthorizer: boolean) =>
    new CelEnvironment({
      variables: {
        ...requestVariables,
        ...namespaceVariables,
        ...(withAuthorizer ? authorizerVariables : {}),
        ...(hasParams ? { params: celTypes.dyn } : {}),
        variables: objectOf(variablesName, { ...known }),
      },
    });
  const variables = new Map<string, CelProgram>();
  for (const [index, { name, expression }] of (spec.variables ?? []).entries()) {
    const program = compile(environmentOf(true), `spec.variables[${index}].expression`, expression);
    if (!program) continue;
    known[name] = program.type;
    variables.set(name, program);
  }

  const full = environmentOf(true);
  const withoutAuthorizer = environmentOf(false);
  const validations = (spec.validations ?? []).flatMap(({ expression, messageExpression }, index) => {
    const path = `spec.validations[${index}]`;
    const program = compile(full, `${path}.expression`, expression, [celTypes.bool]);
    const message = compile(withoutAuthorizer, `${path}.messageExpression`, messageExpression, [celTypes.string]);
    return program ? [{ program, message }] : [];
  });
  const auditAnnotations = (spec.auditAnnotations ?? []).flatMap(({ key, valueExpression }, index) => {
    const field = `spec.auditAnnotations[${index}].valueExpression`;
    const program = compile(full, field, valueExpression, [celTypes.string, celTypes.null]);
    return program ? [{ key, program }] : [];
  });
  return { matchConditions, variables, validations, auditAnnotations, errors };
}

const compiled = new WeakMap<object, PolicyExpressions>();

/** The expressions of a stored policy, compiled once as long as it is the same object. */
export function expressionsOf(policy: ValidatingAdmissionPolicy): PolicyExpressions {
  let expressions = compiled.get(policy);
  if (!expressions) {
    expressions = compilePolicy(policy.spec ?? {});
    compiled.set(policy, expressions);
  }
  return expressions;
}
