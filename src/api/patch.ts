/**
 * PATCH: the patch is applied to the stored object in the version that was asked for, then goes the way of an update. A
 * patch that names no resourceVersion is applied again when others changed the object in between.
 */

import type { PatchType } from '../machinery/client.ts';
import { copyJson } from '../machinery/copy.ts';
import { applyJsonPatch } from '../machinery/json-patch.ts';
import { applyMergePatch } from '../machinery/merge-patch.ts';
import { notFound } from '../machinery/status.ts';
import { applyStrategicMerge } from '../machinery/strategic-merge.ts';
import type { KubeObject } from '../machinery/types.ts';
import { applyObject } from './apply.ts';
import { checkPatchOptions, updateTracker, withoutManaged } from './field-tracking.ts';
import { groupResource } from './kind-table.ts';
import { checkIdentity, decodeInput, isRecord } from './object-input.ts';
import { checkSameUid } from './object-metadata.ts';
import { outcomeOf } from './outcome.ts';
import type { NamedTarget, Outcome, RegistryContext, WriteOptions } from './registry-types.ts';
import { fromStorage, objectOf } from './stored-objects.ts';
import { planUpdate } from './update.ts';
import { writeLoop } from './write-loop.ts';

/** The subresource may be 'status', 'ephemeralcontainers' or 'resize'. */
export async function patchObject(
  context: RegistryContext,
  target: NamedTarget,
  patch: { type: PatchType; body: unknown },
  options: WriteOptions,
): Promise<Outcome> {
  const { resolved } = target;
  const warningsBefore = options.warnings.length;
  if (patch.type === 'apply') return applyObject(context, target, patch.body, options);
  const { type } = patch;
  checkPatchOptions(type, options);
  const track = updateTracker(context, target, options);
  const whole = speaksOfManaged(patch);
  const done = await writeLoop(context, target, options.dryRun, async (record) => {
    if (!record) throw notFound(groupResource(resolved.kind), target.name);
    const stored = fromStorage(resolved, objectOf(record));
    const current = whole ? stored : withoutManaged(stored);
    const patched = copyJson(applyPatch(current, { ...patch, type }, resolved.version.schema));
    const warnings: string[] = [];
    const next = decodeInput(resolved, patched, { ...options, warnings }, 'patch');
    options.warnings.splice(warningsBefore, Number.POSITIVE_INFINITY, ...warnings);
    checkIdentity(target, next);
    checkSameUid(next, stored, resolved.kind);
    return planUpdate(context, target, record, next, { track, options });
  });
  return outcomeOf(resolved, done, 200);
}

/** Most patches do not, and need not carry what is often the larger half of an object. */
function speaksOfManaged({ type, body }: { type: PatchType; body: unknown }): boolean {
  if (type === 'json') return JSON.stringify(body)?.includes('managedFields') ?? false;
  return isRecord(body) && isRecord(body.metadata) && 'managedFields' in body.metadata;
}

/** A patched copy; `object` stays as it is. Apply is another matter: see apply.ts. */
export function applyPatch(
  object: KubeObject,
  patch: { type: Exclude<PatchType, 'apply'>; body: unknown },
  schemaName: string,
): object {
  switch (patch.type) {
    case 'json':
      return applyJsonPatch(object, patch.body);
    case 'merge':
      return applyMergePatch(object, patch.body) as object;
    case 'strategic':
      return applyStrategicMerge(object, patch.body, schemaName);
  }
}
