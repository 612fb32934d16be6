/**
 * Selectors: the text form of labels (`app=web,tier in (a,b),!old`), the text form of fields (`spec.nodeName=a`) and the
 * structured form that objects carry (LabelSelector). Source: the Kubernetes page "Labels and Selectors".
 */
import { isLabelValue, isQualifiedName } from './names.ts';
import { badRequest } from './status.ts';
import type { LabelSelector } from './types.ts';

type Labels = Record<string, string> | undefined;
type Operator = 'in' | 'notin' | '=' | '==' | '!=' | 'gt' | 'lt' | 'exists' | '!';

interface Requirement {
  key: string;
  operator: Operator;
  values: string[];
}

interface Token {
  kind: 'end' | 'identifier' | ',' | '(' | ')' | '!' | '=' | '==' | '!=' | '>' | '<' | 'in' | 'notin';
  text: string;
}

const selectorLengthMax = 64 * 1024;
const operatorNames = 'in, notin, =, ==, !=, gt, lt';
const symbols = ['==', '!=', '=', '!', ',', '(', ')', '>', '<'] as const;

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    if (/\s/.test(text[at]!)) {
      at++;
      continue;
    }
    const symbol = symbols.find((candidate) => text.startsWith(candidate, at));
    if (symbol) {
      tokens.push({ kind: symbol, text: symbol });
      at += symbol.length;
      continue;
    }
    let end = at;
    while (end < text.length && !/[\s=!,()<>]/.test(text[end]!)) end++;
    const word = text.slice(at, end);
    tokens.push({ kind: word === 'in' || word === 'notin' ? word : 'identifier', text: word });
    at = end;
  }
  return tokens;
}

const found = (token: Token, expected: string) => badRequest(`found '${token.text}', expected: ${expected}`);
const inRequirement = (message: string) => badRequest(`unable to parse requirement: ${message}`);

class Parser {
  readonly #tokens: Token[];
  #at = 0;

  constructor(text: string) {
    this.#tokens = tokenize(text);
  }

  #peek(): Token {
    return this.#tokens[this.#at] ?? { kind: 'end', text: '' };
  }

  /** Keywords are ordinary words where a key or a value stands. */
  #peekWord(): Token {
    const token = this.#peek();
    return token.kind === 'in' || token.kind === 'notin' ? { kind: 'identifier', text: token.text } : token;
  }

  #next(): Token {
    const token = this.#peek();
    this.#at++;
    return token;
  }

  #nextWord(): Token {
    const token = this.#peekWord();
    this.#at++;
    return token;
  }

  parse(): Requirement[] {
    const requirements: Requirement[] = [];
    for (;;) {
      const token = this.#peekWord();
      if (token.kind === 'end') return requirements;
      if (token.kind !== 'identifier' && token.kind !== '!') throw found(token, "!, identifier, or 'end of string'");
      requirements.push(this.#requirement());
      const after = this.#nextWord();
      if (after.kind === 'end') return requirements;
      if (after.kind !== ',') throw found(after, "',' or 'end of string'");
      const following = this.#peekWord();
      if (following.kind !== 'identifier' && following.kind !== '!') throw found(following, "identifier after ','");
    }
  }

  #requirement(): Requirement {
    let token = this.#nextWord();
    const negated = token.kind === '!';
    if (negated) token = this.#nextWord();
    if (token.kind !== 'identifier') throw inRequirement(`found '${token.text}', expected: identifier`);
    const key = token.text;
    const complaint = isQualifiedName(key)[0];
    if (complaint) throw inRequirement(`<nil>: Invalid value: ${JSON.stringify(key)}: ${isQualifiedName(key).join('; ')}`);
    if (negated) return { key, operator: '!', values: [] };
    const { kind } = this.#peekWord();
    if (kind === 'end' || kind === ',') return { key, operator: 'exists', values: [] };
    const operator = this.#operator();
    const values = operator === 'in' || operator === 'notin' ? this.#values() : [this.#value()];
    checkValues(key, operator, values);
    return { key, operator, values };
  }

  #operator(): Operator {
    const token = this.#next();
    switch (token.kind) {
      case 'in':
      case 'notin':
      case '=':
      case '==':
      case '!=':
        return token.kind;
      case '>':
        return 'gt';
      case '<':
        return 'lt';
      default:
        throw inRequirement(`found '${token.text}', expected: ${operatorNames}`);
    }
  }

  /** What stands after `=`: a word or nothing. */
  #value(): string {
    const { kind } = this.#peekWord();
    if (kind === 'end' || kind === ',') return '';
    const token = this.#nextWord();
    if (token.kind !== 'identifier') throw inRequirement(`found '${token.text}', expected: identifier`);
    return token.text;
  }

  /** `(a,b)`. An omitted word is the empty value, as in `(a,)`. */
  #values(): string[] {
    const open = this.#next();
    if (open.kind !== '(') throw inRequirement(`found '${open.text}' expected: '('`);
    const values = new Set<string>();
    let expectsWord = true;
    for (;;) {
      const token = this.#nextWord();
      if (token.kind === 'identifier') {
        if (!expectsWord) throw inRequirement(`found '${token.text}', expected: ',' or ')'`);
        values.add(token.text);
        expectsWord = false;
      } else if (token.kind === ',') {
        if (expectsWord) values.add('');
        expectsWord = true;
      } else if (token.kind === ')') {
        // `()` is an error of its own, found when the values are checked.
        if (expectsWord && this.#tokens[this.#at - 2]?.kind === ',') values.add('');
        return [...values];
      } else {
        throw inRequirement(`found '${token.text}', expected: ',', ')' or identifier`);
      }
    }
  }
}

function checkValues(key: string, operator: Operator, values: string[]): void {
  if (values.length === 0) {
    throw inRequirement(`values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty`);
  }
  if ((operator === 'gt' || operator === 'lt') && !/^[+-]?\d+$/.test(values[0]!)) {
    throw inRequirement(
      `values[0]: Invalid value: ${JSON.stringify(values[0])}: for 'Gt', 'Lt' operators, the value must be an integer`,
    );
  }
  for (const [index, value] of values.entries()) {
    const complaints = isLabelValue(value);
    if (complaints.length > 0) {
      throw inRequirement(`values[${index}][${key}]: Invalid value: ${JSON.stringify(value)}: ${complaints.join('; ')}`);
    }
  }
}

function meets({ key, operator, values }: Requirement, labels: Labels): boolean {
  const value = labels && Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case 'exists':
      return value !== undefined;
    case '!':
      return value === undefined;
    case '=':
    case '==':
    case 'in':
      return value !== undefined && values.includes(value);
    case '!=':
    case 'notin':
      return value === undefined || !values.includes(value);
    case 'gt':
    case 'lt': {
      if (value === undefined || !/^[+-]?\d+$/.test(value)) return false;
      return operator === 'gt' ? BigInt(value) > BigInt(values[0]!) : BigInt(value) < BigInt(values[0]!);
    }
  }
}

/** A test for labels. The empty text matches everything. Throws StatusError 400. */
export function parseLabelSelector(text: string): (labels: Record<string, string> | undefined) => boolean {
  if (text.length > selectorLengthMax) throw badRequest(`label selector is longer than ${selectorLengthMax} characters`);
  const requirements = new Parser(text).parse();
  return (labels) => requirements.every((requirement) => meets(requirement, labels));
}

export interface FieldRequirement {
  field: string;
  operator: '=' | '!=';
  value: string;
}

/** Splits at commas that no backslash guards. */
function splitTerms(text: string): string[] {
  return text.match(/(?:\\.|[^,\\]|\\$)+/gs) ?? [];
}

function unescapeValue(value: string, of: string): string {
  if (/\\(?:[^\\,=]|$)/s.test(value.replace(/\\[\\,=]/g, ''))) {
    throw badRequest(`invalid field selector: invalid escape sequence in ${JSON.stringify(of)}`);
  }
  return value.replace(/\\([\\,=])/g, '$1');
}

/** The terms of a field selector, which are joined by "and". Which fields a kind offers is for the caller to check. Throws StatusError 400. */
export function parseFieldSelector(text: string): FieldRequirement[] {
  if (text.length > selectorLengthMax) throw badRequest(`field selector is longer than ${selectorLengthMax} characters`);
  return splitTerms(text).map((term) => {
    const match = /^((?:\\.|[^\\=!]|!(?!=))*?)(!=|==|=)(.*)$/s.exec(term);
    if (!match) throw badRequest(`invalid selector: '${text}'; can't understand '${term}'`);
    const [, field = '', operator, value = ''] = match;
    if (/(?<!\\)=/.test(value.replace(/\\\\/g, ''))) throw badRequest(`invalid selector: '${text}'; can't understand '${term}'`);
    return { field, operator: operator === '!=' ? '!=' : '=', value: unescapeValue(value, term) };
  });
}

/** Kubernetes' rule for the structured form: none selects nothing, an empty one selects everything. */
export function labelSelectorMatches(selector: LabelSelector | null | undefined, labels: Labels): boolean {
  if (!selector) return false;
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) {
    if (!meets({ key, operator: '=', values: [value] }, labels)) return false;
  }
  return (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
    const name = structuredOperators[operator];
    return name !== undefined && meets({ key, operator: name, values }, labels);
  });
}
const structuredOperators: Record<string, Operator | undefined> = {
  In: 'in',
  NotIn: 'notin',
  Exists: 'exists',
  DoesNotExist: '!',
};

/** The text form, sorted by key, as `kubectl get -o wide` prints it. An empty selector is `<none>`, which no list understands. */
export function formatLabelSelector(selector: LabelSelector | null | undefined): string {
  const terms: [string, string][] = Object.entries(selector?.matchLabels ?? {}).map(([key, value]) => [key, `${key}=${value}`]);
  for (const { key, operator, values = [] } of selector?.matchExpressions ?? []) {
    const list = `(${[...values].sort().join(',')})`;
    if (operator === 'Exists') terms.push([key, key]);
    else if (operator === 'DoesNotExist') terms.push([key, `!${key}`]);
    else terms.push([key, `${key} ${operator === 'In' ? 'in' : 'notin'} ${list}`]);
  }
  if (terms.length === 0) return '<none>';
  terms.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return terms.map(([, term]) => term).join(',');
}
