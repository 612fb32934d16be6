/** Names, labels, annotations, owners and finalizers that objects may not have, and changes of what may not change. */
import { at, type BadInput, configMap, patch, post } from './case.ts';

const made = (metadata: object) => post(at.configMaps, { metadata });
const owner = (more: object = {}) => ({ apiVersion: 'v1', kind: 'Pod', name: 'p', uid: 'u', ...more });

const versioned = 'resourceVersion should not be set on objects to be created';

export const metadata: BadInput[] = [
  ['a version of what is not there', made({ name: 'n', resourceVersion: '7' }), [500, undefined, versioned]],
  ['a version of what is there', made({ name: 'here', resourceVersion: '7' }), [500, undefined, versioned]],
  [
    'another uid by a patch',
    patch(`${at.configMaps}/here`, 'merge', { metadata: { uid: 'u' } }),
    [
      422,
      'Invalid',
      'ConfigMap "here" is invalid: metadata.uid: Invalid value: "u": field is immutable',
      ['metadata.uid FieldValueInvalid'],
    ],
  ],
  [
    'another uid by apply',
    patch(`${at.configMaps}/here?fieldManager=m`, 'apply', {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'here', uid: 'u' },
    }),
    [
      422,
      'Invalid',
      'ConfigMap "here" is invalid: metadata.uid: Invalid value: "u": field is immutable',
      ['metadata.uid FieldValueInvalid'],
    ],
  ],
  [
    'no name',
    made({}),
    [
      422,
      'Invalid',
      'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
      ['metadata.name FieldValueRequired'],
    ],
  ],
  [
    'an empty name',
    made({ name: '' }),
    [
      422,
      'Invalid',
      'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
      ['metadata.name FieldValueRequired'],
    ],
  ],
  [
    'a name in capitals',
    made({ name: 'Upper' }),
    [
      422,
      'Invalid',
      "ConfigMap \"Upper\" is invalid: metadata.name: Invalid value: \"Upper\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
      ['metadata.name FieldValueInvalid'],
    ],
  ],
  [
    'a name with an underscore',
    made({ name: 'a_b' }),
    [
      422,
      'Invalid',
      "ConfigMap \"a_b\" is invalid: metadata.name: Invalid value: \"a_b\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
      ['metadata.name FieldValueInvalid'],
    ],
  ],
  [
    'a name with a slash',
    made({ name: 'a/b' }),
    [
      422,
      'Invalid',
      'ConfigMap "a/b" is invalid: metadata.name: Invalid value: "a/b": may not contain \'/\'',
      ['metadata.name FieldValueInvalid'],
    ],
  ],
  [
    'a name with a percent sign',
    made({ name: 'a%b' }),
    [
      422,
      'Invalid',
      'ConfigMap "a%b" is invalid: metadata.name: Invalid value: "a%b": may not contain \'%\'',
      ['metadata.name FieldValueInvalid'],
    ],
  ],
  [
    'a name that is a dot',
    made({ name: '.' }),
    [
      422,
      'Invalid',
      'ConfigMap "." is invalid: metadata.name: Invalid value: ".": may not be \'.\'',
      ['metadata.name FieldValueInvalid'],
    ],
  ],
  [
    'a name that is two dots',
    made({ name: '..' }),
    [
      422,
      'Invalid',
      'ConfigMap ".." is invalid: metadata.name: Invalid value: "..": may not be \'..\'',
      ['metadata.name FieldValueInvalid'],
    ],
  ],
  [
    'a name that begins with a dash',
    made({ name: '-a' }),
    [
      422,
      'Invalid',
      "ConfigMap \"-a\" is invalid: metadata.name: Invalid value: \"-a\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
      ['metadata.name FieldValueInvalid'],
    ],
  ],
  [
    'a name with a space',
    made({ name: 'a b' }),
    [
      422,
      'Invalid',
      "ConfigMap \"a b\" is invalid: metadata.name: Invalid value: \"a b\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
      ['metadata.name FieldValueInvalid'],
    ],
  ],
  [
    'a name that is too long',
    made({ name: 'a'.repeat(254) }),
    [
      422,
      'Invalid',
      'ConfigMap "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" is invalid: metadata.name: Invalid value: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": must be no more than 253 characters',
      ['metadata.name FieldValueInvalid'],
    ],
  ],
  [
    'a name with letters of another script',
    made({ name: 'größe' }),
    [
      422,
      'Invalid',
      "ConfigMap \"größe\" is invalid: metadata.name: Invalid value: \"größe\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
      ['metadata.name FieldValueInvalid'],
    ],
  ],
  [
    'a name with a picture',
    made({ name: '\u{1f600}' }),
    [
      422,
      'Invalid',
      "ConfigMap \"😀\" is invalid: metadata.name: Invalid value: \"😀\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
      ['metadata.name FieldValueInvalid'],
    ],
  ],
  [
    'a name with a null byte',
    made({ name: 'a\u0000b' }),
    [
      422,
      'Invalid',
      "ConfigMap \"a\u0000b\" is invalid: metadata.name: Invalid value: \"a\\u0000b\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
      ['metadata.name FieldValueInvalid'],
    ],
  ],
  [
    'a label key with a space',
    made({ name: 'a', labels: { 'b c': 'd' } }),
    [
      422,
      'Invalid',
      "ConfigMap \"a\" is invalid: metadata.labels: Invalid value: \"b c\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
      ['metadata.labels FieldValueInvalid'],
    ],
  ],
  [
    'an empty label key',
    made({ name: 'a', labels: { '': 'd' } }),
    [
      422,
      'Invalid',
      "ConfigMap \"a\" is invalid: [metadata.labels: Invalid value: \"\": name part must be non-empty, metadata.labels: Invalid value: \"\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')]",
      ['metadata.labels FieldValueInvalid', 'metadata.labels FieldValueInvalid'],
    ],
  ],
  [
    'a label key with two slashes',
    made({ name: 'a', labels: { 'a/b/c': 'd' } }),
    [
      422,
      'Invalid',
      "ConfigMap \"a\" is invalid: metadata.labels: Invalid value: \"a/b/c\": a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
      ['metadata.labels FieldValueInvalid'],
    ],
  ],
  [
    'a label key with a bad prefix',
    made({ name: 'a', labels: { 'Upper_case/b': 'd' } }),
    [
      422,
      'Invalid',
      "ConfigMap \"a\" is invalid: metadata.labels: Invalid value: \"Upper_case/b\": prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
      ['metadata.labels FieldValueInvalid'],
    ],
  ],
  [
    'a label key that is too long',
    made({ name: 'a', labels: { ['k'.repeat(64)]: 'd' } }),
    [
      422,
      'Invalid',
      'ConfigMap "a" is invalid: metadata.labels: Invalid value: "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk": name part must be no more than 63 characters',
      ['metadata.labels FieldValueInvalid'],
    ],
  ],
  [
    'a label value that is too long',
    made({ name: 'a', labels: { b: 'v'.repeat(64) } }),
    [
      422,
      'Invalid',
      'ConfigMap "a" is invalid: metadata.labels: Invalid value: "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv": must be no more than 63 characters',
      ['metadata.labels FieldValueInvalid'],
    ],
  ],
  [
    'a label value with a slash',
    made({ name: 'a', labels: { b: 'c/d' } }),
    [
      422,
      'Invalid',
      "ConfigMap \"a\" is invalid: metadata.labels: Invalid value: \"c/d\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
      ['metadata.labels FieldValueInvalid'],
    ],
  ],
  [
    'a label value with a null byte',
    made({ name: 'a', labels: { b: 'c\u0000d' } }),
    [
      422,
      'Invalid',
      "ConfigMap \"a\" is invalid: metadata.labels: Invalid value: \"c\\u0000d\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
      ['metadata.labels FieldValueInvalid'],
    ],
  ],
  [
    'two bad labels',
    made({ name: 'a', labels: { b: 'c d', e: 'f/g' } }),
    [
      422,
      'Invalid',
      "ConfigMap \"a\" is invalid: [metadata.labels: Invalid value: \"c d\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?'), metadata.labels: Invalid value: \"f/g\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')]",
      ['metadata.labels FieldValueInvalid', 'metadata.labels FieldValueInvalid'],
    ],
  ],
  [
    'an annotation key with a space',
    made({ name: 'a', annotations: { 'b c': 'd' } }),
    [
      422,
      'Invalid',
      "ConfigMap \"a\" is invalid: metadata.annotations: Invalid value: \"b c\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
      ['metadata.annotations FieldValueInvalid'],
    ],
  ],
  [
    'annotations that are too large',
    made({ name: 'a', annotations: { b: 'v'.repeat(256 * 1024) } }),
    [
      422,
      'Invalid',
      'ConfigMap "a" is invalid: metadata.annotations: Too long: may not be more than 262144 bytes',
      ['metadata.annotations FieldValueTooLong'],
    ],
  ],
  [
    'an owner without a uid',
    made({ name: 'a', ownerReferences: [owner({ uid: '' })] }),
    [
      422,
      'Invalid',
      'ConfigMap "a" is invalid: metadata.ownerReferences[0].uid: Invalid value: "": uid must not be empty',
      ['metadata.ownerReferences[0].uid FieldValueInvalid'],
    ],
  ],
  [
    'an owner without anything',
    made({ name: 'a', ownerReferences: [{ apiVersion: '', kind: '', name: '', uid: '' }] }),
    [
      422,
      'Invalid',
      'ConfigMap "a" is invalid: [metadata.ownerReferences[0].apiVersion: Invalid value: "": version must not be empty, metadata.ownerReferences[0].kind: Invalid value: "": kind must not be empty, metadata.ownerReferences[0].name: Invalid value: "": name must not be empty, metadata.ownerReferences[0].uid: Invalid value: "": uid must not be empty]',
      [
        'metadata.ownerReferences[0].apiVersion FieldValueInvalid',
        'metadata.ownerReferences[0].kind FieldValueInvalid',
        'metadata.ownerReferences[0].name FieldValueInvalid',
        'metadata.ownerReferences[0].uid FieldValueInvalid',
      ],
    ],
  ],
  [
    'an Event as owner',
    made({ name: 'a', ownerReferences: [owner({ kind: 'Event' })] }),
    [
      422,
      'Invalid',
      'ConfigMap "a" is invalid: metadata.ownerReferences[0]: Invalid value: {"apiVersion":"v1","kind":"Event","name":"p","uid":"u"}: /v1, Kind=Event is disallowed from being an owner',
      ['metadata.ownerReferences[0] FieldValueInvalid'],
    ],
  ],
  [
    'two controllers',
    made({ name: 'a', ownerReferences: [owner({ controller: true }), owner({ name: 'q', uid: 'v', controller: true })] }),
    [
      422,
      'Invalid',
      'ConfigMap "a" is invalid: metadata.ownerReferences: Invalid value: [{"apiVersion":"v1","kind":"Pod","name":"p","uid":"u","controller":true},{"apiVersion":"v1","kind":"Pod","name":"q","uid":"v","controller":true}]: Only one reference can have Controller set to true. Found "true" in references for Pod/p and Pod/q',
      ['metadata.ownerReferences FieldValueInvalid'],
    ],
  ],
  [
    'a finalizer without a prefix',
    made({ name: 'a', finalizers: ['mine'] }),
    [
      422,
      'Invalid',
      'ConfigMap "a" is invalid: metadata.finalizers: Invalid value: "mine": name is neither a standard finalizer name nor is it fully qualified',
      ['metadata.finalizers FieldValueInvalid'],
    ],
  ],
  [
    'a finalizer with a space',
    made({ name: 'a', finalizers: ['example.com/a b'] }),
    [
      422,
      'Invalid',
      "ConfigMap \"a\" is invalid: metadata.finalizers: Invalid value: \"example.com/a b\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
      ['metadata.finalizers FieldValueInvalid'],
    ],
  ],
  [
    'a finalizer that is a number',
    made({ name: 'a', finalizers: [1] }),
    [
      400,
      'BadRequest',
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct field ObjectMeta.metadata.finalizers of type string',
    ],
  ],
  [
    'everything at once',
    made({ name: 'A', labels: { 'b c': 'd e' }, annotations: { 'f g': '' }, finalizers: ['mine'] }),
    [
      422,
      'Invalid',
      "ConfigMap \"A\" is invalid: [metadata.name: Invalid value: \"A\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'), metadata.labels: Invalid value: \"b c\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]'), metadata.labels: Invalid value: \"d e\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?'), metadata.annotations: Invalid value: \"f g\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]'), metadata.finalizers: Invalid value: \"mine\": name is neither a standard finalizer name nor is it fully qualified]",
      [
        'metadata.name FieldValueInvalid',
        'metadata.labels FieldValueInvalid',
        'metadata.labels FieldValueInvalid',
        'metadata.annotations FieldValueInvalid',
        'metadata.finalizers FieldValueInvalid',
      ],
    ],
  ],
  [
    'a new finalizer of what is being deleted',
    patch(`${at.configMaps}/leaving`, 'merge', { metadata: { finalizers: ['test.kontiki/wait', 'test.kontiki/more'] } }),
    [
      422,
      'Invalid',
      'ConfigMap "leaving" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"test.kontiki/more"}',
      ['metadata.finalizers FieldValueForbidden'],
    ],
  ],
  [
    'a namespace name with a dot',
    post(at.namespaces, configMap('a.b')),
    [
      422,
      'Invalid',
      'Namespace "a.b" is invalid: metadata.name: Invalid value: "a.b": must not contain dots',
      ['metadata.name FieldValueInvalid'],
    ],
  ],
  [
    'a namespace name that is too long',
    post(at.namespaces, configMap('n'.repeat(64))),
    [
      422,
      'Invalid',
      'Namespace "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn" is invalid: [metadata.name: Invalid value: "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn": must be no more than 63 characters, metadata.labels: Invalid value: "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn": must be no more than 63 characters]',
      ['metadata.name FieldValueInvalid', 'metadata.labels FieldValueInvalid'],
    ],
  ],
  [
    'a service name that begins with a digit',
    post(at.services, { metadata: { name: '1a' }, spec: { ports: [{ port: 80 }] } }),
    [
      422,
      'Invalid',
      "Service \"1a\" is invalid: metadata.name: Invalid value: \"1a\": a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
      ['metadata.name FieldValueInvalid'],
    ],
  ],
];
