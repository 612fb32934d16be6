/** PUT to an object or to its status: the next state of what is stored. */

import { copyJson } from '../machinery/copy.ts';
import type { KindDefinition } from '../machinery/kind.ts';
import { validateMetadataUpdate } from '../machinery/metadata.ts';
import { notFound } from '../machinery/status.ts';
import type { KubeObject } from '../machinery/types.ts';
import type { StoreRecord } from '../store/types.ts';
import { admissionRequest, withAdmitted } from './admission/request.ts';
import { demandCreation, planCreation } from './create.ts';
import { invalidObject, uniqueErrors } from './field-errors.ts';
import { setManaged, type Track, updateTracker, withoutManaged } from './field-tracking.ts';
import { groupResource, statusSubresourcesOf } from './kind-table.ts';
import { isNamespaceKind, namespaceFinalizers } from './namespace-lifecycle.ts';
import { checkIdentity, decodeInput } from './object-input.ts';
import { checkPreconditions, countGeneration, inheritOwned, newUid } from './object-metadata.ts';
import { outcomeOf } from './outcome.ts';
import { planEphemeral } from './pod-ephemeral.ts';
import { planResize } from './pod-resize.ts';
import { admitRoleWrite } from './rbac/escalation.ts';
import type { NamedTarget, Outcome, RegistryContext, WriteOptions } from './registry-types.ts';
import { isServiceKind } from './service-claims.ts';
import { objectOf } from './stored-objects.ts';
import { type Plan, writeLoop } from './write-loop.ts';

type Loose = KubeObject & { status?: unknown };

/** Takes over `body`. The subresource may be 'status' or another one that changes the status, 'ephemeralcontainers' or 'resize'. */
export async function updateObject(
  context: RegistryContext,
  target: NamedTarget,
  body: unknown,
  options: WriteOptions,
): Promise<Outcome> {
  const { kind } = target.resolved;
  const input = decodeInput(target.resolved, body, options);
  checkIdentity(target, input);
  const uid = newUid(context.random);
  const track = updateTracker(context, target, options);
  let created = false;
  const done = await writeLoop(context, target, options.dryRun, async (record) => {
    created = !record;
    if (record) return planUpdate(context, target, record, copyJson(input), { track, options });
    if (!kind.createOnUpdate || target.subresource) throw notFound(groupResource(kind), target.name);
    demandCreation(context, target);
    return planCreation(context, target, copyJson(input), { uid, track, options });
  });
  return outcomeOf(target.resolved, done, (done.created ?? created) ? 201 : 200);
}

/** The write that makes `next` (which is changed) follow the record. StatusError 409 when it is about another state. */
export async function planUpdate(
  context: RegistryContext,
  target: NamedTarget,
  record: StoreRecord,
  next: KubeObject,
  { track, options }: { track: Track; options: WriteOptions },
): Promise<Plan> {
  const current = objectOf(record);
  checkPreconditions(current, target.resolved.kind, next.metadata);
  const { managedFields } = next.metadata;
  inheritOwned(next, current);
  const { subresource, resolved } = target;
  const changed = {
    current,
    next,
    options,
    track: (object: KubeObject) => setManaged(object, track(current, object, managedFields)),
  };
  if (subresource === 'ephemeralcontainers') return planEphemeral(context, target, changed);
  if (subresource === 'resize') return planResize(context, target, changed);
  if (subresource === undefined || !statusSubresourcesOf(resolved.kind).includes(subresource)) {
    return planMain(context, target, changed);
  }
  return planStatus(context, { ...target, subresource }, changed);
}

export interface Change {
  current: KubeObject;
  next: KubeObject;
  options: WriteOptions;
  /** Records who owns what. Called when the object is as its writer may have it, before the server adds what it allots. */
  track(object: KubeObject): void;
}

async function planMain(
  context: RegistryContext,
  target: NamedTarget,
  { current, next: given, track, options }: Change,
): Promise<Plan> {
  const { kind } = target.resolved;
  const request = admissionRequest({ operation: 'UPDATE', target, object: given, oldObject: current, options });
  const settle = (object: KubeObject) => {
    inheritOwned(object, current);
    if (kind.hasStatus) setStatus(object, (current as Loose).status);
    kind.setDefaults(object);
  };
  settle(given);
  const next = await context.admission.mutate(request, context, settle);
  kind.prepare?.(next, current, { nowMs: context.clock.wallMs(), creating: false, user: target.user });
  track(next);
  admitRoleWrite(context.access, { user: target.user, kind, next, previous: current });
  const claims = isServiceKind(kind) ? context.claims.claim(next, current) : undefined;
  countGeneration(next, current, kind);
  const errors = uniqueErrors(
    kind.validate(next, current),
    validateMetadataUpdate(next.metadata, current.metadata),
    kind.validateUpdate?.(next, current) ?? [],
  );
  if (errors.length > 0) throw invalidObject(kind, target.name, errors);
  await context.admission.validate(request, context);
  return withAdmitted(finished(context, kind, next) ?? { next, ...claims }, request);
}

type StatusTarget = NamedTarget & { subresource: string };

async function planStatus(
  context: RegistryContext,
  target: StatusTarget,
  { current, next: given, track, options }: Change,
): Promise<Plan> {
  const { subresource } = target;
  const { kind } = target.resolved;
  const based = copyJson(withoutManaged(current));
  setStatus(based, (given as Loose).status);
  const request = admissionRequest({ operation: 'UPDATE', target, object: based, oldObject: current, options });
  kind.setDefaults(based);
  const next = await context.admission.mutate(request, context, (object) => {
    inheritOwned(object, current);
    kind.setDefaults(object);
  });
  kind.prepareStatus?.(next, current, { nowMs: context.clock.wallMs(), subresource });
  track(next);
  const errors = kind.validateStatusUpdate?.(next, current) ?? [];
  if (errors.length > 0) throw invalidObject(kind, target.name, errors);
  await context.admission.validate(request, context);
  return withAdmitted(finished(context, kind, next) ?? { next }, request);
}

function setStatus(object: KubeObject, status: unknown): void {
  if (status === undefined) delete (object as Loose).status;
  else (object as Loose).status = copyJson(status);
}

/** An object whose deletion waited only for its finalizers goes away with the last of them. */
export function finished(context: RegistryContext, kind: KindDefinition, next: KubeObject): Plan | undefined {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, finalizers = [] } = next.metadata;
  if (!deletionTimestamp || deletionGracePeriodSeconds > 0 || finalizers.length > 0) return undefined;
  if (isNamespaceKind(kind) && namespaceFinalizers(next).length > 0) return undefined;
  return { next: undefined, operations: isServiceKind(kind) ? context.claims.release(next) : [] };
}
