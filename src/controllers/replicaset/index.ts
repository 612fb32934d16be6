/** Keeps the wanted number of pods for every ReplicaSet. The thinking is in plan.ts; here are cache, expectations and writes. */
import { errorMessage } from '../../lib/errors.ts';
import type { NewObject } from '../../machinery/client.ts';
import { keyOf, splitKey } from '../../machinery/informer.ts';
import * as r from '../../machinery/resources.ts';
import { labelSelectorMatches } from '../../machinery/selectors.ts';
import { isReason, StatusError } from '../../machinery/status.ts';
import type { Pod, ReplicaSet } from '../../machinery/types.ts';
import type { Controller, ControllerContext } from '../context.ts';
import { ControllerError } from '../errors.ts';
import { Expectations } from '../expectations.ts';
import {
  addControllerIndex,
  applyClaims,
  claimCandidates,
  controllerIndex,
  controllerOf,
  controllerReference,
  planClaims,
} from '../ownership.ts';
import { queueController, writeAll } from '../queue-controller.ts';
import { same } from '../same.ts';
import { type Failure, nextAvailabilityMs, planReplicas, planStatus } from './plan.ts';

const workers = 8;

export function replicaSetController(context: ControllerContext): Controller {
  const { client, clock, pods, replicaSets } = context;
  const recorder = context.recorder('replicaset-controller');
  const expectations = new Expectations(clock);
  addControllerIndex(pods);
  addControllerIndex(replicaSets);

  const controller = queueController(context, { name: 'replicaset', workers, reconcile });
  const { queue } = controller;

  replicaSets.onChange(({ type, object }) => {
    if (type === 'deleted') expectations.forget(keyOf(object));
    queue.add(keyOf(object));
  });

  pods.onChange(({ type, object, previous }) => {
    const owner = ownerKey(object);
    const ownerBefore = previous ? ownerKey(previous) : undefined;
    if (ownerBefore && ownerBefore !== owner) queue.add(ownerBefore);
    if (owner) {
      const leaves = type === 'deleted' || object.metadata.deletionTimestamp !== undefined;
      if (type === 'added') expectations.creationSeen(owner);
      if (leaves) expectations.deletionSeen(owner, object.metadata.uid ?? '');
      queue.add(owner);
    } else if (!controllerOf(object)) {
      for (const replicaSet of replicaSets.list(object.metadata.namespace ?? '')) {
        if (labelSelectorMatches(replicaSet.spec?.selector, object.metadata.labels)) queue.add(keyOf(replicaSet));
      }
    }
  });

  function ownerKey(pod: Pod): string | undefined {
    const reference = controllerOf(pod);
    if (reference?.kind !== 'ReplicaSet') return undefined;
    return `${pod.metadata.namespace}/${reference.name}`;
  }

  async function reconcile(key: string, signal: AbortSignal): Promise<void> {
    const { namespace, name } = splitKey(key);
    const replicaSet = replicaSets.get(namespace, name);
    if (!replicaSet) {
      expectations.forget(key);
      return;
    }
    const fresh = expectations.met(key);
    const claims = planClaims(replicaSet, replicaSet.spec?.selector, claimCandidates(pods, replicaSet));
    const owned = await applyClaims(claims, {
      client,
      owner: replicaSet,
      ownerResource: r.replicaSets,
      resource: r.pods,
      signal,
    });
    let failures: Failure[] = [];
    if (fresh) {
      const plan = planReplicas({ replicaSet, pods: owned, related: relatedPods(replicaSet, owned) });
      if (plan.create > 0) failures = await createPods(replicaSet, key, plan.create, signal);
      else if (plan.delete.length > 0) failures = await deletePods(replicaSet, key, plan.delete, signal);
    } else {
      queue.addAfter(key, expectations.patienceMs);
    }
    await writeStatus(replicaSet, owned, failures[0], signal);
    const againMs = nextAvailabilityMs(replicaSet, owned, clock.wallMs());
    if (againMs !== undefined) queue.addAfter(key, againMs);
    if (failures[0]) throw new ControllerError('WritesFailed', failures[0].message, { key, failures: failures.length });
  }

  /** The pods of all ReplicaSets with the same owner: during a rollout these share the nodes. */
  function relatedPods(replicaSet: ReplicaSet, own: readonly Pod[]): Pod[] {
    const owner = controllerOf(replicaSet);
    if (!owner) return [...own];
    const siblings = replicaSets.byIndex(controllerIndex, owner.uid);
    return siblings.flatMap((sibling) => pods.byIndex(controllerIndex, sibling.metadata.uid ?? ''));
  }

  /** In batches of 1, 2, 4, …: when pods are refused (a quota, a policy) few requests are wasted. */
  async function createPods(replicaSet: ReplicaSet, key: string, count: number, signal: AbortSignal): Promise<Failure[]> {
    const pod = podOf(replicaSet);
    expectations.expectCreations(key, count);
    let left = count;
    for (let batch = 1; left > 0; batch *= 2) {
      const size = Math.min(batch, left);
      const errors = await writeAll(Array.from({ length: size }), async () => {
        const created = await client.create(r.pods, pod, { namespace: replicaSet.metadata.namespace ?? '', signal });
        recorder.record(replicaSet, 'Normal', 'SuccessfulCreate', `Created pod: ${created.metadata.name}`);
      });
      left -= size;
      if (errors.length === 0) continue;
      for (let missing = errors.length + left; missing > 0; missing--) expectations.creationSeen(key);
      if (signal.aborted || errors.every(isNamespaceGoing)) return [];
      return errors.map((error) => {
        const message = `Error creating: ${errorMessage(error)}`;
        recorder.record(replicaSet, 'Warning', 'FailedCreate', message);
        return { reason: 'FailedCreate', message: errorMessage(error) };
      });
    }
    return [];
  }

  async function deletePods(replicaSet: ReplicaSet, key: string, doomed: Pod[], signal: AbortSignal): Promise<Failure[]> {
    expectations.expectDeletions(
      key,
      doomed.map(({ metadata }) => metadata.uid ?? ''),
    );
    const errors = await writeAll(doomed, async ({ metadata: { name, uid } }) => {
      try {
        await client.delete(r.pods, name, {
          namespace: replicaSet.metadata.namespace ?? '',
          preconditions: { uid: uid ?? '' },
          signal,
        });
        recorder.record(replicaSet, 'Normal', 'SuccessfulDelete', `Deleted pod: ${name}`);
      } catch (error) {
        expectations.deletionSeen(key, uid ?? '');
        if (isReason(error, 'NotFound')) return;
        recorder.record(replicaSet, 'Warning', 'FailedDelete', `Error deleting: ${errorMessage(error)}`);
        throw error;
      }
    });
    return errors.map((error) => ({ reason: 'FailedDelete', message: errorMessage(error) }));
  }

  async function writeStatus(
    replicaSet: ReplicaSet,
    owned: readonly Pod[],
    failure: Failure | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const status = planStatus(replicaSet, owned, clock.wallMs(), failure);
    if (same(status, replicaSet.status)) return;
    try {
      await client.update(r.replicaSets, { ...replicaSet, status }, { subresource: 'status', signal });
    } catch (error) {
      // Deleted meanwhile: nothing left to report on.
      if (!isReason(error, 'NotFound')) throw error;
    }
  }

  return controller;
}

/** A namespace that is being deleted refuses new objects; more tries would not help. */
function isNamespaceGoing(error: unknown): boolean {
  if (!(error instanceof StatusError) || error.code !== 403) return false;
  const causes = error.status.details?.causes ?? [];
  return causes.some(({ reason }) => reason === 'NamespaceTerminating') || error.message.includes('is being terminated');
}

function podOf(replicaSet: ReplicaSet): NewObject<Pod> {
  const template = replicaSet.spec?.template;
  const { labels, annotations, finalizers } = template?.metadata ?? {};
  return {
    metadata: {
      generateName: `${replicaSet.metadata.name}-`,
      ...(labels ? { labels: { ...labels } } : {}),
      ...(annotations ? { annotations: { ...annotations } } : {}),
      ...(finalizers ? { finalizers: [...finalizers] } : {}),
      ownerReferences: [controllerReference(replicaSet, r.replicaSets)],
    },
    ...(template?.spec ? { spec: structuredClone(template.spec) } : {}),
  };
}
