/** Revisions of a Deployment: numbers in annotations, by which `kubectl rollout history` and `undo` find a template again. Pure. */
import type { Deployment, ReplicaSet } from '../../machinery/types.ts';
import type { Limits } from './limits.ts';

export const revisionAnnotation = 'deployment.kubernetes.io/revision';
const historyAnnotation = 'deployment.kubernetes.io/revision-history';
const desiredAnnotation = 'deployment.kubernetes.io/desired-replicas';
const maxAnnotation = 'deployment.kubernetes.io/max-replicas';
const historyLengthMax = 2_000;

/** These belong to one object and are not copied from the Deployment to its ReplicaSet. */
const notCopied = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  revisionAnnotation,
  historyAnnotation,
  desiredAnnotation,
  maxAnnotation,
  'deprecated.deployment.rollback.to',
]);

export function revisionOf(object: { metadata: { annotations?: Record<string, string> } }): number {
  const revision = Number.parseInt(object.metadata.annotations?.[revisionAnnotation] ?? '0', 10);
  return Number.isNaN(revision) ? 0 : revision;
}

export function desiredReplicasOf(replicaSet: ReplicaSet): number | undefined {
  return annotationNumber(replicaSet, desiredAnnotation);
}

export function maxReplicasOf(replicaSet: ReplicaSet): number | undefined {
  return annotationNumber(replicaSet, maxAnnotation);
}

function annotationNumber(replicaSet: ReplicaSet, name: string): number | undefined {
  const text = replicaSet.metadata.annotations?.[name];
  const number = text === undefined ? Number.NaN : Number.parseInt(text, 10);
  return Number.isNaN(number) ? undefined : number;
}

/** Tells later scalings what this size was a share of. */
export function sizeAnnotations({ replicas, surge }: Limits): Record<string, string> {
  return { [desiredAnnotation]: String(replicas), [maxAnnotation]: String(replicas + surge) };
}

/** One more than the highest among the old ones. */
export function nextRevision(olds: readonly ReplicaSet[]): number {
  return olds.reduce((highest, replicaSet) => Math.max(highest, revisionOf(replicaSet)), 0) + 1;
}

/**
 * Annotations of the ReplicaSet that is current: those of the Deployment (change-cause among them), the revision when it rises,
 * and the revisions it had before.
 */
export function currentAnnotations(
  deployment: Deployment,
  revision: number,
  existing: Record<string, string> | undefined,
): Record<string, string> {
  const annotations = { ...existing };
  for (const [name, value] of Object.entries(deployment.metadata.annotations ?? {})) {
    if (!notCopied.has(name)) annotations[name] = value;
  }
  const before = annotations[revisionAnnotation];
  if (before !== undefined && Number(before) >= revision) return annotations;
  annotations[revisionAnnotation] = String(revision);
  if (before === undefined) return annotations;
  const history = [...(annotations[historyAnnotation]?.split(',') ?? []), before];
  while (history.join().length > historyLengthMax) history.shift();
  annotations[historyAnnotation] = history.join();
  return annotations;
}
