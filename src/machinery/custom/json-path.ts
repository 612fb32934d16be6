/**
 * The JSON paths of printer columns, scales and selectable fields: `.spec.replicas`, `.items[0].name`, `.a\.b`, `['x']`, `[*]`, and
 * filters such as `.conditions[?(@.type=="Ready")].status`. Parsed once, without evaluation of anything but comparisons.
 */
import { isObject } from './json-schema.ts';

type Step =
  | { type: 'member'; name: string }
  | { type: 'index'; at: number }
  | { type: 'slice'; from: number; to: number | undefined }
  | { type: 'all' }
  | { type: 'deep'; name: string }
  | { type: 'filter'; path: Step[]; operator: string | undefined; literal: unknown };

/** Values found; more are of no use to a cell. */
const resultsMax = 100;

/** What a path finds in a value, in order, at most 100. */
export type JsonPath = (value: unknown) => unknown[];

/** Undefined when the text is no path. */
export function parseJsonPath(text: string): JsonPath | undefined {
  const steps = stepsOf(text);
  return steps && ((value) => follow([value], steps));
}

/** The names that a path goes through when it consists of nothing else, such as `.spec.replicas`. */
export function simplePath(text: string): string[] | undefined {
  const names = stepsOf(text)?.map((step) => (step.type === 'member' ? step.name : undefined));
  return names?.every((name) => name !== undefined) ? (names as string[]) : undefined;
}

const stepShapes: [RegExp, (found: RegExpExecArray) => Step | undefined][] = [
  [/^\.\.((?:\\.|[^.[\]\s])+)/, ([, name = '']) => ({ type: 'deep', name: unescaped(name) })],
  [/^\.?\*|^\.?\[\*\]/, () => ({ type: 'all' })],
  [/^\.((?:\\.|[^.[\]\s])+)/, ([, name = '']) => ({ type: 'member', name: unescaped(name) })],
  [/^\.?\[(-?\d+)\]/, ([, at]) => ({ type: 'index', at: Number(at) })],
  [/^\.?\[(-?\d*):(-?\d*)\]/, ([, from, to]) => ({ type: 'slice', from: Number(from || 0), to: to ? Number(to) : undefined })],
  [/^\.?\['((?:\\.|[^'])*)'\]/, ([, name = '']) => ({ type: 'member', name: unescaped(name) })],
  [/^\.?\["((?:\\.|[^"])*)"\]/, ([, name = '']) => ({ type: 'member', name: unescaped(name) })],
  [/^\.?\[\?\(\s*@((?:"[^"]*"|'[^']*'|[^"'])*?)\s*\)\]/, ([, inside = '']) => filterOf(inside)],
];

function stepsOf(text: string): Step[] | undefined {
  const steps: Step[] = [];
  let rest = text.replace(/^\{(.*)\}$/s, '$1').replace(/^\$/, '');
  if (rest === '.') return steps;
  if (!/^[.[]/.test(rest)) return undefined;
  while (rest !== '') {
    let step: Step | undefined;
    for (const [shape, make] of stepShapes) {
      const found = shape.exec(rest);
      if (!found) continue;
      step = make(found);
      rest = rest.slice(found[0].length);
      break;
    }
    if (!step) return undefined;
    steps.push(step);
  }
  return steps;
}

function filterOf(inside: string): Step | undefined {
  const compared = /^(.*?)\s*(==|!=|<=|>=|<|>)\s*(.*)$/s.exec(inside);
  const path = stepsOf(compared?.[1] || (compared ? '.' : inside));
  if (!path) return undefined;
  if (!compared) return { type: 'filter', path, operator: undefined, literal: undefined };
  const literal = literalOf(compared[3] ?? '');
  return literal === undefined ? undefined : { type: 'filter', path, operator: compared[2], literal };
}

function literalOf(text: string): unknown {
  const quoted = /^(["'])(.*)\1$/s.exec(text);
  if (quoted) return quoted[2];
  if (text === 'true' || text === 'false') return text === 'true';
  return text !== '' && Number.isFinite(Number(text)) ? Number(text) : undefined;
}

const unescaped = (name: string) => name.replace(/\\(.)/g, '$1');

function follow(values: unknown[], steps: readonly Step[]): unknown[] {
  let found = values;
  for (const step of steps) found = found.flatMap((value) => [...stepInto(value, step)]).slice(0, resultsMax);
  return found;
}

function* stepInto(value: unknown, step: Step): Generator<unknown> {
  switch (step.type) {
    case 'member':
      if (isObject(value) && Object.hasOwn(value, step.name)) yield value[step.name];
      return;
    case 'index':
      if (Array.isArray(value) && step.at < value.length && step.at >= -value.length) yield value.at(step.at);
      return;
    case 'slice':
      if (Array.isArray(value)) yield* value.slice(step.from, step.to);
      return;
    case 'all':
      if (typeof value === 'object' && value !== null) yield* Object.values(value);
      return;
    case 'deep':
      yield* deep(value, step.name);
      return;
    case 'filter':
      if (Array.isArray(value)) yield* value.filter((item) => passes(item, step));
  }
}

function* deep(value: unknown, name: string): Generator<unknown> {
  if (typeof value !== 'object' || value === null) return;
  if (isObject(value) && Object.hasOwn(value, name)) yield value[name];
  for (const member of Object.values(value)) yield* deep(member, name);
}

function passes(item: unknown, { path, operator, literal }: Extract<Step, { type: 'filter' }>): boolean {
  const [left] = follow([item], path);
  if (operator === undefined) return left !== undefined;
  if (left === undefined) return false;
  if (operator === '==') return left === literal;
  if (operator === '!=') return left !== literal;
  if (typeof left !== typeof literal || (typeof left !== 'number' && typeof left !== 'string')) return false;
  const [a, b] = [left, literal as typeof left];
  if (operator === '<') return a < b;
  if (operator === '<=') return a <= b;
  return operator === '>' ? a > b : a >= b;
}
