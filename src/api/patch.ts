/**
 * PATCH: the patch is applied to the stored object in the version that was asked for, then goes the way of an update. A
 * patch that names no resourceVersion is applied again when others changed the object in between.
 */
import type { PatchType } from '../machinery/client.ts';
import { applyJsonPatch } from '../machinery/json-patch.ts';
import { applyMergePatch } from '../machinery/merge-patch.ts';
import { failure, notFound, type StatusError } from '../machinery/status.ts';
import { applyStrategicMerge } from '../machinery/strategic-merge.ts';
import type { KubeObject } from '../machinery/types.ts';
import { groupResource } from './kind-table.ts';
import { checkIdentity, decodeInput } from './object-input.ts';
import { outcomeOf } from './outcome.ts';
import type { NamedTarget, Outcome, RegistryContext, WriteOptions } from './registry-types.ts';
import { fromStorage, objectOf } from './stored-objects.ts';
import { planUpdate } from './update.ts';
import { writeLoop } from './write-loop.ts';

/** The subresource may be 'status' or 'ephemeralcontainers'. */
export async function patchObject(
  context: RegistryContext,
  target: NamedTarget,
  patch: { type: PatchType; body: unknown },
  options: WriteOptions,
): Promise<Outcome> {
  const { resolved } = target;
  const warningsBefore = options.warnings.length;
  if (patch.type === 'apply') throw applyUnsupported();
  const done = await writeLoop(context, target, options.dryRun, (record) => {
    if (!record) throw notFound(groupResource(resolved.kind), target.name);
    const current = fromStorage(resolved, objectOf(record));
    const patched = structuredClone(applyPatch(current, patch, resolved.version.schema));
    const warnings: string[] = [];
    const next = decodeInput(resolved, patched, { ...options, warnings }, 'patch');
    options.warnings.splice(warningsBefore, Number.POSITIVE_INFINITY, ...warnings);
    checkIdentity(target, next);
    return planUpdate(context, target, record, next);
  });
  return outcomeOf(resolved, done, 200);
}

/** A patched copy; `object` stays as it is. StatusError 415 for server-side apply. */
export function applyPatch(object: KubeObject, patch: { type: PatchType; body: unknown }, schemaName: string): object {
  switch (patch.type) {
    case 'json':
      return applyJsonPatch(object, patch.body);
    case 'merge':
      return applyMergePatch(object, patch.body) as object;
    case 'strategic':
      return applyStrategicMerge(object, patch.body, schemaName);
    case 'apply':
      throw applyUnsupported();
  }
}

function applyUnsupported(): StatusError {
  const message = 'server-side apply is not supported by this server yet: use kubectl apply without --server-side';
  return failure(415, 'UnsupportedMediaType', message);
}
