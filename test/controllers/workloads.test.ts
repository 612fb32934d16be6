/** Deployments, ReplicaSets and services from the outside: what a person does, and what the cluster looks like afterwards. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as r from '../../src/machinery/resources.ts';
import { forbidden, serviceUnavailable } from '../../src/machinery/status.ts';
import { settle } from '../client/manual-clock.ts';
import { Cluster, deploymentNamed, serviceNamed } from './cluster.ts';

async function withCluster(run: (cluster: Cluster) => Promise<void>): Promise<void> {
  const cluster = new Cluster();
  try {
    for (const name of ['one', 'two', 'three']) await cluster.addNode(name);
    await run(cluster);
  } finally {
    await cluster.stop();
  }
}

const condition = (cluster: Cluster, name: string, type: string) => {
  const found = cluster.deployment(name).status?.conditions?.find((each) => each.type === type);
  return found && [found.status, found.reason];
};

test('a deployment of three runs on three nodes, behind its service', () =>
  withCluster(async (cluster) => {
    const { client, clock } = cluster;
    await client.create(r.services, serviceNamed('web'));
    await client.create(r.deployments, deploymentNamed('web', 3));
    await clock.until(() => cluster.isRolledOut('web'), 'rolled out');
    assert.equal(new Set(cluster.pods().map(({ spec }) => spec?.nodeName)).size, 3);
    const [replicaSet] = client.all(r.replicaSets);
    const hash = replicaSet?.metadata.labels?.['pod-template-hash'];
    assert.is(replicaSet?.metadata.name, `web-${hash}`);
    assert.ok(cluster.pods().every(({ metadata }) => new RegExp(`^web-${hash}-[a-z0-9]{5}$`).test(metadata.name)));
    assert.equal(condition(cluster, 'web', 'Available'), ['True', 'MinimumReplicasAvailable']);
    assert.equal(condition(cluster, 'web', 'Progressing'), ['True', 'NewReplicaSetAvailable']);
    assert.is(cluster.deployment('web').metadata.annotations?.['deployment.kubernetes.io/revision'], '1');
    assert.equal(cluster.events('ScalingReplicaSet'), [`Scaled up replica set web-${hash} from 0 to 3`]);
    assert.is(cluster.events('SuccessfulCreate').length, 3);
    assert.is(cluster.events('Scheduled').length, 3);
    const ips = cluster
      .pods()
      .map(({ status }) => status?.podIP ?? '')
      .sort();
    const [subset] = client.find(r.endpoints, 'web', 'default')?.subsets ?? [];
    assert.equal(subset?.addresses?.map(({ ip }) => ip).sort(), ips);
    assert.equal(subset?.ports, [{ name: 'web', port: 80, protocol: 'TCP' }]);
    const [slice] = client.all(r.endpointSlices);
    assert.equal(slice?.endpoints?.flatMap(({ addresses }) => addresses).sort(), ips);
    assert.match(slice?.metadata.name ?? '', /^web-[a-z0-9]{5}$/);
    assert.is(slice?.metadata.labels?.['kubernetes.io/service-name'], 'web');
  }));

test('a new image rolls out without ever missing more or having more than allowed, and rolls back to the old ReplicaSet', () =>
  withCluster(async (cluster) => {
    const { client, clock } = cluster;
    await client.create(r.deployments, deploymentNamed('web', 10));
    await clock.until(() => cluster.isRolledOut('web'), 'first rollout');
    const first = client.all(r.replicaSets)[0]?.metadata.name;
    const seen = { ready: 10, all: 10 };
    await cluster.change('web', ({ spec, metadata }) => {
      metadata.annotations = { ...metadata.annotations, 'kubernetes.io/change-cause': 'second image' };
      if (spec?.template.spec?.containers[0]) spec.template.spec.containers[0].image = 'web:2';
    });
    await clock.until(() => {
      seen.ready = Math.min(seen.ready, cluster.readyPods().length);
      seen.all = Math.max(seen.all, cluster.pods().filter(({ metadata }) => !metadata.deletionTimestamp).length);
      return cluster.isRolledOut('web');
    }, 'second rollout');
    assert.ok(seen.ready >= 8, `at least 8 ready, were ${seen.ready}`);
    assert.ok(seen.all <= 13, `at most 13 pods, were ${seen.all}`);
    const images = new Set(cluster.readyPods().map(({ spec }) => spec?.containers[0]?.image));
    assert.equal([...images], ['web:2']);
    const second = client.all(r.replicaSets)[1];
    assert.is(second?.metadata.annotations?.['kubernetes.io/change-cause'], 'second image');
    assert.is(second?.metadata.annotations?.['deployment.kubernetes.io/revision'], '2');
    // What `kubectl rollout undo` does: the template of the old ReplicaSet, without the hash.
    await cluster.change('web', ({ spec }) => {
      if (spec?.template.spec?.containers[0]) spec.template.spec.containers[0].image = 'web:1';
    });
    await clock.until(() => cluster.isRolledOut('web'), 'rollback');
    assert.is(client.all(r.replicaSets).length, 2);
    const reused = client.find(r.replicaSets, first ?? '', 'default');
    assert.is(reused?.status?.availableReplicas, 10);
    assert.is(reused?.metadata.annotations?.['deployment.kubernetes.io/revision'], '3');
    assert.is(reused?.metadata.annotations?.['deployment.kubernetes.io/revision-history'], '1');
    assert.is(cluster.deployment('web').metadata.annotations?.['deployment.kubernetes.io/revision'], '3');
  }));

test('a broken image stops the rollout with enough pods left, says so after the deadline, and the next change rolls over it', () =>
  withCluster(async (cluster) => {
    const { client, clock } = cluster;
    cluster.brokenImages.add('web:broken');
    const deployment = deploymentNamed('web', 4);
    if (deployment.spec) deployment.spec.progressDeadlineSeconds = 30;
    await client.create(r.deployments, deployment);
    await clock.until(() => cluster.isRolledOut('web'), 'first rollout');
    const image = (value: string) =>
      cluster.change('web', ({ spec }) => {
        if (spec?.template.spec?.containers[0]) spec.template.spec.containers[0].image = value;
      });
    await image('web:broken');
    await clock.until(() => condition(cluster, 'web', 'Progressing')?.[1] === 'ProgressDeadlineExceeded', 'the deadline');
    assert.is(cluster.readyPods().length, 3);
    assert.equal(condition(cluster, 'web', 'Available'), ['True', 'MinimumReplicasAvailable']);
    await image('web:3');
    await clock.until(() => cluster.isRolledOut('web'), 'rollover');
    assert.equal(condition(cluster, 'web', 'Progressing'), ['True', 'NewReplicaSetAvailable']);
    assert.is(cluster.pods().filter(({ spec }) => spec?.containers[0]?.image === 'web:broken').length, 0);
  }));

test('Recreate has no new pod before the last old one is gone', () =>
  withCluster(async (cluster) => {
    const { client, clock } = cluster;
    const deployment = deploymentNamed('web', 3);
    if (deployment.spec) deployment.spec.strategy = { type: 'Recreate' };
    await client.create(r.deployments, deployment);
    await clock.until(() => cluster.isRolledOut('web'), 'first rollout');
    await cluster.change('web', ({ spec }) => {
      if (spec?.template.spec?.containers[0]) spec.template.spec.containers[0].image = 'web:2';
    });
    let mixed = false;
    await clock.until(() => {
      mixed ||= new Set(cluster.pods().map(({ spec }) => spec?.containers[0]?.image)).size > 1;
      return cluster.isRolledOut('web');
    }, 'second rollout');
    assert.not(mixed);
  }));

test('pause holds a rollout but not scaling, resume lets it go', () =>
  withCluster(async (cluster) => {
    const { client, clock } = cluster;
    await client.create(r.deployments, deploymentNamed('web', 2));
    await clock.until(() => cluster.isRolledOut('web'), 'first rollout');
    await cluster.change('web', ({ spec }) => {
      if (!spec?.template.spec?.containers[0]) return;
      spec.paused = true;
      spec.replicas = 4;
      spec.template.spec.containers[0].image = 'web:2';
    });
    await clock.until(() => cluster.readyPods().length === 4, 'scaled');
    await clock.advance(5_000);
    assert.is(client.all(r.replicaSets).length, 1);
    assert.equal(condition(cluster, 'web', 'Progressing'), ['Unknown', 'DeploymentPaused']);
    await cluster.change('web', ({ spec }) => {
      if (spec) spec.paused = false;
    });
    await clock.until(() => cluster.isRolledOut('web'), 'rolled out after resume');
    assert.equal(new Set(cluster.readyPods().map(({ spec }) => spec?.containers[0]?.image)), new Set(['web:2']));
  }));

test('history beyond its limit is cleaned up', () =>
  withCluster(async (cluster) => {
    const { client, clock } = cluster;
    const deployment = deploymentNamed('web', 1);
    if (deployment.spec) deployment.spec.revisionHistoryLimit = 2;
    await client.create(r.deployments, deployment);
    for (let version = 2; version <= 6; version++) {
      await clock.until(() => cluster.isRolledOut('web'), `rollout before ${version}`);
      await cluster.change('web', ({ spec }) => {
        if (spec?.template.spec?.containers[0]) spec.template.spec.containers[0].image = `web:${version}`;
      });
    }
    await clock.until(() => cluster.isRolledOut('web') && client.all(r.replicaSets).length === 3, 'three ReplicaSets left');
    const revisions = client
      .all(r.replicaSets)
      .map(({ metadata }) => metadata.annotations?.['deployment.kubernetes.io/revision']);
    assert.equal(revisions, ['4', '5', '6']);
  }));

test('a pod whose label is changed is let go and replaced; one that matches is taken in', () =>
  withCluster(async (cluster) => {
    const { client, clock } = cluster;
    await client.create(r.deployments, deploymentNamed('web', 2));
    await clock.until(() => cluster.isRolledOut('web'), 'rolled out');
    const [pod] = cluster.pods();
    const labels = pod?.metadata.labels ?? {};
    const relabel = (app: string) =>
      client.patch(r.pods, pod?.metadata.name ?? '', 'merge', { metadata: { labels: { app } } }, { namespace: 'default' });
    await relabel('debug');
    await clock.until(() => cluster.readyPods().length === 3, 'a replacement');
    const freed = client.find(r.pods, pod?.metadata.name ?? '', 'default');
    assert.equal(freed?.metadata.ownerReferences, []);
    await relabel(labels.app ?? '');
    await clock.until(() => cluster.pods().length === 2, 'one too many is deleted');
  }));

test('an old copy never makes the controller create twice', () =>
  withCluster(async (cluster) => {
    const { client, clock } = cluster;
    client.hold(r.pods);
    await client.create(r.deployments, deploymentNamed('web', 3));
    await clock.until(() => cluster.pods().length === 3, 'pods that nobody sees');
    const [replicaSet] = client.all(r.replicaSets);
    const poke = async (round: number) => {
      await client.patch(
        r.replicaSets,
        replicaSet?.metadata.name ?? '',
        'merge',
        { metadata: { annotations: { round: String(round) } } },
        { namespace: 'default' },
      );
      await clock.advance(1_000);
    };
    for (let round = 0; round < 5; round++) await poke(round);
    assert.is(cluster.pods().length, 3);
    client.release(r.pods);
    await clock.until(() => cluster.isRolledOut('web'), 'rolled out');
    assert.is(
      client.calls.filter(({ verb, resource, subresource }) => verb === 'create' && resource === 'pods' && !subresource).length,
      3,
    );
  }));

test('pods that are refused cost few requests, are reported, and come when the refusal ends', () =>
  withCluster(async (cluster) => {
    const { client, clock } = cluster;
    let refused = 0;
    client.intercept = ({ verb, resource, subresource }) => {
      if (verb !== 'create' || resource !== 'pods' || subresource) return;
      refused += 1;
      throw forbidden(r.pods, 'x', 'exceeded quota');
    };
    await client.create(r.deployments, deploymentNamed('web', 50));
    await clock.until(() => cluster.events('FailedCreate').length > 0, 'the refusal');
    await clock.advance(1_000);
    assert.ok(refused < 15, `one request for each try, were ${refused}`);
    assert.equal(condition(cluster, 'web', 'ReplicaFailure'), ['True', 'FailedCreate']);
    client.intercept = undefined;
    await clock.until(() => cluster.isRolledOut('web'), 'rolled out');
    assert.is(condition(cluster, 'web', 'ReplicaFailure'), undefined);
  }));

test('answers that are lost, conflicts and an absent server do not keep it from getting there', () =>
  withCluster(async (cluster) => {
    const { client, clock } = cluster;
    let calls = 0;
    client.intercept = () => {
      if (++calls % 3 === 0) throw serviceUnavailable('lost');
    };
    await client
      .create(r.deployments, deploymentNamed('web', 6))
      .catch(() => client.create(r.deployments, deploymentNamed('web', 6)));
    await clock.until(() => cluster.client.all(r.deployments).length === 1 && cluster.isRolledOut('web'), 'rolled out', 300_000);
    client.intercept = undefined;
    await clock.advance(10_000);
    assert.is(cluster.readyPods().length, 6);
  }));

test('deleting a deployment takes its ReplicaSets and pods with it', () =>
  withCluster(async (cluster) => {
    const { client, clock } = cluster;
    await client.create(r.deployments, deploymentNamed('web', 3));
    await clock.until(() => cluster.isRolledOut('web'), 'rolled out');
    await client.delete(r.deployments, 'web', { namespace: 'default', propagationPolicy: 'Background' });
    await clock.until(() => cluster.pods().length === 0 && client.all(r.replicaSets).length === 0, 'everything gone');
  }));

test('foreground deletion keeps the owner until its last dependent is gone', () =>
  withCluster(async (cluster) => {
    const { client, clock } = cluster;
    await client.create(r.deployments, deploymentNamed('web', 3));
    await clock.until(() => cluster.isRolledOut('web'), 'rolled out');
    await client.delete(r.deployments, 'web', { namespace: 'default', propagationPolicy: 'Foreground' });
    let early = false;
    await clock.until(() => {
      const gone = client.all(r.deployments).length === 0;
      early ||= gone && cluster.pods().length > 0;
      return gone;
    }, 'the deployment gone');
    assert.not(early);
    assert.is(client.all(r.replicaSets).length, 0);
  }));

test('orphaning deletes the owner alone', () =>
  withCluster(async (cluster) => {
    const { client, clock } = cluster;
    await client.create(r.deployments, deploymentNamed('web', 3));
    await clock.until(() => cluster.isRolledOut('web'), 'rolled out');
    await client.delete(r.deployments, 'web', { namespace: 'default', propagationPolicy: 'Orphan' });
    await clock.until(() => client.all(r.deployments).length === 0, 'the deployment gone');
    await clock.advance(30_000);
    assert.is(cluster.readyPods().length, 3);
    assert.equal(client.all(r.replicaSets)[0]?.metadata.ownerReferences, []);
  }));

test('a pod that is not ready any more leaves the service at once, a stopping one serves to the end', () =>
  withCluster(async (cluster) => {
    const { client, clock } = cluster;
    await client.create(r.services, serviceNamed('web'));
    await client.create(r.deployments, deploymentNamed('web', 2));
    await clock.until(() => client.find(r.endpoints, 'web', 'default')?.subsets?.[0]?.addresses?.length === 2, 'both ready');
    const [pod] = cluster.pods();
    const conditions = [{ type: 'Ready', status: 'False' }];
    const options = { namespace: 'default', subresource: 'status' };
    await client.patch(r.pods, pod?.metadata.name ?? '', 'merge', { status: { conditions } }, options);
    await settle();
    const [subset] = client.find(r.endpoints, 'web', 'default')?.subsets ?? [];
    assert.equal(
      subset?.notReadyAddresses?.map(({ ip }) => ip),
      [pod?.status?.podIP],
    );
    const other = cluster.readyPods()[0];
    await client.delete(r.pods, other?.metadata.name ?? '', { namespace: 'default' });
    await settle();
    const stopping = client.all(r.endpointSlices)[0]?.endpoints?.find(({ addresses }) => addresses[0] === other?.status?.podIP);
    assert.equal(stopping?.conditions, { ready: false, serving: true, terminating: true });
  }));

test('a service that is deleted takes its endpoints and slices with it', () =>
  withCluster(async (cluster) => {
    const { client, clock } = cluster;
    await client.create(r.services, serviceNamed('web'));
    await clock.until(() => client.all(r.endpointSlices).length === 1 && client.all(r.endpoints).length === 1, 'both there');
    await client.delete(r.services, 'web', { namespace: 'default' });
    await clock.until(() => client.all(r.endpointSlices).length === 0 && client.all(r.endpoints).length === 0, 'both gone');
  }));

test.run();
