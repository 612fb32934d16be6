/**
 * What a pod asks for, or may have, as a whole. Source: Kubernetes documentation, "Resource Management for Pods and Containers"
 * and "Sidecar Containers". Exact, and in the form of the first amount of each resource. Pure.
 */
import { addQuantities, compareQuantities } from './quantity.ts';
import type { PodSpec } from './types.ts';

/** Amounts by the name of the resource, for example `{ cpu: '500m', memory: '1Gi' }`. */
export type Amounts = Record<string, string>;

/** `overhead`: with what the pod's runtime takes for itself. */
export function podAmounts(spec: PodSpec, field: 'requests' | 'limits', { overhead }: { overhead: boolean }): Amounts {
  const total: Amounts = {};
  for (const { resources } of spec.containers ?? []) addAmounts(total, resources?.[field]);
  // Init containers run one after another, beside the sidecars that were started before them.
  const sidecars: Amounts = {};
  const peak: Amounts = {};
  for (const { resources, restartPolicy } of spec.initContainers ?? []) {
    if (restartPolicy === 'Always') {
      addAmounts(total, resources?.[field]);
      addAmounts(sidecars, resources?.[field]);
      raiseAmounts(peak, sidecars);
    } else {
      const beside = { ...resources?.[field] };
      addAmounts(beside, sidecars);
      raiseAmounts(peak, beside);
    }
  }
  raiseAmounts(total, peak);
  Object.assign(total, spec.resources?.[field]);
  if (!overhead) return total;
  for (const [name, amount] of Object.entries(spec.overhead ?? {})) {
    // A pod without a limit has none, whatever its runtime takes.
    if (field === 'requests' || total[name] !== undefined) addAmounts(total, { [name]: amount });
  }
  return total;
}

/** In place. */
export function addAmounts(to: Amounts, more: Amounts | undefined): void {
  for (const [name, amount] of Object.entries(more ?? {})) {
    const before = to[name];
    to[name] = before === undefined ? amount : addQuantities(before, amount);
  }
}

function raiseAmounts(to: Amounts, least: Amounts): void {
  for (const [name, amount] of Object.entries(least)) {
    const before = to[name];
    if (before === undefined || compareQuantities(before, amount) < 0) to[name] = amount;
  }
}
