/** What a strict decoder finds, and bodies in YAML with its words for true and false. */
import { at, type BadInput, configMap, deployment, podSpec, post, put, yaml } from './case.ts';

const strict = `${at.configMaps}?fieldValidation=Strict`;

export const strictness: BadInput[] = [
  [
    'an unknown field, strictly',
    post(strict, configMap('a', { dta: {} })),
    [400, 'BadRequest', 'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "dta"'],
  ],
  [
    'unknown fields at several places, strictly',
    post(
      `${at.deployments}?fieldValidation=Strict`,
      deployment({ replica: 1, template: { metadata: { label: {} }, spec: podSpec({}, { img: 'x' }) } }),
    ),
    [
      400,
      'BadRequest',
      'Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: unknown field "spec.template.metadata.label", unknown field "spec.template.spec.containers[0].img", unknown field "spec.replica"',
    ],
  ],
  [
    'a field in capitals, strictly',
    post(strict, configMap('a', { Data: {} })),
    [
      400,
      'BadRequest',
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "Data"',
    ],
  ],
  [
    'a key twice, strictly',
    post(strict, '{"metadata":{"name":"a"},"data":{"x":"1"},"data":{"y":"2"}}'),
    [
      400,
      'BadRequest',
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: duplicate field "data"',
    ],
  ],
  [
    'a key twice inside a map, strictly',
    post(strict, '{"metadata":{"name":"a"},"data":{"x":"1","x":"2"}}'),
    [
      400,
      'BadRequest',
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: duplicate field "data.x"',
    ],
  ],
  [
    'a key twice inside a list, strictly',
    post(
      `${at.pods}?fieldValidation=Strict`,
      '{"metadata":{"name":"a"},"spec":{"containers":[{"name":"a","image":"x","name":"b"}]}}',
    ),
    [
      400,
      'BadRequest',
      'Pod in version "v1" cannot be handled as a Pod: strict decoding error: duplicate field "spec.containers[0].name"',
    ],
  ],
  [
    'an unknown field and a key twice, strictly',
    post(strict, '{"metadata":{"name":"a","name":"b"},"dta":1}'),
    [
      400,
      'BadRequest',
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "dta", duplicate field "metadata.name"',
    ],
  ],
  [
    'the same, and a wrong type',
    post(strict, '{"metadata":{"name":"a","name":"b"},"dta":1,"data":1}'),
    [
      400,
      'BadRequest',
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct field ConfigMap.data of type map[string]string',
    ],
  ],
  [
    'a key twice in a PUT, strictly',
    put(`${at.configMaps}/here?fieldValidation=Strict`, '{"metadata":{"name":"here"},"data":{"x":"1","x":"2"}}'),
    [
      400,
      'BadRequest',
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: duplicate field "data.x"',
    ],
  ],
  [
    'a key twice in YAML, strictly',
    yaml(strict, 'metadata:\n  name: a\ndata:\n  x: "1"\n  x: "2"\n'),
    [
      400,
      'BadRequest',
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: yaml: unmarshal errors:\n  line 5: key "x" already set in map',
    ],
  ],
  [
    'two keys twice in YAML, strictly',
    yaml(strict, 'metadata:\n  name: a\n  name: b\ndata:\n  x: "1"\n  "x": "2"\n'),
    [
      400,
      'BadRequest',
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: yaml: unmarshal errors:\n  line 3: key "name" already set in map\n  line 6: key "x" already set in map',
    ],
  ],
  [
    'YAML with a tab',
    yaml(at.configMaps, 'metadata:\n\tname: a\n'),
    [
      400,
      'BadRequest',
      'the object provided is unrecognized (must be of type ConfigMap): yaml: line 2: found character that cannot start any token (6d657461646174613a0a096e616d653a20610a)',
    ],
  ],
  [
    'YAML with an open list',
    yaml(at.configMaps, 'metadata: [a\n'),
    [
      400,
      'BadRequest',
      "the object provided is unrecognized (must be of type ConfigMap): yaml: line 1: did not find expected ',' or ']' (6d657461646174613a205b610a)",
    ],
  ],
  [
    'YAML with a colon too much',
    yaml(at.configMaps, 'metadata: name: a\n'),
    [
      400,
      'BadRequest',
      'the object provided is unrecognized (must be of type ConfigMap): yaml: mapping values are not allowed in this context (6d657461646174613a206e616d653a20610a)',
    ],
  ],
  [
    'YAML with an alias to nothing',
    yaml(at.configMaps, 'metadata: *nothing\n'),
    [
      400,
      'BadRequest',
      "the object provided is unrecognized (must be of type ConfigMap): yaml: unknown anchor 'nothing' referenced (6d657461646174613a202a6e6f7468696e670a)",
    ],
  ],
  [
    'YAML that is a list',
    yaml(at.configMaps, '- a\n- b\n'),
    [
      400,
      'BadRequest',
      'the object provided is unrecognized (must be of type ConfigMap): couldn\'t get version/kind; json parse error: json: cannot unmarshal array into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" } (2d20610a2d20620a)',
    ],
  ],
  [
    'YAML that is text',
    yaml(at.configMaps, 'just words\n'),
    [
      400,
      'BadRequest',
      'the object provided is unrecognized (must be of type ConfigMap): couldn\'t get version/kind; json parse error: json: cannot unmarshal string into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" } (6a75737420776f7264730a)',
    ],
  ],
  [
    'yes is true in YAML',
    yaml(at.configMaps, 'metadata: {name: a}\ndata: {b: yes}\n'),
    [
      400,
      'BadRequest',
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal bool into Go struct field ConfigMap.data of type string',
    ],
  ],
  [
    'off is false in YAML',
    yaml(at.configMaps, 'metadata: {name: a}\ndata: {b: off}\n'),
    [
      400,
      'BadRequest',
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal bool into Go struct field ConfigMap.data of type string',
    ],
  ],
  [
    'y is true in YAML',
    yaml(at.configMaps, 'metadata: {name: a}\ndata: {b: y}\n'),
    [
      400,
      'BadRequest',
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal bool into Go struct field ConfigMap.data of type string',
    ],
  ],
  [
    'a zero in front makes an octal number in YAML',
    yaml(at.configMaps, 'metadata: {name: a}\ndata: {mode: 0755}\n'),
    [
      400,
      'BadRequest',
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct field ConfigMap.data of type string',
    ],
  ],
  [
    'underscores in a number in YAML',
    yaml(at.configMaps, 'metadata: {name: a}\ndata: {count: 1_000}\n'),
    [
      400,
      'BadRequest',
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct field ConfigMap.data of type string',
    ],
  ],
  [
    'a name that YAML takes for a number',
    yaml(at.configMaps, 'metadata: {name: 12}\n'),
    [
      400,
      'BadRequest',
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct field ObjectMeta.metadata.name of type string',
    ],
  ],
  [
    'a name that YAML takes for a Boolean',
    yaml(at.configMaps, 'metadata: {name: no}\n'),
    [
      400,
      'BadRequest',
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.name of type string',
    ],
  ],
  [
    'aliases that make a small text huge',
    yaml(
      at.configMaps,
      `a: &a [${'x,'.repeat(50)}]\n${[...'bcdefgh'].map((name, index) => `${name}: &${name} [${`*${'abcdefg'[index]},`.repeat(50)}]\n`).join('')}`,
    ),
    [
      400,
      'BadRequest',
      'the object provided is unrecognized (must be of type ConfigMap): yaml: document contains excessive aliasing (613a202661205b782c782c782c782c782c782c782c782c782c782c782c78 ...)',
    ],
  ],
];
