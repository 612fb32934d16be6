/** Tokens → tree. Recursive descent; deeper than 250 levels or longer than 100,000 characters is refused. */
import { type CallNode, type CelNode, type MapEntryNode, operatorNames } from './ast.ts';
import { type Token, tokensOf } from './lexer.ts';
import { expandMacro } from './macros.ts';
import type { Source } from './source.ts';
import { type CelValue, intMax } from './values.ts';

const depthMax = 250;
const sizeMax = 100_000;

const reserved = new Set(
  'as break const continue else for function if import let loop package namespace return var void while'.split(' '),
);
const primaryStarts =
  "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";
const continuations = "{<EOF>, '==', '!=', 'in', '<', '<=', '>=', '>', '&&', '||', '[', '.', '-', '?', '+', '*', '/', '%%'}";

/** Ends the parse; what it says is already in the source. */
class Stop extends Error {}

const relations = new Set(['==', '!=', '<', '<=', '>', '>=', 'in']);

/** Throws CelError with every complaint. */
export function parse(source: Source): CelNode {
  if (source.text.length > sizeMax) {
    source.report(0, `expression code point size exceeds limit: size: ${source.text.length}, limit ${sizeMax}`);
    source.throwIssues();
  }
  const tokens = tokensOf(source);
  try {
    const node = new Parser(source, tokens).whole();
    source.throwIssues();
    return node;
  } catch (error) {
    if (error instanceof Stop) source.throwIssues();
    throw error;
  }
}

class Parser {
  readonly #source: Source;
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;

  constructor(source: Source, tokens: readonly Token[]) {
    this.#source = source;
    this.#tokens = tokens;
  }

  whole(): CelNode {
    const node = this.#expression();
    const rest = this.#next;
    if (rest.kind !== 'end')
      this.#stop(rest.offset, `Syntax error: extraneous input '${rest.text}' expecting ${continuations.replace('%%', '%')}`);
    return node;
  }

  get #next(): Token {
    return this.#tokens[this.#at] as Token;
  }

  #is(symbol: string): boolean {
    return this.#next.kind === 'symbol' && this.#next.text === symbol;
  }

  #take(): Token {
    const token = this.#next;
    if (token.kind !== 'end') this.#at++;
    return token;
  }

  #took(symbol: string): Token | undefined {
    return this.#is(symbol) ? this.#take() : undefined;
  }

  #expect(symbol: string, others = `'${symbol}'`): Token {
    return this.#took(symbol) ?? this.#mismatch(others);
  }

  #mismatch(expected: string): never {
    this.#stop(this.#next.offset, `Syntax error: mismatched input '${this.#next.text}' expecting ${expected}`);
  }

  #stop(offset: number, message: string): never {
    this.#source.report(offset, message);
    throw new Stop(message);
  }

  #deeper<T>(work: () => T): T {
    if (++this.#depth > depthMax) this.#stop(this.#next.offset, `expression recursion limit exceeded: ${depthMax}`);
    const result = work();
    this.#depth--;
    return result;
  }

  #call(offset: number, name: string, ...args: CelNode[]): CallNode {
    return { kind: 'call', offset, name, args };
  }

  #expression(): CelNode {
    return this.#deeper(() => {
      const condition = this.#or();
      const question = this.#took('?');
      if (!question) return condition;
      const yes = this.#or();
      this.#expect(':');
      return this.#call(question.offset, operatorNames['?:'], condition, yes, this.#expression());
    });
  }

  #or(): CelNode {
    return this.#chain('||', () => this.#chain('&&', () => this.#relation()));
  }

  /** Logical operators of one kind are balanced into a tree, so that long chains do not make it deep. */
  #chain(symbol: '&&' | '||', part: () => CelNode): CelNode {
    const terms = [part()];
    const operators: Token[] = [];
    for (let token = this.#took(symbol); token; token = this.#took(symbol)) {
      operators.push(token);
      terms.push(part());
    }
    const balanced = (low: number, high: number): CelNode => {
      if (low === high) return terms[low] as CelNode;
      const middle = (low + high) >> 1;
      const { offset } = operators[middle] as Token;
      return this.#call(offset, operatorNames[symbol], balanced(low, middle), balanced(middle + 1, high));
    };
    return balanced(0, operators.length);
  }

  #relation(): CelNode {
    return this.#leftToRight(
      (token) => relations.has(token.text),
      () => this.#sum(),
    );
  }

  #sum(): CelNode {
    return this.#leftToRight(
      ({ text }) => text === '+' || text === '-',
      () => this.#product(),
    );
  }

  #product(): CelNode {
    return this.#leftToRight(
      ({ text }) => text === '*' || text === '/' || text === '%',
      () => this.#unary(),
    );
  }

  #leftToRight(matches: (token: Token) => boolean, part: () => CelNode): CelNode {
    let left = part();
    let levels = 0;
    while (this.#next.kind === 'symbol' && matches(this.#next)) {
      const { offset, text } = this.#take();
      levels++;
      if (++this.#depth > depthMax) this.#stop(offset, `expression recursion limit exceeded: ${depthMax}`);
      left = this.#call(offset, operatorNames[text as keyof typeof operatorNames], left, part());
    }
    this.#depth -= levels;
    return left;
  }

  #unary(): CelNode {
    const first = this.#next;
    if (first.kind !== 'symbol' || (first.text !== '!' && first.text !== '-')) return this.#member();
    let count = 0;
    while (this.#took(first.text)) count++;
    const following = this.#next;
    if (first.text === '-' && following.kind === 'literal' && typeof following.value !== 'string') {
      const negative = negated(following.value as CelValue);
      if (negative !== undefined) {
        const operand = this.#member({ ...following, value: negative, offset: (this.#tokens[this.#at - 1] as Token).offset });
        return count % 2 === 1 ? operand : this.#call(first.offset, operatorNames.negate, operand);
      }
    }
    const operand = this.#deeper(() => this.#unary());
    if (count % 2 === 0) return operand;
    return this.#call(first.offset, first.text === '!' ? operatorNames['!'] : operatorNames.negate, operand);
  }

  #member(replaced?: Token): CelNode {
    let node = this.#primary(replaced);
    let levels = 0;
    for (;;) {
      const dot = this.#took('.');
      const bracket = dot ? undefined : this.#took('[');
      if (!dot && !bracket) break;
      levels++;
      if (++this.#depth > depthMax)
        this.#stop((dot ?? (bracket as Token)).offset, `expression recursion limit exceeded: ${depthMax}`);
      node = dot ? this.#afterDot(node, dot) : this.#index(node, bracket as Token);
    }
    this.#depth -= levels;
    return node;
  }

  #afterDot(operand: CelNode, dot: Token): CelNode {
    const optional = this.#took('?');
    const name = this.#next;
    if (name.kind !== 'identifier' && name.kind !== 'escaped') this.#mismatch('IDENTIFIER');
    this.#take();
    if (optional) {
      const field: CelNode = { kind: 'literal', offset: name.offset, value: name.text };
      return this.#call(dot.offset, operatorNames['.?'], operand, field);
    }
    const open = name.kind === 'identifier' ? this.#took('(') : undefined;
    if (!open) return { kind: 'select', offset: dot.offset, operand, field: name.text, testOnly: false };
    return this.#called(name.text, open, operand);
  }

  #index(operand: CelNode, bracket: Token): CelNode {
    const optional = this.#took('?');
    const index = this.#expression();
    this.#expect(']');
    return this.#call(bracket.offset, optional ? operatorNames['[?]'] : operatorNames['[]'], operand, index);
  }

  #called(name: string, open: Token, target?: CelNode): CelNode {
    const args: CelNode[] = [];
    while (!this.#is(')')) {
      args.push(this.#expression());
      if (!this.#took(',')) break;
      if (this.#is(')')) this.#mismatch(primaryStarts);
    }
    this.#expect(')');
    const call: CallNode = { kind: 'call', offset: open.offset, name, target, args };
    return expandMacro(call, (offset, message) => this.#stop(offset, message)) ?? call;
  }

  #primary(replaced?: Token): CelNode {
    const taken = this.#take();
    const token = replaced ?? taken;
    if (token.kind === 'literal') return this.#literal(token);
    if (token.kind === 'identifier') return this.#named(token, '');
    if (token.kind === 'symbol') {
      if (token.text === '(') {
        const inner = this.#expression();
        this.#expect(')');
        return inner;
      }
      if (token.text === '[') return this.#list(token);
      if (token.text === '{') return this.#map(token);
      if (token.text === '.' && this.#next.kind === 'identifier') return this.#named(this.#take(), '.');
    }
    this.#stop(token.offset, `Syntax error: mismatched input '${token.text}' expecting ${primaryStarts}`);
  }

  #literal(token: Token): CelNode {
    const value = token.value as CelValue;
    if (typeof value === 'bigint' && value > intMax) this.#stop(token.offset, 'invalid int literal');
    return { kind: 'literal', offset: token.offset, value };
  }

  #named(token: Token, prefix: string): CelNode {
    const open = this.#took('(');
    if (open) return this.#called(prefix + token.text, open);
    if (reserved.has(token.text)) this.#stop(token.offset, `Syntax error: reserved identifier: ${token.text}`);
    let name = prefix + token.text;
    const start = this.#at;
    // `a.b.C{…}`: only a name with braces behind it is a message.
    while (this.#is('.') && this.#tokens[this.#at + 1]?.kind === 'identifier') {
      this.#take();
      name += `.${this.#take().text}`;
    }
    const brace = this.#is('{') ? this.#take() : undefined;
    if (brace) return this.#struct(name, brace);
    this.#at = start;
    return { kind: 'ident', offset: token.offset, name: prefix + token.text };
  }

  #list(open: Token): CelNode {
    const elements: CelNode[] = [];
    const optional = new Set<number>();
    while (!this.#is(']')) {
      if (this.#took('?')) optional.add(elements.length);
      elements.push(this.#expression());
      if (!this.#took(',')) break;
    }
    this.#expect(']');
    return { kind: 'list', offset: open.offset, elements, optional };
  }

  #map(open: Token): CelNode {
    const entries: MapEntryNode[] = [];
    while (!this.#is('}')) {
      const optional = this.#took('?') !== undefined;
      const key = this.#expression();
      const colon = this.#expect(':');
      entries.push({ offset: colon.offset, key, value: this.#expression(), optional });
      if (!this.#took(',')) break;
    }
    this.#expect('}');
    return { kind: 'map', offset: open.offset, entries };
  }

  #struct(name: string, open: Token): CelNode {
    const fields: { offset: number; name: string; value: CelNode; optional: boolean }[] = [];
    while (!this.#is('}')) {
      const optional = this.#took('?') !== undefined;
      const field = this.#take();
      if (field.kind !== 'identifier' && field.kind !== 'escaped') {
        this.#stop(field.offset, `Syntax error: mismatched input '${field.text}' expecting IDENTIFIER`);
      }
      const colon = this.#expect(':');
      fields.push({ offset: colon.offset, name: field.text, value: this.#expression(), optional });
      if (!this.#took(',')) break;
    }
    this.#expect('}');
    return { kind: 'struct', offset: open.offset, name, fields };
  }
}

/** The literal with a minus before it; undefined when it is no number with a sign. */
function negated(value: CelValue): CelValue | undefined {
  return typeof value === 'bigint' || typeof value === 'number' ? -value : undefined;
}
