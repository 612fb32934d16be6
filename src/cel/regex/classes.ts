/** Classes of characters by name: Perl's letters, POSIX names, Unicode categories and scripts. */

/** Whether a code point belongs. */
export type Test = (point: number) => boolean;

const within = (low: string, high: string): Test => {
  const [from, to] = [low.charCodeAt(0), high.charCodeAt(0)];
  return (point) => point >= from && point <= to;
};
const among = (characters: string): Test => {
  const points = new Set([...characters].map((character) => character.charCodeAt(0)));
  return (point) => points.has(point);
};
const not =
  (test: Test): Test =>
  (point) =>
    !test(point);

export const union = (tests: readonly Test[]): Test =>
  tests.length === 1 ? (tests[0] as Test) : (point) => tests.some((test) => test(point));

const digit = within('0', '9');
const lower = within('a', 'z');
const upper = within('A', 'Z');
const alpha = union([lower, upper]);
const alnum = union([alpha, digit]);
const space = among('\t\n\f\r ');

/** Letters, digits and the underscore: what `\b` is the end of. */
export const word = union([alnum, among('_')]);

const posix: Record<string, Test> = {
  alnum,
  alpha,
  ascii: (point) => point < 128,
  blank: among('\t '),
  cntrl: (point) => point < 32 || point === 127,
  digit,
  graph: within('!', '~'),
  lower,
  print: within(' ', '~'),
  punct: (point) => point > 32 && point < 127 && !alnum(point),
  space: among('\t\n\v\f\r '),
  upper,
  word,
  xdigit: union([digit, within('a', 'f'), within('A', 'F')]),
};

export function posixClass(name: string, negated: boolean): Test | undefined {
  const test = Object.hasOwn(posix, name) ? posix[name] : undefined;
  return test && negated ? not(test) : test;
}

const perl: Record<string, Test> = { d: digit, D: not(digit), s: space, S: not(space), w: word, W: not(word) };

export function escapedClass(letter: string): Test | undefined {
  return Object.hasOwn(perl, letter) ? perl[letter] : undefined;
}

/** A Unicode category (`L`, `Nd`) or script (`Greek`); `^` before it negates. Each test looks at one character only. */
export function namedClass(name: string, negated: boolean): Test | undefined {
  const plain = name.replace('^', '');
  if (plain === 'Any') return negated !== name.startsWith('^') ? () => false : () => true;
  const property = plain.length <= 2 ? `General_Category=${plain}` : `Script=${plain}`;
  let pattern: RegExp;
  try {
    pattern = new RegExp(`^\\p{${property}}$`, 'u');
  } catch {
    return undefined;
  }
  const test: Test = (point) => pattern.test(String.fromCodePoint(point));
  return negated !== name.startsWith('^') ? not(test) : test;
}
