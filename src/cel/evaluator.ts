/** Runs a checked tree. Every step is paid for before it is done, so that an expression ends before it costs too much. */
import { accumulatorName, type CallNode, type CelNode, type ComprehensionNode, operatorNames, type SelectNode } from './ast.ts';
import type { Meter } from './budget.ts';
import { equals, formOf } from './comparison.ts';
import { type CelError, evaluationError, isAbsorbable, noSuchOverload } from './errors.ts';
import type { FunctionTable, Overload } from './functions.ts';
import { shown } from './library/text-forms.ts';
import { CelList } from './lists.ts';
import { CelMap, keyForm, ValueMap } from './maps.ts';
import { type Cost, costOf, costs } from './runtime-cost.ts';
import type { CelType } from './types.ts';
import { CelOptional, type CelValue, kindOf } from './values.ts';

/** Parts of a tree whose value is known before it runs. */
export interface Constants {
  values: ReadonlyMap<CelNode, CelValue>;
  /** Of constant lists that only `in` looks at: the forms of their elements. */
  members: ReadonlyMap<CelNode, ReadonlySet<string>>;
}

type Entries = Map<string, readonly [CelValue, CelValue]>;

/** A variable of a macro. */
interface Frame {
  name: string;
  value: CelValue;
  /** The error that the accumulator of `all` and `exists` holds. */
  error?: CelError;
  /** The list or map that a macro is making: it grows in place, nobody else sees it before it is done. */
  items?: CelValue[];
  entries?: Entries;
}

/** A value made by `Name{field: value}`. */
export class StructValue extends ValueMap {
  override readonly objectName: string;

  constructor(name: string, entries: Entries) {
    super(entries);
    this.objectName = name;
  }
}

/** More parts than this in one comparison are paid for. */
const comparedPerUnit = 100;

function accepts(type: CelType, value: CelValue): boolean {
  if (type.kind === 'parameter' || type.kind === 'dyn') return true;
  const kind = kindOf(value);
  if (type.kind === 'object') return kind === 'map';
  if (type.kind === 'opaque') return kind === 'opaque' && (value as { typeName: string }).typeName === type.name;
  return kind === type.kind;
}

function fits({ args }: Overload, values: readonly CelValue[]): boolean {
  for (let index = 0; index < args.length; index++) {
    if (!accepts(args[index] as CelType, values[index] as CelValue)) return false;
  }
  return args.length === values.length;
}

/** What a call can mean, looked up once. */
interface Candidate {
  overload: Overload;
  cost: Cost;
}

export class Evaluation {
  readonly #functions: FunctionTable;
  readonly #constants: Constants;
  readonly #variable: (name: string) => CelValue | undefined;
  readonly #meter: Meter;
  readonly #frames: Frame[] = [];
  readonly #candidates = new Map<CallNode, readonly Candidate[]>();

  constructor(functions: FunctionTable, constants: Constants, variable: (name: string) => CelValue | undefined, meter: Meter) {
    this.#functions = functions;
    this.#constants = constants;
    this.#variable = variable;
    this.#meter = meter;
  }

  /** Throws CelError. */
  value(node: CelNode): CelValue {
    const constant = this.#constants.values.get(node);
    if (constant !== undefined) return constant;
    switch (node.kind) {
      case 'literal':
        return node.value;
      case 'ident':
        return node.typeValue ?? this.#ident(node.name);
      case 'select':
        return this.#select(node);
      case 'call':
        return this.#call(node);
      case 'list':
        return this.#list(node.elements, node.optional);
      case 'map':
        return this.#map(node);
      case 'struct':
        return this.#struct(node);
      case 'comprehension':
        return this.#comprehension(node);
    }
  }

  #ident(name: string): CelValue {
    this.#meter.spend(costs.ident);
    const frame = this.#frame(name);
    if (!frame) {
      const value = this.#variable(name);
      if (value === undefined) throw evaluationError(`no such attribute(s): ${name}`);
      return value;
    }
    if (frame.error) throw frame.error;
    if (frame.items) return CelList.of(frame.items);
    return frame.entries ? new ValueMap(frame.entries) : frame.value;
  }

  #frame(name: string): Frame | undefined {
    for (let index = this.#frames.length - 1; index >= 0; index--) {
      const frame = this.#frames[index] as Frame;
      if (frame.name === name) return frame;
    }
    return undefined;
  }

  #select({ operand, field, testOnly }: SelectNode): CelValue {
    const target = this.value(operand);
    if (!testOnly) this.#meter.spend(costs.select);
    const optional = target instanceof CelOptional;
    const inner = optional ? target.value : target;
    if (optional && inner === undefined) return testOnly ? false : CelOptional.none;
    if (!(inner instanceof CelMap)) throw noSuchOverload();
    const value = inner.field(field);
    if (testOnly) return value !== undefined;
    if (optional) return value === undefined ? CelOptional.none : new CelOptional(value);
    if (value === undefined) throw evaluationError(`no such key: ${field}`);
    return value;
  }

  #call(node: CallNode): CelValue {
    switch (node.name) {
      case operatorNames['&&']:
        return this.#logical(node, false);
      case operatorNames['||']:
        return this.#logical(node, true);
      case operatorNames['?:']: {
        const [condition, yes, no] = node.args as [CelNode, CelNode, CelNode];
        return this.value(this.#truth(condition) ? yes : no);
      }
      case operatorNames.notStrictlyFalse:
        return this.#notFalse(node.args[0] as CelNode);
      case operatorNames['.?']:
        return this.#optionalSelect(node.args as [CelNode, CelNode]);
      case operatorNames.mapInsert:
        return this.#insert(node);
      case operatorNames['+']:
        if (this.#appends(node)) return this.#append(node.args as [CelNode, CelNode]);
        break;
      case operatorNames.in: {
        const members = this.#constants.members.get(node.args[1] as CelNode);
        if (members) return members.has(formOf(this.value(node.args[0] as CelNode)));
        break;
      }
      default:
    }
    const args = (node.target ? [node.target, ...node.args] : node.args).map((arg) => this.value(arg));
    return this.#apply(node, args);
  }

  #apply(node: CallNode, args: readonly CelValue[]): CelValue {
    const candidate = this.#candidatesOf(node).find(({ overload }) => fits(overload, args));
    if (!candidate) throw noSuchOverload();
    const { id, call } = candidate.overload;
    this.#meter.spend(candidate.cost(args, id));
    if (id !== 'equals' && id !== 'not_equals') return call(...(args as never[]));
    const work = { parts: 0 };
    const same = equals(args[0] as CelValue, args[1] as CelValue, work);
    this.#meter.spend(Math.floor(work.parts / comparedPerUnit));
    return same === (id === 'equals');
  }

  #candidatesOf(node: CallNode): readonly Candidate[] {
    const known = this.#candidates.get(node);
    if (known) return known;
    const candidates = (node.overloads ?? []).map((id) => {
      const overload = this.#functions.withId(id);
      return { overload, cost: costOf(overload.name, id) };
    });
    this.#candidates.set(node, candidates);
    return candidates;
  }

  #truth(node: CelNode): boolean {
    const value = this.value(node);
    if (typeof value !== 'boolean') throw noSuchOverload();
    return value;
  }

  /** Either side that decides wins, even when the other one is an error. */
  #logical({ args: [left, right] }: CallNode, decisive: boolean): boolean {
    let failure: CelError | undefined;
    for (const side of [left, right] as [CelNode, CelNode]) {
      try {
        if (this.#truth(side) === decisive) return decisive;
      } catch (error) {
        if (!isAbsorbable(error)) throw error;
        failure ??= error;
      }
    }
    if (failure) throw failure;
    return !decisive;
  }

  #notFalse(node: CelNode): boolean {
    this.#meter.spend(1);
    try {
      return this.value(node) !== false;
    } catch (error) {
      if (!isAbsorbable(error)) throw error;
      return true;
    }
  }

  #optionalSelect([operand, field]: [CelNode, CelNode]): CelValue {
    const target = this.value(operand);
    this.#meter.spend(costs.select);
    const inner = target instanceof CelOptional ? target.value : target;
    if (inner === undefined) return CelOptional.none;
    if (!(inner instanceof CelMap)) throw noSuchOverload();
    const value = inner.field(String(this.value(field)));
    return value === undefined ? CelOptional.none : new CelOptional(value);
  }

  #appends({ args: [left, right] }: CallNode): boolean {
    if (left?.kind !== 'ident' || left.name !== accumulatorName || right?.kind !== 'list') return false;
    return this.#frame(accumulatorName)?.items !== undefined;
  }

  #append([accumulator, added]: [CelNode, CelNode]): CelValue {
    const frame = this.#frame(accumulatorName) as Frame & { items: CelValue[] };
    const before = this.value(accumulator);
    const list = this.value(added) as CelList;
    this.#meter.spend(1);
    frame.items.push(...list.items);
    return before;
  }

  /** The step of transformMap and transformMapEntry. */
  #insert({ args }: CallNode): CelValue {
    const [accumulator, ...rest] = args as [CelNode, ...CelNode[]];
    const frame = this.#frame(accumulatorName) as Frame & { entries: Entries };
    const before = this.value(accumulator);
    const added = rest.map((node) => this.value(node));
    this.#meter.spend(1);
    if (added.length === 2) addEntry(frame.entries, added[0] as CelValue, added[1] as CelValue);
    else {
      const map = added[0];
      if (!(map instanceof CelMap)) throw noSuchOverload();
      this.#meter.spend(Math.floor(map.size / comparedPerUnit));
      for (const key of map.keys()) addEntry(frame.entries, key, map.get(key) as CelValue);
    }
    return before;
  }

  #list(elements: readonly CelNode[], optional: ReadonlySet<number>): CelValue {
    this.#meter.spend(costs.list);
    const items: CelValue[] = [];
    elements.forEach((element, index) => {
      const value = this.#entryValue(element, optional.has(index));
      if (value !== undefined) items.push(value);
    });
    return CelList.of(items);
  }

  /** Undefined for an optional entry without a value. */
  #entryValue(node: CelNode, optional: boolean): CelValue | undefined {
    const value = this.value(node);
    if (!optional) return value;
    if (!(value instanceof CelOptional)) throw evaluationError('cannot initialize optional list element from non-optional value');
    return value.value;
  }

  #map(node: Extract<CelNode, { kind: 'map' }>): CelValue {
    this.#meter.spend(costs.map);
    const entries: Entries = new Map();
    for (const { key, value, optional } of node.entries) {
      const name = this.value(key);
      const member = this.#entryValue(value, optional);
      const form = keyForm(name);
      if (form === undefined) throw evaluationError(`unsupported key type: ${kindOf(name)}`);
      if (entries.has(form)) throw evaluationError(`Failed with repeated key: ${shown(name)}`);
      if (member !== undefined) entries.set(form, [name, member]);
    }
    return new ValueMap(entries);
  }

  #struct(node: Extract<CelNode, { kind: 'struct' }>): CelValue {
    this.#meter.spend(costs.struct);
    const entries: Entries = new Map();
    for (const { name, value, optional } of node.fields) {
      const member = this.#entryValue(value, optional);
      if (member !== undefined) entries.set(keyForm(name) as string, [name, member]);
    }
    return new StructValue(node.name, entries);
  }

  #comprehension(node: ComprehensionNode): CelValue {
    const range = this.value(node.range);
    const { initial } = node;
    const frame: Frame = { name: node.accumulator, value: this.value(initial) };
    if (node.accumulator === accumulatorName) {
      if (initial.kind === 'list') frame.items = [];
      else if (initial.kind === 'map') frame.entries = new Map();
    }
    const depth = this.#frames.length;
    this.#frames.push(frame);
    try {
      const first: Frame = { name: node.variable, value: null };
      this.#frames.push(first);
      const second: Frame = { name: node.variable2 ?? '', value: null };
      if (node.variable2 !== undefined) this.#frames.push(second);
      for ([first.value, second.value] of pairsOf(range, node.variable2 !== undefined)) {
        if (!this.#truth(node.condition)) break;
        this.#step(node, frame);
      }
      this.#frames.length = depth + 1;
      return this.value(node.result);
    } finally {
      this.#frames.length = depth;
    }
  }

  #step({ step, condition }: ComprehensionNode, frame: Frame): void {
    try {
      const value = this.value(step);
      frame.error = undefined;
      frame.value = value;
    } catch (error) {
      // Only where the condition asks for the accumulator can a later element still decide.
      if (!isAbsorbable(error) || condition.kind === 'literal') throw error;
      frame.error = error;
    }
  }
}

function addEntry(entries: Entries, key: CelValue, value: CelValue): void {
  const form = keyForm(key);
  if (form === undefined) throw evaluationError(`unsupported key type: ${kindOf(key)}`);
  if (entries.has(form)) throw evaluationError(`insert failed: key ${shown(key)} already exists`);
  entries.set(form, [key, value]);
}

/** What a macro goes through: elements, or keys; with two variables indexes and elements, or keys and values. */
function* pairsOf(range: CelValue, two: boolean): Generator<[CelValue, CelValue]> {
  if (range instanceof CelList) {
    let index = 0n;
    for (const item of range.items) yield two ? [index++, item] : [item, null];
  } else if (range instanceof CelMap) {
    for (const key of range.keys()) yield [key, two ? (range.get(key) as CelValue) : null];
  } else throw noSuchOverload();
}
