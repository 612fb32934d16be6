/**
 * DELETE: at once, after a grace period, or when the finalizers are gone. Whoever asks again may only shorten the grace.
 */
import type { KindDefinition } from '../machinery/kind.ts';
import { isReason, notFound } from '../machinery/status.ts';
import type { KubeObject } from '../machinery/types.ts';
import type { StoreRecord } from '../store/types.ts';
import { admissionRequest, withAdmitted } from './admission/request.ts';
import { groupResource } from './kind-table.ts';
import { admitNamespaceDeletion, isNamespaceKind, markTerminating } from './namespace-lifecycle.ts';
import { checkDeletionPreconditions, timestamp } from './object-metadata.ts';
import { outcomeOf, success } from './outcome.ts';
import { type ListRequest, listEntries } from './read.ts';
import type { DeletionOptions, NamedTarget, Outcome, RegistryContext, Target } from './registry-types.ts';
import { fromStorage, objectOf } from './stored-objects.ts';
import { finished } from './update.ts';
import { type Plan, writeLoop } from './write-loop.ts';

/** Kinds whose removal answers with the object; the others answer with a Status. */
const answersWithObject = new Set(['pods', 'services', 'serviceaccounts', 'persistentvolumeclaims', 'persistentvolumes']);
const parallelDeletions = 8;

/** `mark` changes the object in the write that begins its deletion; not when it is being deleted already. */
export async function deleteObject<T extends KubeObject>(
  context: RegistryContext,
  target: NamedTarget,
  options: DeletionOptions,
  mark?: (object: T) => void,
): Promise<Outcome> {
  const { kind } = target.resolved;
  const done = await writeLoop(context, target, options.dryRun ?? false, async (record) => {
    if (!record) throw notFound(groupResource(kind), target.name);
    return planDeletion(context, target, record, options, mark as ((object: KubeObject) => void) | undefined);
  });
  if (!done.removed || answersWithObject.has(kind.plural)) return outcomeOf(target.resolved, done, 200);
  return success(target.resolved, target.name, { uid: done.object.metadata.uid, code: 200 });
}

async function planDeletion(
  context: RegistryContext,
  target: NamedTarget,
  record: StoreRecord,
  options: DeletionOptions,
  mark?: (object: KubeObject) => void,
): Promise<Plan> {
  const { kind } = target.resolved;
  const current = objectOf(record);
  checkDeletionPreconditions(current, kind, options.preconditions ?? {});
  if (isNamespaceKind(kind)) admitNamespaceDeletion(current);
  const request = admissionRequest({ operation: 'DELETE', target, oldObject: current, options });
  await context.admission.admit(request, context);
  const next = structuredClone(current);
  if (!current.metadata.deletionTimestamp) {
    kind.prepareDelete?.(next, { nowMs: context.clock.wallMs() });
    mark?.(next);
  }
  if (kind.defaultPropagation !== 'Unsupported') setFinalizers(next, options.propagationPolicy ?? defaultPolicy(kind));
  setDeletion(next, kind, options.gracePeriodSeconds, context.clock.wallMs());
  return withAdmitted(finished(context, kind, next) ?? { next }, request);
}

/** A kind whose dependents are kept by default says so; otherwise an unnamed policy leaves the finalizers as they are. */
function defaultPolicy(kind: KindDefinition): 'Orphan' | undefined {
  return kind.defaultPropagation === 'Orphan' ? 'Orphan' : undefined;
}

function setFinalizers({ metadata }: KubeObject, policy: DeletionOptions['propagationPolicy']): void {
  if (!policy) return;
  const kept = (metadata.finalizers ?? []).filter((finalizer) => finalizer !== 'orphan' && finalizer !== 'foregroundDeletion');
  if (policy === 'Orphan') kept.push('orphan');
  if (policy === 'Foreground') kept.push('foregroundDeletion');
  if (kept.length > 0) metadata.finalizers = kept;
  else delete metadata.finalizers;
}

function setDeletion(object: KubeObject, kind: KindDefinition, requested: number | undefined, wallMs: number): void {
  const { metadata } = object;
  if (metadata.deletionTimestamp) {
    const running = metadata.deletionGracePeriodSeconds ?? 0;
    if (requested === undefined || requested < 0 || requested >= running) return;
    const startedMs = Date.parse(metadata.deletionTimestamp) - running * 1000;
    metadata.deletionTimestamp = timestamp(startedMs + requested * 1000);
    metadata.deletionGracePeriodSeconds = requested;
    return;
  }
  const graceSeconds = Math.max(0, kind.gracePeriodSeconds?.(object, requested) ?? 0);
  metadata.deletionTimestamp = timestamp(wallMs + graceSeconds * 1000);
  metadata.deletionGracePeriodSeconds = graceSeconds;
  if (metadata.generation !== undefined) metadata.generation += 1;
  if (isNamespaceKind(kind)) markTerminating(object);
}

/** Deletes what the selectors choose; gives what was chosen. Objects that vanish meanwhile are no error. */
export async function deleteCollection(
  context: RegistryContext,
  target: Target,
  request: ListRequest,
  options: DeletionOptions,
): Promise<{ resourceVersion: string; items: KubeObject[] }> {
  const { entries, revision } = await listEntries(context, target, request);
  const waiting = entries.map((entry) => entry.object).values();
  const items: KubeObject[] = [];
  const work = async () => {
    for (const object of waiting) {
      items.push(fromStorage(target.resolved, object));
      const { name, namespace, uid } = object.metadata;
      const preconditions = { ...options.preconditions, uid };
      try {
        await deleteObject(context, { ...target, namespace, name }, { ...options, preconditions });
      } catch (error) {
        if (!isReason(error, 'NotFound') && !isReason(error, 'Conflict')) throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: parallelDeletions }, work));
  return { resourceVersion: String(revision), items };
}
