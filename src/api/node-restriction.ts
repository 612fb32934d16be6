/**
 * Admission: what the authorizer cannot decide from the URL alone. An agent (group system:nodes) writes its own Node, and
 * only pods that are bound to it.
 */
import type { KindDefinition } from '../machinery/kind.ts';
import { forbidden } from '../machinery/status.ts';
import type { KubeObject, Pod } from '../machinery/types.ts';
import { nodeNameOf } from './authorization.ts';
import { groupResource } from './kind-table.ts';
import type { User } from './types.ts';

export interface NodeWrite {
  user: User;
  kind: KindDefinition;
  verb: 'create' | 'update' | 'delete';
  subresource?: string;
  next: KubeObject | undefined;
  previous: KubeObject | undefined;
}

/** StatusError 403 when the user is an agent and the object is not its own. */
export function admitNodeWrite({ user, kind, verb, next, previous }: NodeWrite): void {
  const node = nodeNameOf(user);
  if (node === undefined || kind.group !== '') return;
  const object = previous ?? next;
  if (!object) return;
  if (kind.plural === 'nodes' && object.metadata.name !== node) {
    throw forbidden(groupResource(kind), object.metadata.name, `node "${node}" is not allowed to ${verb} another node`);
  }
  if (kind.plural === 'pods' && (object as Pod).spec?.nodeName !== node) {
    const why = `node "${node}" can only ${verb} pods with spec.nodeName set to itself`;
    throw forbidden(groupResource(kind), object.metadata.name, why);
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
