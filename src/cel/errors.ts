/** What goes wrong with an expression: when it is compiled (issues with positions), when it runs, when it costs too much. */
import { KontikiError } from '../lib/errors.ts';

export type CelErrorCode =
  /** The expression is not of the language or does not fit the declared types. `issues` says where. */
  | 'Compilation'
  /** Evaluation ended in an error, such as `no such key: x`. */
  | 'Evaluation'
  /** One evaluation costs more than a call may. */
  | 'CallCost'
  /** The budget that several expressions share is used up. */
  | 'Budget';

/** One complaint about the text. `line` from 1, `column` from 0, counted in code points. */
export interface CelIssue {
  line: number;
  column: number;
  message: string;
}

export class CelError extends KontikiError<CelErrorCode> {
  override name = 'CelError';
  readonly issues: readonly CelIssue[];

  constructor(code: CelErrorCode, message: string, issues: readonly CelIssue[] = []) {
    super(code, message);
    this.issues = issues;
  }
}

/** An error of evaluation; `&&`, `||` and the macros built on them can absorb it. */
export function evaluationError(message: string): CelError {
  return new CelError('Evaluation', message);
}

export function noSuchOverload(): CelError {
  return evaluationError('no such overload');
}

/** Only errors of evaluation are absorbed: what is out of budget stays out of budget. */
export function isAbsorbable(error: unknown): error is CelError {
  return error instanceof CelError && error.code === 'Evaluation';
}
