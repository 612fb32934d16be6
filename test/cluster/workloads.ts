/** Deployments as the tutorials use them: apply, spread, scale, roll, undo, pause. */
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Pod } from '../../src/machinery/types.ts';
import type { Lab } from '../support/lab.ts';

const nginx = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: nginx-deployment
  labels:
    app: nginx
spec:
  replicas: 3
  selector:
    matchLabels:
      app: nginx
  template:
    metadata:
      labels:
        app: nginx
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: nginx
        image: nginx:1.7.9
        ports:
        - containerPort: 80
---
apiVersion: v1
kind: Service
metadata:
  name: nginx
spec:
  selector:
    app: nginx
  ports:
  - port: 80
`;

export async function podsOf(lab: Lab, selector: string): Promise<Pod[]> {
  return (JSON.parse(await lab.ok(['get', 'pods', '-l', selector, '-o', 'json'])) as { items: Pod[] }).items;
}

const rollout = (lab: Lab) => lab.ok(['rollout', 'status', 'deployment/nginx-deployment', '--timeout=80s']);

/** What the pods answer, asked from the machine of another pod. */
async function answers(lab: Lab): Promise<string[]> {
  const live = (await podsOf(lab, 'app=nginx')).filter((pod) => !pod.metadata.deletionTimestamp);
  return Promise.all(
    live.map(async (pod) => {
      const asker = lab.state.peers.find((peer) => peer.name !== pod.spec?.nodeName);
      const url = `http://${pod.status?.podIP}/`;
      return (await lab.kontiki('dev', 'shell', String(asker?.number), '--', 'busybox', 'wget', '-q', '-O', '-', url)).trim();
    }),
  );
}

export function addWorkloadTests(test: Test, lab: Lab): void {
  test('a Deployment of three ends in three pods on three nodes that answer across machines', async () => {
    await lab.ok(['apply', '-f', '-'], { input: nginx });
    await rollout(lab);
    const pods = await podsOf(lab, 'app=nginx');
    assert.is(pods.length, 3);
    assert.equal(new Set(pods.map((pod) => pod.spec?.nodeName)).size, 3);
    assert.equal(await answers(lab), ['one', 'one', 'one']);
  });

  test('its Service has the endpoints of its pods', async () => {
    const ips = (await podsOf(lab, 'app=nginx')).map((pod) => pod.status?.podIP).sort();
    const listed = await lab.eventually('three endpoints', async () => {
      const { subsets = [] } = JSON.parse(await lab.ok(['get', 'endpoints', 'nginx', '-o', 'json'])) as {
        subsets?: { addresses?: { ip: string }[] }[];
      };
      const addresses = subsets.flatMap((subset) => subset.addresses ?? []).map((address) => address.ip);
      return addresses.length === 3 ? addresses.sort() : undefined;
    });
    assert.equal(listed, ips);
    assert.match(await lab.ok(['get', 'endpointslices', '-l', 'kubernetes.io/service-name=nginx']), ips[0] as string);
    assert.match(await lab.ok(['describe', 'service', 'nginx']), ips[0] as string);
  });

  test('it scales up and down', async () => {
    await lab.ok(['scale', 'deployment.v1.apps/nginx-deployment', '--replicas=4']);
    await rollout(lab);
    assert.is((await podsOf(lab, 'app=nginx')).length, 4);
    await lab.ok(['scale', 'deployment', 'nginx-deployment', '--replicas=2']);
    await lab.eventually('two pods', async () => ((await podsOf(lab, 'app=nginx')).length === 2 ? true : undefined));
  });

  test('it rolls to a new image, shows its history, and goes back', async () => {
    await lab.ok(['set', 'image', 'deployment.v1.apps/nginx-deployment', 'nginx=nginx:1.9.1', '--record=true']);
    await rollout(lab);
    assert.ok((await answers(lab)).every((answer) => answer === 'two'));
    const history = await lab.ok(['rollout', 'history', 'deployment.v1.apps/nginx-deployment']);
    assert.match(history, /REVISION\s+CHANGE-CAUSE/);
    assert.match(history, /2\s+kubectl.* set image/);
    assert.match(await lab.ok(['rollout', 'history', 'deployment/nginx-deployment', '--revision=2']), 'nginx:1.9.1');
    assert.is((await lab.ok(['get', 'rs', '-l', 'app=nginx', '-o', 'name'])).trim().split('\n').length, 2);

    await lab.ok(['rollout', 'undo', 'deployment.v1.apps/nginx-deployment']);
    await rollout(lab);
    assert.ok((await answers(lab)).every((answer) => answer === 'one'));
    await lab.ok(['rollout', 'undo', 'deployment.v1.apps/nginx-deployment', '--to-revision=2']);
    await rollout(lab);
    assert.ok((await answers(lab)).every((answer) => answer === 'two'));
  });

  test('a paused Deployment gathers changes and rolls them out once resumed', async () => {
    const before = (await lab.ok(['get', 'rs', '-l', 'app=nginx', '-o', 'name'])).trim().split('\n').length;
    await lab.ok(['rollout', 'pause', 'deployment.v1.apps/nginx-deployment']);
    await lab.ok(['set', 'image', 'deployment/nginx-deployment', 'nginx=nginx:1.91']);
    await lab.ok(['set', 'resources', 'deployment.v1.apps/nginx-deployment', '-c=nginx', '--limits=cpu=200m,memory=64Mi']);
    assert.is((await lab.ok(['get', 'rs', '-l', 'app=nginx', '-o', 'name'])).trim().split('\n').length, before);
    await lab.ok(['rollout', 'resume', 'deployment.v1.apps/nginx-deployment']);
    await rollout(lab);
    assert.is((await lab.ok(['get', 'rs', '-l', 'app=nginx', '-o', 'name'])).trim().split('\n').length, before + 1);
    assert.ok((await answers(lab)).every((answer) => answer === 'three'));
  });

  test('a rollout to an image that cannot be had stops short and keeps the old pods serving', async () => {
    await lab.ok(['set', 'image', 'deployment/nginx-deployment', 'nginx=127.0.0.1:1/nothing:1']);
    const bad = await lab.eventually('a pod that waits for its image', async () => {
      const pods = await podsOf(lab, 'app=nginx');
      const reason = (pod: Pod) => pod.status?.containerStatuses?.[0]?.state?.waiting?.reason ?? '';
      return pods.find((pod) => ['ErrImagePull', 'ImagePullBackOff'].includes(reason(pod)));
    });
    assert.match(await lab.ok(['describe', 'pod', bad.metadata.name]), /Failed to pull image|Error: ErrImagePull/);
    const { status } = JSON.parse(await lab.ok(['get', 'deployment', 'nginx-deployment', '-o', 'json']));
    assert.ok(status.availableReplicas >= 2, 'the old pods are still there');
    await lab.ok(['rollout', 'undo', 'deployment/nginx-deployment']);
    await rollout(lab);
  });

  test('a pod that fits nowhere says why, and is scheduled when that changes', async () => {
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'picky' } };
    const spec = {
      nodeSelector: { disk: 'ssd' },
      containers: [{ name: 'a', image: 'busybox:1', command: ['sleep', '1000'] }],
      terminationGracePeriodSeconds: 0,
    };
    await lab.ok(['apply', '-f', '-'], { input: JSON.stringify({ ...pod, spec }) });
    await lab.eventually('the reason', async () => {
      const text = await lab.ok(['describe', 'pod', 'picky']);
      return /0\/3 nodes are available: 3 node\(s\) didn't match Pod's node affinity\/selector/.test(text) ? true : undefined;
    });
    await lab.ok(['label', 'node', 'peer-2', 'disk=ssd']);
    await lab.ok(['wait', '--for=condition=Ready', 'pod/picky', '--timeout=60s']);
    assert.is(await lab.ok(['get', 'pod', 'picky', '-o', 'jsonpath={.spec.nodeName}']), 'peer-2');
    await lab.ok(['delete', 'pod', 'picky']);
    await lab.ok(['label', 'node', 'peer-2', 'disk-']);
  });

  test('a tainted node gets no pod, a cordoned one neither', async () => {
    await lab.ok(['taint', 'node', 'peer-1', 'dedicated=db:NoSchedule']);
    await lab.ok(['cordon', 'peer-2']);
    await lab.ok(['create', 'deployment', 'shy', '--image=busybox:1', '--replicas=3', '--', 'sleep', '1000']);
    await lab.ok(['rollout', 'status', 'deployment/shy', '--timeout=60s']);
    assert.equal([...new Set((await podsOf(lab, 'app=shy')).map((pod) => pod.spec?.nodeName))], ['peer-3']);
    await lab.ok(['taint', 'node', 'peer-1', 'dedicated-']);
    await lab.ok(['uncordon', 'peer-2']);
    await lab.ok(['delete', 'deployment', 'shy', '--grace-period=1']);
  });

  test('deleting with --cascade=orphan leaves the pods, in the background takes them', async () => {
    await lab.ok(['delete', 'deployment', 'nginx-deployment', '--cascade=orphan']);
    assert.match(await lab.ok(['get', 'rs', '-l', 'app=nginx', '-o', 'name']), 'replicaset.apps/');
    await lab.ok(['delete', 'rs', '-l', 'app=nginx', '--cascade=foreground']);
    await lab.eventually('no pods', async () => ((await podsOf(lab, 'app=nginx')).length === 0 ? true : undefined));
  });

  test('a namespace takes everything in it along', async () => {
    await lab.ok(['create', 'namespace', 'passing']);
    await lab.ok(['-n', 'passing', 'create', 'deployment', 'web', '--image=busybox:1', '--', 'sleep', '1000']);
    await lab.ok(['-n', 'passing', 'rollout', 'status', 'deployment/web', '--timeout=60s']);
    await lab.ok(['delete', 'namespace', 'passing', '--timeout=60s']);
    assert.match((await lab.kubectl(['get', 'namespace', 'passing'])).stderr, /namespaces "passing" not found/);
  });
}
