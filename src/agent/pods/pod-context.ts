/** What the parts of one pod's worker share: the pod as it is wanted, the record of what is, and how to tell of changes. */
import type { Container, Pod } from '../../machinery/types.ts';
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

/** Init containers first, then the others. */
export function containersOf(pod: Pod): Container[] {
  return [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
}

/** The pod's address, once it has one. */
export function addressOf({ pod, record, services }: PodContext): string | undefined {
  return pod().spec?.hostNetwork ? services.options.nodeIp : record.ip;
}

export function fieldValuesOf(context: PodContext): FieldValues {
  const { options, ledger } = context.services;
  return { podIp: addressOf(context), hostIp: options.nodeIp, nodeName: options.nodeName, allocatable: ledger.allocatable };
}
