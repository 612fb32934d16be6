/** Subresources: scale, status, binding, eviction, tokens, streams, logs. */
import { at, type BadInput, configMap, get, patch, post, put, remove } from './case.ts';

const web = `${at.deployments}/web`;
const scale = (spec: object, metadata: object = {}) => ({ metadata: { name: 'web', ...metadata }, spec });

export const subresources: BadInput[] = [
  [
    'a negative scale',
    put(`${web}/scale`, scale({ replicas: -1 })),
    [
      422,
      'Invalid',
      'Scale.autoscaling "web" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0',
      ['spec.replicas FieldValueInvalid'],
    ],
  ],
  [
    'a scale as text',
    put(`${web}/scale`, scale({ replicas: '2' })),
    [
      400,
      'BadRequest',
      'Scale in version "v1" cannot be handled as a Scale: json: cannot unmarshal string into Go struct field ScaleSpec.spec.replicas of type int32',
    ],
  ],
  [
    'a scale of another object',
    put(`${web}/scale`, { metadata: { name: 'other' }, spec: { replicas: 1 } }),
    [400, 'BadRequest', 'the name of the object (other) does not match the name on the URL (web)'],
  ],
  [
    'a scale of an old version',
    put(`${web}/scale`, scale({ replicas: 2 }, { resourceVersion: '1' })),
    [
      409,
      'Conflict',
      'Operation cannot be fulfilled on deployments.apps "web": the object has been modified; please apply your changes to the latest version and try again',
    ],
  ],
  [
    'a scale of nothing',
    put(`${at.deployments}/nothing/scale`, { metadata: { name: 'nothing' }, spec: { replicas: 1 } }),
    [404, 'NotFound', 'deployments.apps "nothing" not found'],
  ],
  [
    'a negative scale by a patch',
    patch(`${web}/scale`, 'merge', { spec: { replicas: -5 } }),
    [
      422,
      'Invalid',
      'Scale.autoscaling "web" is invalid: spec.replicas: Invalid value: -5: must be greater than or equal to 0',
      ['spec.replicas FieldValueInvalid'],
    ],
  ],
  [
    'deleting a scale',
    remove(`${web}/scale`),
    [405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource'],
  ],
  [
    'a status of another object',
    put(`${web}/status`, { metadata: { name: 'other' } }),
    [400, 'BadRequest', 'the name of the object (other) does not match the name on the URL (web)'],
  ],
  [
    'a status of a wrong type',
    patch(`${web}/status`, 'merge', { status: { replicas: 'x' } }),
    [
      422,
      'Invalid',
      ' "" is invalid: patch: Invalid value: "patched object": json: cannot unmarshal string into Go struct field DeploymentStatus.status.replicas of type int32',
      ['patch FieldValueInvalid'],
    ],
  ],
  [
    'a negative status',
    patch(`${web}/status`, 'merge', { status: { replicas: -1 } }),
    [
      422,
      'Invalid',
      'Deployment.apps "web" is invalid: [status.replicas: Invalid value: -1: must be greater than or equal to 0, status.updatedReplicas: Invalid value: 0: cannot be greater than status.replicas, status.readyReplicas: Invalid value: 0: cannot be greater than status.replicas, status.availableReplicas: Invalid value: 0: cannot be greater than status.replicas]',
      [
        'status.replicas FieldValueInvalid',
        'status.updatedReplicas FieldValueInvalid',
        'status.readyReplicas FieldValueInvalid',
        'status.availableReplicas FieldValueInvalid',
      ],
    ],
  ],
  [
    'creating a status',
    post(`${web}/status`, {}),
    [405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource'],
  ],
  [
    'binding to nothing',
    post(`${at.pods}/p/binding`, { metadata: { name: 'p' } }),
    [422, 'Invalid', 'Binding "p" is invalid: target.name: Required value', ['target.name FieldValueRequired']],
  ],
  [
    'binding to a pod',
    post(`${at.pods}/p/binding`, { metadata: { name: 'p' }, target: { kind: 'Pod', name: 'x' } }),
    [
      422,
      'Invalid',
      'Binding "p" is invalid: target.kind: Unsupported value: "Pod": supported values: "Node", "<empty>"',
      ['target.kind FieldValueNotSupported'],
    ],
  ],
  [
    'binding what is bound',
    post(`${at.pods}/bound/binding`, { metadata: { name: 'bound' }, target: { kind: 'Node', name: 'n2' } }),
    [409, 'Conflict', 'Operation cannot be fulfilled on pods/binding "bound": pod bound is already assigned to node "n1"'],
  ],
  [
    'binding what is not there',
    post(`${at.pods}/nothing/binding`, { metadata: { name: 'nothing' }, target: { kind: 'Node', name: 'n1' } }),
    [404, 'NotFound', 'pods "nothing" not found'],
  ],
  [
    'binding of another kind',
    post(`${at.pods}/p/binding`, { kind: 'Eviction', apiVersion: 'policy/v1', metadata: { name: 'p' } }),
    [400, 'BadRequest', 'the kind in the data (Eviction) does not match the expected kind (Binding)'],
  ],
  [
    'eviction of another pod',
    post(`${at.pods}/p/eviction`, { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'q' } }),
    [400, 'BadRequest', 'name in URL does not match name in Eviction object'],
  ],
  [
    'eviction of what is not there',
    post(`${at.pods}/nothing/eviction`, { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'nothing' } }),
    [404, 'NotFound', 'pods "nothing" not found'],
  ],
  [
    'reading an eviction',
    get(`${at.pods}/p/eviction`),
    [405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource'],
  ],
  ['a token for nobody', post(`${at.accounts}/ghost/token`, {}), [404, 'NotFound', 'serviceaccounts "ghost" not found']],
  [
    'a token that lives too shortly',
    post(`${at.accounts}/default/token`, { spec: { expirationSeconds: 1 } }),
    [
      422,
      'Invalid',
      'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 1: may not specify a duration less than 10 minutes',
      ['spec.expirationSeconds FieldValueInvalid'],
    ],
  ],
  [
    'a token bound to nothing',
    post(`${at.accounts}/default/token`, { spec: { boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'nothing' } } }),
    [404, 'NotFound', 'pods "nothing" not found'],
  ],
  [
    'a token with a body of another kind',
    post(`${at.accounts}/default/token`, { kind: 'Pod', apiVersion: 'v1' }),
    [400, 'BadRequest', 'the kind in the data (Pod) does not match the expected kind (TokenRequest)'],
  ],
  ['exec without an upgrade', post(`${at.pods}/bound/exec?command=ls`, ''), [400, 'BadRequest', 'Upgrade request required']],
  ['exec in what is not there', get(`${at.pods}/nothing/exec?command=ls`), [404, 'NotFound', 'pods "nothing" not found']],
  ['logs of what is not there', get(`${at.pods}/nothing/log`), [404, 'NotFound', 'pods "nothing" not found']],
  [
    'logs with a bad tail',
    get(`${at.pods}/bound/log?tailLines=many`),
    [400, 'BadRequest', 'strconv.ParseInt: parsing "many": invalid syntax'],
  ],
  [
    'logs with a negative tail',
    get(`${at.pods}/bound/log?tailLines=-1`),
    [
      422,
      'Invalid',
      'PodLogOptions "bound" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0',
      ['tailLines FieldValueInvalid'],
    ],
  ],
  [
    'logs with two beginnings',
    get(`${at.pods}/bound/log?sinceSeconds=1&sinceTime=2001-01-01T00%3A00%3A00Z`),
    [
      422,
      'Invalid',
      'PodLogOptions "bound" is invalid: : Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified',
      ['FieldValueForbidden'],
    ],
  ],
  [
    'logs of an unknown container',
    get(`${at.pods}/bound/log?container=ghost`),
    [400, 'BadRequest', 'container ghost is not valid for pod bound'],
  ],
  [
    'ephemeral containers without a target',
    patch(`${at.pods}/p/ephemeralcontainers`, 'strategic', {
      spec: { ephemeralContainers: [{ name: 'dbg', image: 'x', targetContainerName: 'ghost' }] },
    }),
    [
      422,
      'Invalid',
      'Pod "p" is invalid: spec.ephemeralContainers[0].targetContainerName: Not found: "ghost"',
      ['spec.ephemeralContainers[0].targetContainerName FieldValueNotFound'],
    ],
  ],
  [
    'finalizing what cannot be',
    put(`${at.configMaps}/here/finalize`, configMap('here')),
    [404, 'NotFound', 'the server could not find the requested resource'],
  ],
];
