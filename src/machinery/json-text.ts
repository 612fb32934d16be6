/**
 * What is lost once JSON text is parsed: where exactly it is malformed, told with the words of the reference implementation's
 * decoder, and which keys it holds twice. Pure. Source: RFC 8259; measured wording of API servers.
 */
import { jsonDepthMax } from './depth.ts';

export const duplicatesMax = 100;

/** Paths such as `spec.ports[1].name`, each once, in the order of the text; at most `duplicatesMax`. `value` is the parsed text. */
export function duplicateKeys(text: string, value: unknown): string[] {
  if (countKeys(text) === countMembers(value)) return [];
  return new Scanner(text).scan().duplicates;
}

/** Why `text` is not JSON. Undefined when it is. */
export function jsonComplaint(text: string): string | undefined {
  return new Scanner(text).scan().complaint;
}

/** Colons outside of strings: in JSON text there is one for each key. */
function countKeys(text: string): number {
  let count = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === colon) count++;
    else if (code === quote) at = endOfString(text, at);
  }
  return count;
}
const colon = 0x3a;
const quote = 0x22;
const backslash = 0x5c;

/** Where the string that begins at `from` ends. */
function endOfString(text: string, from: number): number {
  let at = from + 1;
  while (at < text.length) {
    const end = text.indexOf('"', at);
    if (end < 0) return text.length;
    let before = end - 1;
    while (text.charCodeAt(before) === backslash) before--;
    if ((end - before) % 2 === 1) return end;
    at = end + 1;
  }
  return text.length;
}

/** Does not recurse: text may be nested as deeply as it likes. */
function countMembers(value: unknown): number {
  let count = 0;
  const waiting: unknown[] = [value];
  for (let next = waiting.pop(); waiting.length > 0 || next !== undefined; next = waiting.pop()) {
    if (typeof next !== 'object' || next === null) continue;
    if (Array.isArray(next)) {
      for (const item of next as unknown[]) if (typeof item === 'object' && item !== null) waiting.push(item);
      continue;
    }
    for (const name in next) {
      count++;
      const member = (next as Record<string, unknown>)[name];
      if (typeof member === 'object' && member !== null) waiting.push(member);
    }
  }
  return count;
}

interface Level {
  /** Keys so far; undefined in a list. */
  keys: Set<string> | undefined;
  /** Of the member or item that is being read. */
  key: string;
  index: number;
}

interface Scan {
  complaint?: string;
  duplicates: string[];
}

class Malformed extends Error {}

/** Reads text token by token with a stack of its own. */
class Scanner {
  readonly #text: string;
  readonly #levels: Level[] = [];
  readonly #duplicates = new Set<string>();
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  scan(): Scan {
    try {
      this.#values();
      this.#space();
      if (this.#at < this.#text.length) throw this.#unexpected('after top-level value');
      return { duplicates: [...this.#duplicates] };
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      return { complaint: error.message, duplicates: [...this.#duplicates] };
    }
  }

  /** One value with all that it holds. */
  #values(): void {
    for (let open = this.#opens('looking for beginning of value'); ; ) {
      if (!open && !this.#next()) return;
      open = this.#opens('looking for beginning of value');
    }
  }

  /** Reads a scalar, or the beginning of a container; true when its first item follows. */
  #opens(context: string): boolean {
    this.#space();
    const character = this.#text[this.#at];
    if (character === '{' || character === '[') {
      this.#at++;
      this.#levels.push({ keys: character === '{' ? new Set() : undefined, key: '', index: 0 });
      if (this.#levels.length > depthMax) throw new Malformed('exceeded max depth');
      this.#space();
      if (this.#text[this.#at] === (character === '{' ? '}' : ']')) {
        this.#at++;
        this.#levels.pop();
        return false;
      }
      if (character === '{') this.#key();
      return true;
    }
    if (character === '"') this.#string();
    else if (character === '-' || isDigit(character)) this.#number();
    else {
      const word = ['true', 'false', 'null'].find(([first]) => first === character);
      if (!word) throw this.#unexpected(context);
      this.#literal(word);
    }
    return false;
  }

  /** After a value: leaves what ends here. True when another value follows, false at the end of all. */
  #next(): boolean {
    for (let level = this.#levels.at(-1); level; level = this.#levels.at(-1)) {
      this.#space();
      const character = this.#text[this.#at];
      if (character === ',') {
        this.#at++;
        level.index++;
        if (level.keys) this.#key();
        return true;
      }
      if (character !== (level.keys ? '}' : ']')) {
        throw this.#unexpected(level.keys ? 'after object key:value pair' : 'after array element');
      }
      this.#at++;
      this.#levels.pop();
    }
    return false;
  }

  #key(): void {
    this.#space();
    if (this.#text[this.#at] !== '"') throw this.#unexpected('looking for beginning of object key string');
    const key = this.#string();
    this.#space();
    if (this.#text[this.#at] !== ':') throw this.#unexpected('after object key');
    this.#at++;
    const level = this.#levels.at(-1) as Level;
    level.key = key;
    if (!level.keys?.has(key)) level.keys?.add(key);
    else if (this.#duplicates.size < duplicatesMax) this.#duplicates.add(this.#path());
  }

  #path(): string {
    return this.#levels.reduce((path, { keys, key, index }) => {
      if (!keys) return `${path}[${index}]`;
      return path === '' ? key : `${path}.${key}`;
    }, '');
  }

  #string(): string {
    const from = this.#at++;
    for (;;) {
      const character = this.#text[this.#at];
      if (character === undefined) throw this.#unexpected('');
      if (character === '"') break;
      if (character < ' ') throw this.#unexpected('in string literal');
      this.#at++;
      if (character === '\\') this.#escape();
    }
    this.#at++;
    return JSON.parse(this.#text.slice(from, this.#at));
  }

  #escape(): void {
    const character = this.#text[this.#at];
    if (!character || !'bfnrt\\/"u'.includes(character)) throw this.#unexpected('in string escape code');
    this.#at++;
    if (character !== 'u') return;
    for (const end = this.#at + 4; this.#at < end; this.#at++) {
      if (!/[0-9a-fA-F]/.test(this.#text[this.#at] ?? '')) throw this.#unexpected('in \\u hexadecimal character escape');
    }
  }

  #number(): void {
    if (this.#text[this.#at] === '-') this.#at++;
    if (this.#text[this.#at] === '0') this.#at++;
    else this.#digits('in numeric literal');
    if (this.#text[this.#at] === '.') {
      this.#at++;
      this.#digits('after decimal point in numeric literal');
    }
    if (this.#text[this.#at] === 'e' || this.#text[this.#at] === 'E') {
      this.#at++;
      if (this.#text[this.#at] === '+' || this.#text[this.#at] === '-') this.#at++;
      this.#digits('in exponent of numeric literal');
    }
  }

  #digits(context: string): void {
    if (!isDigit(this.#text[this.#at])) throw this.#unexpected(context);
    while (isDigit(this.#text[this.#at])) this.#at++;
  }

  #literal(word: string): void {
    for (const expected of word) {
      if (this.#text[this.#at] !== expected) throw this.#unexpected(`in literal ${word} (expecting '${expected}')`);
      this.#at++;
    }
  }

  #space(): void {
    while (this.#at < this.#text.length && ' \t\r\n'.includes(this.#text[this.#at] as string)) this.#at++;
  }

  #unexpected(context: string): Malformed {
    const character = this.#text[this.#at];
    if (character === undefined) return new Malformed('unexpected end of JSON input');
    return new Malformed(`invalid character ${quoted(character)} ${context}`);
  }
}

/** As deep as the reference implementation's decoder goes; objects are held to `jsonDepthMax`. */
const depthMax = Math.max(10_000, jsonDepthMax);

const isDigit = (character: string | undefined) => character !== undefined && character >= '0' && character <= '9';

/** The first byte of the character, as the reference implementation reads bytes. */
function quoted(character: string): string {
  if (character === "'") return "'\\''";
  if (character === '"') return "'\"'";
  const byte = Buffer.from(character, 'utf8')[0] as number;
  const short = { 7: '\\a', 8: '\\b', 9: '\\t', 10: '\\n', 11: '\\v', 12: '\\f', 13: '\\r', 92: '\\\\' }[byte];
  if (short) return `'${short}'`;
  if (byte < 0x20 || byte === 0x7f) return `'\\x${byte.toString(16).padStart(2, '0')}'`;
  if (byte >= 0x80 && byte <= 0xa0) return `'\\u00${byte.toString(16)}'`;
  return `'${String.fromCharCode(byte)}'`;
}
