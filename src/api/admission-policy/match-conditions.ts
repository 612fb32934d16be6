/** The matchConditions of webhooks: the same expressions as those of policies, without parameters. */
import { CelError, type CelProgram, celTypes } from '../../cel/index.ts';
import type { KindVersion } from '../../machinery/kind.ts';
import type { AdmissionRequest } from '../admission/types.ts';
import type { Authorizer } from '../authorization.ts';
import { conditionsHold } from './evaluate.ts';
import { compileComplaint, conditionEnvironment } from './expressions.ts';
import { requestValues } from './request-variables.ts';

export interface MatchCondition {
  name: string;
  expression: string;
}

export interface MatchConditions {
  /** What is wrong with an expression; undefined when nothing is. Pure. */
  complaint(expression: string): string | undefined;
  /** Whether all hold. One that does not hold decides, also when another fails. Throws CelError when one fails and none says no. */
  hold(conditions: readonly MatchCondition[], request: AdmissionRequest, version: KindVersion): boolean;
}

const programsMax = 1024;

export function celMatchConditions(authorizer: Authorizer): MatchConditions {
  const environment = conditionEnvironment();
  /** By expression, oldest first. */
  const programs = new Map<string, CelProgram>();
  const programOf = (expression: string) => {
    const known = programs.get(expression);
    if (known) return known;
    const program = environment.compile(expression, { result: celTypes.bool });
    if (programs.size >= programsMax) programs.delete(programs.keys().next().value as string);
    programs.set(expression, program);
    return program;
  };
  return {
    complaint(expression) {
      try {
        programOf(expression);
        return undefined;
      } catch (error) {
        return compileComplaint(error);
      }
    },
    hold(conditions, request, version) {
      const compiled = conditions.map(({ name, expression }) => ({ name, program: programOf(expression) }));
      const held = conditionsHold(compiled, requestValues({ request, version, authorizer }));
      if (typeof held === 'string') throw new CelError('Evaluation', held);
      return held;
    },
  };
}
