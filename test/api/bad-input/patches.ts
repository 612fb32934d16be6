/** Patches of all types that are none, or do not apply. */
import { at, type BadInput, patch } from './case.ts';

const here = `${at.configMaps}/here`;
const web = `${at.deployments}/web`;
const applied = (more: object = {}) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'here' }, ...more });
const json = (operations: unknown) => patch(here, 'json', operations);
const mine = `${here}?fieldManager=me`;

export const patches: BadInput[] = [
  [
    'a patch without a type',
    { method: 'PATCH', path: here, body: '{}' },
    [
      415,
      'UnsupportedMediaType',
      'the body of the request was in an unknown format () - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml',
    ],
  ],
  [
    'a patch that is called JSON',
    { method: 'PATCH', path: here, body: '{}', headers: { 'content-type': 'application/json' } },
    [
      415,
      'UnsupportedMediaType',
      'the body of the request was in an unknown format (application/json) - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml',
    ],
  ],
  ['an empty JSON patch body', json(''), [400, 'BadRequest', 'error decoding patch: unexpected end of JSON input']],
  [
    'a JSON patch that ends early',
    json('[{"op":"add"'),
    [400, 'BadRequest', 'error decoding patch: unexpected end of JSON input'],
  ],
  [
    'a JSON patch that is an object',
    json({ op: 'add', path: '/data/x', value: 'y' }),
    [400, 'BadRequest', 'error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp'],
  ],
  [
    'an operation without an op',
    json([{ path: '/data/x' }]),
    [400, 'BadRequest', 'operation 0 of the JSON patch has an unknown op: null'],
  ],
  [
    'an unknown operation',
    json([{ op: 'increment', path: '/data/x' }]),
    [400, 'BadRequest', 'operation 0 of the JSON patch has an unknown op: "increment"'],
  ],
  [
    'an operation without a path',
    json([{ op: 'add', value: 'x' }]),
    [400, 'BadRequest', 'operation 0 of the JSON patch (add) has no path'],
  ],
  [
    'a removal of nothing',
    json([{ op: 'remove', path: '/data/nothing' }]),
    [422, 'Invalid', 'the server rejected our request due to an error in our request', ['']],
  ],
  [
    'a replacement of nothing',
    json([{ op: 'replace', path: '/data/nothing', value: 'x' }]),
    [422, 'Invalid', 'the server rejected our request due to an error in our request', ['']],
  ],
  [
    'a test that fails',
    json([
      { op: 'test', path: '/data/a', value: 'x' },
      { op: 'remove', path: '/data/a' },
    ]),
    [422, 'Invalid', 'the server rejected our request due to an error in our request', ['']],
  ],
  [
    'a path into nothing',
    json([{ op: 'add', path: '/spec/deep/er', value: 1 }]),
    [422, 'Invalid', 'the server rejected our request due to an error in our request', ['']],
  ],
  [
    'too many operations',
    json(Array.from({ length: 10_001 }, () => ({ op: 'test', path: '/kind', value: 'ConfigMap' }))),
    [413, 'RequestEntityTooLarge', 'The allowed maximum operations in a JSON patch is 10000, got 10001'],
  ],
  [
    'a result of a wrong type',
    json([{ op: 'replace', path: '/data', value: 5 }]),
    [
      422,
      'Invalid',
      ' "" is invalid: patch: Invalid value: "patched object": json: cannot unmarshal number into Go struct field ConfigMap.data of type map[string]string',
      ['patch FieldValueInvalid'],
    ],
  ],
  [
    'a result that has no kind of ours',
    json([{ op: 'replace', path: '/kind', value: 'Secret' }]),
    [
      400,
      'BadRequest',
      'Secret in version "v1" cannot be handled as a ConfigMap: converting (v1.Secret) to (core.ConfigMap): unknown conversion',
    ],
  ],
  [
    'a whole object that becomes a list',
    json([{ op: 'replace', path: '', value: [] }]),
    [422, 'Invalid', 'the server rejected our request due to an error in our request', ['']],
  ],
  [
    'a merge patch that ends early',
    patch(here, 'merge', '{"data":'),
    [400, 'BadRequest', 'error decoding patch: unexpected end of JSON input'],
  ],
  [
    'a merge patch that is a list',
    patch(here, 'merge', []),
    [400, 'BadRequest', 'error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}'],
  ],
  [
    'a merge patch that is text',
    patch(here, 'merge', '"x"'),
    [400, 'BadRequest', 'error decoding patch: json: cannot unmarshal string into Go value of type map[string]interface {}'],
  ],
  [
    'a merge patch of a wrong type',
    patch(here, 'merge', { data: { a: 1 } }),
    [
      422,
      'Invalid',
      ' "" is invalid: patch: Invalid value: "patched object": json: cannot unmarshal number into Go struct field ConfigMap.data of type string',
      ['patch FieldValueInvalid'],
    ],
  ],
  [
    'a merge patch with an old version',
    patch(here, 'merge', { metadata: { resourceVersion: '1' } }),
    [
      409,
      'Conflict',
      'Operation cannot be fulfilled on configmaps "here": the object has been modified; please apply your changes to the latest version and try again',
    ],
  ],
  [
    'a merge patch with a key twice, strictly',
    patch(`${here}?fieldValidation=Strict`, 'merge', '{"data":{"x":"1","x":"2"}}'),
    [
      422,
      'Invalid',
      ' "" is invalid: patch: Invalid value: "{\\"data\\":{\\"x\\":\\"1\\",\\"x\\":\\"2\\"}}": strict decoding error: duplicate field "data.x"',
      ['patch FieldValueInvalid'],
    ],
  ],
  [
    'a merge patch with an unknown field, strictly',
    patch(`${here}?fieldValidation=Strict`, 'merge', { dta: {} }),
    [
      422,
      'Invalid',
      ' "" is invalid: patch: Invalid value: "patched object": strict decoding error: unknown field "dta"',
      ['patch FieldValueInvalid'],
    ],
  ],
  [
    'a merge patch that breaks a rule',
    patch(here, 'merge', { metadata: { labels: { a: 'b c' } } }),
    [
      422,
      'Invalid',
      "ConfigMap \"here\" is invalid: metadata.labels: Invalid value: \"b c\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
      ['metadata.labels FieldValueInvalid'],
    ],
  ],
  [
    'a merge patch nested too deeply',
    patch(here, 'merge', `${'{"a":'.repeat(2_000)}1${'}'.repeat(2_000)}`),
    [400, 'BadRequest', 'error decoding patch: exceeded max depth'],
  ],
  [
    'a strategic patch that is a list',
    patch(web, 'strategic', []),
    [400, 'BadRequest', 'json: cannot unmarshal array into Go value of type map[string]interface {}'],
  ],
  ['a strategic patch that ends early', patch(web, 'strategic', '{'), [400, 'BadRequest', 'unexpected end of JSON input']],
  [
    'an unknown directive',
    patch(web, 'strategic', { spec: { template: { spec: { $patch: 'explode' } } } }),
    [400, 'BadRequest', 'unknown patch type: "explode" in map'],
  ],
  [
    'an unknown directive in a list',
    patch(web, 'strategic', { spec: { template: { spec: { containers: [{ $patch: 'explode', name: 'app' }] } } } }),
    [400, 'BadRequest', 'unknown patch type: "explode" in list'],
  ],
  [
    'a member of a list without its key',
    patch(web, 'strategic', { spec: { template: { spec: { containers: [{ image: 'x' }] } } } }),
    [422, 'Invalid', 'map: {"image":"x"} does not contain declared merge key: name'],
  ],
  [
    'a strategic patch of a wrong type',
    patch(web, 'strategic', { spec: { replicas: 'two' } }),
    [
      422,
      'Invalid',
      ' "" is invalid: patch: Invalid value: "patched object": json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32',
      ['patch FieldValueInvalid'],
    ],
  ],
  [
    'a strategic patch with a key twice, strictly',
    patch(`${web}?fieldValidation=Strict`, 'strategic', '{"spec":{"replicas":1,"replicas":2}}'),
    [
      422,
      'Invalid',
      ' "" is invalid: patch: Invalid value: "map[spec:map[replicas:2]]": strict decoding error: duplicate field "spec.replicas"',
      ['patch FieldValueInvalid'],
    ],
  ],
  [
    'apply without a manager',
    patch(here, 'apply', applied()),
    [
      422,
      'Invalid',
      'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
      ['fieldManager FieldValueRequired'],
    ],
  ],
  [
    'apply without an API version',
    patch(mine, 'apply', { kind: 'ConfigMap', metadata: { name: 'here' } }),
    [400, 'BadRequest', 'Incorrect version specified in apply patch. Specified patch version: , expected: v1'],
  ],
  [
    'apply of another kind',
    patch(mine, 'apply', applied({ kind: 'Secret' })),
    [400, 'BadRequest', 'the kind in the data (Secret) does not match the expected kind (ConfigMap)'],
  ],
  [
    'apply with another name',
    patch(mine, 'apply', applied({ metadata: { name: 'there' } })),
    [400, 'BadRequest', 'the name of the object (there) does not match the name on the URL (here)'],
  ],
  [
    'apply of what others own',
    patch(mine, 'apply', applied({ data: { a: 'mine' } })),
    [
      409,
      'Conflict',
      'Apply failed with 1 conflict: conflict with "unknown" using v1: .data.a',
      ['.data.a FieldManagerConflict'],
    ],
  ],
  [
    'apply with managed fields',
    patch(mine, 'apply', applied({ metadata: { name: 'here', managedFields: [{ manager: 'x' }] } })),
    [400, 'BadRequest', 'metadata.managedFields must be nil'],
  ],
  [
    'apply of an unknown field',
    patch(mine, 'apply', applied({ dta: {} })),
    [
      400,
      'BadRequest',
      'failed to create typed patch object (default/here; /v1, Kind=ConfigMap): .dta: field not declared in schema',
    ],
  ],
  [
    'apply of a list',
    patch(mine, 'apply', '- a\n'),
    [
      400,
      'BadRequest',
      'error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go value of type map[string]interface {}',
    ],
  ],
  [
    'apply of broken YAML',
    patch(mine, 'apply', 'data: [a\n'),
    [400, 'BadRequest', "error decoding YAML: error converting YAML to JSON: yaml: line 1: did not find expected ',' or ']'"],
  ],
  [
    'apply with a key twice, strictly',
    patch(
      `${mine}&fieldValidation=Strict`,
      'apply',
      'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: here\ndata:\n  z: "1"\n  z: "2"\n',
    ),
    [
      400,
      'BadRequest',
      'error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  line 7: key "z" already set in map',
    ],
  ],
  [
    'apply of a member twice',
    patch(`${web}?fieldManager=me`, 'apply', {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      spec: { template: { spec: { containers: [{ name: 'x' }, { name: 'x' }] } } },
    }),
    [
      400,
      'BadRequest',
      'failed to create typed patch object (default/web; apps/v1, Kind=Deployment): .spec.template.spec.containers: duplicate entries for key [name="x"]',
    ],
  ],
];
