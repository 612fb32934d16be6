/** The tree of an expression. The checker writes types and overloads into it; macros are already expanded. */
import type { CelType } from './types.ts';
import type { CelValue } from './values.ts';

interface NodeBase {
  /** Where complaints point to: UTF-16 units from the start of the text. */
  offset: number;
  /** Written by the checker. */
  type?: CelType;
}

export interface LiteralNode extends NodeBase {
  kind: 'literal';
  value: CelValue;
}

export interface IdentNode extends NodeBase {
  kind: 'ident';
  name: string;
  /** Set by the checker when the name is a type's, such as `int`. */
  typeValue?: CelValue;
}

export interface SelectNode extends NodeBase {
  kind: 'select';
  operand: CelNode;
  field: string;
  /** `has(operand.field)`. */
  testOnly: boolean;
}

export interface CallNode extends NodeBase {
  kind: 'call';
  name: string;
  target?: CelNode;
  args: CelNode[];
  /** The overloads that fit the declared types; written by the checker. */
  overloads?: readonly string[];
}

export interface ListNode extends NodeBase {
  kind: 'list';
  elements: CelNode[];
  /** Indexes of the elements written as `?element`. */
  optional: Set<number>;
}

export interface MapEntryNode {
  offset: number;
  key: CelNode;
  value: CelNode;
  optional: boolean;
}

export interface MapNode extends NodeBase {
  kind: 'map';
  entries: MapEntryNode[];
}

export interface StructNode extends NodeBase {
  kind: 'struct';
  name: string;
  fields: { offset: number; name: string; value: CelNode; optional: boolean }[];
}

/** What the macros become: a fold of `step` over `range`, as long as `condition` holds. */
export interface ComprehensionNode extends NodeBase {
  kind: 'comprehension';
  range: CelNode;
  variable: string;
  /** With two, `variable` is the index or key. */
  variable2?: string;
  accumulator: string;
  initial: CelNode;
  condition: CelNode;
  step: CelNode;
  result: CelNode;
}

export type CelNode = LiteralNode | IdentNode | SelectNode | CallNode | ListNode | MapNode | StructNode | ComprehensionNode;

/** The accumulator of every macro; no expression can name it. */
export const accumulatorName = '@result';

/** Names of operators as functions, in the words of error messages. */
export const operatorNames = {
  '&&': '_&&_',
  '||': '_||_',
  '!': '!_',
  '?:': '_?_:_',
  '==': '_==_',
  '!=': '_!=_',
  '<': '_<_',
  '<=': '_<=_',
  '>': '_>_',
  '>=': '_>=_',
  in: '@in',
  '+': '_+_',
  '-': '_-_',
  '*': '_*_',
  '/': '_/_',
  '%': '_%_',
  negate: '-_',
  '[]': '_[_]',
  '[?]': '_[?_]',
  '.?': '_?._',
  notStrictlyFalse: '@not_strictly_false',
  mapInsert: 'cel.@mapInsert',
} as const;
