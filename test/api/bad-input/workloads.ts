/** Mistakes that people make with pods and with what makes pods; test/kinds/wrongs.ts has one more for every kind. */
import { at, type BadInput, deployment, patch, pod, podSpec, post, template } from './case.ts';

const made = (path: string, spec: object, name = 'new') => post(path, { metadata: { name }, spec });
const job = (spec: object = {}) => ({ template: { spec: podSpec({ restartPolicy: 'Never' }) }, ...spec });
const volume = (volume: object, mount: object = { name: 'v', mountPath: '/v' }) =>
  post(at.pods, pod(podSpec({ volumes: [{ name: 'v', ...volume }] }, { volumeMounts: [mount] })));

export const workloads: BadInput[] = [
  [
    'a pod without containers',
    post(at.pods, pod({ containers: [] })),
    [422, 'Invalid', 'Pod "new" is invalid: spec.containers: Required value', ['spec.containers FieldValueRequired']],
  ],
  [
    'a pod without a spec',
    post(at.pods, { metadata: { name: 'new' } }),
    [422, 'Invalid', 'Pod "new" is invalid: spec.containers: Required value', ['spec.containers FieldValueRequired']],
  ],
  [
    'a container without a name',
    post(at.pods, pod({ containers: [{ image: 'x' }] })),
    [
      422,
      'Invalid',
      'Pod "new" is invalid: spec.containers[0].name: Required value',
      ['spec.containers[0].name FieldValueRequired'],
    ],
  ],
  [
    'a container without an image',
    post(at.pods, pod({ containers: [{ name: 'a' }] })),
    [
      422,
      'Invalid',
      'Pod "new" is invalid: spec.containers[0].image: Required value',
      ['spec.containers[0].image FieldValueRequired'],
    ],
  ],
  [
    'an image with a space',
    post(at.pods, pod(podSpec({}, { image: ' x' }))),
    [
      422,
      'Invalid',
      'Pod "new" is invalid: spec.containers[0].image: Invalid value: " x": must not have leading or trailing whitespace',
      ['spec.containers[0].image FieldValueInvalid'],
    ],
  ],
  [
    'a container name in capitals',
    post(at.pods, pod(podSpec({}, { name: 'App' }))),
    [
      422,
      'Invalid',
      "Pod \"new\" is invalid: spec.containers[0].name: Invalid value: \"App\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
      ['spec.containers[0].name FieldValueInvalid'],
    ],
  ],
  [
    'two containers of one name',
    post(
      at.pods,
      pod({
        containers: [
          { name: 'a', image: 'x' },
          { name: 'a', image: 'y' },
        ],
      }),
    ),
    [
      422,
      'Invalid',
      'Pod "new" is invalid: spec.containers[1].name: Duplicate value: "a"',
      ['spec.containers[1].name FieldValueDuplicate'],
    ],
  ],
  [
    'an unknown restart policy',
    post(at.pods, pod(podSpec({ restartPolicy: 'Sometimes' }))),
    [
      422,
      'Invalid',
      'Pod "new" is invalid: spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "Never", "OnFailure"',
      ['spec.restartPolicy FieldValueNotSupported'],
    ],
  ],
  [
    'an unknown DNS policy',
    post(at.pods, pod(podSpec({ dnsPolicy: 'Mine' }))),
    [
      422,
      'Invalid',
      'Pod "new" is invalid: spec.dnsPolicy: Unsupported value: "Mine": supported values: "ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"',
      ['spec.dnsPolicy FieldValueNotSupported'],
    ],
  ],
  [
    'an unknown pull policy',
    post(at.pods, pod(podSpec({}, { imagePullPolicy: 'Often' }))),
    [
      422,
      'Invalid',
      'Pod "new" is invalid: spec.containers[0].imagePullPolicy: Unsupported value: "Often": supported values: "Always", "IfNotPresent", "Never"',
      ['spec.containers[0].imagePullPolicy FieldValueNotSupported'],
    ],
  ],
  [
    'a port that is too large',
    post(at.pods, pod(podSpec({}, { ports: [{ containerPort: 70_000 }] }))),
    [
      422,
      'Invalid',
      'Pod "new" is invalid: spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive',
      ['spec.containers[0].ports[0].containerPort FieldValueInvalid'],
    ],
  ],
  [
    'a port of an unknown protocol',
    post(at.pods, pod(podSpec({}, { ports: [{ containerPort: 80, protocol: 'ICMP' }] }))),
    [
      422,
      'Invalid',
      'Pod "new" is invalid: spec.containers[0].ports[0].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"',
      ['spec.containers[0].ports[0].protocol FieldValueNotSupported'],
    ],
  ],
  [
    'a mount of nothing',
    post(at.pods, pod(podSpec({}, { volumeMounts: [{ name: 'v', mountPath: '/v' }] }))),
    [
      422,
      'Invalid',
      'Pod "new" is invalid: spec.containers[0].volumeMounts[0].name: Not found: "v"',
      ['spec.containers[0].volumeMounts[0].name FieldValueNotFound'],
    ],
  ],
  [
    'a volume of two types',
    volume({ emptyDir: {}, hostPath: { path: '/x' } }),
    [
      422,
      'Invalid',
      'Pod "new" is invalid: spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type',
      ['spec.volumes[0].hostPath FieldValueForbidden'],
    ],
  ],
  [
    'a volume of a secret without a name',
    volume({ secret: {} }),
    [
      422,
      'Invalid',
      'Pod "new" is invalid: spec.volumes[0].secret.secretName: Required value',
      ['spec.volumes[0].secret.secretName FieldValueRequired'],
    ],
  ],
  [
    'a mount without a path',
    volume({ emptyDir: {} }, { name: 'v' }),
    [
      422,
      'Invalid',
      'Pod "new" is invalid: spec.containers[0].volumeMounts[0].mountPath: Required value',
      ['spec.containers[0].volumeMounts[0].mountPath FieldValueRequired'],
    ],
  ],
  [
    'a request above the limit',
    post(at.pods, pod(podSpec({}, { resources: { requests: { cpu: '2' }, limits: { cpu: '1' } } }))),
    [
      422,
      'Invalid',
      'Pod "new" is invalid: spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
      ['spec.containers[0].resources.requests FieldValueInvalid'],
    ],
  ],
  [
    'a negative request',
    post(at.pods, pod(podSpec({}, { resources: { requests: { memory: '-1' } } }))),
    [
      422,
      'Invalid',
      'Pod "new" is invalid: spec.containers[0].resources.requests[memory]: Invalid value: "-1": must be greater than or equal to 0',
      ['spec.containers[0].resources.requests[memory] FieldValueInvalid'],
    ],
  ],
  [
    'a probe that does nothing',
    post(at.pods, pod(podSpec({}, { livenessProbe: {} }))),
    [
      422,
      'Invalid',
      'Pod "new" is invalid: spec.containers[0].livenessProbe: Required value: must specify a handler type',
      ['spec.containers[0].livenessProbe FieldValueRequired'],
    ],
  ],
  [
    'a variable without a name',
    post(at.pods, pod(podSpec({}, { env: [{ value: 'x' }] }))),
    [
      422,
      'Invalid',
      'Pod "new" is invalid: spec.containers[0].env[0].name: Required value',
      ['spec.containers[0].env[0].name FieldValueRequired'],
    ],
  ],
  [
    'a variable with two values',
    post(
      at.pods,
      pod(podSpec({}, { env: [{ name: 'A', value: 'x', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }] })),
    ),
    [
      422,
      'Invalid',
      'Pod "new" is invalid: spec.containers[0].env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty',
      ['spec.containers[0].env[0].valueFrom FieldValueInvalid'],
    ],
  ],
  [
    'a toleration of nothing',
    post(at.pods, pod(podSpec({ tolerations: [{ operator: 'Near', key: 'a' }] }))),
    [
      422,
      'Invalid',
      'Pod "new" is invalid: spec.tolerations[0].operator: Unsupported value: "Near": supported values: "Equal", "Exists"',
      ['spec.tolerations[0].operator FieldValueNotSupported'],
    ],
  ],
  [
    'a service account that is not there',
    post(at.pods, pod(podSpec({ serviceAccountName: 'ghost' }))),
    [
      403,
      'Forbidden',
      'pods "new" is forbidden: error looking up service account default/ghost: serviceaccount "ghost" not found',
    ],
  ],
  [
    'another image pull policy of a pod',
    patch(`${at.pods}/p`, 'strategic', { spec: { containers: [{ name: 'app', imagePullPolicy: 'Always' }] } }),
    [
      422,
      'Invalid',
      'Pod "p" is invalid: spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\nchanged: spec.containers[0].imagePullPolicy',
      ['spec FieldValueForbidden'],
    ],
  ],
  [
    'another restart policy of a pod',
    patch(`${at.pods}/p`, 'merge', { spec: { restartPolicy: 'Never' } }),
    [
      422,
      'Invalid',
      'Pod "p" is invalid: spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\nchanged: spec.restartPolicy',
      ['spec FieldValueForbidden'],
    ],
  ],
  [
    'a deployment without a selector',
    post(at.deployments, { metadata: { name: 'new' }, spec: { template: template() } }),
    [422, 'Invalid', 'Deployment.apps "new" is invalid: spec.selector: Required value', ['spec.selector FieldValueRequired']],
  ],
  [
    'a deployment that does not select its pods',
    post(at.deployments, deployment({ selector: { matchLabels: { app: 'other' } } })),
    [
      422,
      'Invalid',
      'Deployment.apps "new" is invalid: spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`',
      ['spec.template.metadata.labels FieldValueInvalid'],
    ],
  ],
  [
    'negative replicas',
    post(at.deployments, deployment({ replicas: -1 })),
    [
      422,
      'Invalid',
      'Deployment.apps "new" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0',
      ['spec.replicas FieldValueInvalid'],
    ],
  ],
  [
    'an unknown strategy',
    post(at.deployments, deployment({ strategy: { type: 'Hope' } })),
    [
      422,
      'Invalid',
      'Deployment.apps "new" is invalid: spec.strategy: Unsupported value: {"type":"Hope"}: supported values: "Recreate", "RollingUpdate"',
      ['spec.strategy FieldValueNotSupported'],
    ],
  ],
  [
    'no room to roll',
    post(at.deployments, deployment({ strategy: { rollingUpdate: { maxSurge: 0, maxUnavailable: 0 } } })),
    [
      422,
      'Invalid',
      'Deployment.apps "new" is invalid: spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0',
      ['spec.strategy.rollingUpdate.maxUnavailable FieldValueInvalid'],
    ],
  ],
  [
    'more than all unavailable',
    post(at.deployments, deployment({ strategy: { rollingUpdate: { maxUnavailable: '101%' } } })),
    [
      422,
      'Invalid',
      'Deployment.apps "new" is invalid: spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater than 100%',
      ['spec.strategy.rollingUpdate.maxUnavailable FieldValueInvalid'],
    ],
  ],
  [
    'a deployment whose pods end',
    post(at.deployments, deployment({ template: template({ restartPolicy: 'Never' }) })),
    [
      422,
      'Invalid',
      'Deployment.apps "new" is invalid: spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
      ['spec.template.spec.restartPolicy FieldValueNotSupported'],
    ],
  ],
  [
    'another selector of a deployment',
    patch(`${at.deployments}/web`, 'json', [
      { op: 'replace', path: '/spec/selector/matchLabels', value: { app: 'x' } },
      { op: 'replace', path: '/spec/template/metadata/labels', value: { app: 'x' } },
    ]),
    [
      422,
      'Invalid',
      'Deployment.apps "web" is invalid: spec.selector: Invalid value: {"matchLabels":{"app":"x"}}: field is immutable',
      ['spec.selector FieldValueInvalid'],
    ],
  ],
  [
    'a selector with an unknown operator',
    post(at.deployments, deployment({ selector: { matchExpressions: [{ key: 'app', operator: 'Like', values: ['w'] }] } })),
    [
      422,
      'Invalid',
      'Deployment.apps "new" is invalid: [spec.selector.matchExpressions[0].operator: Invalid value: "Like": not a valid selector operator, spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`]',
      ['spec.selector.matchExpressions[0].operator FieldValueInvalid', 'spec.template.metadata.labels FieldValueInvalid'],
    ],
  ],
  [
    'a replica set without a selector',
    made(at.replicaSets, { template: template() }),
    [422, 'Invalid', 'ReplicaSet.apps "new" is invalid: spec.selector: Required value', ['spec.selector FieldValueRequired']],
  ],
  [
    'a daemon set without a template',
    made(at.daemonSets, { selector: { matchLabels: { app: 'web' } } }),
    [422, 'Invalid', 'DaemonSet.apps "new" is invalid: spec.template: Required value', ['spec.template FieldValueRequired']],
  ],
  [
    'another service name of a stateful set',
    patch(`${at.statefulSets}/db`, 'merge', { spec: { serviceName: 'other' } }),
    [
      422,
      'Invalid',
      "StatefulSet.apps \"db\" is invalid: spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
      ['spec FieldValueForbidden'],
    ],
  ],
  [
    'a job whose pods restart always',
    made(at.jobs, { template: { spec: podSpec() } }),
    [
      422,
      'Invalid',
      'Job.batch "new" is invalid: spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
      ['spec.template.spec.restartPolicy FieldValueRequired'],
    ],
  ],
  [
    'a job with negative parallelism',
    made(at.jobs, job({ parallelism: -1 })),
    [
      422,
      'Invalid',
      'Job.batch "new" is invalid: spec.parallelism: Invalid value: -1: must be greater than or equal to 0',
      ['spec.parallelism FieldValueInvalid'],
    ],
  ],
  [
    'an indexed job without completions',
    made(at.jobs, job({ completionMode: 'Indexed', parallelism: 2 })),
    [
      422,
      'Invalid',
      'Job.batch "new" is invalid: spec.completions: Required value: when completion mode is Indexed',
      ['spec.completions FieldValueRequired'],
    ],
  ],
  [
    'a schedule that is none',
    made(at.cronJobs, { schedule: 'daily', jobTemplate: { spec: job() } }),
    [
      422,
      'Invalid',
      'CronJob.batch "new" is invalid: spec.schedule: Invalid value: "daily": expected exactly 5 fields, found 1: [daily]',
      ['spec.schedule FieldValueInvalid'],
    ],
  ],
  [
    'a schedule with an unknown time zone',
    made(at.cronJobs, { schedule: '@daily', timeZone: 'Nowhere/Land', jobTemplate: { spec: job() } }),
    [
      422,
      'Invalid',
      'CronJob.batch "new" is invalid: spec.timeZone: Invalid value: "Nowhere/Land": unknown time zone Nowhere/Land',
      ['spec.timeZone FieldValueInvalid'],
    ],
  ],
  [
    'an unknown concurrency policy',
    made(at.cronJobs, { schedule: '@daily', concurrencyPolicy: 'Perhaps', jobTemplate: { spec: job() } }),
    [
      422,
      'Invalid',
      'CronJob.batch "new" is invalid: spec.concurrencyPolicy: Unsupported value: "Perhaps": supported values: "Allow", "Forbid", "Replace"',
      ['spec.concurrencyPolicy FieldValueNotSupported'],
    ],
  ],
];
