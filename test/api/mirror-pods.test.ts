/** Agents make mirrors of their static pods, and no other pod. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodes, pods } from '../../src/machinery/resources.ts';
import type { Pod } from '../../src/machinery/types.ts';
import { failureOf, testRegistry } from './widgets.ts';

const namespace = 'default';
const annotations = { 'kubernetes.io/config.mirror': 'h', 'kubernetes.io/config.hash': 'h' };
type Change = (pod: Pod) => void;

async function registryWithNode() {
  const { client, clientOf } = await testRegistry();
  const node = await client.create(nodes, { metadata: { name: 'n1' } });
  const owner = { apiVersion: 'v1', kind: 'Node', name: 'n1', uid: node.metadata.uid!, controller: true };
  const agent = clientOf({ name: 'system:node:n1', groups: ['system:nodes'] });
  const create = (change: Change = () => {}, by = agent) => {
    const pod = {
      metadata: { name: 'own-n1', namespace, annotations: { ...annotations }, ownerReferences: [{ ...owner }] },
      spec: { nodeName: 'n1', containers: [{ name: 'c', image: 'a:1' }] },
    };
    change(pod as unknown as Pod);
    return by.create(pods, pod, { namespace });
  };
  return { client, create };
}

test('a mirror has no account and no token, and is bound from the start', async () => {
  const { create } = await registryWithNode();
  const { spec } = await create();
  assert.is(spec?.nodeName, 'n1');
  assert.is(spec?.serviceAccountName, undefined);
  assert.is(spec?.volumes, undefined);
});

const rows: [why: string, change: Change, said: string][] = [
  ['no mirror', ({ metadata }) => delete metadata.annotations, 'node "n1" can only create mirror pods'],
  ['another machine', ({ spec }) => (spec!.nodeName = 'n2'), 'can only create pods with spec.nodeName set to itself'],
  ['no owner', ({ metadata }) => delete metadata.ownerReferences, 'can only create pods with an owner reference set to itself'],
  [
    'another owner',
    ({ metadata }) => (metadata.ownerReferences![0]!.name = 'n2'),
    'can only create pods with an owner reference set to itself',
  ],
  [
    'two owners',
    ({ metadata }) => metadata.ownerReferences!.push({ ...metadata.ownerReferences![0]!, uid: 'x' }),
    'can only create pods with a single owner reference set to itself',
  ],
  [
    'an owner that does not control',
    ({ metadata }) => delete metadata.ownerReferences![0]!.controller,
    'can only create pods with a controller owner reference set to itself',
  ],
  [
    'a deletion held up',
    ({ metadata }) => (metadata.ownerReferences![0]!.blockOwnerDeletion = true),
    'must not set blockOwnerDeletion on an owner reference',
  ],
  ['a former Node', ({ metadata }) => (metadata.ownerReferences![0]!.uid = 'old'), 'node n1 UID mismatch: expected'],
  ['an account', ({ spec }) => (spec!.serviceAccountName = 'default'), 'can not create pods that reference a service account'],
  [
    'a secret',
    ({ spec }) => (spec!.volumes = [{ name: 'v', secret: { secretName: 's' } }]),
    'can not create pods that reference secrets',
  ],
  [
    'a ConfigMap',
    ({ spec }) => (spec!.containers[0]!.envFrom = [{ configMapRef: { name: 'c' } }]),
    'can not create pods that reference configmaps',
  ],
  [
    'a claim',
    ({ spec }) => (spec!.volumes = [{ name: 'v', persistentVolumeClaim: { claimName: 'c' } }]),
    'can not create pods that reference persistentvolumeclaims',
  ],
  [
    'a token',
    ({ spec }) => (spec!.volumes = [{ name: 'v', projected: { sources: [{ serviceAccountToken: { path: 't' } }] } }]),
    'can not create pods that reference service account tokens',
  ],
];
for (const [why, change, said] of rows) {
  test(`refused: ${why}`, async () => {
    const { create } = await registryWithNode();
    const failure = await failureOf(create(change));
    assert.is(failure.code, 403);
    assert.match(failure.message, said);
  });
}

test('nobody else gives a mirror what only the API has', async () => {
  const { client, create } = await registryWithNode();
  const failure = await failureOf(create(({ spec }) => (spec!.serviceAccountName = 'default'), client));
  assert.is(failure.code, 403);
  assert.match(failure.message, 'a mirror pod may not reference a service account');
});

test.run();
