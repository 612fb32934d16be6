/** Queries that make no sense: limits, tokens, versions, selectors and options. */
import { at, type BadInput, configMap, get, patch, post, put } from './case.ts';

const watch = `${at.configMaps}?watch=true`;
const token = (fields: object | string) =>
  Buffer.from(typeof fields === 'string' ? fields : JSON.stringify(fields)).toString('base64url');

export const queries: BadInput[] = [
  [
    'a limit that is no number',
    get(`${at.configMaps}?limit=many`),
    [400, 'BadRequest', 'strconv.ParseInt: parsing "many": invalid syntax'],
  ],
  [
    'a limit with a fraction',
    get(`${at.configMaps}?limit=1.5`),
    [400, 'BadRequest', 'strconv.ParseInt: parsing "1.5": invalid syntax'],
  ],
  [
    'a limit beyond 64 bits',
    get(`${at.configMaps}?limit=99999999999999999999`),
    [400, 'BadRequest', 'strconv.ParseInt: parsing "99999999999999999999": value out of range'],
  ],
  [
    'a timeout that is no number',
    get(`${at.configMaps}?timeoutSeconds=soon`),
    [400, 'BadRequest', 'strconv.ParseInt: parsing "soon": invalid syntax'],
  ],
  [
    'a timeout of a watch that is no number',
    get(`${watch}&timeoutSeconds=1h`),
    [400, 'BadRequest', 'strconv.ParseInt: parsing "1h": invalid syntax'],
  ],
  [
    'a continue token that is not base64',
    get(`${at.configMaps}?limit=1&continue=a*b`),
    [400, 'BadRequest', 'invalid continue token: continue key is not valid: illegal base64 data at input byte 1'],
  ],
  [
    'a continue token that is no JSON',
    get(`${at.configMaps}?limit=1&continue=${token('words')}`),
    [
      400,
      'BadRequest',
      "invalid continue token: continue key is not valid: invalid character 'w' looking for beginning of value",
    ],
  ],
  [
    'a continue token of another kind',
    get(`${at.configMaps}?limit=1&continue=${token({ v: 'meta.k8s.io/v9', rv: 1, start: 'a' })}`),
    [
      400,
      'BadRequest',
      'invalid continue token: continue key is not valid: server does not recognize this encoded version "meta.k8s.io/v9"',
    ],
  ],
  [
    'a continue token without a version',
    get(`${at.configMaps}?limit=1&continue=${token({ v: 1, start: 'a' })}`),
    [400, 'BadRequest', 'invalid continue token: continue key is not valid: incorrect encoded start resourceVersion'],
  ],
  [
    'a continue token without a start',
    get(`${at.configMaps}?limit=1&continue=${token({ v: 1, rv: 1, start: '' })}`),
    [400, 'BadRequest', 'invalid continue token: continue key is not valid: encoded start key empty'],
  ],
  [
    'a continue token and a resourceVersion',
    get(`${at.configMaps}?resourceVersion=5&continue=${token({ v: 1, rv: 1, start: 'a' })}`),
    [400, 'BadRequest', 'specifying resource version is not allowed when using continue'],
  ],
  [
    'a resourceVersion that is no number',
    get(`${at.configMaps}?resourceVersion=latest`),
    [
      400,
      'BadRequest',
      'invalid resource version: resourceVersion: Invalid value: "latest": strconv.ParseUint: parsing "latest": invalid syntax',
    ],
  ],
  [
    'a negative resourceVersion',
    get(`${at.configMaps}?resourceVersion=-1`),
    [
      400,
      'BadRequest',
      'invalid resource version: resourceVersion: Invalid value: "-1": strconv.ParseUint: parsing "-1": invalid syntax',
    ],
  ],
  [
    'a resourceVersion of one object that is no number',
    get(`${at.configMaps}/here?resourceVersion=x`),
    [
      400,
      'BadRequest',
      'invalid resource version: resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax',
    ],
  ],
  [
    'a watch from no number',
    get(`${watch}&resourceVersion=now`),
    [
      400,
      'BadRequest',
      'invalid resource version: resourceVersion: Invalid value: "now": strconv.ParseUint: parsing "now": invalid syntax',
    ],
  ],
  [
    'an unknown resourceVersionMatch',
    get(`${at.configMaps}?resourceVersion=5&resourceVersionMatch=Newest`),
    [
      422,
      'Invalid',
      'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Unsupported value: "Newest": supported values: "Exact", "NotOlderThan"',
      ['resourceVersionMatch FieldValueNotSupported'],
    ],
  ],
  [
    'resourceVersionMatch alone',
    get(`${at.configMaps}?resourceVersionMatch=Exact`),
    [
      422,
      'Invalid',
      'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided',
      ['resourceVersionMatch FieldValueForbidden'],
    ],
  ],
  [
    'resourceVersionMatch with a continue token',
    get(`${at.configMaps}?resourceVersionMatch=Exact&continue=${token({ v: 1, rv: 1, start: 'a' })}`),
    [
      422,
      'Invalid',
      'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided',
      ['resourceVersionMatch FieldValueForbidden'],
    ],
  ],
  [
    'exactly any version',
    get(`${at.configMaps}?resourceVersion=0&resourceVersionMatch=Exact`),
    [
      422,
      'Invalid',
      'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
      ['resourceVersionMatch FieldValueForbidden'],
    ],
  ],
  [
    'resourceVersionMatch for a watch',
    get(`${watch}&resourceVersion=5&resourceVersionMatch=NotOlderThan`),
    [
      422,
      'Invalid',
      'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
      ['resourceVersionMatch FieldValueForbidden'],
    ],
  ],
  [
    'initial events without a match',
    get(`${watch}&sendInitialEvents=true`),
    [
      422,
      'Invalid',
      'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
      ['resourceVersionMatch FieldValueForbidden'],
    ],
  ],
  [
    'initial events of exactly one version',
    get(`${watch}&sendInitialEvents=true&resourceVersionMatch=Exact&resourceVersion=5`),
    [
      422,
      'Invalid',
      'ListOptions.meta.k8s.io "" is invalid: [resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan, resourceVersionMatch: Unsupported value: "Exact": supported values: "NotOlderThan"]',
      ['resourceVersionMatch FieldValueForbidden', 'resourceVersionMatch FieldValueNotSupported'],
    ],
  ],
  [
    'initial events of a list',
    get(`${at.configMaps}?sendInitialEvents=true`),
    [
      422,
      'Invalid',
      'ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list',
      ['sendInitialEvents FieldValueForbidden'],
    ],
  ],
  [
    'a label selector with a bad key',
    get(`${at.configMaps}?labelSelector=${encodeURIComponent('a b=c')}`),
    [400, 'BadRequest', "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"],
  ],
  [
    'a label selector with a bad value',
    get(`${at.configMaps}?labelSelector=${encodeURIComponent('a=b c')}`),
    [400, 'BadRequest', "found 'c', expected: ',' or 'end of string'"],
  ],
  [
    'a label selector with a value that is too long',
    get(`${at.configMaps}?labelSelector=a%3D${'x'.repeat(64)}`),
    [
      400,
      'BadRequest',
      'unable to parse requirement: values[0][a]: Invalid value: "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx": must be no more than 63 characters',
    ],
  ],
  [
    'a label selector that ends early',
    get(`${at.configMaps}?labelSelector=${encodeURIComponent('a in (b')}`),
    [400, 'BadRequest', "unable to parse requirement: found '', expected: ',', ')' or identifier"],
  ],
  [
    'a label selector without values',
    get(`${at.configMaps}?labelSelector=${encodeURIComponent('a in b')}`),
    [400, 'BadRequest', "unable to parse requirement: found 'b' expected: '('"],
  ],
  [
    'a label selector with a comma too much',
    get(`${at.configMaps}?labelSelector=${encodeURIComponent('a,')}`),
    [400, 'BadRequest', "found '', expected: identifier after ','"],
  ],
  [
    'a label selector that compares with text',
    get(`${at.configMaps}?labelSelector=${encodeURIComponent('a>b')}`),
    [
      400,
      'BadRequest',
      "unable to parse requirement: values[0]: Invalid value: \"b\": for 'Gt', 'Lt' operators, the value must be an integer",
    ],
  ],
  [
    'a field selector without an operator',
    get(`${at.configMaps}?fieldSelector=metadata.name`),
    [400, 'BadRequest', "invalid selector: 'metadata.name'; can't understand 'metadata.name'"],
  ],
  [
    'a field that is not selectable',
    get(`${at.configMaps}?fieldSelector=data.a%3Db`),
    [
      400,
      'BadRequest',
      'Unable to find "v1, Resource=configmaps" that match label selector "", field selector "data.a=b": field label not supported: data.a',
    ],
  ],
  [
    'a field of pods that is not selectable',
    get(`${at.pods}?fieldSelector=spec.priority%3D1`),
    [
      400,
      'BadRequest',
      'Unable to find "v1, Resource=pods" that match label selector "", field selector "spec.priority=1": field label not supported: spec.priority',
    ],
  ],
  [
    'a field selector with a bad escape',
    get(`${at.configMaps}?fieldSelector=metadata.name%3Da%5Cb`),
    [400, 'BadRequest', 'invalid field selector: invalid escape sequence in "metadata.name=a\\\\b"'],
  ],
  [
    'an unknown dry run',
    post(`${at.configMaps}?dryRun=Some`, configMap('a')),
    [
      422,
      'Invalid',
      'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Some"]: supported values: "All"',
      ['dryRun FieldValueNotSupported'],
    ],
  ],
  [
    'an unknown field validation',
    post(`${at.configMaps}?fieldValidation=Hard`, configMap('a')),
    [
      422,
      'Invalid',
      'CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "Hard": supported values: "", "Ignore", "Strict", "Warn"',
      ['fieldValidation FieldValueNotSupported'],
    ],
  ],
  [
    'both at once',
    put(`${at.configMaps}/here?fieldValidation=Hard&dryRun=true`, configMap('here')),
    [
      422,
      'Invalid',
      'UpdateOptions.meta.k8s.io "" is invalid: [dryRun: Unsupported value: ["true"]: supported values: "All", fieldValidation: Unsupported value: "Hard": supported values: "", "Ignore", "Strict", "Warn"]',
      ['dryRun FieldValueNotSupported', 'fieldValidation FieldValueNotSupported'],
    ],
  ],
  [
    'a field manager that is too long',
    post(`${at.configMaps}?fieldManager=${'m'.repeat(129)}`, configMap('a')),
    [
      422,
      'Invalid',
      'CreateOptions.meta.k8s.io "" is invalid: fieldManager: Invalid value: "mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm": may not be more than 128 bytes',
      ['fieldManager FieldValueInvalid'],
    ],
  ],
  [
    'a field manager that cannot be printed',
    post(`${at.configMaps}?fieldManager=%07`, configMap('a')),
    [
      422,
      'Invalid',
      'CreateOptions.meta.k8s.io "" is invalid: fieldManager: Invalid value: "\\u0007": should only contain printable characters',
      ['fieldManager FieldValueInvalid'],
    ],
  ],
  [
    'force without apply',
    patch(`${at.configMaps}/here?force=true`, 'merge', {}),
    [
      422,
      'Invalid',
      'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch',
      ['force FieldValueForbidden'],
    ],
  ],
];
