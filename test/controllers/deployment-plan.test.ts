/** The rolling update as a pure plan: its invariants for any sizes, limits and order of events, and the numbers of the documentation. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { limitsOf } from '../../src/controllers/deployment/limits.ts';
import { planDeployment } from '../../src/controllers/deployment/plan.ts';
import { shrinkOlds } from '../../src/controllers/deployment/scaling.ts';
import { templateHash } from '../../src/controllers/deployment/template.ts';
import type { Deployment, ReplicaSet } from '../../src/machinery/types.ts';
import { deploymentNamed } from './cluster.ts';

const nowMs = Date.UTC(2030, 0, 1);
type Amount = number | string;

function deploymentOf(replicas: number, maxSurge: Amount, maxUnavailable: Amount): Deployment {
  const deployment = deploymentNamed('web', replicas);
  if (deployment.spec) deployment.spec.strategy = { type: 'RollingUpdate', rollingUpdate: { maxSurge, maxUnavailable } };
  deployment.metadata.generation = 1;
  return deployment;
}

const limitTable: [number, Amount, Amount, number, number][] = [
  // replicas, maxSurge, maxUnavailable → surge, unavailable
  [10, '25%', '25%', 3, 2],
  [3, '25%', '25%', 1, 0],
  [1, '25%', '25%', 1, 0],
  [4, '25%', '25%', 1, 1],
  [10, 2, 5, 2, 5],
  [10, 0, 0, 0, 1],
  [10, '0%', '5%', 0, 1],
  [3, 0, '100%', 0, 3],
  [2, 0, 5, 0, 2],
  [0, '25%', '25%', 0, 0],
];
for (const [replicas, maxSurge, maxUnavailable, surge, unavailable] of limitTable) {
  test(`${replicas} replicas, maxSurge ${maxSurge}, maxUnavailable ${maxUnavailable}: ${surge} more, ${unavailable} less`, () => {
    const limits = limitsOf(deploymentOf(replicas, maxSurge, maxUnavailable));
    assert.equal([limits.surge, limits.unavailable], [surge, unavailable]);
  });
}

test('a template has the same hash whatever the order of its fields, and another after a collision', () => {
  const one = { metadata: { labels: { a: '1', b: '2' } }, spec: { containers: [{ name: 'c', image: 'i' }] } };
  const other = { spec: { containers: [{ image: 'i', name: 'c' }] }, metadata: { labels: { b: '2', a: '1' } } };
  assert.is(templateHash(one, undefined), templateHash(other, 0));
  assert.is.not(templateHash(one, undefined), templateHash(one, 1));
  assert.match(templateHash(one, undefined), /^[bcdfghjklmnpqrstvwxz2456789]{1,10}$/);
});

test('proportional scaling: in the middle of a rollout each ReplicaSet gets its share', () => {
  // The example of the Kubernetes documentation: 10 replicas, maxSurge 3, maxUnavailable 2, stuck at 8 old and 5 new, scaled to 15.
  const deployment = deploymentOf(15, 3, 2);
  const sized = { 'deployment.kubernetes.io/desired-replicas': '10', 'deployment.kubernetes.io/max-replicas': '13' };
  const old = replicaSetOf('old', 8, 'web:0', 1, sized);
  const current = replicaSetOf('new', 5, 'web:1', 2, sized);
  const plan = planDeployment({ deployment: started(deployment), replicaSets: [old, current], podsOf: () => [], nowMs });
  const sizes = plan.actions.flatMap((action) =>
    action.type === 'update' ? [[action.replicaSet.metadata.name, action.replicas]] : [],
  );
  assert.equal(Object.fromEntries(sizes), { old: 11, new: 7 });
});

const shrinkTable: [
  why: string,
  old: [size: number, available: number],
  current: [size: number, available: number],
  oldBecomes: number,
][] = [
  ['nothing is missing', [10, 10], [3, 0], 8],
  ['each new pod that is available frees an old one', [8, 8], [5, 3], 5],
  ['old pods that are not available go first, but no more than if they were', [10, 5], [3, 0], 8],
  ['a report that still counts pods about to go counts for no more than the size', [8, 8], [3, 5], 5],
  ['below the minimum nothing goes', [8, 6], [5, 0], 8],
];
for (const [why, old, current, oldBecomes] of shrinkTable) {
  test(`10 replicas, 3 more, 2 less: of ${old} old and ${current} new ones the old become ${oldBecomes}: ${why}`, () => {
    const withReport = (name: string, [size, available]: [number, number], age: number, image: string) => ({
      ...replicaSetOf(name, size, image, age),
      status: { replicas: size, availableReplicas: available },
    });
    const replicaSets = [withReport('old', old, 1, 'web:0'), withReport('new', current, 2, 'web:1')];
    const limits = { replicas: 10, surge: 3, unavailable: 2 };
    const [resize] = shrinkOlds(limits, replicaSets[1] as ReplicaSet, replicaSets.slice(0, 1));
    assert.is(resize?.replicas ?? old[0], oldBecomes);
  });
}

function started(deployment: Deployment): Deployment {
  const conditions = [
    { type: 'Progressing', status: 'True', reason: 'ReplicaSetUpdated', lastUpdateTime: '2030-01-01T00:00:00Z' },
  ];
  return { ...deployment, status: { conditions } };
}

function replicaSetOf(name: string, replicas: number, image: string, age: number, annotations = {}): ReplicaSet {
  const { selector, template } = deploymentNamed('web', 1, image).spec ?? {};
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name,
      namespace: 'default',
      uid: name,
      annotations,
      creationTimestamp: new Date(nowMs + age * 1000).toISOString(),
    },
    spec: { replicas, selector: selector ?? {}, ...(template ? { template } : {}) },
    status: { replicas, availableReplicas: replicas },
  };
}

/** A world of pods behind the plan: each ReplicaSet follows its size, pods become available, statuses lag, all in any order. */
class World {
  deployment: Deployment;
  replicaSets: ReplicaSet[] = [];
  /** For each ReplicaSet its pods: true when available. */
  readonly pods = new Map<string, boolean[]>();
  #age = 0;

  constructor(deployment: Deployment) {
    this.deployment = deployment;
  }

  plan(): number {
    const plan = planDeployment({ deployment: this.deployment, replicaSets: this.replicaSets, podsOf: () => [], nowMs });
    for (const action of plan.actions) {
      if (action.type === 'create') {
        const image = this.deployment.spec?.template.spec?.containers[0]?.image ?? '';
        this.replicaSets.push({
          ...replicaSetOf(action.name, action.replicas, image, this.#age++, action.annotations),
          status: { replicas: 0 },
        });
        this.pods.set(action.name, []);
      } else if (action.type === 'update') {
        const { name } = action.replicaSet.metadata;
        this.replicaSets = this.replicaSets.map((each) =>
          each.metadata.name === name
            ? ({
                ...each,
                metadata: { ...each.metadata, annotations: action.annotations },
                spec: { ...each.spec, replicas: action.replicas },
              } as ReplicaSet)
            : each,
        );
      } else {
        this.replicaSets = this.replicaSets.filter((each) => each !== action.replicaSet);
      }
    }
    this.deployment = { ...this.deployment, status: plan.status };
    return plan.actions.length;
  }

  /** The ReplicaSet controller: creates, or deletes those that are not available first. */
  follow(index: number): void {
    const replicaSet = this.replicaSets[index % this.replicaSets.length];
    const pods = replicaSet && this.pods.get(replicaSet.metadata.name);
    if (!replicaSet || !pods) return;
    const wanted = replicaSet.spec?.replicas ?? 0;
    while (pods.length < wanted) pods.push(false);
    if (pods.length > wanted) {
      pods.sort((a, b) => Number(b) - Number(a));
      pods.length = wanted;
    }
  }

  becomeAvailable(index: number, count: number): void {
    const replicaSet = this.replicaSets[index % this.replicaSets.length];
    const pods = this.pods.get(replicaSet?.metadata.name ?? '') ?? [];
    for (let done = 0; done < count && pods.includes(false); done++) pods[pods.indexOf(false)] = true;
  }

  report(index: number): void {
    const position = index % this.replicaSets.length;
    const replicaSet = this.replicaSets[position];
    const pods = this.pods.get(replicaSet?.metadata.name ?? '');
    if (!replicaSet || !pods) return;
    const availableReplicas = pods.filter(Boolean).length;
    this.replicaSets[position] = { ...replicaSet, status: { replicas: pods.length, availableReplicas, observedGeneration: 0 } };
  }

  get available(): number {
    return [...this.pods.values()].flat().filter(Boolean).length;
  }

  get specTotal(): number {
    return this.replicaSets.reduce((total, { spec }) => total + (spec?.replicas ?? 0), 0);
  }

  settle(): void {
    for (let index = 0; index < this.replicaSets.length; index++) {
      this.follow(index);
      for (const pods of this.pods.values()) pods.fill(true);
      this.report(index);
    }
  }
}

const amounts = fc.oneof(
  fc.integer({ min: 0, max: 12 }),
  fc.integer({ min: 0, max: 100 }).map((percent) => `${percent}%`),
);
const step = fc.tuple(
  fc.constantFrom('plan', 'plan', 'follow', 'follow', 'available', 'report'),
  fc.nat(2),
  fc.integer({ min: 1, max: 6 }),
);

test('a rolling update never goes below the minimum, never above the maximum, and always arrives', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 20 }),
      amounts,
      amounts,
      fc.array(step, { maxLength: 160 }),
      fc.array(fc.tuple(fc.nat(100), fc.integer({ min: 1, max: 3 })), { minLength: 1, maxLength: 5 }),
      fc.boolean(),
      (replicas, maxSurge, maxUnavailable, steps, changes, running) => {
        const world = new World(deploymentOf(replicas, maxSurge, maxUnavailable));
        for (let round = 0; running && round < 50; round++) {
          world.plan();
          world.settle();
        }
        const { surge, unavailable } = limitsOf(world.deployment);
        let image = 1;
        const roll = (to: number) => {
          image = to;
          const next = deploymentNamed('web', replicas, `web:${to}`).spec?.template;
          if (world.deployment.spec && next)
            world.deployment = { ...world.deployment, spec: { ...world.deployment.spec, template: next } };
        };
        let reached = world.available;
        steps.forEach(([what, index, count], position) => {
          // Another template in the middle, new or one there was before: rollover and rollback.
          for (const [at, to] of changes) if (at === position) roll(to);
          if (what === 'plan') world.plan();
          else if (what === 'follow') world.follow(index);
          else if (what === 'available') world.becomeAvailable(index, count);
          else world.report(index);
          // What was available once is not taken away below the minimum, also on the way to the first full size.
          assert.ok(
            world.available >= Math.min(reached, replicas - unavailable),
            `${world.available} available after ${reached}`,
          );
          assert.ok(world.specTotal <= replicas + surge, `${world.specTotal} pods of ${replicas} + ${surge}`);
          reached = world.available;
        });
        let quiet = 0;
        for (let round = 0; round < 200 && quiet < 2; round++) {
          quiet = world.plan() === 0 ? quiet + 1 : 0;
          world.settle();
        }
        assert.is(quiet, 2, 'it comes to rest');
        assert.equal([world.available, world.specTotal], [replicas, replicas]);
        const current = world.replicaSets.filter(({ spec }) => (spec?.replicas ?? 0) > 0);
        assert.ok(current.every(({ spec }) => spec?.template?.spec?.containers[0]?.image === `web:${image}`));
      },
    ),
    { numRuns: 1_000, seed: 7 },
  );
});

test('a change of the number in the middle of a rollout always arrives', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 20 }),
      fc.integer({ min: 0, max: 20 }),
      amounts,
      amounts,
      fc.array(step, { maxLength: 40 }),
      (before, after, maxSurge, maxUnavailable, steps) => {
        const world = new World(deploymentOf(before, maxSurge, maxUnavailable));
        for (let round = 0; round < 60; round++) {
          world.plan();
          world.settle();
        }
        const { spec } = deploymentNamed('web', after, 'web:2');
        world.deployment = {
          ...world.deployment,
          spec: { ...world.deployment.spec, template: spec?.template } as Deployment['spec'],
        };
        for (const [what, index, count] of steps) {
          if (what === 'plan') world.plan();
          else if (what === 'follow') world.follow(index);
          else if (what === 'available') world.becomeAvailable(index, count);
          else world.report(index);
        }
        world.deployment = { ...world.deployment, spec: { ...world.deployment.spec, replicas: after } as Deployment['spec'] };
        for (let round = 0; round < 200; round++) {
          world.plan();
          world.settle();
        }
        assert.is(world.plan(), 0);
        assert.is(world.specTotal, after);
        assert.is(world.available, after);
      },
    ),
    { numRuns: 300, seed: 11 },
  );
});

test.run();
