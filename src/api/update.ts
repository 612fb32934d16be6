/** PUT to an object or to its status: the next state of what is stored. */

import { copyJson } from '../machinery/copy.ts';
import type { KindDefinition } from '../machinery/kind.ts';
import { validateMetadataUpdate } from '../machinery/metadata.ts';
import { notFound } from '../machinery/status.ts';
import type { KubeObject } from '../machinery/types.ts';
import type { StoreRecord } from '../store/types.ts';
import { planCreation } from './create.ts';
import { invalidObject, uniqueErrors } from './field-errors.ts';
import { setManaged, type Track, updateTracker, withoutManaged } from './field-tracking.ts';
import { groupResource, statusSubresourcesOf } from './kind-table.ts';
import { isNamespaceKind, namespaceFinalizers } from './namespace-lifecycle.ts';
import { admitNodeWrite } from './node-restriction.ts';
import { checkIdentity, decodeInput } from './object-input.ts';
import { checkPreconditions, countGeneration, inheritOwned, newUid } from './object-metadata.ts';
import { outcomeOf } from './outcome.ts';
import { planEphemeral } from './pod-ephemeral.ts';
import { admitPriorityClass } from './priority-classes.ts';
import { admitRoleWrite } from './rbac/escalation.ts';
import type { NamedTarget, Outcome, RegistryContext, WriteOptions } from './registry-types.ts';
import { isServiceKind } from './service-claims.ts';
import { objectOf } from './stored-objects.ts';
import { type Plan, writeLoop } from './write-loop.ts';

type Loose = KubeObject & { status?: unknown };

/** Takes over `body`. The subresource may be 'status' or another one that changes the status, or 'ephemeralcontainers'. */
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
  const done = await writeLoop(context, target, options.dryRun, (record) => {
    created = !record;
    if (record) return planUpdate(context, target, record, copyJson(input), track);
    if (!kind.createOnUpdate || target.subresource) throw notFound(groupResource(kind), target.name);
    return planCreation(context, target, copyJson(input), { uid, track });
  });
  return outcomeOf(target.resolved, done, created ? 201 : 200);
}

/** The write that makes `next` (which is changed) follow the record. StatusError 409 when it is about another state. */
export function planUpdate(
  context: RegistryContext,
  target: NamedTarget,
  record: StoreRecord,
  next: KubeObject,
  track: Track,
): Plan {
  const current = objectOf(record);
  checkPreconditions(current, target.resolved.kind, next.metadata);
  const { managedFields } = next.metadata;
  inheritOwned(next, current);
  const { subresource, resolved } = target;
  const changed = { current, next, track: (object: KubeObject) => setManaged(object, track(current, object, managedFields)) };
  if (subresource === 'ephemeralcontainers') return planEphemeral(target, changed);
  if (subresource === undefined || !statusSubresourcesOf(resolved.kind).includes(subresource)) {
    return planMain(context, target, changed);
  }
  return planStatus(context, { ...target, subresource }, changed);
}

export interface Change {
  current: KubeObject;
  next: KubeObject;
  /** Records who owns what. Called when the object is as its writer may have it, before the server adds what it allots. */
  track(object: KubeObject): void;
}

function planMain(context: RegistryContext, target: NamedTarget, { current, next, track }: Change): Plan {
  const { kind } = target.resolved;
  if (kind.hasStatus) setStatus(next, (current as Loose).status);
  admitNodeWrite({ user: target.user, kind, verb: 'update', next, previous: current });
  kind.setDefaults(next);
  kind.prepare?.(next, current, { nowMs: context.clock.wallMs(), creating: false, user: target.user });
  track(next);
  admitPriorityClass(context, kind, next);
  admitRoleWrite(context.access, { user: target.user, kind, next, previous: current });
  const claims = isServiceKind(kind) ? context.claims.claim(next, current) : undefined;
  countGeneration(next, current, kind);
  const errors = uniqueErrors(
    kind.validate(next),
    validateMetadataUpdate(next.metadata, current.metadata),
    kind.validateUpdate?.(next, current) ?? [],
  );
  if (errors.length > 0) throw invalidObject(kind, target.name, errors);
  return finished(context, kind, next) ?? { next, conditions: claims?.conditions ?? [], operations: claims?.operations ?? [] };
}

type StatusTarget = NamedTarget & { subresource: string };

function planStatus(context: RegistryContext, target: StatusTarget, { current, next: given, track }: Change): Plan {
  const { subresource } = target;
  const { kind } = target.resolved;
  const next = copyJson(withoutManaged(current));
  setStatus(next, (given as Loose).status);
  admitNodeWrite({ user: target.user, kind, verb: 'update', subresource, next, previous: current });
  kind.setDefaults(next);
  kind.prepareStatus?.(next, current, { nowMs: context.clock.wallMs(), subresource });
  track(next);
  const errors = kind.validateStatusUpdate?.(next, current) ?? [];
  if (errors.length > 0) throw invalidObject(kind, target.name, errors);
  return finished(context, kind, next) ?? { next };
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
