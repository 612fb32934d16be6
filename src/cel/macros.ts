/** The macros: has, all, exists, exists_one, map, filter, transformList, transformMap, transformMapEntry, cel.bind, optMap, optFlatMap, sortBy. */
import { accumulatorName, type CallNode, type CelNode, type ComprehensionNode, operatorNames } from './ast.ts';

/** Says what is wrong and ends the parse. */
type Refuse = (offset: number, message: string) => never;

const accumulator = (offset: number): CelNode => ({ kind: 'ident', offset, name: accumulatorName });
const literal = (offset: number, value: boolean | bigint): CelNode => ({ kind: 'literal', offset, value });
const emptyList = (offset: number): CelNode => ({ kind: 'list', offset, elements: [], optional: new Set() });
const emptyMap = (offset: number): CelNode => ({ kind: 'map', offset, entries: [] });
const call = (offset: number, name: string, ...args: CelNode[]): CelNode => ({ kind: 'call', offset, name, args });

type Quantifier = 'all' | 'exists' | 'exists_one';

const quantifiers: Record<string, Quantifier> = {
  all: 'all',
  exists: 'exists',
  exists_one: 'exists_one',
  existsOne: 'exists_one',
};

/** The tree that the call stands for, or undefined when it is an ordinary call. */
export function expandMacro(node: CallNode, refuse: Refuse): CelNode | undefined {
  const { name, target, args } = node;
  if (!target) return name === 'has' && args.length === 1 ? presence(args[0] as CelNode, refuse) : undefined;
  const quantifier = Object.hasOwn(quantifiers, name) ? quantifiers[name] : undefined;
  if (quantifier && args.length === 2)
    return quantified(quantifier, node, oneVariable(node, refuse, 'argument must be a simple name'), refuse);
  if (quantifier && args.length === 3) return quantified(quantifier, node, twoVariables(node, refuse), refuse);
  if (name === 'map' && (args.length === 2 || args.length === 3)) {
    return gathered(node, oneVariable(node, refuse, 'argument is not an identifier'), args.slice(1));
  }
  if (name === 'filter' && args.length === 2) {
    const variables = oneVariable(node, refuse, 'argument is not an identifier');
    return gathered(node, variables, [args[1] as CelNode, { ...(args[0] as CelNode) }]);
  }
  if (args.length === 3 || args.length === 4) {
    if (name === 'transformList') return gathered(node, twoVariables(node, refuse), args.slice(2));
    if (name === 'transformMap') return inserted(node, twoVariables(node, refuse), args.slice(2), true);
    if (name === 'transformMapEntry') return inserted(node, twoVariables(node, refuse), args.slice(2), false);
    if (name === 'bind' && args.length === 3 && target.kind === 'ident' && target.name === 'cel') return bound(node, refuse);
  }
  if ((name === 'optMap' || name === 'optFlatMap') && args.length === 2) return optionalMap(node, refuse);
  if (name === 'sortBy' && args.length === 2) return sortedBy(node, refuse);
  return undefined;
}

function presence(argument: CelNode, refuse: Refuse): CelNode {
  if (argument.kind === 'select' && !argument.testOnly) return { ...argument, testOnly: true };
  return refuse(argument.offset, 'invalid argument to has() macro');
}

interface Variables {
  variable: string;
  variable2?: string;
}

function variableName(argument: CelNode, refuse: Refuse, complaint: string): string {
  if (argument.kind !== 'ident' || argument.name.startsWith('.')) return refuse(argument.offset, complaint);
  if (argument.name === '__result__') return refuse(argument.offset, 'iteration variable overwrites accumulator variable');
  return argument.name;
}

function oneVariable(node: CallNode, refuse: Refuse, complaint: string): Variables {
  return { variable: variableName(node.args[0] as CelNode, refuse, complaint) };
}

function twoVariables(node: CallNode, refuse: Refuse): Variables {
  const [first, second] = node.args as [CelNode, CelNode];
  const variable = variableName(first, refuse, 'argument must be a simple name');
  const variable2 = variableName(second, refuse, 'argument must be a simple name');
  if (variable === variable2) return refuse(second.offset, `duplicate variable name: ${variable}`);
  return { variable, variable2 };
}

type Fold = Pick<ComprehensionNode, 'initial' | 'condition' | 'step' | 'result'>;

function folded(node: CallNode, variables: Variables, fold: Fold): CelNode {
  const range = node.target as CelNode;
  return { kind: 'comprehension', offset: node.offset, range, accumulator: accumulatorName, ...variables, ...fold };
}

function quantified(quantifier: Quantifier, node: CallNode, variables: Variables, _refuse: Refuse): CelNode {
  const { offset } = node;
  const predicate = node.args.at(-1) as CelNode;
  const result = accumulator(offset);
  const goesOn = (operand: CelNode) => call(offset, operatorNames.notStrictlyFalse, operand);
  if (quantifier === 'all') {
    return folded(node, variables, {
      initial: literal(offset, true),
      condition: goesOn(accumulator(offset)),
      step: call(offset, operatorNames['&&'], accumulator(offset), predicate),
      result,
    });
  }
  if (quantifier === 'exists') {
    return folded(node, variables, {
      initial: literal(offset, false),
      condition: goesOn(call(offset, operatorNames['!'], accumulator(offset))),
      step: call(offset, operatorNames['||'], accumulator(offset), predicate),
      result,
    });
  }
  const more = call(offset, operatorNames['+'], accumulator(offset), literal(offset, 1n));
  return folded(node, variables, {
    initial: literal(offset, 0n),
    condition: literal(offset, true),
    step: call(offset, operatorNames['?:'], predicate, more, accumulator(offset)),
    result: call(offset, operatorNames['=='], result, literal(offset, 1n)),
  });
}

/** `[filter,] transform`: the step only happens where the filter holds. */
function filtered(offset: number, parts: CelNode[], step: (transform: CelNode) => CelNode): CelNode {
  const [first, second] = parts as [CelNode, CelNode?];
  if (!second) return step(first);
  return call(offset, operatorNames['?:'], first, step(second), accumulator(offset));
}

function gathered(node: CallNode, variables: Variables, parts: CelNode[]): CelNode {
  const { offset } = node;
  return folded(node, variables, {
    initial: emptyList(offset),
    condition: literal(offset, true),
    step: filtered(offset, parts, (transform) =>
      call(offset, operatorNames['+'], accumulator(offset), { kind: 'list', offset, elements: [transform], optional: new Set() }),
    ),
    result: accumulator(offset),
  });
}

function inserted(node: CallNode, variables: Variables, parts: CelNode[], keyed: boolean): CelNode {
  const { offset } = node;
  const key: CelNode = { kind: 'ident', offset, name: variables.variable };
  return folded(node, variables, {
    initial: emptyMap(offset),
    condition: literal(offset, true),
    step: filtered(offset, parts, (transform) =>
      call(offset, operatorNames.mapInsert, accumulator(offset), ...(keyed ? [key] : []), transform),
    ),
    result: accumulator(offset),
  });
}

/** A fold over nothing whose accumulator is the variable. */
function let_(offset: number, name: string, value: CelNode, result: CelNode): CelNode {
  return {
    kind: 'comprehension',
    offset,
    range: emptyList(offset),
    variable: '#unused',
    accumulator: name,
    initial: value,
    condition: literal(offset, false),
    step: { kind: 'ident', offset, name },
    result,
  };
}

function bound(node: CallNode, refuse: Refuse): CelNode {
  const [name, value, result] = node.args as [CelNode, CelNode, CelNode];
  const variable = variableName(name, refuse, 'cel.bind() variable names must be simple identifiers');
  return let_(node.offset, variable, value, result);
}

/** `opt.optMap(v, e)`: `optional.of(e)` with v bound where there is a value, else none; optFlatMap takes e as it is. */
function optionalMap(node: CallNode, refuse: Refuse): CelNode {
  const { offset, name, target, args } = node;
  const variable = variableName(args[0] as CelNode, refuse, `${name}() variable name must be a simple identifier`);
  const optional = target as CelNode;
  const member = (method: string, on: CelNode): CelNode => ({ kind: 'call', offset, name: method, target: on, args: [] });
  const holder = '@target';
  const held: CelNode = { kind: 'ident', offset, name: holder };
  const mapped = let_(offset, variable, member('value', { ...held }), args[1] as CelNode);
  const some = name === 'optMap' ? call(offset, 'optional.of', mapped) : mapped;
  const choice = call(offset, operatorNames['?:'], member('hasValue', { ...held }), some, call(offset, 'optional.none'));
  return let_(offset, holder, optional, choice);
}

/** `list.sortBy(x, key)`: the list in the order of the keys that the map macro makes of it. */
function sortedBy(node: CallNode, refuse: Refuse): CelNode {
  const { offset } = node;
  const variables = oneVariable(node, refuse, 'argument is not an identifier');
  const holder = '@sortBy';
  const held: CelNode = { kind: 'ident', offset, name: holder };
  const keys = gathered({ ...node, target: held }, variables, [node.args[1] as CelNode]);
  const sorted: CelNode = { kind: 'call', offset, name: '@sortByAssociatedKeys', target: { ...held }, args: [keys] };
  return let_(offset, holder, node.target as CelNode, sorted);
}
