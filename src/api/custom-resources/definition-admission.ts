/**
 * Admission: custom resources are made only while their definition is there and stays. Its revision becomes a condition of the write,
 * so nothing slips in behind a deletion that another peer has just accepted.
 */
import type { KindDefinition } from '../../machinery/kind.ts';
import { failure, forbidden } from '../../machinery/status.ts';
import type { Condition } from '../../store/types.ts';
import { groupResource } from '../kind-table.ts';
import type { RegistryContext } from '../registry-types.ts';
import { objectOf } from '../stored-objects.ts';

/** The conditions under which an object may be created. StatusError 403 or 404 when it may not. */
export function admitByDefinition({ store }: RegistryContext, kind: KindDefinition, name: string): Condition[] {
  const key = kind.definitionKey;
  if (key === undefined) return [];
  const record = store.get(key);
  if (!record) throw failure(404, 'NotFound', 'the server could not find the requested resource');
  if (objectOf(record).metadata.deletionTimestamp) {
    throw forbidden(groupResource(kind), name, 'create not allowed while custom resource definition is terminating');
  }
  return [{ key, modRevision: record.modRevision }];
}
