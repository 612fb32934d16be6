/** Schemas of user-defined kinds, without a server: what they may say, and what they do to objects. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { compileRules } from '../../src/api/custom-resources/rules.ts';
import { schemaErrors } from '../../src/api/custom-resources/schema-validation.ts';
import { validateCustom } from '../../src/api/custom-resources/value-validation.ts';
import { complaintsOf } from '../../src/machinery/apply/configuration.ts';
import { defaultCustom } from '../../src/machinery/custom/defaulting.ts';
import { compareVersions } from '../../src/machinery/custom/definition.ts';
import { parseJsonPath } from '../../src/machinery/custom/json-path.ts';
import type { JsonSchema } from '../../src/machinery/custom/json-schema.ts';
import { pruneCustom } from '../../src/machinery/custom/pruning.ts';
import { customShape } from '../../src/machinery/custom/shapes.ts';
import { type FieldError, fieldErrorBody } from '../../src/machinery/status.ts';
import type { KubeObject } from '../../src/machinery/types.ts';

const test = suite('schemas of user-defined kinds');
const lines = (errors: FieldError[]) => errors.map((error) => `${error.field}: ${fieldErrorBody(error)}`);
const of = (spec: JsonSchema): JsonSchema => ({ type: 'object', properties: { spec } });
const text: JsonSchema = { type: 'string' };
const number: JsonSchema = { type: 'integer' };

const values: [what: string, schema: JsonSchema, value: unknown, expected: string[]][] = [
  ['type', number, 'x', ['spec: Invalid value: "string": spec in body must be of type integer: "string"']],
  ['null', text, null, ['spec: Invalid value: "null": spec in body must be of type string: "null"']],
  ['nullable', { ...text, nullable: true }, null, []],
  ['a whole number is a number', { type: 'number' }, 3, []],
  ['a fraction is no integer', number, 1.5, ['spec: Invalid value: "number": spec in body must be of type integer: "number"']],
  ['required', { type: 'object', required: ['a'], properties: { a: text } }, {}, ['spec.a: Required value']],
  ['enum', { ...text, enum: ['a', 'b'] }, 'c', ['spec: Unsupported value: "c": supported values: "a", "b"']],
  ['maximum', { ...number, maximum: 3 }, 4, ['spec: Invalid value: 4: spec in body should be less than or equal to 3']],
  [
    'exclusive',
    { ...number, minimum: 3, exclusiveMinimum: true },
    3,
    ['spec: Invalid value: 3: spec in body should be greater than 3'],
  ],
  ['pattern', { ...text, pattern: '^a+$' }, 'b', ['spec: Invalid value: "b": spec in body should match \'^a+$\'']],
  ['RE2 only', { ...text, pattern: '\\A[[:alpha:]]+\\z' }, 'abc', []],
  ['minLength', { ...text, minLength: 2 }, 'é', ['spec: Invalid value: "é": spec in body should be at least 2 chars long']],
  ['maxLength', { ...text, maxLength: 2 }, 'abc', ['spec: Too long: may not be more than 2 bytes']],
  [
    'format',
    { ...text, format: 'date-time' },
    'soon',
    ['spec: Invalid value: "soon": spec in body must be of type date-time: "soon"'],
  ],
  [
    'date',
    { ...text, format: 'date' },
    '2023-02-29',
    ['spec: Invalid value: "2023-02-29": spec in body must be of type date: "2023-02-29"'],
  ],
  ['unknown format', { ...text, format: 'flavour' }, 'soon', []],
  ['ipv6', { ...text, format: 'ipv6' }, '::1', []],
  ['multipleOf', { type: 'number', multipleOf: 0.1 }, 0.3, []],
  ['not a multiple', { ...number, multipleOf: 5 }, 7, ['spec: Invalid value: 7: spec in body should be a multiple of 5']],
  [
    'minItems',
    { type: 'array', items: text, minItems: 1 },
    [],
    ['spec: Invalid value: 0: spec in body should have at least 1 items'],
  ],
  ['maxItems', { type: 'array', items: text, maxItems: 1 }, ['a', 'b'], ['spec: Too many: 2: must have at most 1 item']],
  ['set', { type: 'array', items: text, 'x-kubernetes-list-type': 'set' }, ['a', 'b', 'a'], ['spec[2]: Duplicate value: "a"']],
  [
    'map',
    {
      type: 'array',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['a'],
      items: { type: 'object', properties: { a: text, b: text } },
    },
    [{ a: 'x', b: '1' }, { a: 'y' }, { a: 'x', b: '2' }],
    ['spec[2]: Duplicate value: {"a":"x"}'],
  ],
  [
    'items',
    { type: 'array', items: { type: 'object', properties: { a: number } } },
    [{ a: 1 }, { a: 'x' }],
    ['spec[1].a: Invalid value: "string": spec[1].a in body must be of type integer: "string"'],
  ],
  [
    'maxProperties',
    { type: 'object', additionalProperties: text, maxProperties: 1 },
    { a: 'x', b: 'y' },
    ['spec: Too many: 2: must have at most 1 item'],
  ],
  [
    'additional',
    { type: 'object', additionalProperties: number },
    { a: 'x' },
    ['spec.a: Invalid value: "string": spec.a in body must be of type integer: "string"'],
  ],
  [
    'int or string',
    { 'x-kubernetes-int-or-string': true },
    true,
    ['spec: Invalid value: "boolean": spec in body must be of type integer,string: "boolean"'],
  ],
  [
    'anyOf',
    { ...text, anyOf: [{ pattern: '^a' }, { pattern: '^b' }] },
    'c',
    [
      '<nil>: Invalid value: "": "spec" must validate at least one schema (anyOf)',
      'spec: Invalid value: "c": spec in body should match \'^a\'',
    ],
  ],
  [
    'oneOf',
    { type: 'object', properties: { a: text, b: text }, oneOf: [{ required: ['a'] }, { required: ['b'] }] },
    { a: '1', b: '2' },
    ['<nil>: Invalid value: "": "spec" must validate one and only one schema (oneOf). Found 2 valid alternatives'],
  ],
  ['not', { ...number, not: { enum: [5] } }, 5, ['<nil>: Invalid value: "": "spec" must not validate the schema (not)']],
];
for (const [what, schema, value, expected] of values) {
  test(`values: ${what}`, () => assert.equal(lines(validateCustom({ spec: value }, of(schema))), expected));
}

test('an update may leave a wrong value as it was, and not make another one wrong', () => {
  const schema = of({ type: 'object', properties: { a: { ...number, maximum: 3 }, b: { ...number, maximum: 3 } } });
  const before = { spec: { a: 9, b: 1 } };
  assert.equal(lines(validateCustom({ spec: { a: 9, b: 2 } }, schema, before)), []);
  assert.equal(lines(validateCustom({ spec: { a: 8, b: 2 } }, schema, before)).length, 1);
  assert.equal(lines(validateCustom({ spec: { a: 9, b: 2 } }, schema)).length, 1);
});

test('pruning removes what no schema knows, and says what', () => {
  const schema: JsonSchema = {
    type: 'object',
    properties: {
      spec: { type: 'object', properties: { list: { type: 'array', items: { type: 'object', properties: { a: text } } } } },
      any: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true, properties: { known: { type: 'object' } } },
      map: { type: 'object', additionalProperties: { type: 'object', properties: { a: text } } },
      pod: { type: 'object', 'x-kubernetes-embedded-resource': true, properties: { spec: { type: 'object' } } },
    },
  };
  const object = {
    apiVersion: 'a/v1',
    kind: 'A',
    metadata: { name: 'x', odd: 1 },
    spec: { list: [{ a: '1', b: '2' }], c: 1 },
    any: { free: { x: 1 }, known: { gone: 1 } },
    map: { one: { a: '1', b: 1 } },
    pod: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'y' }, spec: { gone: 1 }, odd: 1 },
    constructor: { prototype: 1 },
  };
  const removed = pruneCustom(object, schema);
  assert.equal(removed.sort(), [
    'any.known.gone',
    'constructor',
    'map.one.b',
    'pod.odd',
    'pod.spec.gone',
    'spec.c',
    'spec.list[0].b',
  ]);
  assert.equal(object.any, { free: { x: 1 }, known: {} } as never);
  assert.equal(pruneCustom(object, schema), []);
});

test('defaults fill in what is missing, also below other defaults and in place of a wrong null', () => {
  const schema: JsonSchema = {
    type: 'object',
    properties: {
      spec: {
        type: 'object',
        default: {},
        properties: { a: { ...number, default: 1 }, b: { ...text, nullable: true, default: 'x' }, c: text },
      },
      list: { type: 'array', items: { type: 'object', properties: { port: { ...number, default: 80 } } } },
    },
  };
  const object = { list: [{}, { port: 1 }] } as Record<string, unknown>;
  assert.ok(defaultCustom(object, schema));
  assert.equal(object, { list: [{ port: 80 }, { port: 1 }], spec: { a: 1, b: 'x' } });
  assert.not(defaultCustom(object, schema));
  const nulls = { spec: { a: null, b: null, c: null } } as Record<string, unknown>;
  defaultCustom(nulls, schema);
  assert.equal(nulls, { spec: { a: 1, b: null } });
});

const schemas: [what: string, schema: unknown, expected: string[]][] = [
  ['no type at the root', {}, ['s.type: Required value: must not be empty at the root']],
  ['no type of a field', of({}), ['s.properties[spec].type: Required value: must not be empty for specified object fields']],
  [
    'no type of items',
    of({ type: 'array', items: {} }),
    ['s.properties[spec].items.type: Required value: must not be empty for specified array items'],
  ],
  ['array without items', of({ type: 'array' }), ['s.properties[spec].items: Required value: must be specified']],
  [
    'odd type',
    of({ type: 'text' }),
    [
      's.properties[spec].type: Unsupported value: "text": supported values: "array", "boolean", "integer", "number", "object", "string"',
    ],
  ],
  [
    'type inside anyOf',
    of({ type: 'object', anyOf: [{ type: 'string' }] }),
    ['s.properties[spec].anyOf[0].type: Forbidden: must be empty to be structural'],
  ],
  ['integer or string', of({ 'x-kubernetes-int-or-string': true, anyOf: [{ type: 'integer' }, { type: 'string' }] }), []],
  [
    'metadata',
    { type: 'object', properties: { metadata: { type: 'object', properties: { labels: { type: 'object' } } } } },
    [
      's.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified',
    ],
  ],
  [
    'uniqueItems',
    of({ type: 'array', items: text, uniqueItems: true }),
    [
      's.properties[spec].uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic',
    ],
  ],
  [
    'both kinds of properties',
    of({ type: 'object', properties: { a: text }, additionalProperties: text }),
    ['s.properties[spec].additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive'],
  ],
  ['reference', of({ ...text, $ref: '#/x' }), ['s.properties[spec].$ref: Forbidden: $ref is not supported']],
  [
    'wrong default',
    of({ ...number, default: 'x' }),
    ['s.properties[spec].default: Invalid value: "string": s.properties[spec].default in body must be of type integer: "string"'],
  ],
  [
    'default that breaks a rule of its place, and one inside that does',
    of({
      type: 'object',
      default: { min: 5, max: 3 },
      properties: {
        min: number,
        max: number,
        small: { ...number, default: 9, 'x-kubernetes-validations': [{ rule: 'self < 5', message: 'too large' }] },
      },
      'x-kubernetes-validations': [{ rule: 'self.min <= self.max', messageExpression: "'min ' + string(self.min) + ' > max'" }],
    }),
    [
      's.properties[spec].default: Invalid value: "object": min 5 > max',
      's.properties[spec].default.small: Invalid value: "integer": too large',
      's.properties[spec].properties[small].default: Invalid value: "integer": too large',
    ],
  ],
  [
    'default that could never become or stay what it is',
    of({
      type: 'object',
      properties: {
        born: {
          ...number,
          default: 1,
          'x-kubernetes-validations': [{ rule: 'oldSelf.hasValue()', optionalOldSelf: true, message: 'cannot begin' }],
        },
        grown: { ...number, default: 1, 'x-kubernetes-validations': [{ rule: 'self > oldSelf', message: 'must grow' }] },
      },
    }),
    [
      's.properties[spec].properties[born].default: Invalid value: "integer": cannot begin',
      's.properties[spec].properties[grown].default: Invalid value: "integer": must grow',
    ],
  ],
  [
    'default with unknown fields',
    of({ type: 'object', default: { a: 1 } }),
    ['s.properties[spec].default: Invalid value: {"a":1}: must not have unknown fields'],
  ],
  [
    'pattern',
    of({ ...text, pattern: '(' }),
    [
      's.properties[spec].pattern: Invalid value: "(": must be a valid regular expression, but isn\'t: error parsing regexp: missing closing ): `(`',
    ],
  ],
  [
    'keys of a map',
    of({
      type: 'array',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['a'],
      items: { type: 'object', properties: { a: text } },
    }),
    [
      's.properties[spec].items.properties[a].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property',
    ],
  ],
  [
    'items as a list',
    of({ type: 'array', items: [text] as never }),
    ['s.properties[spec].items: Forbidden: items must be a schema object and not an array'],
  ],
  [
    'a rule of unknown fields',
    of({ type: 'object', 'x-kubernetes-validations': [{ rule: 'self.x' }] }),
    [
      's.properties[spec].x-kubernetes-validations[0].rule: Invalid value: {"rule":"self.x"}: compilation failed: ERROR: <input>:1:5: undefined field \'x\'\n | self.x\n | ....^',
    ],
  ],
  [
    'a rule that is no condition',
    of({ ...text, maxLength: 5, 'x-kubernetes-validations': [{ rule: 'self' }] }),
    [
      's.properties[spec].x-kubernetes-validations[0].rule: Invalid value: {"rule":"self"}: cel expression must evaluate to a bool',
    ],
  ],
];
for (const [what, schema, expected] of schemas) {
  test(`definitions: ${what}`, () => assert.equal(lines(schemaErrors(schema as JsonSchema, 's', false)), expected));
}

test('rules see the old state, tell where and why, and do not repeat what was let pass', () => {
  const check = compileRules(
    of({
      type: 'object',
      properties: {
        min: number,
        max: { ...number, 'x-kubernetes-validations': [{ rule: 'self >= oldSelf', message: 'only up' }] },
      },
      'x-kubernetes-validations': [
        {
          rule: 'self.min <= self.max',
          messageExpression: "'min is ' + string(self.min)",
          fieldPath: '.min',
          reason: 'FieldValueForbidden',
        },
        { rule: 'self.max / self.min < 1000' },
      ],
    }),
  );
  const object = (min: number, max: number) => ({ metadata: { name: 'a' }, spec: { min, max } }) as unknown as KubeObject;
  assert.equal(lines(check(object(1, 2))), []);
  assert.equal(lines(check(object(3, 2))), ['spec.min: Forbidden: min is 3']);
  assert.equal(lines(check(object(3, 2), object(3, 2))), []);
  assert.equal(lines(check(object(1, 2), object(1, 3))), ['spec.max: Invalid value: "integer": only up']);
  assert.equal(lines(check(object(0, 2))), [
    'spec: Invalid value: "object": division by zero evaluating rule: self.max / self.min < 1000',
  ]);
});

test('rules see what defaults have filled in', () => {
  const schema = of({
    type: 'object',
    default: {},
    properties: { min: { ...number, default: 3 }, max: { ...number, default: 10 } },
    'x-kubernetes-validations': [
      { rule: 'self.min <= self.max', messageExpression: "string(self.min) + ' > ' + string(self.max)" },
    ],
  });
  const check = compileRules(schema);
  const complaints = (fields: object) => {
    const object = fields as KubeObject;
    defaultCustom(object, schema);
    return check(object).map(({ field, detail }) => `${field}: ${detail}`);
  };
  assert.equal(complaints({}), []);
  assert.equal(complaints({ spec: { max: 3 } }), []);
  assert.equal(complaints({ spec: { max: 2 } }), ['spec: 3 > 2']);
  assert.equal(complaints({ spec: { min: 11 } }), ['spec: 11 > 10']);
});

test('paths of columns find members, items and what a filter lets through', () => {
  const object = {
    spec: {
      'a.b': 1,
      list: [
        { n: 'x', v: 1 },
        { n: 'y', v: 2 },
      ],
    },
    m: { k: { d: 'e' } },
  };
  const find = (path: string) => parseJsonPath(path)?.(object);
  assert.equal(find('.spec.a\\.b'), [1]);
  assert.equal(find(".spec['a.b']"), [1]);
  assert.equal(find('.spec.list[1].n'), ['y']);
  assert.equal(find('.spec.list[-1].v'), [2]);
  assert.equal(find('.spec.list[*].n'), ['x', 'y']);
  assert.equal(find('.spec.list[?(@.n=="y")].v'), [2]);
  assert.equal(find('.spec.list[?(@.v>1)].n'), ['y']);
  assert.equal(find('..d'), ['e']);
  assert.equal(find('.spec.none.deeper'), []);
  assert.is(parseJsonPath('spec'), undefined);
  assert.is(parseJsonPath('.spec['), undefined);
});

test('versions are ordered as Kubernetes does', () => {
  const versions = ['foo10', 'v1beta2', 'v10', 'v2', 'v1alpha1', 'v11beta2', 'foo1', 'v1'];
  assert.equal(versions.sort(compareVersions), ['v10', 'v2', 'v1', 'v11beta2', 'v1beta2', 'v1alpha1', 'foo1', 'foo10']);
});

test('who applies a field that the schema does not have is told so', () => {
  const shape = customShape(of({ type: 'object', properties: { a: text } }));
  assert.equal(complaintsOf({ spec: { a: 'x', b: 1 }, metadata: { labels: { c: 'd' } } }, shape), [
    '.spec.b: field not declared in schema',
  ]);
});

test.run();
