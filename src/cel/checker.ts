/** Gives every part of an expression its type and every call the overloads that can be meant. Complaints go to the source. */
import type { CallNode, CelNode, ComprehensionNode, ListNode, MapNode, SelectNode, StructNode } from './ast.ts';
import { operatorNames } from './ast.ts';
import { fieldNameFor } from './escaping.ts';
import type { FunctionTable } from './functions.ts';
import type { Source } from './source.ts';
import { assign, mostGeneral, type Substitutions, substitute } from './type-inference.ts';
import {
  type CelType,
  celTypes,
  formatType,
  isDyn,
  listOf,
  mapOf,
  type ObjectType,
  optionalOf,
  sameType,
  typeOf,
} from './types.ts';
import { CelTypeValue } from './values.ts';

export interface Declarations {
  variables: Readonly<Record<string, CelType>>;
  functions: FunctionTable;
  /** Types that `Name{field: value}` can make. */
  structs: (name: string) => ObjectType | undefined;
}

/** Names of types as values, with what `type()` of them shows. */
const typeNames: Record<string, { type: CelType; shown: string }> = {
  bool: { type: celTypes.bool, shown: 'bool' },
  int: { type: celTypes.int, shown: 'int' },
  uint: { type: celTypes.uint, shown: 'uint' },
  double: { type: celTypes.double, shown: 'double' },
  string: { type: celTypes.string, shown: 'string' },
  bytes: { type: celTypes.bytes, shown: 'bytes' },
  null_type: { type: celTypes.null, shown: 'null_type' },
  list: { type: listOf(celTypes.dyn), shown: 'list' },
  map: { type: mapOf(celTypes.dyn, celTypes.dyn), shown: 'map' },
  type: { type: typeOf(), shown: 'type' },
  optional_type: { type: optionalOf(celTypes.dyn), shown: 'optional_type' },
  'google.protobuf.Timestamp': { type: celTypes.timestamp, shown: 'google.protobuf.Timestamp' },
  'google.protobuf.Duration': { type: celTypes.duration, shown: 'google.protobuf.Duration' },
};
for (const type of Object.values(celTypes)) if (type.kind === 'opaque') typeNames[type.name] = { type, shown: type.name };

/** Types the whole tree; the type of its value. */
export function check(source: Source, root: CelNode, declarations: Declarations): CelType {
  return new Checker(source, declarations).whole(root);
}

class Checker {
  readonly #source: Source;
  readonly #declarations: Declarations;
  readonly #scopes: Map<string, CelType>[] = [];
  readonly #checked: CelNode[] = [];
  readonly #mixed = new Set<ListNode>();
  #substitutions: Substitutions = new Map();
  #parameters = 0;

  constructor(source: Source, declarations: Declarations) {
    this.#source = source;
    this.#declarations = declarations;
  }

  whole(root: CelNode): CelType {
    this.#check(root);
    for (const node of this.#checked) node.type = substitute(this.#substitutions, node.type as CelType, true);
    return root.type as CelType;
  }

  #check(node: CelNode): CelType {
    this.#checked.push(node);
    const type = this.#typeOf(node);
    node.type = type;
    return type;
  }

  #typeOf(node: CelNode): CelType {
    switch (node.kind) {
      case 'literal':
        return literalType(node.value);
      case 'ident':
        return this.#name(node, node.name) ?? this.#undeclared(node.offset, node.name);
      case 'select':
        return this.#select(node);
      case 'call':
        return this.#call(node);
      case 'list':
        return this.#list(node);
      case 'map':
        return this.#map(node);
      case 'struct':
        return this.#struct(node);
      case 'comprehension':
        return this.#comprehension(node);
    }
  }

  #undeclared(offset: number, name: string): CelType {
    this.#source.report(offset, `undeclared reference to '${name}' (in container '')`);
    return celTypes.error;
  }

  #now(type: CelType): CelType {
    return substitute(this.#substitutions, type, false);
  }

  #fits(from: CelType, to: CelType): boolean {
    const result = assign(this.#substitutions, [from], [to]);
    if (result) this.#substitutions = result;
    return result !== undefined;
  }

  #mismatch(offset: number, expected: CelType, found: CelType): void {
    const shown = (type: CelType) => formatType(substitute(this.#substitutions, type, true));
    this.#source.report(offset, `expected type '${shown(expected)}' but found '${shown(found)}'`);
  }

  /** A variable or a type of this name, which may have dots. Rewrites the node into an identifier. */
  #name(node: CelNode, name: string): CelType | undefined {
    const plain = name.startsWith('.') ? name.slice(1) : name;
    const local = name === plain ? this.#scopes.findLast((scope) => scope.has(name))?.get(name) : undefined;
    const { variables } = this.#declarations;
    const type = local ?? (Object.hasOwn(variables, plain) ? variables[plain] : undefined);
    if (type) {
      rewrite(node, { kind: 'ident', offset: node.offset, name: local ? name : plain });
      return type;
    }
    const known = Object.hasOwn(typeNames, plain) ? typeNames[plain] : undefined;
    if (!known) return undefined;
    rewrite(node, { kind: 'ident', offset: node.offset, name: plain, typeValue: new CelTypeValue(known.shown) });
    return typeOf(known.type);
  }

  #select(node: SelectNode): CelType {
    const qualified = node.testOnly ? undefined : qualifiedName(node);
    if (qualified !== undefined && !this.#isLocal(qualified)) {
      const type = this.#name(node, qualified);
      if (type) return type;
    }
    const result = this.#field(node, node.operand, node.field, false);
    return node.testOnly ? celTypes.bool : result;
  }

  /** Whether the first part of a dotted name is a variable of a macro, which hides everything else of that name. */
  #isLocal(name: string): boolean {
    const first = name.slice(0, name.indexOf('.'));
    return this.#scopes.some((scope) => scope.has(first));
  }

  #field(node: CelNode, operand: CelNode, field: string, optional: boolean): CelType {
    const operandType = this.#now(this.#check(operand));
    const target = operandType.kind === 'optional' ? operandType.value : operandType;
    const result = this.#fieldOf(node, target, field);
    return optional || operandType.kind === 'optional' ? optionalOf(result) : result;
  }

  #fieldOf(node: CelNode, target: CelType, field: string): CelType {
    if (target.kind === 'map') return target.value;
    if (target.kind === 'object') {
      const name = fieldNameFor(target, field);
      if (name !== undefined) return target.fields[name] as CelType;
      if (target.open) return celTypes.dyn;
      this.#source.report(node.offset, `undefined field '${field}'`);
      return celTypes.error;
    }
    if (target.kind === 'parameter') this.#fits(celTypes.dyn, target);
    else if (!isDyn(target)) {
      this.#source.report(node.offset, `type '${formatType(target)}' does not support field selection`);
    }
    return celTypes.dyn;
  }

  #call(node: CallNode): CelType {
    if (node.name === operatorNames['.?']) {
      const [operand, field] = node.args as [CelNode, CelNode];
      this.#check(field);
      node.overloads = ['select_optional_field'];
      return this.#field(node, operand, String((field as { value: unknown }).value), true);
    }
    // What `format` puts into a text may be of different types.
    if (node.name === 'format' && node.target) for (const arg of node.args) if (arg.kind === 'list') this.#mixed.add(arg);
    for (const arg of node.args) this.#check(arg);
    if (!node.target) {
      const name = node.name.startsWith('.') ? node.name.slice(1) : node.name;
      if (!this.#declarations.functions.named(name)) return this.#undeclared(node.offset, node.name);
      node.name = name;
      return this.#resolve(node, node.args);
    }
    const prefix = qualifiedName(node.target);
    if (prefix !== undefined && this.#declarations.functions.named(`${prefix}.${node.name}`)) {
      node.name = `${prefix}.${node.name}`;
      node.target = undefined;
      return this.#resolve(node, node.args);
    }
    this.#check(node.target);
    if (!this.#declarations.functions.named(node.name)) return this.#undeclared(node.offset, node.name);
    return this.#resolve(node, [node.target, ...node.args]);
  }

  #resolve(node: CallNode, args: readonly CelNode[]): CelType {
    const types = args.map((arg) => arg.type as CelType);
    const logical = node.name === operatorNames['&&'] || node.name === operatorNames['||'];
    if (logical) {
      node.overloads = [node.name === operatorNames['&&'] ? 'logical_and' : 'logical_or'];
      const wrong = args.filter((arg) => !this.#fits(arg.type as CelType, celTypes.bool));
      for (const arg of wrong) this.#mismatch(arg.offset, celTypes.bool, arg.type as CelType);
      return wrong.length > 0 ? celTypes.error : celTypes.bool;
    }
    let result: CelType | undefined;
    const fitting: string[] = [];
    for (const overload of this.#declarations.functions.named(node.name) ?? []) {
      if (overload.member !== (node.target !== undefined)) continue;
      const fresh = this.#fresh([...overload.args, overload.result]);
      const substitutions = assign(this.#substitutions, types, fresh.slice(0, -1));
      if (!substitutions) continue;
      this.#substitutions = substitutions;
      fitting.push(overload.id);
      const type = this.#now(fresh.at(-1) as CelType);
      if (result === undefined) result = type;
      else if (result.kind !== 'dyn' && !sameType(result, type)) result = celTypes.dyn;
    }
    node.overloads = fitting;
    if (result) return result;
    const shown = types.map((type) => formatType(substitute(this.#substitutions, type, true)));
    const signature = node.target ? `${shown[0]}.(${shown.slice(1).join(', ')})` : `(${shown.join(', ')})`;
    this.#source.report(node.offset, `found no matching overload for '${node.name}' applied to '${signature}'`);
    return celTypes.error;
  }

  #parameter(): CelType {
    return { kind: 'parameter', name: `_var${this.#parameters++}` };
  }

  /** The types with parameters of their own, so that two calls do not share them. */
  #fresh(types: readonly CelType[]): CelType[] {
    const renamed = new Map<string, CelType>();
    const rename = (type: CelType): CelType => {
      switch (type.kind) {
        case 'parameter': {
          const known = renamed.get(type.name) ?? this.#parameter();
          renamed.set(type.name, known);
          return known;
        }
        case 'list':
          return listOf(rename(type.element));
        case 'map':
          return mapOf(rename(type.key), rename(type.value));
        case 'optional':
          return optionalOf(rename(type.value));
        case 'type':
          return typeOf(type.of && rename(type.of));
        default:
          return type;
      }
    };
    return types.map(rename);
  }

  /** The type of a list's elements so far with one more, which must agree. */
  #join(node: CelNode, previous: CelType | undefined, type: CelType, mixed = false): CelType {
    if (previous === undefined) return type;
    if (this.#fits(previous, type)) return mostGeneral(previous, type);
    if (mixed) return celTypes.dyn;
    this.#mismatch(node.offset, previous, type);
    return previous;
  }

  /** The value that a `?` entry gives. */
  #unwrapped(node: CelNode, optional: boolean): CelType {
    const type = this.#now(this.#check(node));
    if (!optional || isDyn(type)) return type;
    if (type.kind === 'optional') return type.value;
    this.#mismatch(node.offset, optionalOf(type), type);
    return type;
  }

  #list(node: ListNode): CelType {
    let element: CelType | undefined;
    node.elements.forEach((item, index) => {
      element = this.#join(item, element, this.#unwrapped(item, node.optional.has(index)), this.#mixed.has(node));
    });
    return listOf(element ?? this.#parameter());
  }

  #map(node: MapNode): CelType {
    let key: CelType | undefined;
    let value: CelType | undefined;
    for (const entry of node.entries) {
      key = this.#join(entry.key, key, this.#check(entry.key));
      value = this.#join(entry.value, value, this.#unwrapped(entry.value, entry.optional));
    }
    return mapOf(key ?? this.#parameter(), value ?? this.#parameter());
  }

  #struct(node: StructNode): CelType {
    const type = this.#declarations.structs(node.name);
    if (!type) {
      for (const { value } of node.fields) this.#check(value);
      return this.#undeclared(node.offset, node.name);
    }
    for (const { offset, name, value, optional } of node.fields) {
      const given = this.#unwrapped(value, optional);
      const declared = fieldNameFor(type, name);
      if (declared === undefined) {
        if (!type.open) this.#source.report(offset, `undefined field '${name}'`);
        continue;
      }
      const field = type.fields[declared] as CelType;
      if (this.#fits(field, given)) continue;
      this.#source.report(
        offset,
        `expected type of field '${name}' is '${formatType(field)}' but provided type is '${formatType(this.#now(given))}'`,
      );
    }
    return type;
  }

  #comprehension(node: ComprehensionNode): CelType {
    const range = this.#now(this.#check(node.range));
    const accumulator = this.#check(node.initial);
    const [first, second] = this.#iterated(node, range);
    this.#scopes.push(new Map([[node.accumulator, accumulator]]));
    this.#scopes.push(new Map([[node.variable, first], ...(node.variable2 ? [[node.variable2, second] as const] : [])]));
    this.#expect(node.condition, celTypes.bool);
    this.#expect(node.step, accumulator);
    this.#scopes.pop();
    const result = this.#check(node.result);
    this.#scopes.pop();
    return this.#now(result);
  }

  #expect(node: CelNode, expected: CelType): void {
    const type = this.#check(node);
    if (!this.#fits(expected, type)) this.#mismatch(node.offset, expected, type);
  }

  #iterated(node: ComprehensionNode, range: CelType): [CelType, CelType] {
    if (range.kind === 'list') return node.variable2 ? [celTypes.int, range.element] : [range.element, range.element];
    if (range.kind === 'map') return [range.key, range.value];
    if (range.kind === 'parameter') this.#fits(celTypes.dyn, range);
    else if (!isDyn(range)) {
      this.#source.report(
        node.range.offset,
        `expression of type '${formatType(range)}' cannot be range of a comprehension (must be list, map, or dynamic)`,
      );
      return [celTypes.error, celTypes.error];
    }
    return [celTypes.dyn, celTypes.dyn];
  }
}

/** Turns a node into another in place: whoever holds it sees the new one. */
function rewrite(node: CelNode, into: CelNode): void {
  const target = node as unknown as Record<string, unknown>;
  for (const key of Object.keys(target)) delete target[key];
  Object.assign(target, into);
}

/** `a.b.c` when the node is nothing but names. */
function qualifiedName(node: CelNode): string | undefined {
  if (node.kind === 'ident') return node.name;
  if (node.kind !== 'select' || node.testOnly) return undefined;
  const prefix = qualifiedName(node.operand);
  return prefix === undefined ? undefined : `${prefix}.${node.field}`;
}

function literalType(value: unknown): CelType {
  if (typeof value === 'bigint') return celTypes.int;
  if (typeof value === 'number') return celTypes.double;
  if (typeof value === 'string') return celTypes.string;
  if (typeof value === 'boolean') return celTypes.bool;
  if (value === null) return celTypes.null;
  return value instanceof Uint8Array ? celTypes.bytes : celTypes.uint;
}
