/** Bodies that are not what their media type says, or not of the kind: JSON text, apiVersion and kind. */
import { at, type BadInput, deployment, post } from './case.ts';

export const bodies: BadInput[] = [
  [
    'no body',
    post(at.configMaps, ''),
    [
      400,
      'BadRequest',
      "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)",
    ],
  ],
  [
    'an unknown media type',
    post(at.configMaps, '<a/>', { 'content-type': 'text/xml' }),
    [
      415,
      'UnsupportedMediaType',
      'the body of the request was in an unknown format (text/xml) - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf',
    ],
  ],
  [
    'a form',
    post(at.configMaps, 'a=b', { 'content-type': 'application/x-www-form-urlencoded' }),
    [
      415,
      'UnsupportedMediaType',
      'the body of the request was in an unknown format (application/x-www-form-urlencoded) - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf',
    ],
  ],
  [
    'too large',
    post(at.configMaps, Buffer.alloc(3 * 1024 * 1024 + 1, 0x20)),
    [413, 'RequestEntityTooLarge', 'Request entity too large: limit is 3145728'],
  ],
  [
    'JSON that ends early',
    post(at.configMaps, '{"metadata":'),
    [
      400,
      'BadRequest',
      'the object provided is unrecognized (must be of type ConfigMap): couldn\'t get version/kind; json parse error: unexpected end of JSON input ({"metadata":)',
    ],
  ],
  [
    'JSON with a comma too much',
    post(at.configMaps, '{"metadata":{"name":"a",}}'),
    [
      400,
      'BadRequest',
      'the object provided is unrecognized (must be of type ConfigMap): couldn\'t get version/kind; json parse error: invalid character \'}\' looking for beginning of object key string ({"metadata":{"name":"a",}})',
    ],
  ],
  [
    'JSON with single quotes',
    post(at.configMaps, "{'metadata':{}}"),
    [
      400,
      'BadRequest',
      "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: invalid character '\\'' looking for beginning of object key string ({'metadata':{}})",
    ],
  ],
  [
    'JSON with bare keys',
    post(at.configMaps, '{metadata:{}}'),
    [
      400,
      'BadRequest',
      "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: invalid character 'm' looking for beginning of object key string ({metadata:{}})",
    ],
  ],
  [
    'JSON with a comment',
    post(at.configMaps, '{} // done'),
    [
      400,
      'BadRequest',
      "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: invalid character '/' after top-level value ({} // done)",
    ],
  ],
  [
    'two JSON values',
    post(at.configMaps, '{"metadata":{"name":"a"}}{}'),
    [
      400,
      'BadRequest',
      'the object provided is unrecognized (must be of type ConfigMap): couldn\'t get version/kind; json parse error: invalid character \'{\' after top-level value ({"metadata":{"name":"a"}}{})',
    ],
  ],
  [
    'a broken literal',
    post(at.configMaps, '{"data":nul}'),
    [
      400,
      'BadRequest',
      "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: invalid character '}' in literal null (expecting 'l') ({\"data\":nul})",
    ],
  ],
  [
    'a number with a leading zero',
    post(at.configMaps, '{"metadata":{"generation":01}}'),
    [
      400,
      'BadRequest',
      'the object provided is unrecognized (must be of type ConfigMap): couldn\'t get version/kind; json parse error: invalid character \'1\' after object key:value pair ({"metadata":{"generation":01}})',
    ],
  ],
  [
    'a line break in a string',
    post(at.configMaps, '{"a":"\n"}'),
    [
      400,
      'BadRequest',
      'the object provided is unrecognized (must be of type ConfigMap): couldn\'t get version/kind; json parse error: invalid character \'\\n\' in string literal ({"a":"\n"})',
    ],
  ],
  [
    'an unknown escape',
    post(at.configMaps, '{"a":"\\x41"}'),
    [
      400,
      'BadRequest',
      'the object provided is unrecognized (must be of type ConfigMap): couldn\'t get version/kind; json parse error: invalid character \'x\' in string escape code ({"a":"\\x41"})',
    ],
  ],
  [
    'a byte order mark',
    post(at.configMaps, '\ufeff{"metadata":{"name":"a"}}'),
    [
      400,
      'BadRequest',
      "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: invalid character 'ï' looking for beginning of value (efbbbf7b226d65746164617461223a7b226e616d65223a2261227d7d)",
    ],
  ],
  [
    'YAML that is called JSON',
    post(at.configMaps, 'metadata:\n  name: a\n'),
    [
      400,
      'BadRequest',
      "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: invalid character 'm' looking for beginning of value (6d657461646174613a0a20206e616d653a20610a)",
    ],
  ],
  [
    'a long text that is no JSON',
    post(at.configMaps, `x${'y'.repeat(100)}`),
    [
      400,
      'BadRequest',
      "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: invalid character 'x' looking for beginning of value (787979797979797979797979797979797979797979797979797979797979 ...)",
    ],
  ],
  [
    'a list',
    post(at.configMaps, '[]'),
    [
      400,
      'BadRequest',
      'the object provided is unrecognized (must be of type ConfigMap): couldn\'t get version/kind; json parse error: json: cannot unmarshal array into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" } (5b5d)',
    ],
  ],
  [
    'a string',
    post(at.configMaps, '"configmap"'),
    [
      400,
      'BadRequest',
      'the object provided is unrecognized (must be of type ConfigMap): couldn\'t get version/kind; json parse error: json: cannot unmarshal string into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" } (22636f6e6669676d617022)',
    ],
  ],
  [
    'a number',
    post(at.configMaps, '42'),
    [
      400,
      'BadRequest',
      'the object provided is unrecognized (must be of type ConfigMap): couldn\'t get version/kind; json parse error: json: cannot unmarshal number into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" } (3432)',
    ],
  ],
  [
    'true',
    post(at.configMaps, 'true'),
    [
      400,
      'BadRequest',
      'the object provided is unrecognized (must be of type ConfigMap): couldn\'t get version/kind; json parse error: json: cannot unmarshal bool into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" } (74727565)',
    ],
  ],
  [
    'null, which says nothing',
    post(at.configMaps, 'null'),
    [
      422,
      'Invalid',
      'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
      ['metadata.name FieldValueRequired'],
    ],
  ],
  [
    'an object that says nothing',
    post(at.configMaps, '{}'),
    [
      422,
      'Invalid',
      'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
      ['metadata.name FieldValueRequired'],
    ],
  ],
  [
    'a kind that is a number',
    post(at.configMaps, { kind: 1 }),
    [
      400,
      'BadRequest',
      'the object provided is unrecognized (must be of type ConfigMap): couldn\'t get version/kind; json parse error: json: cannot unmarshal number into Go struct field .kind of type string ({"kind":1})',
    ],
  ],
  [
    'an API version that is a list',
    post(at.configMaps, { apiVersion: ['v1'] }),
    [
      400,
      'BadRequest',
      'the object provided is unrecognized (must be of type ConfigMap): couldn\'t get version/kind; json parse error: json: cannot unmarshal array into Go struct field .apiVersion of type string ({"apiVersion":["v1"]})',
    ],
  ],
  [
    'an API version with two slashes',
    post(at.configMaps, { apiVersion: 'a/b/c' }),
    [
      400,
      'BadRequest',
      'the object provided is unrecognized (must be of type ConfigMap): unexpected GroupVersion string: a/b/c ({"apiVersion":"a/b/c"})',
    ],
  ],
  [
    'another kind',
    post(at.configMaps, { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'a' } }),
    [
      400,
      'BadRequest',
      'Secret in version "v1" cannot be handled as a ConfigMap: converting (v1.Secret) to (core.ConfigMap): unknown conversion',
    ],
  ],
  [
    'a kind of another group',
    post(at.configMaps, { apiVersion: 'apps/v1', kind: 'Deployment' }),
    [
      400,
      'BadRequest',
      'Deployment in version "v1" cannot be handled as a ConfigMap: converting (v1.Deployment) to (core.ConfigMap): unknown conversion',
    ],
  ],
  [
    'a kind that nobody knows',
    post(at.configMaps, { apiVersion: 'v1', kind: 'Konfig' }),
    [
      400,
      'BadRequest',
      'Konfig in version "v1" cannot be handled as a ConfigMap: no kind "Konfig" is registered for version "v1"',
    ],
  ],
  [
    'a version that nobody knows',
    post(at.configMaps, { apiVersion: 'v9', kind: 'ConfigMap' }),
    [
      400,
      'BadRequest',
      'ConfigMap in version "v9" cannot be handled as a ConfigMap: no kind "ConfigMap" is registered for version "v9"',
    ],
  ],
  [
    'another version',
    post(at.deployments, { ...deployment(), apiVersion: 'apps/v1beta1', kind: 'Deployment' }),
    [400, 'BadRequest', 'the API version in the data (apps/v1beta1) does not match the expected API version (apps/v1)'],
  ],
];
