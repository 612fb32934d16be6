import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  formatLabelSelector,
  labelSelectorMatches,
  parseFieldSelector,
  parseLabelSelector,
} from '../../src/machinery/selectors.ts';
import { StatusError } from '../../src/machinery/status.ts';

type Labels = Record<string, string> | undefined;

function refusal(parse: () => unknown): string {
  try {
    parse();
  } catch (error) {
    assert.instance(error, StatusError);
    assert.is((error as StatusError).code, 400);
    return (error as Error).message;
  }
  throw new Error('was not refused');
}

test('each operator matches what it says', () => {
  const rules: [string, Labels[], Labels[]][] = [
    ['', [{}, undefined, { a: 'b' }], []],
    ['a=b', [{ a: 'b' }], [{ a: 'c' }, {}, undefined]],
    ['a == b', [{ a: 'b', c: 'd' }], [{ a: '' }]],
    ['a!=b', [{ a: 'c' }, {}, undefined], [{ a: 'b' }]],
    ['a', [{ a: '' }, { a: 'x' }], [{}, undefined, { b: '' }]],
    ['!a', [{}, undefined, { b: '' }], [{ a: '' }]],
    ['a in (x, y)', [{ a: 'x' }, { a: 'y' }], [{ a: 'z' }, {}]],
    ['a notin (x,y)', [{ a: 'z' }, {}, undefined], [{ a: 'x' }]],
    ['a=', [{ a: '' }], [{ a: 'x' }, {}]],
    ['a in (,x)', [{ a: '' }, { a: 'x' }], [{ a: 'y' }]],
    ['in in (notin),notin=in', [{ in: 'notin', notin: 'in' }], [{ in: 'notin' }]],
    ['a>5,b<7', [{ a: '6', b: '6' }], [{ a: '5', b: '6' }, { a: 'x', b: '6' }, { b: '6' }]],
    ['example.com/role=web,tier!=db', [{ 'example.com/role': 'web' }], [{ 'example.com/role': 'web', tier: 'db' }]],
    ['constructor', [{ constructor: 'x' }], [{}]],
  ];
  for (const [text, matching, others] of rules) {
    const matches = parseLabelSelector(text);
    for (const labels of matching) assert.ok(matches(labels), `${text} should match ${JSON.stringify(labels)}`);
    for (const labels of others) assert.not.ok(matches(labels), `${text} should not match ${JSON.stringify(labels)}`);
  }
});

test('a malformed label selector is refused with the known words', () => {
  const words: [string, string][] = [
    ['a=b=c', "found '=', expected: ',' or 'end of string'"],
    ['a,', "found '', expected: identifier after ','"],
    ['=b', "found '=', expected: !, identifier, or 'end of string'"],
    ['a b', "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"],
    ['a in x', "unable to parse requirement: found 'x' expected: '('"],
    ['a in (x', "unable to parse requirement: found '', expected: ',', ')' or identifier"],
    ['a in ()', "unable to parse requirement: values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty"],
    [
      'a>x',
      "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer",
    ],
  ];
  for (const [text, message] of words)
    assert.is(
      refusal(() => parseLabelSelector(text)),
      message,
      text,
    );
  assert.match(
    refusal(() => parseLabelSelector('-a=b')),
    /^unable to parse requirement: <nil>: Invalid value: "-a": name part must/,
  );
  assert.match(
    refusal(() => parseLabelSelector('a=b_')),
    /values\[0\]\[a\]: Invalid value: "b_": a valid label must/,
  );
});

test('a field selector is a list of equalities, with escapes', () => {
  assert.equal(parseFieldSelector('spec.nodeName=a,status.phase!=Failed,x==y,z='), [
    { field: 'spec.nodeName', operator: '=', value: 'a' },
    { field: 'status.phase', operator: '!=', value: 'Failed' },
    { field: 'x', operator: '=', value: 'y' },
    { field: 'z', operator: '=', value: '' },
  ]);
  assert.equal(parseFieldSelector('a=x\\,y\\=z\\\\'), [{ field: 'a', operator: '=', value: 'x,y=z\\' }]);
  assert.equal(parseFieldSelector(''), []);
  assert.is(
    refusal(() => parseFieldSelector('a=1,b')),
    "invalid selector: 'a=1,b'; can't understand 'b'",
  );
  assert.ok(refusal(() => parseFieldSelector('a=b=c')));
  assert.ok(refusal(() => parseFieldSelector('a=b\\x')));
});

test('no structured selector selects nothing and an empty one everything', () => {
  assert.not.ok(labelSelectorMatches(undefined, { a: 'b' }));
  assert.ok(labelSelectorMatches({}, undefined));
  const selector = { matchLabels: { a: 'b' }, matchExpressions: [{ key: 'c', operator: 'In', values: ['1', '2'] }] };
  assert.ok(labelSelectorMatches(selector, { a: 'b', c: '2' }));
  assert.not.ok(labelSelectorMatches(selector, { a: 'b' }));
  assert.not.ok(labelSelectorMatches({ matchExpressions: [{ key: 'c', operator: 'Near' }] }, { c: '1' }));
});

test('the text form is sorted by key and parses to the same', () => {
  const selector = {
    matchLabels: { z: '1', a: '2' },
    matchExpressions: [
      { key: 'c', operator: 'In', values: ['y', 'x'] },
      { key: 'd', operator: 'DoesNotExist' },
      { key: 'e', operator: 'Exists' },
      { key: 'b', operator: 'NotIn', values: ['q'] },
    ],
  };
  const text = formatLabelSelector(selector);
  assert.is(text, 'a=2,b notin (q),c in (x,y),!d,e,z=1');
  assert.ok(parseLabelSelector(text)({ a: '2', c: 'x', e: '', z: '1' }));
  assert.is(formatLabelSelector({}), '<none>');
});

test.run();
