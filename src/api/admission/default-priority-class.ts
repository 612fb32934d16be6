/** Admission: one priority class at most is the default of all pods. */
import type { PriorityClass } from '../../machinery/kind-types.ts';
import { conflict } from '../../machinery/status.ts';
import { groupResource } from '../kind-table.ts';
import { objectOf, prefixOf } from '../stored-objects.ts';
import type { AdmissionPlugin } from './types.ts';

/** StatusError 409 when the object wants to be the default and another class is. */
export const defaultPriorityClass: AdmissionPlugin = {
  name: 'Priority',
  handles({ operation, target: { resolved } }) {
    const { group, plural } = resolved.kind;
    return operation !== 'DELETE' && group === 'scheduling.k8s.io' && plural === 'priorityclasses';
  },
  validate({ object, target }, { store }) {
    const { kind } = target.resolved;
    const { metadata, globalDefault } = object as PriorityClass;
    if (!globalDefault) return;
    const classes = store.list(prefixOf(kind)).records.map((record) => objectOf(record) as PriorityClass);
    const other = classes.find((candidate) => candidate.globalDefault && candidate.metadata.name !== metadata.name);
    if (!other) return;
    const why = `PriorityClass ${other.metadata.name} is already marked as default. Only one PriorityClass can be marked as default`;
    throw conflict(groupResource(kind), metadata.name, why);
  },
};
