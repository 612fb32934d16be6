/** The Event of events.k8s.io: the same object as that of the core group, with other names for its fields. */
import type { KubeObject } from '../../machinery/types.ts';
import type { Json } from './old-versions.ts';

/** Names in events.k8s.io/v1, and in core/v1. */
const names: [newer: string, core: string][] = [
  ['regarding', 'involvedObject'],
  ['note', 'message'],
  ['reportingController', 'reportingComponent'],
  ['deprecatedSource', 'source'],
  ['deprecatedFirstTimestamp', 'firstTimestamp'],
  ['deprecatedLastTimestamp', 'lastTimestamp'],
  ['deprecatedCount', 'count'],
];

export const toCoreEvent = (event: KubeObject) => renamed(event, names);
export const fromCoreEvent = (event: KubeObject) =>
  renamed(
    event,
    names.map(([newer, core]) => [core, newer]),
  );

function renamed(event: KubeObject, pairs: [from: string, to: string][]): KubeObject {
  const { ...result } = event as unknown as Json;
  for (const [from, to] of pairs) {
    const value = result[from];
    delete result[from];
    if (value !== undefined) result[to] = value;
  }
  return result as unknown as KubeObject;
}
