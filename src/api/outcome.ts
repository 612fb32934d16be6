/** What was written becomes the answer to the caller. */
import type { Status } from '../machinery/status.ts';
import type { KubeObject } from '../machinery/types.ts';
import { groupResource, isStorageVersion, type ResolvedKind } from './kind-table.ts';
import type { Outcome } from './registry-types.ts';
import { fromStorage } from './stored-objects.ts';
import type { Written } from './write-loop.ts';

/** `revision` 0 (a creation that is only tried) shows no resourceVersion. */
export function outcomeOf(resolved: ResolvedKind, done: Written, code: 200 | 201): Outcome {
  const object = fromStorage(resolved, done.revision === 0 ? unversioned(done.object) : done.object);
  if (!isStorageVersion(resolved) || done.revision === 0) return { code, object };
  return { code, object, stored: { value: done.value, revision: done.revision } };
}

function unversioned(object: KubeObject): KubeObject {
  const { resourceVersion: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

export function success(resolved: ResolvedKind, name: string, options: { uid?: string; code: 200 | 201 }): Outcome {
  const { group, resource } = groupResource(resolved.kind);
  const details = { name, ...(group ? { group } : {}), kind: resource, ...(options.uid ? { uid: options.uid } : {}) };
  const object: Status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details, code: options.code };
  return { code: options.code, object };
}
