/**
 * Rolls Deployments out: carries out the steps of plan.ts, one update of each ReplicaSet at a time, each based on the version seen.
 * A stale copy does no harm: an update of an old version is refused, and a ReplicaSet's name comes from its template, so it cannot be
 * created twice.
 */
import { errorMessage } from '../../lib/errors.ts';
import { keyOf, splitKey } from '../../machinery/informer.ts';
import * as r from '../../machinery/resources.ts';
import { labelSelectorMatches } from '../../machinery/selectors.ts';
import { isReason } from '../../machinery/status.ts';
import type { Deployment, ReplicaSet } from '../../machinery/types.ts';
import { withCondition } from '../conditions.ts';
import type { Controller, ControllerContext } from '../context.ts';
import {
  addControllerIndex,
  applyClaims,
  claimCandidates,
  controllerIndex,
  controllerOf,
  controllerReference,
  planClaims,
} from '../ownership.ts';
import { queueController } from '../queue-controller.ts';
import { same } from '../same.ts';
import { sizeOf } from './limits.ts';
import { type DeploymentAction, planDeployment } from './plan.ts';
import { revisionAnnotation } from './revisions.ts';
import { type DeploymentStatus, hasDeadline } from './status.ts';
import { hashLabel, sameTemplate } from './template.ts';

const workers = 4;

export function deploymentController(context: ControllerContext): Controller {
  const { client, clock, pods, replicaSets, deployments } = context;
  const recorder = context.recorder('deployment-controller');
  addControllerIndex(replicaSets);
  addControllerIndex(pods);

  const controller = queueController(context, { name: 'deployment', workers, reconcile });
  const { queue } = controller;

  deployments.onChange(({ object }) => queue.add(keyOf(object)));

  replicaSets.onChange(({ object, previous }) => {
    for (const state of previous ? [previous, object] : [object]) {
      const reference = controllerOf(state);
      if (reference?.kind === 'Deployment') queue.add(`${state.metadata.namespace}/${reference.name}`);
      else if (!reference) {
        for (const deployment of deployments.list(state.metadata.namespace ?? '')) {
          if (labelSelectorMatches(deployment.spec?.selector, state.metadata.labels)) queue.add(keyOf(deployment));
        }
      }
    }
  });

  // Recreate waits for the last old pod to be gone.
  pods.onChange(({ type, object }) => {
    if (type !== 'deleted') return;
    const { namespace } = object.metadata;
    const owner = replicaSets.get(namespace, controllerOf(object)?.name ?? '');
    const reference = owner && controllerOf(owner);
    const deployment = reference && deployments.get(namespace, reference.name);
    if (deployment?.spec?.strategy?.type === 'Recreate') queue.add(keyOf(deployment));
  });

  async function reconcile(key: string, signal: AbortSignal): Promise<void> {
    const { namespace, name } = splitKey(key);
    const deployment = deployments.get(namespace, name);
    if (!deployment) return;
    const { selector } = deployment.spec ?? {};
    if (!selector?.matchExpressions?.length && Object.keys(selector?.matchLabels ?? {}).length === 0) {
      const message = 'This deployment is selecting all pods. A non-empty selector is required.';
      recorder.record(deployment, 'Warning', 'SelectingAll', message);
      return;
    }
    const owned = await applyClaims(planClaims(deployment, selector, claimCandidates(replicaSets, deployment)), {
      client,
      owner: deployment,
      ownerResource: r.deployments,
      resource: r.replicaSets,
      signal,
    });
    const plan = planDeployment({
      deployment,
      replicaSets: owned,
      podsOf: ({ metadata }) => pods.byIndex(controllerIndex, metadata.uid ?? ''),
      nowMs: clock.wallMs(),
    });
    let { status } = plan;
    let failure: unknown;
    for (const action of plan.actions) {
      try {
        status = (await act(deployment, action, status, signal)) ?? status;
      } catch (error) {
        if (signal.aborted) throw error;
        failure = error;
        if (action.type === 'create') status = withCreateError(deployment, action.name, status, error);
        break;
      }
    }
    await writeStatus(deployment, status, signal);
    if (failure) throw failure;
    if (plan.revision !== undefined) await writeRevision(deployment, plan.revision, signal);
    if (plan.againMs !== undefined) queue.addAfter(key, plan.againMs);
  }

  /** Gives another status when the write has told something new. */
  async function act(
    deployment: Deployment,
    action: DeploymentAction,
    status: DeploymentStatus,
    signal: AbortSignal,
  ): Promise<DeploymentStatus | undefined> {
    const namespace = deployment.metadata.namespace ?? '';
    switch (action.type) {
      case 'create':
        return createReplicaSet(deployment, action, status, signal);
      case 'update':
        return updateReplicaSet(deployment, action, signal);
      case 'delete': {
        const { name, uid, resourceVersion } = action.replicaSet.metadata;
        const preconditions = { uid: uid ?? '', resourceVersion: resourceVersion ?? '' };
        await unlessGone(client.delete(r.replicaSets, name, { namespace, preconditions, signal }));
        return undefined;
      }
    }
  }

  async function createReplicaSet(
    deployment: Deployment,
    { name, hash, replicas, annotations }: DeploymentAction & { type: 'create' },
    status: DeploymentStatus,
    signal: AbortSignal,
  ): Promise<DeploymentStatus | undefined> {
    const namespace = deployment.metadata.namespace ?? '';
    const { template, selector, minReadySeconds = 0 } = deployment.spec ?? {};
    const labels = { ...template?.metadata?.labels, [hashLabel]: hash };
    try {
      await client.create(
        r.replicaSets,
        {
          metadata: { name, labels, annotations, ownerReferences: [controllerReference(deployment, r.deployments)] },
          spec: {
            replicas,
            minReadySeconds,
            selector: { ...selector, matchLabels: { ...selector?.matchLabels, [hashLabel]: hash } },
            template: structuredClone({ ...template, metadata: { ...template?.metadata, labels } }),
          },
        },
        { namespace, signal },
      );
    } catch (error) {
      if (!isReason(error, 'AlreadyExists')) throw error;
      const live = await client.get(r.replicaSets, name, { namespace, signal });
      const ours = controllerOf(live)?.uid === deployment.metadata.uid;
      // Ours and the same: only the copy did not know yet.
      if (ours && sameTemplate(live.spec?.template, template)) return undefined;
      return { ...status, collisionCount: (deployment.status?.collisionCount ?? 0) + 1 };
    }
    if (replicas > 0) {
      recorder.record(deployment, 'Normal', 'ScalingReplicaSet', `Scaled up replica set ${name} from 0 to ${replicas}`);
    }
    return undefined;
  }

  async function updateReplicaSet(
    deployment: Deployment,
    { replicaSet, replicas, annotations, minReadySeconds }: DeploymentAction & { type: 'update' },
    signal: AbortSignal,
  ): Promise<undefined> {
    const next = {
      ...replicaSet,
      metadata: { ...replicaSet.metadata, annotations },
      spec: { ...replicaSet.spec, replicas, minReadySeconds } as NonNullable<ReplicaSet['spec']>,
    };
    await client.update(r.replicaSets, next, { signal });
    const before = sizeOf(replicaSet);
    if (replicas === before) return;
    const direction = replicas > before ? 'up' : 'down';
    const message = `Scaled ${direction} replica set ${replicaSet.metadata.name} from ${before} to ${replicas}`;
    recorder.record(deployment, 'Normal', 'ScalingReplicaSet', message);
  }

  function withCreateError(deployment: Deployment, name: string, status: DeploymentStatus, error: unknown): DeploymentStatus {
    const message = `Failed to create new replica set "${name}": ${errorMessage(error)}`;
    recorder.record(deployment, 'Warning', 'ReplicaSetCreateError', message);
    if (!hasDeadline(deployment)) return status;
    const progress = { type: 'Progressing', status: 'False', reason: 'ReplicaSetCreateError', message };
    return {
      ...status,
      conditions: withCondition(deployment.status?.conditions, progress, clock.wallMs(), { updateTime: true }),
    };
  }

  async function writeStatus(deployment: Deployment, status: DeploymentStatus, signal: AbortSignal): Promise<void> {
    if (same(status, deployment.status)) return;
    await unlessGone(client.update(r.deployments, { ...deployment, status }, { subresource: 'status', signal }));
  }

  /** After the status, which is based on the version seen: this makes a new one. */
  async function writeRevision({ metadata }: Deployment, revision: string, signal: AbortSignal): Promise<void> {
    const patch = { metadata: { uid: metadata.uid, annotations: { [revisionAnnotation]: revision } } };
    const options = { namespace: metadata.namespace ?? '', signal };
    await unlessGone(client.patch(r.deployments, metadata.name, 'merge', patch, options));
  }

  return controller;
}

async function unlessGone(write: Promise<unknown>): Promise<void> {
  try {
    await write;
  } catch (error) {
    if (!isReason(error, 'NotFound')) throw error;
  }
}
