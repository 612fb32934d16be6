/**
 * The quality-of-service class of a pod: who is squeezed first when a machine runs short. Source: Kubernetes documentation,
 * "Pod Quality of Service Classes". Only cpu and memory count; a quantity of zero counts as not given.
 */
import { quantityMilli } from './quantity.ts';
import type { PodSpec } from './types.ts';

export type QosClass = 'Guaranteed' | 'Burstable' | 'BestEffort';

interface Resources {
  requests?: Record<string, string>;
  limits?: Record<string, string>;
}

const counted = ['cpu', 'memory'] as const;

/**
 * Guaranteed: every container has limits for cpu and memory, and its requests (where given) add up to the same.
 * BestEffort: nothing is requested or limited. Burstable: everything else.
 */
export function qosClassOf(spec: PodSpec): QosClass {
  const requests = new Map<string, number>();
  const limits = new Map<string, number>();
  let everyContainerLimited = true;
  for (const resources of resourcesOf(spec)) {
    let limited = 0;
    for (const name of counted) {
      addPositive(requests, name, resources.requests?.[name]);
      if (addPositive(limits, name, resources.limits?.[name])) limited++;
    }
    if (limited < counted.length) everyContainerLimited = false;
  }
  if (requests.size === 0 && limits.size === 0) return 'BestEffort';
  const requestsEqualLimits = requests.size === limits.size && [...requests].every(([name, sum]) => limits.get(name) === sum);
  return everyContainerLimited && requestsEqualLimits ? 'Guaranteed' : 'Burstable';
}

/** Resources of the pod as a whole replace those of its containers. */
function resourcesOf(spec: PodSpec): Resources[] {
  if (spec.resources?.requests || spec.resources?.limits) return [spec.resources];
  return [...(spec.containers ?? []), ...(spec.initContainers ?? [])].map((container) => container.resources ?? {});
}

function addPositive(sums: Map<string, number>, name: string, quantity: string | undefined): boolean {
  if (quantity == null) return false;
  const milli = quantityMilli(quantity);
  if (!(milli > 0)) return false;
  sums.set(name, (sums.get(name) ?? 0) + milli);
  return true;
}
