/** Finds what is known of an expression before it runs: lists and maps of literals, `duration('1h')`, and mistakes in literals. */
import { type CallNode, type CelNode, operatorNames } from './ast.ts';
import { formOf } from './comparison.ts';
import { isAbsorbable } from './errors.ts';
import type { Constants } from './evaluator.ts';
import type { FunctionTable } from './functions.ts';
import { CelList } from './lists.ts';
import { keyForm, ValueMap } from './maps.ts';
import { patternComplaint } from './regex/index.ts';
import type { Source } from './source.ts';
import { parseDuration, parseTimestamp } from './time.ts';
import type { CelValue } from './values.ts';

/** The parts directly inside a node. */
export function childrenOf(node: CelNode): CelNode[] {
  switch (node.kind) {
    case 'select':
      return [node.operand];
    case 'call':
      return node.target ? [node.target, ...node.args] : node.args;
    case 'list':
      return node.elements;
    case 'map':
      return node.entries.flatMap(({ key, value }) => [key, value]);
    case 'struct':
      return node.fields.map(({ value }) => value);
    case 'comprehension':
      return [node.range, node.initial, node.condition, node.step, node.result];
    default:
      return [];
  }
}

const converters = new Set(['bool', 'bytes', 'double', 'duration', 'int', 'string', 'timestamp', 'uint']);

export function constantsOf(root: CelNode, functions: FunctionTable): Constants {
  const values = new Map<CelNode, CelValue>();
  const members = new Map<CelNode, ReadonlySet<string>>();
  const visit = (node: CelNode): void => {
    for (const child of childrenOf(node)) visit(child);
    const value = known(node);
    if (value !== undefined) values.set(node, value);
    if (node.kind !== 'call' || node.name !== operatorNames.in) return;
    const list = values.get(node.args[1] as CelNode);
    if (list instanceof CelList) members.set(node.args[1] as CelNode, new Set(list.items.map(formOf)));
  };
  const knownParts = (nodes: readonly CelNode[]) => {
    const parts = nodes.map((node) => values.get(node));
    return parts.includes(undefined) ? undefined : (parts as CelValue[]);
  };
  const known = (node: CelNode): CelValue | undefined => {
    if (node.kind === 'literal') return node.value;
    if (node.kind === 'list' && node.optional.size === 0) {
      const items = knownParts(node.elements);
      return items && CelList.of(items);
    }
    if (node.kind === 'map' && node.entries.every(({ optional }) => !optional)) return knownMap(node, knownParts);
    return node.kind === 'call' && converters.has(node.name) ? converted(node) : undefined;
  };
  const converted = (node: CallNode): CelValue | undefined => {
    const [id, ...others] = node.overloads ?? [];
    const args = node.target || node.args.length !== 1 ? undefined : knownParts(node.args);
    if (!args || id === undefined || others.length > 0) return undefined;
    try {
      return functions.withId(id).call(...(args as never[]));
    } catch (error) {
      if (!isAbsorbable(error)) throw error;
      // It is said when it runs.
      return undefined;
    }
  };
  visit(root);
  return { values, members };
}

function knownMap(
  node: Extract<CelNode, { kind: 'map' }>,
  knownParts: (nodes: readonly CelNode[]) => CelValue[] | undefined,
): CelValue | undefined {
  const keys = knownParts(node.entries.map(({ key }) => key));
  const members = knownParts(node.entries.map(({ value }) => value));
  const forms = keys?.map(keyForm);
  if (!keys || !members || !forms || new Set(forms).size < forms.length || forms.includes(undefined)) return undefined;
  return ValueMap.of(keys.map((key, index) => [key, members[index] as CelValue] as const));
}

/** Reports literals that can never be what the function around them needs. */
export function checkLiterals(source: Source, root: CelNode): void {
  const visit = (node: CelNode): void => {
    for (const child of childrenOf(node)) visit(child);
    if (node.kind !== 'call') return;
    const pattern = node.name === 'matches' ? node.args.at(-1) : undefined;
    const argument = pattern ?? (node.args.length === 1 ? node.args[0] : undefined);
    if (argument?.kind !== 'literal' || typeof argument.value !== 'string') return;
    const wrong =
      (pattern && patternComplaint(argument.value) !== undefined) ||
      (node.name === 'duration' && parseDuration(argument.value) === undefined) ||
      (node.name === 'timestamp' && parseTimestamp(argument.value) === undefined);
    if (wrong) source.report(argument.offset, `invalid ${node.name} argument`);
  };
  visit(root);
}
