/** Text → tokens. Complaints go to the source; what cannot be read is skipped, so that all complaints come at once. */
import { bytesContent, stringContent } from './literals.ts';
import type { Source } from './source.ts';
import { CelUint, type CelValue, intMax, uintMax } from './values.ts';

export type TokenKind = 'identifier' | 'escaped' | 'literal' | 'symbol' | 'end';

export interface Token {
  kind: TokenKind;
  /** As written; `<EOF>` for the end. Of a field in backquotes, what is between them. */
  text: string;
  offset: number;
  value?: CelValue;
}

const symbols = ['&&', '||', '<=', '>=', '==', '!=', ...'()[]{}.,:?+-*/%!<>='];
const space = /[\t\n\f\r ]+/y;
const comment = /\/\/[^\n]*/y;
const identifier = /[a-zA-Z_][a-zA-Z0-9_]*/y;
const number =
  /0[xX][0-9a-fA-F]+[uU]?|(?:[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+|\.[0-9]+(?:[eE][+-]?[0-9]+)?)|[0-9]+[uU]?/y;
const quote = /([rRbB]{0,2})("""|'''|"|')/y;
const escapedField = /`([a-zA-Z0-9_.\-/ ]+)`/y;
const prefixes = new Set(['', 'r', 'b', 'rb', 'br']);

const words: Record<string, CelValue> = { true: true, false: false, null: null };

export function tokensOf(source: Source): Token[] {
  const { text } = source;
  const tokens: Token[] = [];
  let offset = 0;
  const match = (pattern: RegExp) => {
    pattern.lastIndex = offset;
    return pattern.exec(text);
  };
  while (offset < text.length) {
    const skipped = match(space) ?? match(comment);
    if (skipped) {
      offset += skipped[0].length;
      continue;
    }
    const quoted = match(quote);
    if (quoted && prefixes.has((quoted[1] as string).toLowerCase())) {
      offset = quotedToken(source, offset, quoted[1] as string, quoted[2] as string, tokens);
      continue;
    }
    const digits = match(number);
    if (digits) {
      tokens.push({ kind: 'literal', text: digits[0], offset, value: numberValue(source, digits[0], offset) });
      offset += digits[0].length;
      continue;
    }
    const name = match(identifier);
    if (name) {
      const value = Object.hasOwn(words, name[0]) ? words[name[0]] : undefined;
      if (value !== undefined) tokens.push({ kind: 'literal', text: name[0], offset, value });
      else tokens.push({ kind: name[0] === 'in' ? 'symbol' : 'identifier', text: name[0], offset });
      offset += name[0].length;
      continue;
    }
    const field = match(escapedField);
    if (field) {
      tokens.push({ kind: 'escaped', text: field[1] as string, offset });
      offset += field[0].length;
      continue;
    }
    const symbol = symbols.find((candidate) => text.startsWith(candidate, offset));
    if (symbol && symbol !== '=') {
      tokens.push({ kind: 'symbol', text: symbol, offset });
      offset += symbol.length;
      continue;
    }
    const character = String.fromCodePoint(text.codePointAt(offset) as number);
    source.report(offset, `Syntax error: token recognition error at: '${character}'`);
    offset += character.length;
  }
  tokens.push({ kind: 'end', text: '<EOF>', offset: text.length });
  return tokens;
}

/** Reads a string or bytes literal; the offset behind it. */
function quotedToken(source: Source, offset: number, prefix: string, mark: string, tokens: Token[]): number {
  const { text } = source;
  const raw = /r/i.test(prefix);
  const start = offset + prefix.length + mark.length;
  let end = start;
  while (end < text.length && !text.startsWith(mark, end)) {
    if (mark.length === 1 && (text[end] === '\n' || text[end] === '\r')) break;
    end += text[end] === '\\' && !raw ? 2 : 1;
  }
  if (end > text.length || !text.startsWith(mark, end)) {
    const rest = text.slice(offset, Math.min(end, text.length));
    source.report(offset, `Syntax error: token recognition error at: '${rest}'`);
    return Math.max(offset + 1, Math.min(end, text.length));
  }
  const body = text.slice(start, end);
  const value = /b/i.test(prefix) ? bytesContent(body, raw) : stringContent(body, raw);
  const written = text.slice(offset, end + mark.length);
  if (value === undefined) source.report(offset, `Syntax error: token recognition error at: '${written}'`);
  else tokens.push({ kind: 'literal', text: written, offset, value });
  return end + mark.length;
}

function numberValue(source: Source, text: string, offset: number): CelValue {
  const unsigned = /[uU]$/.test(text);
  const digits = unsigned ? text.slice(0, -1) : text;
  if (!/^0[xX]/.test(digits) && /[.eE]/.test(digits)) {
    const value = Number(digits);
    if (!Number.isFinite(value)) source.report(offset, 'invalid double literal');
    return value;
  }
  const value = BigInt(digits);
  if (unsigned) {
    if (value > uintMax) source.report(offset, 'invalid uint literal');
    return new CelUint(value);
  }
  // One more than the largest: the parser takes it back unless a minus stands before it.
  if (value > intMax + 1n) source.report(offset, 'invalid int literal');
  return value;
}
