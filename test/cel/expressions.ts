/** The environment of the tables of expressions, and the check of one row. */
import * as assert from 'uvu/assert';
import {
  CelBudget,
  CelEnvironment,
  CelError,
  celTypes,
  listOf,
  mapOf,
  objectOf,
  toJson,
  typeOfSchema,
} from '../../src/cel/index.ts';

export const widget = typeOfSchema(
  {
    type: 'object',
    properties: {
      name: { type: 'string', maxLength: 20 },
      count: { type: 'integer' },
      ratio: { type: 'number' },
      on: { type: 'boolean' },
      tags: { type: 'array', maxItems: 10, 'x-kubernetes-list-type': 'set', items: { type: 'string', maxLength: 8 } },
      ports: {
        type: 'array',
        maxItems: 10,
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['name'],
        items: { type: 'object', properties: { name: { type: 'string' }, port: { type: 'integer' } } },
      },
      labels: { type: 'object', additionalProperties: { type: 'string' } },
      'max-size': { type: 'integer' },
      'a.b/c': { type: 'string' },
      namespace: { type: 'string' },
      a__b: { type: 'string' },
      percent: { 'x-kubernetes-int-or-string': true },
      blob: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
      untyped: { 'x-kubernetes-preserve-unknown-fields': true },
      data: { type: 'string', format: 'byte' },
      wait: { type: 'string', format: 'duration' },
      since: { type: 'string', format: 'date-time' },
      day: { type: 'string', format: 'date' },
      embedded: { type: 'object', 'x-kubernetes-embedded-resource': true, 'x-kubernetes-preserve-unknown-fields': true },
    },
  },
  { resource: true },
);

export const environment = new CelEnvironment({
  variables: {
    self: widget,
    any: celTypes.dyn,
    numbers: listOf(celTypes.int),
    words: mapOf(celTypes.string, celTypes.string),
    'request.kind': objectOf('Kind', { group: celTypes.string }),
  },
});

export const variables = {
  self: {
    apiVersion: 'example.com/v1',
    kind: 'Widget',
    metadata: { name: 'first', labels: { hidden: 'yes' } },
    name: 'wïdget😀',
    count: 3,
    ratio: 2,
    on: true,
    tags: ['a', 'b', 'c'],
    ports: [
      { name: 'http', port: 80 },
      { name: 'https', port: 443 },
    ],
    labels: { app: 'web', tier: 'front' },
    'max-size': 7,
    'a.b/c': 'slashed',
    namespace: 'space',
    a__b: 'underscored',
    percent: '25%',
    blob: { x: 1 },
    data: 'aGVsbG8=',
    wait: '1h30m',
    since: '2024-02-29T12:30:15.5Z',
    day: '2024-03-01',
    embedded: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'inner' } },
  },
  any: { list: [1, 'two', 3.5, null, true], nested: { deep: { er: 'x' } }, zero: 0, 'odd key': 1 },
  numbers: [1, 2, 3],
  words: { a: 'b' },
  'request.kind': { group: 'apps' },
};

/** The JSON of the value; ints that a double cannot hold are bigints. */
export function evaluate(text: string): unknown {
  return toJson(environment.compile(text).evaluate(variables, new CelBudget(10_000_000)));
}

export type Row = [expression: string, value: unknown];

export function checkValues(rows: readonly Row[]): void {
  for (const [text, expected] of rows) {
    let value: unknown;
    try {
      value = evaluate(text);
    } catch (error) {
      if (!(error instanceof CelError)) throw error;
      assert.unreachable(`${text}\n${error.message}`);
    }
    assert.equal(value, expected, text);
  }
}

/** Rows of an expression and what it fails with when it runs. */
export function checkFailures(rows: readonly [expression: string, message: string][]): void {
  for (const [text, message] of rows) {
    const program = environment.compile(text);
    try {
      const value = program.evaluate(variables, new CelBudget(10_000_000));
      assert.unreachable(`${text} gave ${JSON.stringify(toJson(value))}`);
    } catch (error) {
      if (!(error instanceof CelError)) throw error;
      assert.is(error.message, message, text);
      assert.is(error.code, 'Evaluation', text);
    }
  }
}

/** Rows of an expression, the column from 1 and the first complaint of the compiler. */
export function checkComplaints(rows: readonly [expression: string, column: number, message: string][]): void {
  for (const [text, column, message] of rows) {
    try {
      environment.compile(text);
      assert.unreachable(`${text} compiles`);
    } catch (error) {
      if (!(error instanceof CelError)) throw error;
      const [issue] = error.issues;
      assert.equal([issue?.message, (issue?.column ?? -1) + 1], [message, column], text);
      assert.is(error.code, 'Compilation', text);
    }
  }
}
