/**
 * What an expression costs at most, before it runs: from the bounds that the schema sets to lists, maps and texts. Kubernetes
 * refuses rules of a CustomResourceDefinition by this estimate, so it follows the same way of counting.
 */
import {
  accumulatorName,
  type CallNode,
  type CelNode,
  type ComprehensionNode,
  type LiteralNode,
  operatorNames,
  type SelectNode,
} from './ast.ts';
import { fieldNameFor } from './escaping.ts';
import { add, either, exactly, multiply, none, type Range, unbounded, unknown } from './estimate-arithmetic.ts';
import { type CallEstimate, estimateCall } from './estimate-calls.ts';
import { costs } from './runtime-cost.ts';
import type { CelType } from './types.ts';
import { sizeOf } from './values.ts';

/** What is known of the elements of a list or map that the expression makes. */
interface EntrySizes {
  list: boolean;
  key: Range;
  value: Range;
}

interface Local {
  /** The declared type when the variable is part of a declared one. */
  declared?: CelType;
  size?: Range;
  entries?: EntrySizes;
}

/** A value in an expression, as far as its size is known. */
export interface Sized {
  node: CelNode;
  type: CelType;
  /** The declared type when the value is a part of a variable. */
  declared?: CelType;
  size: Range;
  /** Of the elements, when the expression made the list itself. */
  elements?: Range;
}

/** Sizes of variables by name, where their declared type does not say. */
export type VariableSizes = Readonly<Record<string, number>>;

/** The most units that one evaluation can cost; 2^64 when nothing bounds it. */
export function estimateCost(root: CelNode, variables: Readonly<Record<string, CelType>>, sizes: VariableSizes = {}): number {
  return new Estimator(variables, sizes).cost(root).most;
}

const scalars = new Set(['bool', 'double', 'duration', 'int', 'timestamp', 'uint', 'null', 'type']);

class Estimator {
  readonly #variables: Readonly<Record<string, CelType>>;
  readonly #sizes: VariableSizes;
  readonly #declared = new Map<CelNode, CelType>();
  readonly #computed = new Map<CelNode, Range>();
  readonly #entries = new Map<CelNode, EntrySizes>();
  readonly #locals: [string, Local][] = [];

  constructor(variables: Readonly<Record<string, CelType>>, sizes: VariableSizes) {
    this.#variables = variables;
    this.#sizes = sizes;
  }

  cost(node: CelNode): Range {
    switch (node.kind) {
      case 'literal':
        return none;
      case 'ident':
        return node.typeValue === undefined ? this.#ident(node, node.name) : exactly(costs.ident);
      case 'select':
        return this.#select(node);
      case 'call':
        return this.#call(node);
      case 'list':
      case 'map':
        return this.#container(node);
      case 'struct':
        return add(exactly(costs.struct), ...node.fields.map(({ value }) => this.cost(value)));
      case 'comprehension':
        return node.accumulator === accumulatorName ? this.#comprehension(node) : this.#bind(node);
    }
  }

  #local(name: string): Local | undefined {
    return this.#locals.findLast(([known]) => known === name)?.[1];
  }

  #ident(node: CelNode, name: string): Range {
    const local = this.#local(name);
    const declared = local ? local.declared : this.#variables[name];
    if (declared) this.#declared.set(node, declared);
    if (!local && Object.hasOwn(this.#sizes, name)) this.#computed.set(node, { least: 0, most: this.#sizes[name] as number });
    return exactly(costs.ident);
  }

  #select(node: SelectNode): Range {
    const operand = this.cost(node.operand);
    if (node.testOnly) return operand;
    const kind = node.operand.type?.kind;
    const declared = this.#declared.get(node.operand);
    if (declared?.kind === 'object') {
      const name = fieldNameFor(declared, node.field);
      if (name !== undefined) this.#declared.set(node, declared.fields[name] as CelType);
    }
    const counts = kind === 'map' || kind === 'object' || kind === 'parameter';
    return counts ? add(operand, exactly(costs.select)) : operand;
  }

  /** The size of a value, undefined when nothing is known. */
  #sizeIfKnown(node: CelNode): Range | undefined {
    const computed = this.#computed.get(node);
    if (computed) return computed;
    if (node.kind === 'literal') return exactly(sizeOf((node as LiteralNode).value));
    if (node.kind === 'list') return exactly(node.elements.length);
    if (node.kind === 'map') return exactly(node.entries.length);
    const declared = this.#declared.get(node);
    if (declared?.maxSize !== undefined) return { least: 0, most: declared.maxSize };
    if (node.type && scalars.has(node.type.kind)) return exactly(1);
    return node.kind === 'ident' ? this.#local(node.name)?.size : undefined;
  }

  #size(node: CelNode): Range {
    return this.#sizeIfKnown(node) ?? unknown;
  }

  #entrySizes(node: CelNode): EntrySizes | undefined {
    return this.#entries.get(node) ?? (node.kind === 'ident' ? this.#local(node.name)?.entries : undefined);
  }

  #sized(node: CelNode): Sized {
    return {
      node,
      type: node.type as CelType,
      declared: this.#declared.get(node),
      size: this.#size(node),
      elements: this.#entrySizes(node)?.value,
    };
  }

  #call(node: CallNode): Range {
    const { name, target, args } = node;
    if (name === 'dyn') {
      const [argument] = args as [CelNode];
      const cost = add(exactly(1), this.cost(argument));
      this.#copySizes(node, argument);
      return cost;
    }
    const parts = target ? [target, ...args] : args;
    const partCosts = parts.map((part) => this.cost(part));
    if (name === operatorNames['&&'] || name === operatorNames['||']) {
      const [left = none] = partCosts;
      return { least: left.least, most: add(...partCosts).most };
    }
    if (name === operatorNames['?:']) return this.#conditional(node, partCosts as [Range, Range, Range]);
    const sized = parts.map((part) => this.#sized(part));
    const estimates = (node.overloads ?? []).map((id) => estimateCall(name, id, sized));
    const cost = estimates.map((estimate) => estimate.cost).reduce(either, { least: unbounded, most: 0 });
    this.#result(node, estimates, sized);
    return add(cost, ...partCosts);
  }

  /** What is known of a call's result. */
  #result(node: CallNode, estimates: readonly CallEstimate[], parts: readonly Sized[]): void {
    const sizes = estimates.flatMap(({ size }) => (size ? [size] : []));
    if (sizes.length > 0) this.#computed.set(node, sizes.reduce(either));
    const [first, second] = parts;
    if (!first) return;
    if (node.name === operatorNames['[]']) {
      if (first.declared?.kind === 'list') this.#declared.set(node, first.declared.element);
      if (first.declared?.kind === 'map') this.#declared.set(node, first.declared.value);
      const size = this.#entrySizes(first.node)?.value;
      if (size) this.#computed.set(node, size);
    }
    if (node.name === operatorNames['+'] && second) this.#joinEntries(node, first.node, second.node);
  }

  #joinEntries(node: CelNode, a: CelNode, b: CelNode): void {
    const [left, right] = [this.#entrySizes(a), this.#entrySizes(b)];
    if (!left || !right) return;
    this.#entries.set(node, { list: left.list, key: either(left.key, right.key), value: either(left.value, right.value) });
  }

  #conditional(node: CallNode, [condition, yes, no]: [Range, Range, Range]): Range {
    const [, left, right] = node.args as [CelNode, CelNode, CelNode];
    this.#computed.set(node, either(this.#size(left), this.#size(right)));
    this.#joinEntries(node, left, right);
    return add(condition, either(yes, no));
  }

  #container(node: Extract<CelNode, { kind: 'list' | 'map' }>): Range {
    const list = node.kind === 'list';
    const keys = list ? [] : node.entries.map(({ key }) => key);
    const members = list ? node.elements : node.entries.map(({ value }) => value);
    const cost = add(exactly(list ? costs.list : costs.map), ...[...keys, ...members].map((part) => this.cost(part)));
    const sizes = (parts: readonly CelNode[]) =>
      parts.length === 0 ? none : parts.map((part) => this.#size(part)).reduce(either);
    this.#entries.set(node, { list, key: list ? exactly(1) : sizes(keys), value: sizes(members) });
    return cost;
  }

  #copySizes(to: CelNode, from: CelNode): void {
    const size = this.#sizeIfKnown(from);
    if (size) this.#computed.set(to, size);
    const entries = this.#entrySizes(from);
    if (entries) this.#entries.set(to, entries);
  }

  #variable(node: CelNode): Local {
    return { declared: this.#declared.get(node), size: this.#sizeIfKnown(node), entries: this.#entrySizes(node) };
  }

  #bind(node: ComprehensionNode): Range {
    const cost = add(this.cost(node.range), this.cost(node.initial));
    this.#locals.push([node.accumulator, this.#variable(node.initial)]);
    const result = this.cost(node.result);
    this.#copySizes(node, node.result);
    this.#locals.pop();
    return add(cost, result);
  }

  #comprehension(node: ComprehensionNode): Range {
    const { range, initial, variable, variable2, condition, step, result } = node;
    const before = add(this.cost(range), this.cost(initial));
    this.#locals.push([node.accumulator, { ...this.#variable(initial), declared: undefined }]);
    const [first, second] = this.#iterated(range, variable2 !== undefined);
    this.#locals.push([variable, first]);
    if (variable2 !== undefined) this.#locals.push([variable2, second]);
    const each = add(this.cost(condition), this.cost(step));
    this.#locals.length -= variable2 === undefined ? 1 : 2;
    const after = this.cost(result);
    this.#locals.pop();
    const count = this.#size(range);
    if (initial.kind === 'literal') this.#computed.set(node, this.#size(initial));
    else if (initial.kind === 'list' || initial.kind === 'map') {
      this.#computed.set(node, count);
      const entries = this.#entrySizes(step);
      if (entries) this.#entries.set(node, entries);
    }
    return add(before, after, multiply(count, each));
  }

  #iterated(range: CelNode, two: boolean): [Local, Local] {
    const declared = this.#declared.get(range);
    const entries = this.#entrySizes(range);
    const list = entries?.list ?? range.type?.kind === 'list';
    const element = declared?.kind === 'list' ? declared.element : declared?.kind === 'map' ? declared.value : undefined;
    const key = declared?.kind === 'map' ? declared.key : undefined;
    const values: Local = { declared: element, size: entries?.value };
    const keys: Local = { declared: key, size: entries?.key };
    if (two) return [keys, values];
    return list ? [values, values] : [keys, keys];
  }
}
