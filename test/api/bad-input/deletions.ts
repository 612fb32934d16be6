/** Deletions with bad options. */
import { at, type BadInput, remove } from './case.ts';

export const deletions: BadInput[] = [
  [
    'a deletion with an unknown policy',
    remove(`${at.configMaps}/here`, { propagationPolicy: 'Everything' }),
    [
      422,
      'Invalid',
      'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Everything": supported values: "Foreground", "Background", "Orphan", "nil"',
      ['propagationPolicy FieldValueNotSupported'],
    ],
  ],
  [
    'a deletion with an unknown policy in the query',
    remove(`${at.configMaps}/here?propagationPolicy=Everything`),
    [
      422,
      'Invalid',
      'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Everything": supported values: "Foreground", "Background", "Orphan", "nil"',
      ['propagationPolicy FieldValueNotSupported'],
    ],
  ],
  [
    'a deletion with both kinds of policy',
    remove(`${at.configMaps}/here`, { propagationPolicy: 'Orphan', orphanDependents: true }),
    [
      422,
      'Invalid',
      'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Invalid value: "Orphan": orphanDependents and deletionPropagation cannot be both set',
      ['propagationPolicy FieldValueInvalid'],
    ],
  ],
  [
    'a deletion with an unknown dry run',
    remove(`${at.configMaps}/here`, { dryRun: ['Some'] }),
    [
      422,
      'Invalid',
      'DeleteOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Some"]: supported values: "All"',
      ['dryRun FieldValueNotSupported'],
    ],
  ],
  [
    'a deletion with a grace period as text',
    remove(`${at.configMaps}/here`, { gracePeriodSeconds: '5' }),
    [
      400,
      'BadRequest',
      'DeleteOptions in version "v1" cannot be handled as a DeleteOptions: json: cannot unmarshal string into Go struct field DeleteOptions.gracePeriodSeconds of type int64',
    ],
  ],
  [
    'a deletion with a grace period that is no number',
    remove(`${at.configMaps}/here?gracePeriodSeconds=short`),
    [400, 'BadRequest', 'strconv.ParseInt: parsing "short": invalid syntax'],
  ],
  [
    'a deletion with another uid',
    remove(`${at.configMaps}/here`, { preconditions: { uid: 'x' } }),
    [
      409,
      'Conflict',
      'Operation cannot be fulfilled on ConfigMap "here": the UID in the precondition (x) does not match the UID in record (<uid>). The object might have been deleted and then recreated',
    ],
  ],
  [
    'a deletion of another version',
    remove(`${at.configMaps}/here`, { preconditions: { resourceVersion: '1' } }),
    [
      409,
      'Conflict',
      'Operation cannot be fulfilled on ConfigMap "here": the ResourceVersion in the precondition (1) does not match the ResourceVersion in record (<version>). The object might have been modified',
    ],
  ],
  [
    'a deletion with preconditions as text',
    remove(`${at.configMaps}/here`, { preconditions: 'x' }),
    [
      400,
      'BadRequest',
      'DeleteOptions in version "v1" cannot be handled as a DeleteOptions: json: cannot unmarshal string into Go struct field DeleteOptions.preconditions of type v1.Preconditions',
    ],
  ],
  [
    'a deletion with another object as options',
    remove(`${at.configMaps}/here`, { kind: 'ConfigMap', apiVersion: 'v1' }),
    [400, 'BadRequest', 'decoded object cannot be converted to DeleteOptions'],
  ],
  [
    'a deletion with a body that is no JSON',
    remove(`${at.configMaps}/here`, '{"dryRun"'),
    [
      400,
      'BadRequest',
      'the object provided is unrecognized (must be of type DeleteOptions): couldn\'t get version/kind; json parse error: unexpected end of JSON input ({"dryRun")',
    ],
  ],
  [
    'a deletion with a list as body',
    remove(`${at.configMaps}/here`, '[]'),
    [
      400,
      'BadRequest',
      'the object provided is unrecognized (must be of type DeleteOptions): couldn\'t get version/kind; json parse error: json: cannot unmarshal array into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" } (5b5d)',
    ],
  ],
  [
    'a deletion of some by a bad selector',
    remove(`${at.configMaps}?labelSelector=${encodeURIComponent('!')}`),
    [400, 'BadRequest', "unable to parse requirement: found '', expected: identifier"],
  ],
  [
    'a namespace that must stay',
    remove(`${at.namespaces}/default`),
    [403, 'Forbidden', 'namespaces "default" is forbidden: this namespace may not be deleted'],
  ],
];
