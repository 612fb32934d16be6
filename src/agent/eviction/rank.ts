/**
 * Which pod goes first when a resource runs short, and what its status says. Pure. Order as documented for Kubernetes: those that use
 * more than they asked for, then by priority, then by how much more they use. Critical pods are never chosen.
 */
import { formatBytes, quantityValue } from '../../machinery/quantity.ts';
import type { Container, Pod } from '../../machinery/types.ts';
import { podRequests } from '../pods/needs.ts';
import { unitsOf } from './decide.ts';
import { type Observation, resourceOf, type ScarceResource, type Threshold } from './types.ts';

/** Priority of `system-cluster-critical`, the lower of the two critical classes; no other class may begin with `system-`. */
const criticalPriorityMin = 2_000_000_000;
const criticalClasses = ['system-cluster-critical', 'system-node-critical'];

export interface PodUsage {
  memory: number;
  'ephemeral-storage': number;
  inodes: number;
  pids: number;
  /** By container name. */
  containers: ReadonlyMap<string, { memory: number; 'ephemeral-storage': number; inodes: number }>;
}

export interface Candidate {
  pod: Pod;
  /** Undefined: could not be measured. */
  usage: PodUsage | undefined;
}

/** Pods of the machine itself, and those on which the cluster stands. */
export function isCritical({ metadata, spec }: Pod): boolean {
  if ((spec?.priority ?? 0) >= criticalPriorityMin || criticalClasses.includes(spec?.priorityClassName ?? '')) return true;
  const source = metadata.annotations?.['kubernetes.io/config.source'];
  return metadata.annotations?.['kubernetes.io/config.mirror'] !== undefined || (source !== undefined && source !== 'api');
}

/** First to go first; without critical pods. */
export function rankPods<T extends Candidate>(candidates: readonly T[], resource: ScarceResource): T[] {
  const keyed = candidates
    .filter(({ pod }) => !isCritical(pod))
    .map((candidate) => {
      const { pod, usage } = candidate;
      const above = usage ? usage[resource] - requestOf(pod, resource) : Number.POSITIVE_INFINITY;
      return { candidate, priority: pod.spec?.priority ?? 0, above, exceeds: resource !== 'pids' && above > 0 };
    });
  keyed.sort(
    (a, b) =>
      Number(b.exceeds) - Number(a.exceeds) ||
      a.priority - b.priority ||
      (a.above === b.above ? 0 : b.above - a.above) ||
      byName(a.candidate.pod, b.candidate.pod),
  );
  return keyed.map(({ candidate }) => candidate);
}

function byName(a: Pod, b: Pod): number {
  const key = ({ metadata }: Pod) => `${metadata.namespace}/${metadata.name}`;
  return key(a) < key(b) ? -1 : 1;
}

/** Inodes and process numbers cannot be asked for. */
function requestOf(pod: Pod, resource: ScarceResource): number {
  if (resource === 'memory') return podRequests(pod.spec!).memoryBytes;
  return resource === 'ephemeral-storage' ? podRequests(pod.spec!).ephemeralStorageBytes : 0;
}

/** Why the pod went, for its status and its event. */
export function evictionMessage({ pod, usage }: Candidate, { signal, value }: Threshold, seen: Observation): string {
  const resource = resourceOf[signal];
  const amount = unitsText(resource);
  const parts = [
    `The node was low on resource: ${resource}. `,
    `Threshold quantity: ${amount(unitsOf(value, seen.capacity))}, available: ${amount(seen.available)}. `,
  ];
  if (resource === 'pids') return parts.join('');
  for (const container of [...pod.spec!.containers, ...(pod.spec!.initContainers ?? [])]) {
    const used = usage?.containers.get(container.name)?.[resource];
    const request = containerRequest(container, resource);
    if (used === undefined || used <= request) continue;
    const { name } = container;
    parts.push(
      `Container ${name} was using ${amount(used)}, request is ${amount(request)}, has larger consumption of ${resource}. `,
    );
  }
  return parts.join('');
}

function containerRequest({ resources }: Container, resource: 'memory' | 'ephemeral-storage' | 'inodes'): number {
  const request = resource === 'inodes' ? undefined : resources?.requests?.[resource];
  return request === undefined ? 0 : quantityValue(request);
}

function unitsText(resource: ScarceResource): (units: number) => string {
  return resource === 'memory' || resource === 'ephemeral-storage' ? formatBytes : String;
}
