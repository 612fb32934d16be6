/** What expressions cost when they run, what they are estimated at, and what keeps them from running on. */
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  CelBudget,
  CelEnvironment,
  CelError,
  celTypes,
  escapeFieldName,
  listOf,
  toJson,
  typeOfSchema,
  unescapeFieldName,
} from '../../src/cel/index.ts';
import { matches } from '../../src/cel/regex/index.ts';
import { environment, variables } from './expressions.ts';

const costOf = (text: string) => {
  const budget = new CelBudget(10_000_000);
  environment.compile(text).evaluate(variables, budget);
  return budget.used;
};

test('what running costs', () => {
  const rows: [string, number][] = [
    ['1', 0],
    ['[1, 2, 3]', 0],
    ['{"a": 1}', 0],
    ['duration("1h")', 0],
    ['self.count', 2],
    ['any.nested.deep.er', 4],
    ['self.count == 3', 3],
    ['self.count > 1 && self.on', 5],
    ['self.on || self.count > 1', 2],
    ['has(self.count)', 1],
    ['[self.count]', 12],
    ['{"a": self.count}', 32],
    ['"a" in ["a", "b"]', 0],
    ['"a" in self.tags', 5],
    ['numbers[0]', 2],
    ['numbers.all(x, x > 0)', 17],
    ['numbers.map(x, x)', 41],
    ['self.name.startsWith("w")', 3],
    ['self.name.contains("w")', 3],
    ['self.name.matches("^w.*$")', 4],
    ['self.name + self.name', 6],
    ['self.name.lowerAscii()', 3],
    ['cel.bind(x, self.count, x + x)', 5],
  ];
  for (const [text, cost] of rows) assert.is(costOf(text), cost, text);
});

test('what is estimated follows the bounds of the schema', () => {
  const self = typeOfSchema({
    type: 'object',
    properties: {
      name: { type: 'string', maxLength: 10 },
      words: { type: 'array', maxItems: 5, items: { type: 'string', maxLength: 4 } },
      open: { type: 'array', items: { type: 'string' } },
      map: { type: 'object', maxProperties: 3, additionalProperties: { type: 'string', maxLength: 2 } },
      kind: { type: 'string', enum: ['one', 'three'] },
      count: { type: 'integer' },
    },
  });
  const bounded = new CelEnvironment({ variables: { self } });
  const estimate = (text: string) => bounded.compile(text).estimateCost();
  const rows: [string, number][] = [
    ['1', 0],
    ['self.count', 2],
    ['self.name == "x"', 3],
    ['self.name.startsWith("x")', 3],
    ['self.name.matches("^[a-z]+$")', 2 + 5 * 2],
    ['self.words.all(w, w == "x")', 1 + 1 + 1 + 5 * (2 + 1 + 1 + 1)],
    ['self.words.exists(w, w.contains("xy"))', 1 + 1 + 1 + 5 * (3 + 1 + 1 + 2)],
    ['self.words.all(w, self.words.all(v, v != w))', 1 + 1 + 1 + 5 * (2 + 1 + 3 + 5 * (2 + 1 + 1 + 1 + 2))],
    ['self.kind.lowerAscii()', 3],
    ['self.map.all(k, self.map[k] != "")', 1 + 1 + 1 + 3 * (2 + 1 + 1 + 1 + 1 + 1 + 0)],
    ['true ? self.count : 1', 2],
  ];
  for (const [text, most] of rows) assert.is(estimate(text), most, text);
  assert.ok(estimate('self.open.all(w, w == "x")') > 5_000_000);
  assert.ok(estimate('self.open.all(w, self.open.all(v, v == w))') > 100_000_000_000);
});

test('an estimate is never below what running costs', () => {
  const rows = [
    'self.name.startsWith("w") && self.tags.all(t, t in self.tags)',
    'self.tags.map(t, t + "x").join(",").size() < 100',
    'self.ports.exists(p, p.port == 443)',
  ];
  for (const text of rows) assert.ok(environment.compile(text).estimateCost() >= costOf(text), text);
});

const unbounded = new CelEnvironment({ variables: { list: listOf(celTypes.int), text: celTypes.string } });
const run = (text: string, input: Record<string, unknown>, budget = new CelBudget(10_000_000)) =>
  unbounded.compile(text).evaluate(input, budget);

const codeOf = (work: () => unknown) => {
  try {
    work();
  } catch (error) {
    if (error instanceof CelError) return error.code;
    throw error;
  }
  return undefined;
};

test('one call ends at its bound, several at the budget they share', () => {
  const list = Array.from({ length: 2000 }, (_, index) => index);
  assert.is(
    codeOf(() => run('list.all(x, list.all(y, x + y >= 0))', { list })),
    'CallCost',
  );
  const budget = new CelBudget(1000);
  run('list.all(x, x >= 0)', { list: list.slice(0, 100) }, budget);
  assert.is(budget.remaining, 1000 - 502);
  assert.is(
    codeOf(() => run('list.all(x, x >= 0)', { list: list.slice(0, 100) }, budget)),
    'Budget',
  );
  assert.throws(
    () => run('true || text == ""', { text: '' }, new CelBudget(-1)) && run('text', { text: 'x' }, budget),
    /actual cost limit exceeded/,
  );
  // What is out of budget is not absorbed.
  assert.is(
    codeOf(() => run('list.all(x, x >= 0) || true', { list }, new CelBudget(100))),
    'Budget',
  );
});

test('doubling ends before the memory does', () => {
  const doubled = (start: string) =>
    `cel.bind(a, ${start}, ${Array.from({ length: 40 }, (_, index) => `cel.bind(a${index}, ${index === 0 ? 'a + a' : `a${index - 1} + a${index - 1}`}, `).join('')}a39.size()${')'.repeat(41)}`;
  assert.is(
    codeOf(() => run(doubled('list'), { list: [1, 2, 3] })),
    'CallCost',
  );
  assert.is(
    codeOf(() => run(doubled('text'), { text: 'abc' })),
    'CallCost',
  );
  assert.is(
    codeOf(() => run('text.replace("", text).size()', { text: 'x'.repeat(100_000) })),
    'CallCost',
  );
});

test('no pattern takes more than linear time', () => {
  const text = `${'a'.repeat(5000)}!`;
  for (const pattern of ['^(a+)+$', '^(a|aa)+$', '(a*)*b', '^(a?){50}a{50}$|b', '(.*)*x'])
    assert.is(matches(text, pattern), false, pattern);
  assert.is(
    codeOf(() => run('text.findAll("a.*b|a").size()', { text })),
    'CallCost',
  );
});

test('patterns match what the RegExp of JavaScript matches, where both mean the same', () => {
  const piece = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '(a|b)', '(?:ab|a)', '\\w', '\\d', '^', '$', '\\b');
  const repeat = fc.constantFrom('', '', '*', '+', '?', '{2}', '{1,2}', '*?', '+?');
  const pattern = fc
    .array(fc.tuple(piece, repeat), { maxLength: 6 })
    .map((parts) => parts.map(([part, count]) => part + (/^(\^|\$|\\b)$/.test(part) ? '' : count)).join(''));
  const subject = fc.string({ unit: fc.constantFrom('a', 'b', 'c', ' '), maxLength: 12 });
  fc.assert(
    fc.property(pattern, subject, (source, text) => {
      const budget = new CelBudget(10_000_000);
      const program = unbounded.compile(`text.find(${JSON.stringify(source)})`);
      assert.is(matches(text, source), new RegExp(source, 'u').test(text));
      assert.is(program.evaluate({ text }, budget), new RegExp(source, 'u').exec(text)?.[0] ?? '');
    }),
    { numRuns: 300, seed: 7 },
  );
});

test('literals of what a program makes mean the same again', () => {
  const json = fc.letrec((tie) => ({
    value: fc.oneof({ depthSize: 'small' }, fc.string(), fc.integer(), fc.boolean(), tie('list'), tie('map')),
    list: fc.array(tie('value'), { maxLength: 4 }),
    map: fc.dictionary(fc.string(), tie('value'), { maxKeys: 4, noNullPrototype: true }),
  })).value;
  const dyn = new CelEnvironment({ variables: { given: celTypes.dyn } });
  const written = (value: unknown): string => {
    if (Array.isArray(value)) return `dyn([${value.map((item) => `dyn(${written(item)})`).join(', ')}])`;
    if (typeof value !== 'object' || value === null) return typeof value === 'string' ? quoted(value) : String(value);
    return `dyn({${Object.entries(value)
      .map(([name, member]) => `${quoted(name)}: dyn(${written(member)})`)
      .join(', ')}})`;
  };
  const quoted = (text: string) =>
    `"${[...text].map((character) => `\\U${(character.codePointAt(0) as number).toString(16).padStart(8, '0')}`).join('')}"`;
  fc.assert(
    fc.property(json, (value) => {
      const made = dyn.compile(written(value)).evaluate({}, new CelBudget(1_000_000));
      assert.equal(toJson(made), value);
      assert.is(dyn.compile(`given == ${written(value)}`).evaluate({ given: value }, new CelBudget(1_000_000)), true);
    }),
    { numRuns: 200, seed: 7 },
  );
});

test('escaped names of fields come back', () => {
  const name = fc.string({ unit: fc.constantFrom('a', 'Z', '0', '_', '.', '-', '/'), minLength: 1, maxLength: 10 });
  fc.assert(
    fc.property(name, (field) => {
      const escaped = escapeFieldName(field);
      if (escaped === undefined) return /^\d/.test(field);
      assert.match(escaped, /^[a-zA-Z_][a-zA-Z0-9_]*$/);
      // Three underscores or more can be read in two ways.
      if (!/___|_(?=[.\-/])|[.\-/]_/.test(field)) assert.is(unescapeFieldName(escaped), field);
      return true;
    }),
    { seed: 7 },
  );
  for (const keyword of ['namespace', 'in', 'for', 'true'])
    assert.is(unescapeFieldName(escapeFieldName(keyword) as string), keyword);
});

test.run();
