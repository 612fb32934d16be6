/** Fields of a wrong type: text for numbers, numbers that are too large, what is nested too deeply. */
import { at, type BadInput, configMap, deployment, pod, podSpec, post, yaml } from './case.ts';

const nested = (depth: number) => `{"metadata":{"name":"deep"},"data":${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}}`;

export const types: BadInput[] = [
  [
    'metadata that is text',
    post(at.configMaps, { metadata: 'a' }),
    [
      400,
      'BadRequest',
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal string into Go struct field ConfigMap.metadata of type v1.ObjectMeta',
    ],
  ],
  [
    'metadata that is a list',
    post(at.configMaps, { metadata: [] }),
    [
      400,
      'BadRequest',
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal array into Go struct field ConfigMap.metadata of type v1.ObjectMeta',
    ],
  ],
  [
    'a name that is a number',
    post(at.configMaps, { metadata: { name: 5 } }),
    [
      400,
      'BadRequest',
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct field ObjectMeta.metadata.name of type string',
    ],
  ],
  [
    'data that is a list',
    post(at.configMaps, configMap('a', { data: ['b'] })),
    [
      400,
      'BadRequest',
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal array into Go struct field ConfigMap.data of type map[string]string',
    ],
  ],
  [
    'data with a number',
    post(at.configMaps, configMap('a', { data: { b: 1 } })),
    [
      400,
      'BadRequest',
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct field ConfigMap.data of type string',
    ],
  ],
  [
    'data with an object',
    post(at.configMaps, configMap('a', { data: { b: {} } })),
    [
      400,
      'BadRequest',
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal object into Go struct field ConfigMap.data of type string',
    ],
  ],
  [
    'a label that is true',
    post(at.configMaps, { metadata: { name: 'a', labels: { b: true } } }),
    [
      400,
      'BadRequest',
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.labels of type string',
    ],
  ],
  [
    'a time that is none',
    post(at.configMaps, { metadata: { name: 'a', creationTimestamp: 'yesterday' } }),
    [
      400,
      'BadRequest',
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as a time',
    ],
  ],
  [
    'replicas as text',
    post(at.deployments, deployment({ replicas: '3' })),
    [
      400,
      'BadRequest',
      'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32',
    ],
  ],
  [
    'replicas with a fraction',
    post(at.deployments, deployment({ replicas: 1.5 })),
    [
      400,
      'BadRequest',
      'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32',
    ],
  ],
  [
    'more replicas than 32 bits hold',
    post(at.deployments, deployment({ replicas: 2147483648 })),
    [
      400,
      'BadRequest',
      'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal number 2147483648 into Go struct field DeploymentSpec.spec.replicas of type int32',
    ],
  ],
  [
    'a number beyond all bounds',
    post(at.deployments, '{"metadata":{"name":"a"},"spec":{"replicas":1e400}}'),
    [
      400,
      'BadRequest',
      'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal number Infinity into Go struct field DeploymentSpec.spec.replicas of type int32',
    ],
  ],
  [
    'containers that are an object',
    post(at.pods, pod({ containers: { name: 'a' } })),
    [
      400,
      'BadRequest',
      'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container',
    ],
  ],
  [
    'a container that is text',
    post(at.pods, pod({ containers: ['a'] })),
    [
      400,
      'BadRequest',
      'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type v1.Container',
    ],
  ],
  [
    'a port as text',
    post(at.pods, pod(podSpec({}, { ports: [{ containerPort: '80' }] }))),
    [
      400,
      'BadRequest',
      'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal string into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32',
    ],
  ],
  [
    'a Boolean as text',
    post(at.pods, pod(podSpec({ hostNetwork: 'true' }))),
    [
      400,
      'BadRequest',
      'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool',
    ],
  ],
  [
    'a quantity that is none',
    post(at.pods, pod(podSpec({}, { resources: { limits: { cpu: 'much' } } }))),
    [
      400,
      'BadRequest',
      'Pod in version "v1" cannot be handled as a Pod: quantities must match the regular expression \'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$\'',
    ],
  ],
  [
    'bytes that are not base64',
    post(at.secrets, configMap('a', { data: { b: '%%%' } })),
    [400, 'BadRequest', 'Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte 0'],
  ],
  [
    'nested far too deeply',
    post(at.configMaps, nested(20_000)),
    [
      400,
      'BadRequest',
      'the object provided is unrecognized (must be of type ConfigMap): couldn\'t get version/kind; json parse error: exceeded max depth ({"metadata":{"name":"deep"},"d ...)',
    ],
  ],
  [
    'nested too deeply',
    post(at.configMaps, nested(2_000)),
    [
      400,
      'BadRequest',
      'the object provided is unrecognized (must be of type ConfigMap): couldn\'t get version/kind; json parse error: exceeded max depth ({"metadata":{"name":"deep"},"d ...)',
    ],
  ],
  [
    'lists nested too deeply in YAML',
    yaml(at.configMaps, '['.repeat(20_000)),
    [
      400,
      'BadRequest',
      'the object provided is unrecognized (must be of type ConfigMap): yaml: exceeded max depth (5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b ...)',
    ],
  ],
];
