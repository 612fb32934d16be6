/** Admission: one priority class at most is the default of all pods. */
import type { KindDefinition } from '../machinery/kind.ts';
import type { PriorityClass } from '../machinery/kind-types.ts';
import { conflict } from '../machinery/status.ts';
import type { KubeObject } from '../machinery/types.ts';
import { groupResource } from './kind-table.ts';
import type { RegistryContext } from './registry-types.ts';
import { objectOf, prefixOf } from './stored-objects.ts';

/** StatusError 409 when `object` wants to be the default and another class is. */
export function admitPriorityClass(context: RegistryContext, kind: KindDefinition, object: KubeObject): void {
  if (kind.group !== 'scheduling.k8s.io' || kind.plural !== 'priorityclasses') return;
  const { metadata, globalDefault } = object as PriorityClass;
  if (!globalDefault) return;
  const { records } = context.store.list(prefixOf(kind));
  const classes = records.map((record) => objectOf(record) as PriorityClass);
  const other = classes.find((candidate) => candidate.globalDefault && candidate.metadata.name !== metadata.name);
  if (!other) return;
  const why = `PriorityClass ${other.metadata.name} is already marked as default. Only one PriorityClass can be marked as default`;
  throw conflict(groupResource(kind), metadata.name, why);
}
