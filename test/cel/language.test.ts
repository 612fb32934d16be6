/** The language itself: operators, literals, macros, conversions, and what goes wrong. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { checkComplaints, checkFailures, checkValues, evaluate } from './expressions.ts';

test('arithmetic and its precedence', () => {
  checkValues([
    ['1 + 2 * 3', 7],
    ['(1 + 2) * 3', 9],
    ['7 - 2 - 1', 4],
    ['7 / 2', 3],
    ['-7 / 2', -3],
    ['7 % 3', 1],
    ['-7 % 3', -1],
    ['7.0 / 2.0', 3.5],
    ['2u * 3u', 6],
    ['7u % 4u', 3],
    ['-(1)', -1],
    ['- - 1', 1],
    ['--1', 1],
    ['-2.5', -2.5],
    ['!true', false],
    ['!!true', true],
    ['0x1F', 31],
    ['-0x10', -16],
    ['0xFFu', 255],
    ['1e3', 1000],
    ['.5', 0.5],
    ['-9223372036854775808', -9223372036854775808n],
    ['9223372036854775807', 9223372036854775807n],
    ['18446744073709551615u', 18446744073709551615n],
    ['1.0 / 0.0 > 1e300', true],
    ['-1.0 / 0.0 < -1e300', true],
    ['"a" + "b"', 'ab'],
    ['b"a" + b"b" == b"ab"', true],
    ['[1] + [2, 3]', [1, 2, 3]],
  ]);
  checkFailures([
    ['1 / 0', 'division by zero'],
    ['1u / 0u', 'division by zero'],
    ['1 % 0', 'modulus by zero'],
    ['9223372036854775807 + 1', 'integer overflow'],
    ['-9223372036854775808 - 1', 'integer overflow'],
    ['9223372036854775807 * 2', 'integer overflow'],
    ['-(-9223372036854775808)', 'integer overflow'],
    ['-9223372036854775808 / -1', 'integer overflow'],
    ['0u - 1u', 'unsigned integer overflow'],
    ['18446744073709551615u + 1u', 'unsigned integer overflow'],
  ]);
});

test('comparison across kinds of numbers', () => {
  checkValues([
    ['1 < 2', true],
    ['2 <= 2', true],
    ['1 < 1.5', true],
    ['2u > 1', true],
    ['1.5 >= 1u', true],
    ['9223372036854775807 < 9223372036854775808.0', true],
    ['dyn(1) == 1.0', true],
    ['dyn(1u) == 1', true],
    ['dyn(1) == "1"', false],
    ['dyn(1) != "1"', true],
    ['"a" < "b"', true],
    ['"b" < "a"', false],
    ['"\\uffee" < "😀"', true],
    ['false < true', true],
    ['b"a" < b"b"', true],
    ['duration("1s") < duration("1m")', true],
    ['timestamp("2024-01-01T00:00:00Z") < timestamp("2024-01-01T00:00:01Z")', true],
    ['[1, 2] == [1, 2]', true],
    ['[1, 2] == [2, 1]', false],
    ['{"a": 1} == {"a": 1}', true],
    ['{"a": 1} == {"a": 2}', false],
    ['{"a": 1, "b": 2} == {"b": 2, "a": 1}', true],
    ['null == null', true],
    ['dyn(null) == 1', false],
    ['double("NaN") == double("NaN")', false],
    ['double("NaN") != double("NaN")', true],
    ['type(1) == int', true],
    ['type(1) == type(1u)', false],
    ['type([]) == list && type({}) == map', true],
    ['type(type(1)) == type', true],
    ['type(null) == null_type', true],
    ['type(duration("1s")) == google.protobuf.Duration', true],
  ]);
  checkFailures([
    ['double("NaN") < 1.0', 'NaN values cannot be ordered'],
    ['any.list[0] < any.list[1]', 'no such overload'],
    ['any.nested + 1 == 2', 'no such overload'],
  ]);
});

test('logic leaves out what does not matter, also errors', () => {
  checkValues([
    ['false && 1 / 0 == 1', false],
    ['1 / 0 == 1 && false', false],
    ['true || 1 / 0 == 1', true],
    ['1 / 0 == 1 || true', true],
    ['true ? 1 : 1 / 0', 1],
    ['false ? 1 / 0 : 2', 2],
    ['true && true && false || true', true],
    ['false ? 1 : true ? 2 : 3', 2],
    ['[1, 0].exists(x, 1 / x == 1)', true],
    ['[0, 1].exists(x, 1 / x == 1)', true],
    ['[0, 2].all(x, 1 / x == 1)', false],
  ]);
  checkFailures([
    ['1 / 0 == 1 && true', 'division by zero'],
    ['1 / 0 == 1 || false', 'division by zero'],
    ['[0, 2].exists(x, 1 / x == 1)', 'division by zero'],
    ['[0, 1].all(x, 1 / x == 1)', 'division by zero'],
    ['[0, 1].exists_one(x, 1 / x == 1)', 'division by zero'],
    ['[0, 1].map(x, 1 / x).size() == 1', 'division by zero'],
  ]);
});

test('literals of strings and bytes', () => {
  checkValues([
    ["'single'", 'single'],
    ['"a\\n\\t\\"\\\\"', 'a\n\t"\\'],
    ["r'raw\\n'", 'raw\\n'],
    ['"""triple "quoted" text"""', 'triple "quoted" text'],
    ["'''it's'''", "it's"],
    ['"""two\nlines"""', 'two\nlines'],
    ['"\\u00e9\\U0001F600\\x41\\101"', 'é😀AA'],
    ['"\\`\\?\\a" == "`?\\x07"', true],
    ['string(b"abc")', 'abc'],
    ['b"\\xff\\377" == b"\\xff\\xff"', true],
    ['size(b"é")', 2],
    ["size('é')", 1],
    ["size('😀')", 1],
    ["rb'\\x' == b'\\\\x'", true],
    ["Br'x' == b'x'", true],
    ['// a comment\n1', 1],
    ['1 // at the end', 1],
  ]);
});

test('lists, maps and access', () => {
  checkValues([
    ['[1, 2, 3][1]', 2],
    ['[1, 2,][1]', 2],
    ['{"a": 1}["a"]', 1],
    ['{"a": 1}.a', 1],
    ['{1: "x"}[1]', 'x'],
    ['{true: "x"}[true]', 'x'],
    ['{1u: "x"}[1u]', 'x'],
    ['dyn({1: "x"})[1.0]', 'x'],
    ['2 in [1, 2]', true],
    ['4 in [1, 2]', false],
    ['"a" in {"a": 1}', true],
    ['"b" in {"a": 1}', false],
    ['!("b" in {"a": 1})', true],
    ['dyn(1.0) in dyn([1])', true],
    ['dyn("x") in [1]', false],
    ['size([1, 2])', 2],
    ['{"a": 1}.size()', 1],
    ['has({"a": 1}.a)', true],
    ['has({"a": 1}.b)', false],
    ['[[1], [2, 3]][1][1]', 3],
    ['any.list[2]', 3.5],
    ['any.list[3] == null', true],
    ['any.nested.deep.er', 'x'],
    ['any["odd key"]', 1],
    ['numbers[0] + numbers[2]', 4],
    ['request.kind.group', 'apps'],
    ['[] == []', true],
    ['{} == {}', true],
    ['size({})', 0],
  ]);
  checkFailures([
    ['[1][1]', 'index out of bounds: 1'],
    ['[1][-1]', 'index out of bounds: -1'],
    ['{"a": 1}["b"]', 'no such key: b'],
    ['{"a": 1}.b', 'no such key: b'],
    ['words.nope == ""', 'no such key: nope'],
    ['any.nope == 1', 'no such key: nope'],
    ['any.zero.field == 1', 'no such overload'],
    ['{"a": 1, "a": 2}.size() + numbers[0]', 'Failed with repeated key: a'],
    ['{dyn(1): 1, dyn(1.0): 2}.size()', 'Failed with repeated key: 1'],
  ]);
});

test('macros', () => {
  checkValues([
    ['[1, 2].all(x, x > 0)', true],
    ['[1, 2].all(x, x > 1)', false],
    ['[].all(x, x > 1)', true],
    ['[1, 2].exists(x, x > 1)', true],
    ['[].exists(x, true)', false],
    ['[1, 2, 2].exists_one(x, x == 2)', false],
    ['[1, 2].existsOne(x, x == 2)', true],
    ['[1, 2].map(x, x * 10)', [10, 20]],
    ['[1, 2, 3].map(x, x > 1, x * 10)', [20, 30]],
    ['[1, 2, 3].filter(x, x != 2)', [1, 3]],
    ['{"a": 1, "b": 2}.map(k, k)', ['a', 'b']],
    ['{"a": 1, "b": 2}.filter(k, k > "a")', ['b']],
    ['{"a": 1}.all(k, k == "a")', true],
    ['[[1, 2], [3]].map(x, x.map(y, y + 1))', [[2, 3], [4]]],
    ['[1, 2].map(x, [1, 2].filter(y, y != x))', [[2], [1]]],
    ['[1, 2].map(x, [x].map(x, x * 2)[0])', [2, 4]],
    ['[10, 20].all(i, v, v == (i + 1) * 10)', true],
    ['{"a": 1}.exists(k, v, k == "a" && v == 1)', true],
    ['[1, 2].existsOne(i, v, i == v)', false],
    ['[5, 6].transformList(i, v, i + v)', [5, 7]],
    ['[5, 6].transformList(i, v, i > 0, v)', [6]],
    ['[5, 6].transformMap(i, v, v * 2)[1]', 12],
    ['{"a": 1, "b": 2}.transformMap(k, v, v > 1, v * 2)', { b: 4 }],
    ['{"a": "x"}.transformMapEntry(k, v, {v: k})', { x: 'a' }],
    ['cel.bind(x, 2, x * x)', 4],
    ['cel.bind(x, [1, 2], x.map(y, y + x.size()))', [3, 4]],
    ['cel.bind(x, 1, cel.bind(y, x + 1, x + y))', 3],
    ['any.list.exists(x, x == "two")', true],
    ['any.list.filter(x, type(x) == int)', [1]],
    ['[3, 1, 2].sortBy(x, -x)', [3, 2, 1]],
  ]);
  checkFailures([
    ['["a", "a"].transformMapEntry(i, v, {v: i}).size()', 'insert failed: key a already exists'],
    ['any.zero.all(x, true)', 'no such overload'],
  ]);
});

test('conversions', () => {
  checkValues([
    ['int("-42")', -42],
    ['int(3.9)', 3],
    ['int(-3.9)', -3],
    ['int(7u)', 7],
    ['int(timestamp("1970-01-01T00:01:00Z"))', 60],
    ['uint("42") == 42u', true],
    ['uint(3.9)', 3],
    ['double("1.5")', 1.5],
    ['double(2)', 2],
    ['string(1)', '1'],
    ['string(1u)', '1'],
    ['string(1.5)', '1.5'],
    ['string(1e21)', '1000000000000000000000'],
    ['string(1e-7)', '0.0000001'],
    ['string(true)', 'true'],
    ['string(b"x")', 'x'],
    ['string(duration("90m"))', '5400s'],
    ['string(duration("-1500ms"))', '-1.5s'],
    ['string(timestamp("2024-01-01T01:00:00+01:00"))', '2024-01-01T00:00:00Z'],
    ['bytes("é") == b"é"', true],
    ['bool("true")', true],
    ['bool("f")', false],
    ['duration("1h1m1s1ms1us1ns") > duration("1h")', true],
    ['duration("1.5h") == duration("90m")', true],
    ['timestamp(0) == timestamp("1970-01-01T00:00:00Z")', true],
    ['dyn(1) + 1', 2],
    ['type(dyn(1)) == int', true],
  ]);
  checkFailures([
    ['int("x")', "type conversion error from 'string' to 'int'"],
    ['int("9223372036854775808")', "type conversion error from 'string' to 'int'"],
    ['int(1e30)', 'integer overflow'],
    ['int(18446744073709551615u)', 'integer overflow'],
    ['uint(-1)', 'unsigned integer overflow'],
    ['uint("-1")', "type conversion error from 'string' to 'uint'"],
    ['double("x")', "type conversion error from 'string' to 'double'"],
    ['bool("yes")', "type conversion error from 'string' to 'bool'"],
    ['string(b"\\xff")', 'invalid UTF-8 in bytes, cannot convert to string'],
    ['duration(words.a) == duration("1s")', "type conversion error from 'string' to 'google.protobuf.Duration'"],
    ['timestamp(words.a).getHours() == 1', "type conversion error from 'string' to 'google.protobuf.Timestamp'"],
  ]);
});

test('timestamps and durations', () => {
  checkValues([
    ['self.since.getFullYear()', 2024],
    ['self.since.getMonth()', 1],
    ['self.since.getDate()', 29],
    ['self.since.getDayOfMonth()', 28],
    ['self.since.getDayOfYear()', 59],
    ['self.since.getDayOfWeek()', 4],
    ['self.since.getHours()', 12],
    ['self.since.getMinutes()', 30],
    ['self.since.getSeconds()', 15],
    ['self.since.getMilliseconds()', 500],
    ['self.since.getHours("America/Los_Angeles")', 4],
    ['self.since.getHours("+05:30")', 18],
    ['self.since.getMinutes("-00:45")', 45],
    ['timestamp("2024-01-01T00:00:00Z").getFullYear("America/New_York")', 2023],
    ['timestamp("0001-01-01T00:00:00Z").getFullYear()', 1],
    ['self.wait.getHours()', 1],
    ['self.wait.getMinutes()', 90],
    ['self.wait.getSeconds()', 5400],
    ['duration("1.234s").getMilliseconds()', 1234],
    ['self.since + duration("1h") > self.since', true],
    ['self.since - self.since == duration("0s")', true],
    ['string(self.since - duration("12h30m15.5s"))', '2024-02-29T00:00:00Z'],
    ['duration("1h") + duration("30m") == self.wait', true],
    ['self.day == timestamp("2024-03-01T00:00:00Z")', true],
  ]);
  checkFailures([
    ['timestamp("9999-12-31T23:59:59Z") + self.wait == self.since', 'timestamp overflow'],
    ['self.since.getHours("Mars/Olympus") == 1', 'unknown time zone Mars/Olympus'],
  ]);
});

test('optional values', () => {
  checkValues([
    ['optional.of(1).hasValue()', true],
    ['optional.none().hasValue()', false],
    ['optional.of(1).value()', 1],
    ['optional.none().orValue(2)', 2],
    ['optional.none().or(optional.of(3)).value()', 3],
    ['optional.ofNonZeroValue(0).hasValue()', false],
    ['optional.ofNonZeroValue("").hasValue()', false],
    ['optional.ofNonZeroValue("x").value()', 'x'],
    ['any.?nested.?deep.?er.orValue("none")', 'x'],
    ['any.?nope.?deep.orValue("none")', 'none'],
    ['any.?nested.deep.er.orValue("none")', 'x'],
    ['words[?"a"].orValue("none")', 'b'],
    ['words[?"x"].orValue("none")', 'none'],
    ['numbers[?7].hasValue()', false],
    ['numbers[?1].value()', 2],
    ['[?optional.of(1), ?optional.none(), 2]', [1, 2]],
    ['{?"a": optional.of(1), ?"b": optional.none()}', { a: 1 }],
    ['optional.of(2).optMap(x, x * 2).value()', 4],
    ['optional.none().optMap(x, x * 2).hasValue()', false],
    ['optional.of(2).optFlatMap(x, optional.of(x + 1)).value()', 3],
    ['optional.of([1, 2])[?1].value()', 2],
    ['optional.unwrap([optional.of(1), optional.none()])', [1]],
    ['[optional.of(1), optional.none()].unwrapOpt()', [1]],
    ['optional.of(1) == optional.of(1)', true],
    ['optional.none() == optional.of(1)', false],
    ['type(optional.none()) == optional_type', true],
    ['has(any.?nested.deep)', true],
  ]);
  checkFailures([['words[?"x"].value() == ""', 'optional.none() dereference']]);
});

test('objects of a schema', () => {
  checkValues([
    ['self.kind', 'Widget'],
    ['self.metadata.name', 'first'],
    ['self.count + 1', 4],
    ['self.ratio', 2],
    ['type(self.ratio) == double', true],
    ['self.max__dash__size', 7],
    ['self.a__dot__b__slash__c', 'slashed'],
    ['self.__namespace__', 'space'],
    ['self.namespace', 'space'],
    ['self.a__underscores__b', 'underscored'],
    ['self.percent.endsWith("%")', true],
    ['type(self.percent) == string', true],
    ['string(self.data)', 'hello'],
    ['self.labels.app', 'web'],
    ['self.labels.exists(k, self.labels[k] == "front")', true],
    ['self.tags == ["c", "b", "a"]', true],
    ['(self.tags + ["c", "d"]).size()', 4],
    ['(self.ports + self.ports).size()', 2],
    ['self.ports.filter(p, p.port > 100).map(p, p.name)', ['https']],
    ['self.embedded.kind', 'Pod'],
    ['self.embedded.metadata.name', 'inner'],
    ['has(self.metadata.generateName)', false],
    ['has(self.blob)', true],
    ['"metadata" in dyn(self)', true],
    ['size(self.name)', 7],
  ]);
  checkFailures([['self.metadata.generateName == ""', 'no such key: generateName']]);
  checkComplaints([
    ['self.nope', 5, "undefined field 'nope'"],
    ['self.metadata.labels', 14, "undefined field 'labels'"],
    ['self.untyped', 5, "undefined field 'untyped'"],
    ['self.blob.x', 10, "undefined field 'x'"],
    ['self.count == "3"', 12, "found no matching overload for '_==_' applied to '(int, string)'"],
    ['self.count.foo', 11, "type 'int' does not support field selection"],
    ['self.name.charAt("x")', 17, "found no matching overload for 'charAt' applied to 'string.(string)'"],
    ['self.count.all(x, true)', 5, "expression of type 'int' cannot be range of a comprehension (must be list, map, or dynamic)"],
  ]);
});

test('complaints of the compiler', () => {
  checkComplaints([
    [
      '',
      1,
      "Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}",
    ],
    ['nope', 1, "undeclared reference to 'nope' (in container '')"],
    ['nope(1)', 5, "undeclared reference to 'nope' (in container '')"],
    ['numbers.nope()', 13, "undeclared reference to 'nope' (in container '')"],
    ['1 + "a"', 3, "found no matching overload for '_+_' applied to '(int, string)'"],
    ['1 + 1.0', 3, "found no matching overload for '_+_' applied to '(int, double)'"],
    ['!1', 1, "found no matching overload for '!_' applied to '(int)'"],
    ['1 && true', 1, "expected type 'bool' but found 'int'"],
    ['1 ? 2 : 3', 3, "found no matching overload for '_?_:_' applied to '(int, int, int)'"],
    ['true ? 1 : "a"', 6, "found no matching overload for '_?_:_' applied to '(bool, int, string)'"],
    ['[1, "a"]', 5, "expected type 'int' but found 'string'"],
    ['{"a": 1, "b": "c"}', 15, "expected type 'int' but found 'string'"],
    ['1 == null', 3, "found no matching overload for '_==_' applied to '(int, null)'"],
    ['"a" in "abc"', 5, "found no matching overload for '@in' applied to '(string, string)'"],
    ['[1].map(x, y)', 12, "undeclared reference to 'y' (in container '')"],
    ['[1].map(x.y, 1)', 10, 'argument is not an identifier'],
    ['[1].all(1, true)', 9, 'argument must be a simple name'],
    ['[1].all(x, x, true)', 12, 'duplicate variable name: x'],
    ['has(1)', 5, 'invalid argument to has() macro'],
    ['for', 1, 'Syntax error: reserved identifier: for'],
    [
      '1 2',
      3,
      "Syntax error: extraneous input '2' expecting {<EOF>, '==', '!=', 'in', '<', '<=', '>=', '>', '&&', '||', '[', '.', '-', '?', '+', '*', '/', '%'}",
    ],
    ['(1', 3, "Syntax error: mismatched input '<EOF>' expecting ')'"],
    ['1 + #', 5, "Syntax error: token recognition error at: '#'"],
    ['"abc', 1, "Syntax error: token recognition error at: '\"abc'"],
    ['"\\q"', 1, 'Syntax error: token recognition error at: \'"\\q"\''],
    ['9223372036854775808', 1, 'invalid int literal'],
    ['18446744073709551616u', 1, 'invalid uint literal'],
    ['duration("x")', 10, 'invalid duration argument'],
    ['timestamp("x")', 11, 'invalid timestamp argument'],
    ['"a".matches("(")', 13, 'invalid matches argument'],
    ['Widget{name: "x"}', 7, "undeclared reference to 'Widget' (in container '')"],
    ['optional.of(1) + 1', 16, "found no matching overload for '_+_' applied to '(optional_type(int), int)'"],
  ]);
});

test('nesting and size are bounded', () => {
  const deep = `${'('.repeat(300)}1${')'.repeat(300)}`;
  assert.throws(() => evaluate(deep), /expression recursion limit exceeded: 250/);
  assert.throws(() => evaluate(`${'!'.repeat(3)}${'[0]'.repeat(300)}`), /recursion limit/);
  assert.throws(() => evaluate(Array(400).fill('1').join(' + ')), /recursion limit/);
  assert.throws(() => evaluate(`"${'x'.repeat(100_001)}"`), /expression code point size exceeds limit/);
  // Long chains of && and || are balanced.
  assert.is(evaluate(Array(1000).fill('true').join(' && ')), true);
  assert.is(evaluate(`${'!'.repeat(301)}true`), false);
});

test.run();
