/**
 * The regular expressions of RE2 as a tree. What RE2 leaves out because it has no bound on time, such as back references and
 * look-around, is refused. Source: the RE2 page "Syntax".
 */
import { escapedClass, namedClass, posixClass, type Test, union } from './classes.ts';

export type Assertion = 'textStart' | 'textEnd' | 'lineStart' | 'lineEnd' | 'wordBoundary' | 'noWordBoundary';

export type Pattern =
  | { kind: 'empty' }
  | { kind: 'character'; test: Test }
  | { kind: 'assertion'; assertion: Assertion }
  | { kind: 'sequence'; parts: Pattern[] }
  | { kind: 'choice'; options: Pattern[] }
  | { kind: 'repeat'; part: Pattern; least: number; most: number; greedy: boolean };

/** What is wrong with a pattern, in Go's words. */
export class PatternError extends Error {
  constructor(what: string, where: string) {
    super(`error parsing regexp: ${what}: \`${where}\``);
  }
}

const repeatMax = 1000;
const depthMax = 250;

interface Flags {
  /** i: upper and lower case are the same. */
  fold: boolean;
  /** m: ^ and $ are the ends of lines. */
  lines: boolean;
  /** s: . is also a line break. */
  dotAll: boolean;
  /** U: repetitions are short unless marked. */
  swapGreed: boolean;
}

const controls: Record<string, number> = { a: 7, f: 12, t: 9, n: 10, r: 13, v: 11 };

export function parsePattern(text: string): Pattern {
  const parser = new PatternParser(text);
  return parser.whole();
}

class PatternParser {
  readonly #text: string;
  readonly #points: string[];
  #at = 0;
  #depth = 0;
  #flags: Flags = { fold: false, lines: false, dotAll: false, swapGreed: false };

  constructor(text: string) {
    this.#text = text;
    this.#points = [...text];
  }

  whole(): Pattern {
    const pattern = this.#choice();
    if (this.#at < this.#points.length) throw new PatternError('unexpected )', this.#text);
    return pattern;
  }

  #peek(): string | undefined {
    return this.#points[this.#at];
  }

  #took(expected: string): boolean {
    if (this.#peek() !== expected) return false;
    this.#at++;
    return true;
  }

  #slice(from: number): string {
    return this.#points.slice(from, this.#at).join('');
  }

  #choice(): Pattern {
    if (++this.#depth > depthMax) throw new PatternError('expression nests too deeply', this.#text);
    const options = [this.#sequence()];
    while (this.#took('|')) options.push(this.#sequence());
    this.#depth--;
    return options.length === 1 ? (options[0] as Pattern) : { kind: 'choice', options };
  }

  #sequence(): Pattern {
    const parts: Pattern[] = [];
    for (let next = this.#peek(); next !== undefined && next !== '|' && next !== ')'; next = this.#peek()) {
      const part = this.#atom();
      if (part) parts.push(this.#repeated(part));
    }
    return parts.length === 1 ? (parts[0] as Pattern) : parts.length === 0 ? { kind: 'empty' } : { kind: 'sequence', parts };
  }

  #repeated(part: Pattern): Pattern {
    const start = this.#at;
    const bounds = this.#bounds();
    if (!bounds) return part;
    const lazy = this.#took('?');
    const written = this.#slice(start);
    const again = this.#at;
    if (this.#bounds()) throw new PatternError('invalid nested repetition operator', written + this.#slice(again));
    const [least, most] = bounds;
    if (least > repeatMax || (most !== Infinity && (most > repeatMax || most < least))) {
      throw new PatternError('invalid repeat count', written);
    }
    return { kind: 'repeat', part, least, most, greedy: lazy === this.#flags.swapGreed };
  }

  /** `*`, `+`, `?`, `{n}`, `{n,}`, `{n,m}`; anything else after a brace is the brace itself. */
  #bounds(): [number, number] | undefined {
    if (this.#took('*')) return [0, Infinity];
    if (this.#took('+')) return [1, Infinity];
    if (this.#took('?')) return [0, 1];
    if (this.#peek() !== '{') return undefined;
    const match = /^\{(\d{1,9})(,(\d{1,9})?)?\}/.exec(this.#points.slice(this.#at, this.#at + 24).join(''));
    if (!match) return undefined;
    this.#at += match[0].length;
    const least = Number(match[1]);
    return [least, match[2] === undefined ? least : match[3] === undefined ? Infinity : Number(match[3])];
  }

  #character(test: Test): Pattern {
    return { kind: 'character', test };
  }

  #literal(character: string): Pattern {
    const point = character.codePointAt(0) as number;
    if (!this.#flags.fold) return this.#character((other) => other === point);
    return this.#character(folded((other) => other === point));
  }

  /** Undefined when it only set flags. */
  #atom(): Pattern | undefined {
    const start = this.#at;
    const next = this.#points[this.#at++] as string;
    const { lines, dotAll } = this.#flags;
    switch (next) {
      case '(':
        return this.#group();
      case '[':
        return this.#character(this.#class(start));
      case '.':
        return this.#character(dotAll ? () => true : (point) => point !== 10);
      case '^':
        return { kind: 'assertion', assertion: lines ? 'lineStart' : 'textStart' };
      case '$':
        return { kind: 'assertion', assertion: lines ? 'lineEnd' : 'textEnd' };
      case '\\':
        return this.#escape(start);
      case '*':
      case '+':
      case '?':
        throw new PatternError('missing argument to repetition operator', next);
      case '{': {
        this.#at--;
        if (this.#bounds()) throw new PatternError('missing argument to repetition operator', this.#slice(start));
        this.#at++;
        return this.#literal(next);
      }
      default:
        return this.#literal(next);
    }
  }

  #group(): Pattern | undefined {
    const outer = this.#flags;
    if (this.#took('?')) {
      const rest = this.#points.slice(this.#at, this.#at + 64).join('');
      const name = /^(?:P?<([A-Za-z0-9_]+)>)/.exec(rest);
      if (name) this.#at += [...name[0]].length;
      else {
        const flags = /^([imsU]*)(?:-([imsU]+))?([:)])/.exec(rest);
        if (!flags)
          throw new PatternError('invalid or unsupported Perl syntax', `(?${rest.slice(0, rest.startsWith('<') ? 2 : 1)}`);
        this.#at += flags[0].length;
        this.#flags = withFlags(outer, flags[1] as string, flags[2] ?? '');
        if (flags[3] === ')') return undefined;
      }
    }
    const pattern = this.#choice();
    if (!this.#took(')')) throw new PatternError('missing closing )', this.#text);
    this.#flags = outer;
    return pattern;
  }

  #escape(start: number): Pattern {
    const next = this.#peek();
    if (next === undefined) throw new PatternError('trailing backslash at end of expression', '');
    if (next === 'A' || next === 'z' || next === 'b' || next === 'B') {
      this.#at++;
      const assertions = { A: 'textStart', z: 'textEnd', b: 'wordBoundary', B: 'noWordBoundary' } as const;
      return { kind: 'assertion', assertion: assertions[next] };
    }
    if (next === 'Q') return this.#quoted();
    const set = this.#escapedSet(start);
    if (set) return this.#character(this.#flags.fold ? folded(set) : set);
    return this.#literal(this.#escapedCharacter(start));
  }

  #quoted(): Pattern {
    const rest = this.#points.slice(this.#at + 1).join('');
    const end = rest.indexOf('\\E');
    const literal = [...(end < 0 ? rest : rest.slice(0, end))];
    this.#at += 1 + literal.length + (end < 0 ? 0 : 2);
    return { kind: 'sequence', parts: literal.map((character) => this.#literal(character)) };
  }

  /** `\d`, `\pL`, `\p{Greek}` …; the position is behind it, or unchanged when it is none. */
  #escapedSet(start: number): Test | undefined {
    const next = this.#peek() as string;
    const perl = escapedClass(next);
    if (perl) {
      this.#at++;
      return perl;
    }
    if (next !== 'p' && next !== 'P') return undefined;
    this.#at++;
    const match = /^(?:\{(\^?[A-Za-z_]+)\}|([A-Z]))/.exec(this.#points.slice(this.#at, this.#at + 48).join(''));
    this.#at += match?.[0].length ?? 1;
    const test = match && namedClass((match[1] ?? match[2]) as string, next === 'P');
    if (!test) throw new PatternError('invalid character class range', this.#slice(start));
    return test;
  }

  #escapedCharacter(start: number): string {
    const next = this.#points[this.#at++] as string;
    if (Object.hasOwn(controls, next)) return String.fromCodePoint(controls[next] as number);
    if (/[^A-Za-z0-9]/.test(next) && next.charCodeAt(0) < 128) return next;
    const rest = this.#points.slice(this.#at, this.#at + 12).join('');
    const hex = next === 'x' ? /^(?:\{([0-9a-fA-F]{1,8})\}|([0-9a-fA-F]{2}))/.exec(rest) : null;
    if (hex) {
      this.#at += hex[0].length;
      const point = Number.parseInt((hex[1] ?? hex[2]) as string, 16);
      if (point <= 0x10ffff) return String.fromCodePoint(point);
    }
    const octal = /^[0-7]{1,3}/.exec(next + rest)?.[0];
    if (octal !== undefined && (next === '0' || octal.length > 1)) {
      this.#at += octal.length - 1;
      return String.fromCodePoint(Number.parseInt(octal, 8));
    }
    throw new PatternError('invalid escape sequence', this.#slice(start));
  }

  #class(start: number): Test {
    const negated = this.#took('^');
    const tests: Test[] = [];
    let first = true;
    while (first || this.#peek() !== ']') {
      if (this.#peek() === undefined) throw new PatternError('missing closing ]', this.#points.slice(start).join(''));
      first = false;
      tests.push(this.#classItem(start));
    }
    this.#at++;
    const any = this.#flags.fold ? folded(union(tests)) : union(tests);
    return negated ? (point) => !any(point) : any;
  }

  #classItem(start: number): Test {
    const from = this.#at;
    const posix = /^\[:(\^?)([a-z]+):\]/.exec(this.#points.slice(this.#at, this.#at + 16).join(''));
    if (posix) {
      this.#at += posix[0].length;
      const test = posixClass(posix[2] as string, posix[1] === '^');
      if (!test) throw new PatternError('invalid character class range', posix[0]);
      return test;
    }
    if (this.#peek() === '\\') {
      this.#at++;
      if (this.#peek() === undefined) throw new PatternError('missing closing ]', this.#points.slice(start).join(''));
      const set = this.#escapedSet(from);
      if (set) return set;
      this.#at--;
    }
    const low = this.#classCharacter();
    if (this.#peek() !== '-' || this.#points[this.#at + 1] === ']' || this.#points[this.#at + 1] === undefined) {
      return (point) => point === low;
    }
    this.#at++;
    const high = this.#classCharacter();
    if (high < low) throw new PatternError('invalid character class range', this.#slice(from));
    return (point) => point >= low && point <= high;
  }

  #classCharacter(): number {
    const start = this.#at;
    const next = this.#points[this.#at++] as string;
    return (next === '\\' && this.#peek() !== undefined ? this.#escapedCharacter(start) : next).codePointAt(0) as number;
  }
}

function withFlags(flags: Flags, on: string, off: string): Flags {
  const set = (letter: string, before: boolean) => (off.includes(letter) ? false : on.includes(letter) || before);
  return {
    fold: set('i', flags.fold),
    lines: set('m', flags.lines),
    dotAll: set('s', flags.dotAll),
    swapGreed: set('U', flags.swapGreed),
  };
}

/** The test for a character in either case. */
function folded(test: Test): Test {
  return (point) => {
    if (test(point)) return true;
    const character = String.fromCodePoint(point);
    const [lower, upper] = [character.toLowerCase(), character.toUpperCase()];
    return test(lower.codePointAt(0) as number) || test(upper.codePointAt(0) as number);
  };
}
