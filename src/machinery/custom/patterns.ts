/**
 * The patterns of schemas are written for RE2, which has no look-around and no back references; this brings one into the form of this
 * language. Source: the syntax page of RE2.
 */
const patternLengthMax = 4_096;
const compiled = new Map<string, RegExp | string>();
const compiledMax = 1_000;

const posixClasses: Record<string, string> = {
  alnum: '0-9A-Za-z',
  alpha: 'A-Za-z',
  ascii: '\\x00-\\x7F',
  blank: '\\t ',
  cntrl: '\\x00-\\x1F\\x7F',
  digit: '0-9',
  graph: '!-~',
  lower: 'a-z',
  print: ' -~',
  punct: '!-\\/:-@\\[-`{-~',
  space: '\\t\\n\\v\\f\\r ',
  upper: 'A-Z',
  word: '0-9A-Za-z_',
  xdigit: '0-9A-Fa-f',
};

/** The expression, or what is wrong with the pattern. The last 1,000 are kept. */
export function compilePattern(pattern: string): RegExp | string {
  const known = compiled.get(pattern);
  if (known !== undefined) return known;
  const made = compile(pattern);
  compiled.set(pattern, made);
  if (compiled.size > compiledMax) compiled.delete(compiled.keys().next().value as string);
  return made;
}

function compile(pattern: string): RegExp | string {
  if (pattern.length > patternLengthMax) return `pattern is longer than ${patternLengthMax} characters`;
  if (/\(\?<?[=!]/.test(pattern)) return 'invalid or unsupported Perl syntax: look-around';
  if (/(^|[^\\])(\\\\)*\\[1-9k]/.test(pattern)) return 'invalid escape sequence: back reference';
  const flags = /^\(\?([ims]+)\)/.exec(pattern);
  const source = translate(flags ? pattern.slice(flags[0].length) : pattern);
  for (const mode of ['u', '']) {
    try {
      return new RegExp(source, `${flags?.[1] ?? ''}${mode}`);
    } catch (error) {
      // Escapes of plain characters are allowed without the Unicode mode only.
      if (mode === '') return error instanceof Error ? error.message : String(error);
    }
  }
  return 'not a pattern';
}

function translate(pattern: string): string {
  return pattern
    .replace(/\[:(\^?)(\w+):\]/g, (whole, not: string, name: string) => (not ? whole : (posixClasses[name] ?? whole)))
    .replace(/\(\?P</g, '(?<')
    .replace(/(\\\\)|\\A|\\z|\\Q(.*?)\\E|\\p([A-Z])(?![a-z{])/gs, (whole, slash?: string, quoted?: string, letter?: string) => {
      if (slash) return slash;
      if (quoted !== undefined) return quoted.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
      if (letter) return `\\p{${letter}}`;
      return whole === '\\A' ? '^' : '$';
    });
}
