/** What expressions can name, and expressions that are ready to run. */
import type { CelNode } from './ast.ts';
import { type CelBudget, Meter } from './budget.ts';
import { check } from './checker.ts';
import { checkLiterals, childrenOf, constantsOf } from './constants.ts';
import { fromJson } from './convert.ts';
import { CelError, evaluationError } from './errors.ts';
import { estimateCost, type VariableSizes } from './estimate.ts';
import { type Constants, Evaluation } from './evaluator.ts';
import { FunctionTable, type Overload, overload } from './functions.ts';
import { standardLibrary } from './library/index.ts';
import { parse } from './parser.ts';
import { Source } from './source.ts';
import { type CelType, celTypes, formatType, type ObjectType, sameType } from './types.ts';
import type { CelValue } from './values.ts';

const standard = new FunctionTable(standardLibrary);

export interface CelEnvironmentOptions {
  /** Types by name; a name may have dots. */
  variables: Readonly<Record<string, CelType>>;
  /** More functions: signatures such as `greet(string): string` or `string.shout(): string` and what they do. */
  functions?: Readonly<Record<string, (...args: never[]) => CelValue>>;
  /** Types that expressions may make with `Name{field: value}`. */
  structs?: (name: string) => ObjectType | undefined;
}

export interface CelProgram {
  readonly source: string;
  /** Of the value. */
  readonly type: CelType;
  /** The names of the declared variables that the expression uses. */
  readonly uses: ReadonlySet<string>;
  /**
   * The most units that one evaluation can cost by the bounds of the declared types, 2^64 when nothing bounds it. `sizes` bounds
   * variables whose type does not.
   */
  estimateCost(sizes?: VariableSizes): number;
  /**
   * The value for these variables: JSON of the declared types, or values of this language. Throws CelError: `Evaluation`,
   * `CallCost` or `Budget`. Give functions for variables that are only made when they are used.
   */
  evaluate(variables: Readonly<Record<string, unknown>>, budget: CelBudget): CelValue;
}

export class CelEnvironment {
  readonly #variables: Readonly<Record<string, CelType>>;
  readonly #functions: FunctionTable;
  readonly #structs: (name: string) => ObjectType | undefined;

  constructor({ variables, functions = {}, structs = () => undefined }: CelEnvironmentOptions) {
    this.#variables = variables;
    const more: Overload[] = Object.entries(functions).map(([signature, call]) => overload(signature, signature, call));
    this.#functions = standard.with(more);
    this.#structs = structs;
  }

  /** Throws CelError `Compilation`; with `result`, also when the value is of none of these types. */
  compile(text: string, { result }: { result?: CelType | readonly CelType[] } = {}): CelProgram {
    const source = new Source(text);
    const root = parse(source);
    const type = check(source, root, { variables: this.#variables, functions: this.#functions, structs: this.#structs });
    source.throwIssues();
    checkLiterals(source, root);
    source.throwIssues();
    const wanted = result === undefined ? [] : [result].flat();
    if (wanted.length > 0 && !wanted.some((one) => one.kind === 'dyn' || sameType(one, type))) {
      const names = wanted.map((one) => (one.kind === 'null' ? 'null_type' : formatType(one)));
      throw new CelError(
        'Compilation',
        names.length === 1 ? `must evaluate to ${names[0]}` : `must evaluate to one of [${names.join(' ')}]`,
      );
    }
    return new Program(text, root, type, this.#functions, this.#variables);
  }
}

class Program implements CelProgram {
  readonly source: string;
  readonly type: CelType;
  readonly uses: ReadonlySet<string>;
  readonly #root: CelNode;
  readonly #functions: FunctionTable;
  readonly #variables: Readonly<Record<string, CelType>>;
  readonly #constants: Constants;

  constructor(
    source: string,
    root: CelNode,
    type: CelType,
    functions: FunctionTable,
    variables: Readonly<Record<string, CelType>>,
  ) {
    this.source = source;
    this.#root = root;
    this.type = type;
    this.#functions = functions;
    this.#variables = variables;
    this.#constants = constantsOf(root, functions);
    this.uses = variablesIn(root, variables);
  }

  estimateCost(sizes?: VariableSizes): number {
    return estimateCost(this.#root, this.#variables, sizes);
  }

  evaluate(variables: Readonly<Record<string, unknown>>, budget: CelBudget): CelValue {
    const converted = new Map<string, CelValue>();
    const variable = (name: string): CelValue | undefined => {
      const known = converted.get(name);
      if (known !== undefined || !Object.hasOwn(variables, name)) return known;
      const given = variables[name];
      const json = typeof given === 'function' ? (given as () => unknown)() : given;
      if (json === undefined) return undefined;
      const value = fromJson(json, this.#variables[name] ?? celTypes.dyn);
      converted.set(name, value);
      return value;
    };
    try {
      return new Evaluation(this.#functions, this.#constants, variable, new Meter(budget)).value(this.#root);
    } catch (error) {
      // Values that nest too deeply for a recursive comparison or conversion.
      if (error instanceof RangeError) throw evaluationError('value nests too deeply');
      throw error;
    }
  }
}

function variablesIn(root: CelNode, variables: Readonly<Record<string, CelType>>): Set<string> {
  const found = new Set<string>();
  const visit = (node: CelNode): void => {
    if (node.kind === 'ident' && Object.hasOwn(variables, node.name)) found.add(node.name);
    for (const child of childrenOf(node)) visit(child);
  };
  visit(root);
  return found;
}
