/** What the parts of one pod's worker share: the pod as it is wanted, the record of what is, and how to tell of changes. */
import type { Container, Pod, PodSpec } from '../../machinery/types.ts';
import type { FieldValues } from '../runtime/pod-fields.ts';
import type { PodPaths, PodRecord } from './record.ts';
import type { PodServices } from './services.ts';
import type { Waker } from './waker.ts';

export interface PodContext {
  readonly uid: string;
  readonly services: PodServices;
  readonly paths: PodPaths;
  readonly record: PodRecord;
  readonly waker: Waker;
  /** The newest form that the API gave. */
  pod(): Pod;
  /** Writes the record to disk. */
  save(): Promise<void>;
  /** Computes the status and has it written to the API. */
  publish(): void;
}

/** Init containers first, then the others, those for debugging last. */
export function containersOf(pod: Pod): Container[] {
  return [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? []), ...ephemeralOf(pod.spec)];
}

/** Containers that were added to the pod while it ran. As any, but never restarted and without weight for the pod's own end. */
export function ephemeralOf(spec: PodSpec | undefined): (Container & { targetContainerName?: string })[] {
  return (spec?.ephemeralContainers ?? []) as (Container & { targetContainerName?: string })[];
}

/** The pod's address, once it has one. */
export function addressOf({ pod, record, services }: PodContext): string | undefined {
  return pod().spec?.hostNetwork ? services.options.nodeIp : record.ip;
}

export function fieldValuesOf(context: PodContext): FieldValues {
  const { options, ledger } = context.services;
  return { podIp: addressOf(context), hostIp: options.nodeIp, nodeName: options.nodeName, allocatable: ledger.allocatable };
}
