/** The status of a Deployment: counters, and the conditions that `kubectl rollout status` and `wait` read. Pure. */
import type { Deployment, ReplicaSet } from '../../machinery/types.ts';
import { withCondition, withoutCondition } from '../conditions.ts';
import { timeMs } from '../pod-state.ts';
import { limitsOf, sum } from './limits.ts';

export type DeploymentStatus = NonNullable<Deployment['status']>;

/** A deadline of this many seconds (the largest 32-bit number) means none. */
const noDeadline = 2_147_483_647;

export interface StatusInput {
  deployment: Deployment;
  current: ReplicaSet | undefined;
  olds: readonly ReplicaSet[];
  nowMs: number;
  /** A condition that the step itself brings, for example that a ReplicaSet was created. */
  progress?: { status: 'True' | 'False'; reason: string; message: string };
  collisionCount?: number;
}

export function hasDeadline({ spec }: Deployment): boolean {
  const seconds = spec?.progressDeadlineSeconds;
  return seconds !== undefined && seconds !== null && seconds !== noDeadline;
}

/** Counters and the condition Available; Progressing is as it was. */
export function countStatus({ deployment, current, olds, nowMs, collisionCount }: StatusInput): DeploymentStatus {
  const all = current ? [current, ...olds] : olds;
  const limits = limitsOf(deployment);
  const replicas = sum(all, ({ status }) => status?.replicas ?? 0);
  const available = sum(all, ({ status }) => status?.availableReplicas ?? 0);
  const enough = available >= limits.replicas - limits.unavailable;
  const collisions = collisionCount ?? deployment.status?.collisionCount;
  const conditions = withCondition(
    deployment.status?.conditions,
    {
      type: 'Available',
      status: enough ? 'True' : 'False',
      reason: enough ? 'MinimumReplicasAvailable' : 'MinimumReplicasUnavailable',
      message: `Deployment ${enough ? 'has' : 'does not have'} minimum availability.`,
    },
    nowMs,
    { updateTime: true },
  );
  return {
    observedGeneration: deployment.metadata.generation ?? 0,
    replicas,
    updatedReplicas: current?.status?.replicas ?? 0,
    readyReplicas: sum(all, ({ status }) => status?.readyReplicas ?? 0),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, replicas - available),
    ...(collisions === undefined || collisions === null ? {} : { collisionCount: collisions }),
    conditions,
  };
}

/** Everything wanted runs, and nothing else does. */
export function isComplete(deployment: Deployment, status: DeploymentStatus): boolean {
  const wanted = deployment.spec?.replicas ?? 1;
  return (
    status.updatedReplicas === wanted &&
    status.replicas === wanted &&
    status.availableReplicas === wanted &&
    (status.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0)
  );
}

/** The status in the middle of a rollout, or after it. */
export function rolloutStatus(input: StatusInput): DeploymentStatus {
  const { deployment, current, olds, nowMs, progress } = input;
  const status = countStatus(input);
  let conditions = status.conditions ?? [];
  if (!hasDeadline(deployment)) conditions = withoutCondition(conditions, 'Progressing');
  else if (progress) conditions = withCondition(conditions, { type: 'Progressing', ...progress }, nowMs, { updateTime: true });
  else {
    const next = nextProgress(deployment, status, current, nowMs);
    if (next) {
      const options = { updateTime: true, always: next.reason === 'ReplicaSetUpdated' };
      conditions = withCondition(conditions, { type: 'Progressing', ...next }, nowMs, options);
    }
  }
  const failure = failureOf(current, olds);
  conditions = failure
    ? withCondition(conditions, { type: 'ReplicaFailure', ...failure }, nowMs, { updateTime: true })
    : withoutCondition(conditions, 'ReplicaFailure');
  return { ...status, conditions };
}

function nextProgress(deployment: Deployment, status: DeploymentStatus, current: ReplicaSet | undefined, nowMs: number) {
  const condition = deployment.status?.conditions?.find(({ type }) => type === 'Progressing');
  // A finished rollout stays finished when only the number of pods changes.
  if (status.replicas === status.updatedReplicas && condition?.reason === 'NewReplicaSetAvailable') return undefined;
  const what = current ? `ReplicaSet "${current.metadata.name}"` : `Deployment "${deployment.metadata.name}"`;
  if (isComplete(deployment, status)) {
    return { status: 'True', reason: 'NewReplicaSetAvailable', message: `${what} has successfully progressed.` };
  }
  if (hasMoved(deployment.status, status)) {
    return { status: 'True', reason: 'ReplicaSetUpdated', message: `${what} is progressing.` };
  }
  const left = deadlineLeftMs(deployment, nowMs);
  if (left !== undefined && left <= 0) {
    return { status: 'False', reason: 'ProgressDeadlineExceeded', message: `${what} has timed out progressing.` };
  }
  return undefined;
}

/** More new pods, fewer old ones, or more that are ready or available. */
function hasMoved(before: DeploymentStatus | undefined, after: DeploymentStatus): boolean {
  const updated = (status: DeploymentStatus | undefined) => status?.updatedReplicas ?? 0;
  const old = (status: DeploymentStatus | undefined) => (status?.replicas ?? 0) - updated(status);
  return (
    updated(after) > updated(before) ||
    old(after) < old(before) ||
    (after.readyReplicas ?? 0) > (before?.readyReplicas ?? 0) ||
    (after.availableReplicas ?? 0) > (before?.availableReplicas ?? 0)
  );
}

/** Milliseconds until the rollout counts as stuck; undefined when it is not on its way or has no deadline. */
export function deadlineLeftMs(deployment: Deployment, nowMs: number): number | undefined {
  if (!hasDeadline(deployment) || deployment.spec?.paused) return undefined;
  const condition = deployment.status?.conditions?.find(({ type }) => type === 'Progressing');
  if (!condition || condition.reason === 'NewReplicaSetAvailable' || condition.reason === 'ProgressDeadlineExceeded') {
    return undefined;
  }
  const sinceMs = timeMs(condition.lastUpdateTime) ?? nowMs;
  return sinceMs + (deployment.spec?.progressDeadlineSeconds ?? 0) * 1000 - nowMs;
}

function failureOf(current: ReplicaSet | undefined, olds: readonly ReplicaSet[]) {
  for (const replicaSet of current ? [current, ...olds] : olds) {
    const condition = replicaSet.status?.conditions?.find(({ type }) => type === 'ReplicaFailure');
    if (condition) return { status: condition.status, reason: condition.reason ?? '', message: condition.message ?? '' };
  }
  return undefined;
}

/** Conditions after `kubectl rollout pause` or `resume`; undefined when they already say so. */
export function pauseConditions(deployment: Deployment, nowMs: number): DeploymentStatus['conditions'] | undefined {
  if (!hasDeadline(deployment)) return undefined;
  const conditions = deployment.status?.conditions;
  const reason = conditions?.find(({ type }) => type === 'Progressing')?.reason;
  const paused = deployment.spec?.paused === true;
  // What a finished or stuck rollout said stays readable while it is paused only if it was stuck.
  if (reason === 'ProgressDeadlineExceeded' || paused === (reason === 'DeploymentPaused')) return undefined;
  const next = paused
    ? { reason: 'DeploymentPaused', message: 'Deployment is paused' }
    : { reason: 'DeploymentResumed', message: 'Deployment is resumed' };
  return withCondition(conditions, { type: 'Progressing', status: 'Unknown', ...next }, nowMs, { updateTime: true });
}
