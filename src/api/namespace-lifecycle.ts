/**
 * Admission: objects are made only in namespaces that exist and are not being deleted. The namespace's revision becomes a
 * condition of the write, so nothing slips in behind a deletion that another peer has just accepted.
 */
import type { KindDefinition } from '../machinery/kind.ts';
import { conflict, failure, forbidden, notFound } from '../machinery/status.ts';
import type { KubeObject, Namespace } from '../machinery/types.ts';
import type { Condition } from '../store/types.ts';
import { groupResource } from './kind-table.ts';
import type { RegistryContext } from './registry-types.ts';
import { namespaceKey, objectOf } from './stored-objects.ts';

const namespaceResource = { group: '', resource: 'namespaces' };
const immortal = new Set(['default', 'kube-system', 'kube-public']);

export function isNamespaceKind(kind: KindDefinition): boolean {
  return kind.group === '' && kind.plural === 'namespaces';
}

/** The conditions under which `name` may be created. StatusError 404 or 403 when it may not. */
export function admitIntoNamespace(
  context: RegistryContext,
  kind: KindDefinition,
  namespace: string | undefined,
  name: string,
): Condition[] {
  if (!kind.namespaced || namespace === undefined) return [];
  const key = namespaceKey(namespace);
  const record = context.store.get(key);
  if (!record) throw notFound(namespaceResource, namespace);
  const { metadata, status } = objectOf(record) as Namespace;
  if (metadata.deletionTimestamp || status?.phase === 'Terminating') {
    const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
    const { message, details } = forbidden(groupResource(kind), name, why).status;
    throw failure(403, 'Forbidden', message ?? why, {
      ...details,
      causes: [
        { reason: 'NamespaceTerminating', message: `namespace ${namespace} is being terminated`, field: 'metadata.namespace' },
      ],
    });
  }
  return [{ key, modRevision: record.modRevision }];
}

/** StatusError 403 for namespaces that the cluster cannot do without, 409 when the deletion is under way already. */
export function admitNamespaceDeletion(object: KubeObject): void {
  const { name, deletionTimestamp } = object.metadata;
  if (immortal.has(name)) throw forbidden(namespaceResource, name, 'this namespace may not be deleted');
  if (deletionTimestamp && namespaceFinalizers(object).length > 0) {
    throw conflict(namespaceResource, name, 'the content of this namespace is being removed; it goes away by itself after that');
  }
}

/** A namespace stays until its content is gone: then the namespace controller empties this list through `/finalize`. */
export function namespaceFinalizers(object: KubeObject): string[] {
  return (object as Namespace).spec?.finalizers ?? [];
}

/** Marks a namespace that is being deleted, in place. */
export function markTerminating(object: KubeObject): void {
  const namespace = object as Namespace;
  namespace.status = { ...namespace.status, phase: 'Terminating' };
}
