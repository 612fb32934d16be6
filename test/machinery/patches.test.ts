import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { applyJsonPatch } from '../../src/machinery/json-patch.ts';
import { applyMergePatch } from '../../src/machinery/merge-patch.ts';
import { StatusError } from '../../src/machinery/status.ts';

function codeOf(apply: () => unknown): number {
  try {
    apply();
  } catch (error) {
    assert.instance(error, StatusError, String(error));
    return (error as StatusError).code;
  }
  throw new Error('was accepted');
}

test('every operation does what the RFC says, and the input stays as it was', () => {
  const object = { a: { b: [1, 2, 3] }, 'x/y': { '~': 1 } };
  const before = structuredClone(object);
  const cases: [object[], object][] = [
    [[{ op: 'add', path: '/a/c', value: null }], { a: { b: [1, 2, 3], c: null }, 'x/y': { '~': 1 } }],
    [[{ op: 'add', path: '/a/b/1', value: 9 }], { a: { b: [1, 9, 2, 3] }, 'x/y': { '~': 1 } }],
    [[{ op: 'add', path: '/a/b/-', value: 9 }], { a: { b: [1, 2, 3, 9] }, 'x/y': { '~': 1 } }],
    [[{ op: 'remove', path: '/x~1y/~0' }], { a: { b: [1, 2, 3] }, 'x/y': {} }],
    [[{ op: 'remove', path: '/a/b/0' }], { a: { b: [2, 3] }, 'x/y': { '~': 1 } }],
    [[{ op: 'replace', path: '/a', value: 1 }], { a: 1, 'x/y': { '~': 1 } }],
    [[{ op: 'replace', path: '', value: { new: true } }], { new: true }],
    [[{ op: 'move', from: '/a/b/0', path: '/a/b/-' }], { a: { b: [2, 3, 1] }, 'x/y': { '~': 1 } }],
    [
      [
        { op: 'copy', from: '/a', path: '/z' },
        { op: 'remove', path: '/a/b' },
      ],
      { a: {}, 'x/y': { '~': 1 }, z: { b: [1, 2, 3] } },
    ],
    [[{ op: 'test', path: '/a/b', value: [1, 2, 3] }], before],
  ];
  for (const [patch, wanted] of cases) {
    assert.equal(applyJsonPatch(object, patch), wanted, JSON.stringify(patch));
    assert.equal(object, before);
  }
});

test('a JSON patch that does not apply is 422 and says which operation', () => {
  const object = { a: { b: [1] } };
  const cases = [
    { op: 'remove', path: '/x' },
    { op: 'replace', path: '/x', value: 1 },
    { op: 'add', path: '/x/y', value: 1 },
    { op: 'add', path: '/a/b/2', value: 1 },
    { op: 'add', path: '/a/b/01', value: 1 },
    { op: 'remove', path: '/a/b/-' },
    { op: 'test', path: '/a/b/0', value: 2 },
    { op: 'move', from: '/a', path: '/a/b' },
    { op: 'add', path: 'a', value: 1 },
    { op: 'remove', path: '/constructor' },
    { op: 'replace', path: '', value: [] },
    { op: 'remove', path: '' },
  ];
  for (const operation of cases)
    assert.is(
      codeOf(() => applyJsonPatch(object, [operation])),
      422,
      JSON.stringify(operation),
    );
  assert.throws(
    () =>
      applyJsonPatch(object, [
        { op: 'test', path: '/a/b/0', value: 1 },
        { op: 'remove', path: '/x' },
      ]),
    ({ status }: StatusError) =>
      status.details?.causes?.[0]?.message === 'the JSON patch does not apply: operation 1 (remove /x): path "/x" does not exist',
  );
});

test('an undecodable JSON patch is 400, one that is too large 413', () => {
  for (const patch of [
    {},
    'x',
    null,
    [1],
    [{ op: 'add', path: '/a' }],
    [{ op: 'no', path: '' }],
    [{ op: 'copy', path: '' }],
    [{ op: 'remove' }],
  ]) {
    assert.is(
      codeOf(() => applyJsonPatch({}, patch)),
      400,
      JSON.stringify(patch),
    );
  }
  const many = Array.from({ length: 10_001 }, () => ({ op: 'test', path: '', value: {} }));
  assert.is(
    codeOf(() => applyJsonPatch({}, many)),
    413,
  );
  const doubling = Array.from({ length: 40 }, (_, index) => ({ op: 'copy', from: '', path: `/${index}` }));
  assert.is(
    codeOf(() => applyJsonPatch({ text: 'x'.repeat(1000) }, doubling)),
    413,
  );
});

test('no patch is or becomes nested without end', () => {
  const nested = JSON.parse(`${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`);
  assert.is(
    codeOf(() => applyMergePatch({}, nested)),
    400,
  );
  assert.is(
    codeOf(() => applyMergePatch({}, { list: JSON.parse('['.repeat(100_000) + ']'.repeat(100_000)) })),
    400,
  );
  assert.is(
    codeOf(() => applyJsonPatch({}, [{ op: 'add', path: '/x', value: nested }])),
    400,
  );
  const growing = Array.from({ length: 16 }, (_, index) => ({ op: 'copy', from: '', path: '/a'.repeat(2 ** index) }));
  assert.is(
    codeOf(() => applyJsonPatch({ a: {} }, growing)),
    400,
  );
});

test('no patch reaches a prototype', () => {
  const patched = applyJsonPatch({}, [{ op: 'add', path: '/__proto__', value: { polluted: 1 } }]);
  assert.ok(Object.hasOwn(patched, '__proto__'));
  const merged = applyMergePatch({}, JSON.parse('{"__proto__": {"polluted": 1}}'));
  assert.is(Object.getPrototypeOf(merged), Object.prototype);
  assert.is(({} as { polluted?: number }).polluted, undefined);
});

test('a merge patch merges maps, deletes with null and replaces the rest', () => {
  const object = { a: { b: 1, c: 2 }, list: [1, 2], s: 'x' };
  const patched = applyMergePatch(object, { a: { b: null, d: { e: null, f: 1 } }, list: [3], s: { t: 1 }, none: null });
  assert.equal(patched, { a: { c: 2, d: { f: 1 } }, list: [3], s: { t: 1 } });
  assert.equal(object, { a: { b: 1, c: 2 }, list: [1, 2], s: 'x' });
  assert.is(
    codeOf(() => applyMergePatch({}, [])),
    400,
  );
});

test.run();
