/** `pods/resize`: cpu and memory of containers that run, and nothing else. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { pods, type Resource, resourceQuotas } from '../../src/machinery/resources.ts';
import type { Container, KubeObject, Pod } from '../../src/machinery/types.ts';
import { kubectlHome, kubectls } from './kubectl.ts';
import { listeningApi } from './listening.ts';
import { failureOf, testRegistry } from './widgets.ts';

const namespace = 'default';
const limitRanges: Resource<KubeObject & { spec?: object }> = {
  ...pods,
  type: undefined,
  resource: 'limitranges',
  kind: 'LimitRange',
};
const options = { namespace, subresource: 'resize' };
const amounts = (cpu: string, memory: string) => ({ cpu, memory });
const burstable = { requests: amounts('100m', '64Mi'), limits: amounts('200m', '128Mi') };
const main: Container = { name: 'main', image: 'app:1', resources: burstable };

async function podIn(spec: object = {}, metadata: object = {}) {
  const { client } = await testRegistry();
  await client.create(pods, { metadata: { name: 'p', ...metadata }, spec: { containers: [main], ...spec } }, { namespace });
  const patch = (change: object) => client.patch(pods, 'p', 'strategic', { spec: change }, options);
  const resize = (resources: object, name = 'main') => patch({ containers: [{ name, resources }] });
  return { client, patch, resize };
}

test('cpu and memory change, the generation counts, and other changes are left out', async () => {
  const { client, patch, resize } = await podIn();
  const next = await resize({ requests: { cpu: '150m' }, limits: { cpu: '300m', memory: '256Mi' } });
  assert.equal(next.spec?.containers[0]?.resources, { requests: amounts('150m', '64Mi'), limits: amounts('300m', '256Mi') });
  const read = await client.get(pods, 'p', options);
  assert.equal(read.spec, next.spec);
  const more = {
    activeDeadlineSeconds: 5,
    containers: [{ name: 'main', image: 'other:1', resources: { requests: { cpu: '160m' } } }],
  };
  const { spec, metadata } = await patch(more);
  assert.is(spec?.activeDeadlineSeconds, undefined);
  assert.is(spec?.containers[0]?.image, 'app:1');
  assert.is(spec?.containers[0]?.resources?.requests?.cpu, '160m');
  const put: Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata,
    spec: { ...spec!, containers: [{ ...main, resources: burstable }] },
  };
  const back = await failureOf(client.update(pods, put, options));
  assert.match(back.message, 'limits[memory]', 'a PUT is judged too');
});

const refusals: [why: string, spec: object, change: object, said: string][] = [
  [
    'a smaller memory limit',
    {},
    { containers: [{ name: 'main', resources: { limits: { memory: '100Mi' } } }] },
    'spec.containers[0].resources.limits[memory]: Forbidden: memory limits cannot be decreased unless resizePolicy is RestartContainer',
  ],
  [
    'another class',
    {},
    { containers: [{ name: 'main', resources: { requests: amounts('200m', '128Mi') } }] },
    'spec: Invalid value: "Guaranteed": Pod QOS Class may not change as a result of resizing',
  ],
  [
    'another resource',
    {},
    { containers: [{ name: 'main', resources: { limits: { 'ephemeral-storage': '1Gi' } } }] },
    'spec: Forbidden: only cpu and memory resources are mutable',
  ],
  [
    'another policy',
    {},
    { containers: [{ name: 'main', resizePolicy: [{ resourceName: 'cpu', restartPolicy: 'RestartContainer' }] }] },
    'spec: Forbidden: only cpu and memory resources are mutable',
  ],
  [
    'a request taken away',
    {},
    { containers: [{ name: 'main', resources: { requests: { memory: null }, limits: { memory: null } } }] },
    'spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed',
  ],
  [
    'a limit taken away',
    {},
    { containers: [{ name: 'main', resources: { limits: { cpu: null } } }] },
    'spec.containers[0].resources.limits: Forbidden: resource limits cannot be removed',
  ],
  [
    'a request above the limit',
    {},
    { containers: [{ name: 'main', resources: { requests: { cpu: '1' } } }] },
    'must be less than or equal to cpu limit of 200m',
  ],
  [
    'one more container',
    {},
    { containers: [{ name: 'new', image: 'a:1' }] },
    'spec.containers: Forbidden: containers may not be added or removed on resize',
  ],
  [
    'an init container that ends',
    { initContainers: [{ name: 'init', image: 'a:1', resources: burstable }] },
    { initContainers: [{ name: 'init', resources: { requests: { cpu: '110m' } } }] },
    'spec.initContainers[0].resources: Forbidden: resources for non-sidecar init containers are immutable',
  ],
];
for (const [why, spec, change, said] of refusals) {
  test(`refused: ${why}`, async () => {
    const { patch } = await podIn(spec);
    const failure = await failureOf(patch(change));
    assert.is(failure.code, 422);
    assert.match(failure.message, said);
  });
}

test('containers keep their names and order', async () => {
  const { client } = await podIn({ containers: [main, { ...main, name: 'next' }] });
  const pod = await client.get(pods, 'p', { namespace });
  const turned = { ...pod, spec: { ...pod.spec!, containers: pod.spec!.containers.toReversed() } };
  const failure = await failureOf(client.update(pods, turned, options));
  assert.match(failure.message, 'spec.containers[0].name: Forbidden: containers may not be renamed or reordered on resize');
});

test('sidecars are resized, and a memory limit may fall where that restarts the container', async () => {
  const resizePolicy = [{ resourceName: 'memory', restartPolicy: 'RestartContainer' }];
  const sidecar = { ...main, name: 'side', restartPolicy: 'Always' };
  const { patch } = await podIn({ containers: [{ ...main, resizePolicy }], initContainers: [sidecar] });
  const next = await patch({
    containers: [{ name: 'main', resources: { limits: { memory: '100Mi' } } }],
    initContainers: [{ name: 'side', resources: { requests: { cpu: '120m' } } }],
  });
  assert.is(next.spec?.containers[0]?.resources?.limits?.memory, '100Mi');
  assert.is(next.spec?.initContainers?.[0]?.resources?.requests?.cpu, '120m');
});

test('not without the subresource, not for the mirror of a static pod, not where the machine does not know how', async () => {
  const { client } = await podIn();
  const containers = [{ name: 'main', resources: { requests: { cpu: '110m' } } }];
  const direct = await failureOf(client.patch(pods, 'p', 'strategic', { spec: { containers } }, { namespace }));
  assert.match(direct.message, 'pod updates may not change fields other than');
  const mirror = await podIn({}, { annotations: { 'kubernetes.io/config.mirror': 'hash' } });
  assert.match((await failureOf(mirror.resize({ requests: { cpu: '110m' } }))).message, 'static pods cannot be resized');
  const old = await podIn();
  const running = { name: 'main', image: '', imageID: '', ready: true, restartCount: 0, state: { running: {} } };
  const status = (more: object) =>
    old.client.patch(
      pods,
      'p',
      'merge',
      { status: { containerStatuses: [{ ...running, ...more }] } },
      { namespace, subresource: 'status' },
    );
  await status({});
  const failure = await failureOf(old.resize({ requests: { cpu: '110m' } }));
  assert.match(failure.message, 'spec: Forbidden: Pod running on node without support for resize');
  await status({ resources: burstable });
  await old.resize({ requests: { cpu: '110m' } });
});

test('limit ranges and quotas judge a resize as they judge a new pod', async () => {
  const { client, resize } = await podIn();
  await client.create(
    limitRanges,
    {
      metadata: { name: 'range' },
      spec: { limits: [{ type: 'Container', max: { cpu: '1' } }] },
    },
    { namespace },
  );
  await client.create(resourceQuotas, { metadata: { name: 'quota' }, spec: { hard: { 'requests.cpu': '180m' } } }, { namespace });
  const tooMuch = await failureOf(resize({ limits: { cpu: '2' } }));
  assert.is(tooMuch.code, 403);
  assert.match(tooMuch.message, 'maximum cpu usage per Container is 1, but limit is 2');
  const noRoom = await failureOf(resize({ requests: { cpu: '190m' } }));
  assert.is(noRoom.code, 403);
  assert.match(
    noRoom.message,
    'exceeded quota: quota, requested: requests.cpu=90m, used: requests.cpu=100m, limited: requests.cpu=180m',
  );
  await resize({ requests: { cpu: '180m' } });
});

const policies: [policy: object[], restartPolicy: string, said: string][] = [
  [
    [{ resourceName: 'disk', restartPolicy: 'NotRequired' }],
    'Always',
    'resizePolicy: Unsupported value: "disk": supported values: "cpu", "memory"',
  ],
  [[{ resourceName: 'cpu', restartPolicy: 'Maybe' }], 'Always', 'resizePolicy: Unsupported value: "Maybe"'],
  [[{ resourceName: 'cpu', restartPolicy: '' }], 'Always', 'spec.containers[0].resizePolicy: Required value'],
  [
    [
      { resourceName: 'cpu', restartPolicy: 'NotRequired' },
      { resourceName: 'cpu', restartPolicy: 'RestartContainer' },
    ],
    'Always',
    'spec.containers[0].resizePolicy[1]: Duplicate value: "cpu"',
  ],
  [
    [{ resourceName: 'cpu', restartPolicy: 'RestartContainer' }],
    'Never',
    "must be 'NotRequired' when `restartPolicy` is 'Never'",
  ],
];
for (const [resizePolicy, restartPolicy, said] of policies) {
  test(`a policy that is none: ${said}`, async () => {
    const failure = await failureOf(podIn({ restartPolicy, containers: [{ ...main, resizePolicy }] }));
    assert.is(failure.code, 422);
    assert.match(failure.message, said);
  });
}

// Older ones do not know the subresource.
const kubectl = kubectls().at(-1)!;
test('kubectl patch --subresource resize', async () => {
  const it = await listeningApi();
  const home = await kubectlHome(it);
  try {
    const manifest = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec: { containers: [main] } };
    assert.is((await home.run(kubectl, ['create', '-f', '-'], JSON.stringify(manifest))).code, 0);
    const patch = (resources: object) => {
      const change = JSON.stringify({ spec: { containers: [{ name: 'main', resources }] } });
      return home.run(kubectl, ['patch', 'pod', 'p', '--subresource', 'resize', '--patch', change]);
    };
    const done = await patch({ limits: { cpu: '900m' } });
    assert.is(done.code, 0, done.err);
    assert.match(done.out, 'pod/p patched');
    const shown = await home.run(kubectl, ['get', 'pod', 'p', '-o', 'jsonpath={.spec.containers[0].resources.limits.cpu}']);
    assert.is(shown.out, '900m');
    const refused = await patch({ limits: { memory: '1Mi' } });
    assert.match(refused.err, 'The Pod "p" is invalid');
    assert.match(refused.err, 'memory limits cannot be decreased unless resizePolicy is RestartContainer');
  } finally {
    await home.close();
    await it.close();
  }
});

test.run();
