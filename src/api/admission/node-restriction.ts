/**
 * Admission: what the authorizer cannot decide from the URL alone. An agent (group system:nodes) writes its own Node, and
 * only pods that are bound to it; of pods it makes none but mirrors of its static ones.
 */
import { forbidden } from '../../machinery/status.ts';
import type { KubeObject, Pod } from '../../machinery/types.ts';
import { nodeNameOf } from '../authorization.ts';
import { groupResource } from '../kind-table.ts';
import type { RegistryContext } from '../registry-types.ts';
import type { User } from '../types.ts';
import { admitMirrorPod } from './mirror-pods.ts';
import type { AdmissionPlugin, AdmissionRequest } from './types.ts';

const verbs = { CREATE: 'create', UPDATE: 'update', DELETE: 'delete', CONNECT: 'connect to' };

/** StatusError 403 when the user is an agent and the object is not its own. Runs before anything else looks at the object. */
export const nodeRestriction: AdmissionPlugin = {
  name: 'NodeRestriction',
  // An eviction ends in a deletion, which is asked about too.
  handles({ target: { user, resolved, subresource } }) {
    return nodeNameOf(user) !== undefined && resolved.kind.group === '' && subresource !== 'eviction';
  },
  mutate: admitNodeWrite,
};

function admitNodeWrite(request: AdmissionRequest, context: RegistryContext): void {
  const { operation, target, object, oldObject } = request;
  const { kind } = target.resolved;
  const node = nodeNameOf(target.user);
  const verb = verbs[operation];
  const written = oldObject ?? object;
  if (!written) return;
  if (kind.plural === 'nodes' && written.metadata.name !== node) {
    throw forbidden(groupResource(kind), written.metadata.name, `node "${node}" is not allowed to ${verb} another node`);
  }
  if (kind.plural === 'pods' && operation === 'CREATE' && !target.subresource && node !== undefined) {
    admitMirrorPod(written as Pod, node, context);
    return;
  }
  if (kind.plural === 'pods' && (written as Pod).spec?.nodeName !== node) {
    const why = `node "${node}" can only ${verb} pods with spec.nodeName set to itself`;
    throw forbidden(groupResource(kind), written.metadata.name, why);
  }
}

/** StatusError 403 when an agent asks for a token that is not for a pod it runs. */
export function admitNodeToken(
  user: User,
  account: string,
  reference: { kind?: string; name?: string; uid?: string } | undefined,
  object: KubeObject | undefined,
): void {
  const node = nodeNameOf(user);
  if (node === undefined) return;
  const refuse = (why: string) => forbidden({ group: '', resource: 'serviceaccounts' }, account, why);
  if (reference?.kind !== 'Pod' || !reference.name || !object) throw refuse('node requested token not bound to a pod');
  if (!reference.uid) throw refuse('node requested token with a pod binding without a uid');
  if ((object as Pod).spec?.nodeName !== node) throw refuse('node requested token bound to a pod scheduled on a different node');
}
