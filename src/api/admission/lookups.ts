/** What plugins share: which requests are theirs, what they look up in this peer's store, and how they refuse. */
import { forbidden, type StatusError } from '../../machinery/status.ts';
import type { KubeObject } from '../../machinery/types.ts';
import type { StoreReader } from '../../store/types.ts';
import { groupResource } from '../kind-table.ts';
import { objectOf } from '../stored-objects.ts';
import type { AdmissionRequest } from './types.ts';

type Operation = AdmissionRequest['operation'];

/** True for one of these operations on objects of this resource themselves, not on a subresource. */
export function isAbout(
  { operation, target }: AdmissionRequest,
  group: string,
  plural: string,
  operations: Operation[],
): boolean {
  const { kind } = target.resolved;
  return kind.plural === plural && kind.group === group && !target.subresource && operations.includes(operation);
}

export const isPodResize = ({ operation, target: { resolved, subresource } }: AdmissionRequest): boolean =>
  operation === 'UPDATE' && subresource === 'resize' && resolved.kind.plural === 'pods' && resolved.kind.group === '';

export const isNewPod = (request: AdmissionRequest): boolean => isAbout(request, '', 'pods', ['CREATE']);

/** `resource` with its group, for example `core/limitranges`. The objects are shared: never change one. In order of their names. */
export function storedList<T extends KubeObject>(store: StoreReader, resource: string, namespace?: string): T[] {
  const prefix = `/registry/${resource}/${namespace === undefined ? '' : `${namespace}/`}`;
  return store.list(prefix).records.map((record) => objectOf(record) as T);
}

export function storedObject<T extends KubeObject>(store: StoreReader, resource: string, name: string): T | undefined {
  const record = store.get(`/registry/${resource}/${name}`);
  return record && (objectOf(record) as T);
}

/** StatusError 403 about the object of the request. */
export function refusal({ target }: AdmissionRequest, why: string): StatusError {
  return forbidden(groupResource(target.resolved.kind), target.name, why);
}

/** Plugins run again when a write is tried again; its caller is told once. */
export function warn({ warnings }: AdmissionRequest, text: string): void {
  if (!warnings.includes(text)) warnings.push(text);
}

/** Several complaints as one. */
export function joined(complaints: readonly string[]): string {
  return complaints.length === 1 ? (complaints[0] as string) : `[${complaints.join(', ')}]`;
}

/** The newest first; of equal age by name. */
export function newestFirst(a: KubeObject, b: KubeObject): number {
  const age = ({ metadata }: KubeObject) => Date.parse(metadata.creationTimestamp ?? '');
  return age(b) - age(a) || (a.metadata.name < b.metadata.name ? -1 : 1);
}
