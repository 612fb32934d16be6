/**
 * One step of a Deployment: from what is seen to the writes that bring it nearer to what is wanted. Pure; called again after every
 * change until there is nothing left to do. At no step are there fewer available pods than replicas − maxUnavailable because of us, nor more pods
 * than replicas + maxSurge.
 */
import type { Deployment, Pod, ReplicaSet } from '../../machinery/types.ts';
import { isFinished } from '../pod-state.ts';
import { same } from '../same.ts';
import { isRecreate, limitsOf, sizeOf } from './limits.ts';
import { currentAnnotations, nextRevision, revisionAnnotation, revisionOf, sizeAnnotations } from './revisions.ts';
import { byAge, isScaling, newSize, type Resize, rescale, shrinkOlds } from './scaling.ts';
import {
  countStatus,
  type DeploymentStatus,
  deadlineLeftMs,
  hasDeadline,
  isComplete,
  pauseConditions,
  rolloutStatus,
} from './status.ts';
import { sameTemplate, templateHash } from './template.ts';

export interface DeploymentInput {
  deployment: Deployment;
  /** Owned by it. */
  replicaSets: readonly ReplicaSet[];
  /** Pods of these, going and finished ones too. Only Recreate asks. */
  podsOf: (replicaSet: ReplicaSet) => readonly Pod[];
  nowMs: number;
}

export type DeploymentAction =
  | { type: 'create'; name: string; hash: string; replicas: number; annotations: Record<string, string> }
  | { type: 'update'; replicaSet: ReplicaSet; replicas: number; annotations: Record<string, string>; minReadySeconds: number }
  | { type: 'delete'; replicaSet: ReplicaSet };

export interface DeploymentPlan {
  actions: DeploymentAction[];
  status: DeploymentStatus;
  /** To be written on the Deployment itself; missing when it is there already. */
  revision?: string;
  /** Milliseconds after which time alone may change the plan. */
  againMs?: number;
}

interface World extends DeploymentInput {
  current: ReplicaSet | undefined;
  olds: ReplicaSet[];
}

export function planDeployment(input: DeploymentInput): DeploymentPlan {
  const { deployment, nowMs } = input;
  const limits = limitsOf(deployment);
  const current = byAge(input.replicaSets).find(({ spec }) => sameTemplate(spec?.template, deployment.spec?.template));
  const olds = byAge(input.replicaSets.filter((replicaSet) => replicaSet !== current));
  const world: World = { ...input, current, olds };
  if (deployment.metadata.deletionTimestamp) return { actions: [], status: countStatus(world) };

  const paused = pauseConditions(deployment, nowMs);
  if (paused) {
    // Written first and alone: the next step starts from it.
    return { actions: [], status: { ...countStatus(world), conditions: paused }, againMs: 0 };
  }
  if (deployment.spec?.paused || isScaling(limits, input.replicaSets)) {
    const resizes = rescale(deployment, limits, current, olds);
    const cleanup = deployment.spec?.paused ? cleanUp(world) : [];
    return finish(world, [...updates(world, resizes), ...cleanup], countStatus(world));
  }
  return isRecreate(deployment.spec) ? planRecreate(world) : planRolling(world);
}

function planRolling(world: World): DeploymentPlan {
  const { deployment, current, olds } = world;
  const limits = limitsOf(deployment);
  const size = newSize(limits, false, current, olds);
  if (!current) return createPlan(world, size);
  const resizes = size === sizeOf(current) ? shrinkOlds(limits, current, olds) : [{ replicaSet: current, replicas: size }];
  return rolloutPlan(world, resizes);
}

function planRecreate(world: World): DeploymentPlan {
  const { deployment, current, olds } = world;
  const shrink = olds.filter((old) => sizeOf(old) > 0).map((replicaSet) => ({ replicaSet, replicas: 0 }));
  if (shrink.length > 0) return rolloutPlan(world, shrink);
  const stillThere = olds.some((old) => world.podsOf(old).some((pod) => !isFinished(pod)));
  if (stillThere) return rolloutPlan(world, []);
  const { replicas } = limitsOf(deployment);
  if (!current) return createPlan(world, replicas);
  return rolloutPlan(world, [{ replicaSet: current, replicas }]);
}

function createPlan(world: World, replicas: number): DeploymentPlan {
  const { deployment, olds } = world;
  const template = deployment.spec?.template;
  const hash = templateHash(template ?? {}, deployment.status?.collisionCount ?? undefined);
  const name = `${deployment.metadata.name}-${hash}`;
  const revision = nextRevision(olds);
  const annotations = {
    ...currentAnnotations(deployment, revision, undefined),
    ...sizeAnnotations(limitsOf(deployment)),
  };
  const status = rolloutStatus({
    ...world,
    progress: { status: 'True', reason: 'NewReplicaSetCreated', message: `Created new replica set "${name}"` },
  });
  const actions: DeploymentAction[] = [{ type: 'create', name, hash, replicas, annotations }];
  return finish(world, actions, status, revision);
}

function rolloutPlan(world: World, resizes: Resize[]): DeploymentPlan {
  const { deployment, current } = world;
  const counted = countStatus(world);
  const complete = isComplete(deployment, counted);
  const first = !deployment.status?.conditions?.some(({ type }) => type === 'Progressing');
  const found = current && first && !complete && hasDeadline(deployment);
  const status = rolloutStatus(
    found
      ? {
          ...world,
          progress: { status: 'True', reason: 'FoundNewReplicaSet', message: `Found new replica set "${current.metadata.name}"` },
        }
      : world,
  );
  return finish(world, [...updates(world, resizes), ...(complete ? cleanUp(world) : [])], status);
}

/** `revision` is that of the ReplicaSet about to be created; without one that of the current counts. */
function finish(
  world: World,
  actions: DeploymentAction[],
  status: DeploymentStatus,
  revision = world.current && revisionOf({ metadata: { annotations: annotationsOfCurrent(world, world.current) } }),
): DeploymentPlan {
  const { deployment, nowMs } = world;
  const againMs = deadlineLeftMs({ ...deployment, status }, nowMs);
  const written = deployment.metadata.annotations?.[revisionAnnotation];
  return {
    actions,
    status,
    ...(revision === undefined || written === String(revision) ? {} : { revision: String(revision) }),
    ...(againMs === undefined ? {} : { againMs: Math.max(0, againMs) }),
  };
}

function annotationsOfCurrent({ deployment, olds }: World, current: ReplicaSet): Record<string, string> {
  return currentAnnotations(deployment, nextRevision(olds), current.metadata.annotations);
}

/** One update for each ReplicaSet that must change; the current one also gets the Deployment's annotations and revision. */
function updates(world: World, resizes: Resize[]): DeploymentAction[] {
  const { deployment, current, olds } = world;
  const sizes = new Map(resizes.map(({ replicaSet, replicas }) => [replicaSet, replicas]));
  const sizing = sizeAnnotations(limitsOf(deployment));
  return (current ? [current, ...olds] : olds).flatMap((replicaSet): DeploymentAction[] => {
    const isCurrent = replicaSet === current;
    const before = replicaSet.metadata.annotations ?? {};
    const minReadyBefore = replicaSet.spec?.minReadySeconds ?? 0;
    const replicas = sizes.get(replicaSet) ?? sizeOf(replicaSet);
    const annotations = {
      ...(isCurrent ? annotationsOfCurrent(world, replicaSet) : before),
      ...(sizes.has(replicaSet) ? sizing : {}),
    };
    const minReadySeconds = isCurrent ? (deployment.spec?.minReadySeconds ?? 0) : minReadyBefore;
    if (replicas === sizeOf(replicaSet) && minReadySeconds === minReadyBefore && same(annotations, before)) return [];
    return [{ type: 'update', replicaSet, replicas, annotations, minReadySeconds }];
  });
}

/** Empty old ReplicaSets beyond the history that is kept, lowest revision first. */
function cleanUp({ deployment, olds }: World): DeploymentAction[] {
  const kept = deployment.spec?.revisionHistoryLimit ?? 10;
  const alive = olds.filter(({ metadata }) => !metadata.deletionTimestamp);
  const surplus = alive.length - kept;
  if (surplus <= 0) return [];
  return [...alive]
    .sort((a, b) => revisionOf(a) - revisionOf(b))
    .slice(0, surplus)
    .filter(({ metadata, spec, status }) => {
      const seen = (status?.observedGeneration ?? 0) >= (metadata.generation ?? 0);
      return seen && (status?.replicas ?? 0) === 0 && spec?.replicas === 0;
    })
    .map((replicaSet) => ({ type: 'delete', replicaSet }));
}
