/** JSON and YAML as texts: what is malformed and where, which keys occur twice, and how YAML's words are taken. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { duplicateKeys, duplicatesMax, jsonComplaint } from '../../src/machinery/json-text.ts';
import { readYaml, YamlComplaint } from '../../src/machinery/yaml-text.ts';

const parses = (text: string) => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

test('JSON is complained about exactly when it does not parse', () => {
  fc.assert(
    fc.property(fc.json(), fc.nat(), fc.constantFrom(...'{}[],:"\\01-.etfn \n'), (text, place, character) => {
      const at = place % (text.length + 1);
      for (const changed of [
        text,
        text.slice(0, at),
        text.slice(0, at) + character + text.slice(at),
        text.slice(0, at) + text.slice(at + 1),
      ]) {
        assert.is(jsonComplaint(changed) === undefined, parses(changed), changed);
      }
    }),
    { numRuns: 300, seed: 7 },
  );
});

test('what a text holds once is no duplicate', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = JSON.stringify(value);
      assert.equal(duplicateKeys(text, JSON.parse(text)), []);
    }),
    { numRuns: 300, seed: 7 },
  );
});

test('keys that occur twice are told with their paths, each once', () => {
  const cases: [string, string[]][] = [
    ['{"a":1,"a":2,"a":3}', ['a']],
    ['{"a":{"b":1,"b":2},"c":[{"d":1},{"d":1,"d":2}]}', ['a.b', 'c[1].d']],
    ['{"a":"\\"a\\":1, {","b\\\\":1,"b\\\\":":"}', ['b\\']],
    ['{"a":1,"\\u0061":2}', ['a']],
    ['{"__proto__":1,"__proto__":2}', ['__proto__']],
    ['{"x.y":{"z":1,"z":1}}', ['x.y.z']],
  ];
  for (const [text, wanted] of cases) assert.equal(duplicateKeys(text, JSON.parse(text)), wanted, text);
  const many = `{${Array.from({ length: 500 }, (_, index) => `"k${index}":1,"k${index}":2`).join()}}`;
  assert.is(duplicateKeys(many, JSON.parse(many)).length, duplicatesMax);
});

test('YAML has the words of version 1.1, and what looks like a time stays text', () => {
  const { value } = readYaml(
    'a: yes\nb: Off\nc: n\nd: 0644\ne: 1_000\nf: 0x1f\ng: 1:30\nh: 2001-01-01\ni: "yes"\nj: ~\nk: .5\nl: 1e3\n12: x\non: y\n',
  );
  assert.equal(value, {
    a: true,
    b: false,
    c: false,
    d: 420,
    e: 1000,
    f: 31,
    g: '1:30',
    h: '2001-01-01',
    i: 'yes',
    j: null,
    k: 0.5,
    l: 1000,
    12: 'x',
    true: true,
  });
});

test('YAML merges maps, takes the first document and the last of two keys', () => {
  assert.equal(readYaml('a: &a {p: 1, q: 2}\nb:\n  <<: *a\n  q: 3\n').value, { a: { p: 1, q: 2 }, b: { p: 1, q: 3 } });
  assert.equal(readYaml('---\na: 1\n---\nb: 2\n').value, { a: 1 });
  assert.equal(readYaml('a: 1\nb:\n  c: 1\n  "c": 2\na: 2\n'), {
    value: { a: 2, b: { c: 2 } },
    duplicates: ['line 4: key "c" already set in map', 'line 5: key "a" already set in map'],
  });
  assert.equal(readYaml('').value, null);
  assert.equal(readYaml('{"a": "yes", "b": [1, "\\u0041"], "y": 1}'), { value: { a: 'yes', b: [1, 'A'], y: 1 }, duplicates: [] });
  assert.equal(readYaml('{"a": 1, "a": 2}'), { value: { a: 2 }, duplicates: ['line 1: key "a" already set in map'] });
});

test('YAML that is nested too deeply, or grows without bound, is refused', () => {
  for (const text of ['['.repeat(5_000), '- '.repeat(2_000), `${'{a: '.repeat(600)}1${'}'.repeat(600)}`]) {
    assert.throws(
      () => readYaml(text),
      (error: unknown) => error instanceof YamlComplaint && /max depth/.test(error.message),
    );
  }
  const list = Array.from({ length: 200 }, () => '*a').join();
  assert.throws(
    () => readYaml(`a: &a [${'x,'.repeat(200)}]\nb: &b [${list}]\nc: [${list.replaceAll('*a', '*b')}]\n`),
    /excessive aliasing/,
  );
});

test.run();
