/**
 * Which pods an agent may make: mirrors of its static pods, bound to it and owned by its Node, that give it nothing to read.
 * The words are those of Kubernetes' NodeRestriction.
 */
import { apiReferencesOf, isMirrorPod, mirrorAnnotation } from '../../machinery/mirror-pods.ts';
import { forbidden } from '../../machinery/status.ts';
import type { Pod } from '../../machinery/types.ts';
import type { RegistryContext } from '../registry-types.ts';
import { objectOf } from '../stored-objects.ts';

/** StatusError 403 when it is no such pod. */
export function admitMirrorPod(pod: Pod, node: string, context: RegistryContext): void {
  const refuse = (why: string) => forbidden({ group: '', resource: 'pods' }, pod.metadata.name, why);
  if (!isMirrorPod(pod)) {
    throw refuse(`pod does not have "${mirrorAnnotation}" annotation, node "${node}" can only create mirror pods`);
  }
  if (pod.spec?.nodeName !== node) throw refuse(`node "${node}" can only create pods with spec.nodeName set to itself`);
  const owners = pod.metadata.ownerReferences ?? [];
  if (owners.length > 1) throw refuse(`node "${node}" can only create pods with a single owner reference set to itself`);
  const owner = owners[0];
  if (owner?.apiVersion !== 'v1' || owner.kind !== 'Node' || owner.name !== node) {
    throw refuse(`node "${node}" can only create pods with an owner reference set to itself`);
  }
  if (!owner.controller) {
    throw refuse(`node "${node}" can only create pods with a controller owner reference set to itself`);
  }
  if (owner.blockOwnerDeletion) throw refuse(`node "${node}" must not set blockOwnerDeletion on an owner reference`);
  const stored = context.store.get(`/registry/core/nodes/${node}`);
  const expected = stored && objectOf(stored).metadata.uid;
  if (expected !== owner.uid) throw refuse(`node ${node} UID mismatch: expected ${expected ?? 'none'} got ${owner.uid}`);
  for (const what of apiReferencesOf(pod.spec)) throw refuse(`node "${node}" can not create pods that reference ${what}`);
}
