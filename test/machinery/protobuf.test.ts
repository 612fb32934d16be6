import './generated.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeProtobuf } from '../../src/machinery/protobuf.ts';
import { checkObject } from '../../src/machinery/schemas.ts';
import { StatusError } from '../../src/machinery/status.ts';

function varint(value: number | bigint): Buffer {
  const bytes: number[] = [];
  for (let rest = BigInt.asUintN(64, BigInt(value)); ; rest >>= 7n) {
    if (rest < 0x80n) return Buffer.from([...bytes, Number(rest)]);
    bytes.push(Number(rest & 0x7fn) | 0x80);
  }
}
const number = (field: number, value: number | bigint) => Buffer.concat([varint(field << 3), varint(value)]);
const run = (field: number, ...parts: (string | Buffer)[]) => {
  const bytes = Buffer.concat(parts.map((part) => Buffer.from(part as string)));
  return Buffer.concat([varint((field << 3) | 2), varint(bytes.length), bytes]);
};
const envelope = (apiVersion: string, kind: string, ...object: Buffer[]) =>
  Buffer.concat([Buffer.from('k8s\0'), run(1, run(1, apiVersion), run(2, kind)), run(2, ...object)]);
const decode = (apiVersion: string, kind: string, ...object: Buffer[]): Record<string, unknown> => {
  const {
    apiVersion: _,
    kind: __,
    ...rest
  } = decodeProtobuf(envelope(apiVersion, kind, ...object)) as unknown as Record<string, unknown>;
  return rest;
};

function codeOf(body: Buffer): number {
  try {
    decodeProtobuf(body);
  } catch (error) {
    assert.instance(error, StatusError, String(error));
    return (error as StatusError).code;
  }
  throw new Error('was decoded');
}

/** What kubectl 1.33 really sent, and what it stands for. */
const recorded: [string, object][] = [
  [
    // create configmap cm --from-literal=a=b --from-literal=empty= --from-file=b.bin
    'azhzAAoPCgJ2MRIJQ29uZmlnTWFwEjcKEgoCY20SABoAIgAqADIAOABCABIGCgFhEgFiEgkKBWVtcHR5EgAaDgoFYi5iaW4SBWJpbgD/GgAiAA==',
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'cm' },
      data: { a: 'b', empty: '' },
      binaryData: { 'b.bin': 'YmluAP8=' },
    },
  ],
  [
    // create deployment web --image=nginx:1 --replicas=3 --port=80
    'azhzAAoVCgdhcHBzL3YxEgpEZXBsb3ltZW50EroBCh8KA3dlYhIAGgAiACoAMgA4AEIAWgoKA2FwcBIDd2ViEogBCAMSDAoKCgNhcHASA3dlYhpuChwKABIAGgAiACoAMgA4AEIAWgoKA2FwcBIDd2ViEk4SMAoFbmdpbngSB25naW54OjEqADIKCgAQABhQIgAqAEIAagByAIABAIgBAJABAKIBABoAMgBCAEoAUgBYAGAAaACCAQCKAQCaAQDCAQAiAgoAKAA4ABoMCAAQABgAIAAoADgAGgAiAA==',
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web', labels: { app: 'web' } },
      spec: {
        replicas: 3,
        selector: { matchLabels: { app: 'web' } },
        template: {
          metadata: { labels: { app: 'web' } },
          spec: { containers: [{ name: 'nginx', image: 'nginx:1', ports: [{ containerPort: 80 }] }] },
        },
      },
    },
  ],
  [
    // create service clusterip svc --tcp=80:http --tcp=53:5353
    'azhzAAoNCgJ2MRIHU2VydmljZRKJAQofCgNzdmMSABoAIgAqADIAOABCAFoKCgNhcHASA3N2YxJiCh4KBzgwLWh0dHASA1RDUBhQIgoIARAAGgRodHRwKAAKGwoHNTMtNTM1MxIDVENQGDUiBwgAEOkpGgAoABIKCgNhcHASA3N2YxoAIglDbHVzdGVySVA6AEIAUgBaAGAAaAAaAgoAGgAiAA==',
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'svc', labels: { app: 'svc' } },
      spec: {
        ports: [
          { name: '80-http', protocol: 'TCP', port: 80, targetPort: 'http' },
          { name: '53-5353', protocol: 'TCP', port: 53, targetPort: 5353 },
        ],
        selector: { app: 'svc' },
        type: 'ClusterIP',
      },
    },
  ],
  [
    // create quota q --hard=cpu=1,memory=1Gi,pods=3
    'azhzAAoTCgJ2MRINUmVzb3VyY2VRdW90YRJBChEKAXESABoAIgAqADIAOABCABIqCgoKA2NwdRIDCgExCg8KBm1lbW9yeRIFCgMxR2kKCwoEcG9kcxIDCgEzGgAaACIA',
    {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'q' },
      spec: { hard: { cpu: '1', memory: '1Gi', pods: '3' } },
    },
  ],
];

test('recorded bodies of kubectl decode to the objects that they mean, valid by the schemas', () => {
  for (const [base64, object] of recorded) {
    const decoded = decodeProtobuf(Buffer.from(base64, 'base64'));
    assert.equal(decoded, object);
    const [group, version] = decoded.apiVersion.includes('/') ? decoded.apiVersion.split('/') : ['core', decoded.apiVersion];
    assert.equal(checkObject(decoded, `${group}.${version}.${decoded.kind}`), { unknownFields: [], errors: [] });
  }
});

test('zeros are dropped, but kept where the field is a pointer', () => {
  const spec = run(2, number(1, 0), number(5, 0));
  assert.equal(decode('apps/v1', 'Deployment', spec), { spec: { replicas: 0 } });
  const container = run(2, run(1, 'c'), run(5, ''), number(18, 0), run(15, number(2, 0)));
  assert.equal(decode('v1', 'Pod', run(2, container)), {
    spec: { containers: [{ name: 'c', securityContext: { privileged: false } }] },
  });
});

test('structs that are inlined in JSON are flattened', () => {
  const probe = run(10, run(1, run(2, run(1, '/healthz'), run(2, number(1, 0), number(2, 8080)))), number(4, 5));
  const decoded = decode(
    'v1',
    'Pod',
    run(2, run(2, run(1, 'c'), probe), run(1, run(1, 'v'), run(2, run(19, run(1, run(1, 'cm')))))),
  );
  assert.equal(decoded, {
    spec: {
      containers: [{ name: 'c', livenessProbe: { httpGet: { path: '/healthz', port: 8080 }, periodSeconds: 5 } }],
      volumes: [{ name: 'v', configMap: { name: 'cm' } }],
    },
  });
});

test('times, microtimes, negative numbers and managed fields have their JSON form', () => {
  const metadata = run(
    1,
    run(1, 'l'),
    run(8, number(1, 1_900_000_000n)),
    run(9),
    number(7, -1n),
    run(17, run(1, 'm'), run(7, run(1, '{"f:spec":{}}'))),
  );
  const lease = run(2, run(4, number(1, 1_900_000_000n), number(2, 123_456_789)), number(2, 15));
  assert.equal(decode('coordination.k8s.io/v1', 'Lease', metadata, lease), {
    metadata: {
      name: 'l',
      creationTimestamp: '2030-03-17T17:46:40Z',
      generation: -1,
      managedFields: [{ manager: 'm', fieldsV1: { 'f:spec': {} } }],
    },
    spec: { renewTime: '2030-03-17T17:46:40.123456Z', leaseDurationSeconds: 15 },
  });
});

test('options of the API come under any group', () => {
  assert.equal(decode('apps/v1', 'DeleteOptions', number(1, 0), run(4, 'Background')), {
    gracePeriodSeconds: 0,
    propagationPolicy: 'Background',
  });
  assert.equal(decode('policy/v1', 'Eviction', run(1, run(1, 'p'))), { metadata: { name: 'p' } });
});

test('a schema inside a CRD may be a schema, a bool or a list', () => {
  const items = run(24, run(1, run(5, 'string')));
  const additional = run(30, number(1, 1));
  const property = (name: string, ...schema: Buffer[]) => run(29, run(1, name), run(2, ...schema));
  const version = run(
    7,
    run(1, 'v1'),
    run(4, run(1, run(5, 'object'), property('a', items), property('b', additional), property('c', run(8, run(1, '[1]'))))),
  );
  const decoded = decode('apiextensions.k8s.io/v1', 'CustomResourceDefinition', run(2, run(1, 'example.com'), version)) as {
    spec: { group: string; versions: { schema: { openAPIV3Schema: object } }[] };
  };
  assert.is(decoded.spec.group, 'example.com');
  const { openAPIV3Schema } = decoded.spec.versions[0]!.schema;
  assert.equal(openAPIV3Schema, {
    type: 'object',
    properties: { a: { items: { type: 'string' } }, b: { additionalProperties: true }, c: { default: [1] } },
  });
});

test('fields of newer clients are dropped', () => {
  assert.equal(decode('v1', 'Namespace', run(1, run(1, 'n')), run(99, 'x'), number(98, 7)), { metadata: { name: 'n' } });
});

test('a key that names a prototype stays a key', () => {
  const decoded = decode('v1', 'ConfigMap', run(2, run(1, '__proto__'), run(2, 'x'))) as { data: object };
  assert.equal(Object.entries(decoded.data), [['__proto__', 'x']]);
});

test('what cannot be decoded is 400, what is not built in 415', () => {
  const good = envelope('v1', 'ConfigMap', run(1, run(1, 'n')));
  assert.is(codeOf(Buffer.from('{"kind":"Pod"}')), 400);
  assert.is(codeOf(Buffer.alloc(0)), 400);
  assert.is(codeOf(good.subarray(0, good.length - 1)), 400);
  assert.is(codeOf(envelope('v1', 'ConfigMap', Buffer.from([0x0b]))), 400);
  assert.is(codeOf(envelope('v1', 'ConfigMap', number(1, 5))), 400);
  assert.is(codeOf(envelope('v1', '')), 400);
  assert.is(codeOf(envelope('example.com/v1', 'Widget')), 415);
  assert.is(codeOf(envelope('v1', 'constructor')), 415);
});

test('an object that is nested without end is refused', () => {
  let schema = run(5, 'object');
  for (let level = 0; level < 300; level++) schema = run(28, schema);
  assert.is(codeOf(envelope('apiextensions.k8s.io/v1', 'JSONSchemaProps', schema)), 400);
});

test.run();
