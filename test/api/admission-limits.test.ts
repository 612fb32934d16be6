/** LimitRanges: defaults, bounds, and in which words they refuse. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as r from '../../src/machinery/resources.ts';
import { admissionWorld, container, type Fields, namespace, podOf, withResources } from './admission-objects.ts';

const test = suite('limit ranges');
const range = (limits: Fields[], name = 'limits') => ({ metadata: { name }, spec: { limits } });
const annotation = 'kubernetes.io/limit-ranger';

test('containers get what they do not say, and the pod says so', async () => {
  const { make, run } = await admissionWorld();
  const item = { type: 'Container', default: { cpu: '1', memory: '1Gi' }, defaultRequest: { cpu: '100m', memory: '256Mi' } };
  await make('LimitRange', range([item]));
  const { spec, metadata, status } = await run(
    podOf(
      'a',
      {},
      {
        containers: [container(), container({ name: 'side', ...withResources({ cpu: '50m' }, { memory: '2Gi' }) })],
        initContainers: [container({ name: 'init' })],
      },
    ),
  );
  assert.equal(spec?.containers[0]?.resources, {
    requests: { cpu: '100m', memory: '256Mi' },
    limits: { cpu: '1', memory: '1Gi' },
  });
  assert.equal(spec?.containers[1]?.resources, {
    requests: { cpu: '50m', memory: '2Gi' },
    limits: { cpu: '1', memory: '2Gi' },
  });
  assert.equal(spec?.initContainers?.[0]?.resources?.limits, { cpu: '1', memory: '1Gi' });
  assert.is(
    metadata.annotations?.[annotation],
    'LimitRanger plugin set: cpu, memory request for container app; cpu, memory limit for container app; ' +
      'cpu limit for container side; ' +
      'cpu, memory request for init container init; cpu, memory limit for init container init',
  );
  assert.is(status?.qosClass, 'Burstable');
});

test('a pod that says all itself is left alone', async () => {
  const { make, run } = await admissionWorld();
  await make('LimitRange', range([{ type: 'Container', default: { cpu: '1' } }]));
  const made = await run(podOf('a', withResources({ cpu: '1' }, { cpu: '2' })));
  assert.equal(made.spec?.containers[0]?.resources, { requests: { cpu: '1' }, limits: { cpu: '2' } });
  assert.is(made.metadata.annotations?.[annotation], undefined);
});

const perContainer = (fields: Fields) => ({ type: 'Container', ...fields });
const perPod = (fields: Fields) => ({ type: 'Pod', ...fields });
const two = (fields: Fields) => ({ containers: [container(fields), container({ ...fields, name: 'side' })] });
const gi = (request: string, limit = request) => withResources({ memory: `${request}Gi` }, { memory: `${limit}Gi` });

const refusals: [Fields, ReturnType<typeof podOf>, string][] = [
  [
    perContainer({ max: { memory: '1Gi' } }),
    podOf('a', gi('1', '2')),
    'maximum memory usage per Container is 1Gi, but limit is 2Gi',
  ],
  [
    perContainer({ max: { memory: '1Gi' }, default: { memory: '1Gi' } }),
    podOf('a', {}, { initContainers: [container({ name: 'init', ...gi('2') })] }),
    'maximum memory usage per Container is 1Gi, but limit is 2Gi',
  ],
  [
    perContainer({ min: { cpu: '200m' } }),
    podOf('a', withResources({ cpu: '100m' })),
    'minimum cpu usage per Container is 200m, but request is 100m',
  ],
  [
    perContainer({ min: { cpu: '200m' }, max: { memory: '1Gi' } }),
    podOf('a', withResources({ cpu: '100m' }, { memory: '2Gi' })),
    '[minimum cpu usage per Container is 200m, but request is 100m, maximum memory usage per Container is 1Gi, but limit is 2Gi]',
  ],
  [
    perContainer({ maxLimitRequestRatio: { memory: '2' } }),
    podOf('a', gi('1', '3')),
    'memory max limit to request ratio per Container is 2, but provided ratio is 3.000000',
  ],
  [
    perContainer({ maxLimitRequestRatio: { memory: '2' } }),
    podOf('a'),
    'memory max limit to request ratio per Container is 2, but no request is specified or request is 0',
  ],
  [
    perContainer({ maxLimitRequestRatio: { memory: '2' } }),
    podOf('a', withResources({ memory: '1Gi' })),
    'memory max limit to request ratio per Container is 2, but no limit is specified or limit is 0',
  ],
  [perPod({ max: { memory: '3Gi' } }), podOf('a', {}, two(gi('2'))), 'maximum memory usage per Pod is 3Gi, but limit is 4Gi'],
  [perPod({ max: { cpu: '1' } }), podOf('a'), 'maximum cpu usage per Pod is 1.  No limit is specified'],
  [perPod({ min: { cpu: '1' } }), podOf('a'), 'minimum cpu usage per Pod is 1.  No request is specified'],
  [perPod({ min: { memory: '5Gi' } }), podOf('a', {}, two(gi('2'))), 'minimum memory usage per Pod is 5Gi, but request is 4Gi'],
  [
    perPod({ maxLimitRequestRatio: { memory: '1500m' } }),
    podOf('a', {}, two(gi('2', '4'))),
    'memory max limit to request ratio per Pod is 1500m, but provided ratio is 2.000000',
  ],
];

for (const [item, pod, why] of refusals) {
  test(`refused: ${why}`, async () => {
    const { make, run, refusedWith } = await admissionWorld();
    await make('LimitRange', range([item]));
    assert.is(await refusedWith(run(pod)), `pods "a" is forbidden: ${why}`);
  });
}

test('bounds are inclusive, and what they do not name is free', async () => {
  const { make, run } = await admissionWorld();
  await make(
    'LimitRange',
    range([perContainer({ max: { memory: '1Gi' }, min: { memory: '0.5Gi' }, maxLimitRequestRatio: { memory: '2' } })]),
  );
  await run(podOf('a', withResources({ memory: '512Mi', cpu: '64' }, { memory: '1024Mi' })));
});

test('claims are bounded by what they ask for, also when they grow', async () => {
  const { client, make, refusedWith } = await admissionWorld();
  await make('LimitRange', range([{ type: 'PersistentVolumeClaim', min: { storage: '1Gi' }, max: { storage: '5Gi' } }]));
  const claim = (name: string, storage: string) => ({
    metadata: { name },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage } }, storageClassName: 'elastic' },
  });
  const small = 'minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 500Mi';
  assert.is(
    await refusedWith(make('PersistentVolumeClaim', claim('a', '500Mi'))),
    `persistentvolumeclaims "a" is forbidden: ${small}`,
  );
  const large = 'maximum storage usage per PersistentVolumeClaim is 5Gi, but request is 6Gi';
  assert.is(
    await refusedWith(make('PersistentVolumeClaim', claim('a', '6Gi'))),
    `persistentvolumeclaims "a" is forbidden: ${large}`,
  );
  await make('StorageClass', { metadata: { name: 'elastic' }, provisioner: 'example.com/x', allowVolumeExpansion: true });
  await make('PersistentVolumeClaim', claim('a', '5Gi'));
  const claims = r.persistentVolumeClaims;
  await client.patch(claims, 'a', 'merge', { status: { phase: 'Bound' } }, { namespace, subresource: 'status' });
  const grown = { spec: { resources: { requests: { storage: '6Gi' } } } };
  assert.match(await refusedWith(client.patch(claims, 'a', 'merge', grown, { namespace })), /but request is 6Gi$/);
});

test('every range of the namespace counts, and no other', async () => {
  const { client, make, run, refusedWith } = await admissionWorld();
  await make('LimitRange', range([perContainer({ max: { cpu: '4' } })], 'a'));
  await make('LimitRange', range([perContainer({ max: { cpu: '2' } })], 'b'));
  assert.match(await refusedWith(run(podOf('p', withResources({ cpu: '3' }, { cpu: '3' })))), /is 2, but limit is 3$/);
  await client.create(r.namespaces, { metadata: { name: 'other' } });
  await client.create(r.serviceAccounts, { metadata: { name: 'default' } }, { namespace: 'other' });
  await run(podOf('p', withResources({ cpu: '64' })), 'other');
});

test('a pod that exists is not judged again', async () => {
  const { client, make, run } = await admissionWorld();
  await run(podOf('a'));
  await make('LimitRange', range([perContainer({ max: { cpu: '1' } })]));
  await client.patch(r.pods, 'a', 'merge', { metadata: { labels: { a: 'b' } } }, { namespace });
});

test.run();
