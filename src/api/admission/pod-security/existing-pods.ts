/** What is said when a namespace becomes stricter than its pods are. Pure. */
import type { Pod, PodSpec } from '../../../machinery/types.ts';
import { evaluate, reasonsOnly } from './evaluate.ts';
import { formatStandard, type Standard } from './policy.ts';

/** Pods looked at; one of each workload first. */
const podsMax = 3_000;

/** Warnings: one line for the namespace, and one for each set of reasons with the first pod that has them. */
export function existingViolations(namespace: string, standard: Standard, pods: readonly Pod[]): string[] {
  const looked = oneOfEachFirst(pods).slice(0, podsMax);
  const byReasons = new Map<string, string[]>();
  for (const { metadata, spec } of looked) {
    const reasons = reasonsOnly(evaluate(standard, { metadata, spec: spec as PodSpec }));
    if (reasons !== '') byReasons.set(reasons, [...(byReasons.get(reasons) ?? []), metadata.name]);
  }
  const lines = [...byReasons].map(([reasons, names]) => {
    const [first = '', ...others] = names.sort();
    const more = others.length === 0 ? '' : ` (and ${others.length} other ${others.length === 1 ? 'pod' : 'pods'})`;
    return `${first}${more}: ${reasons}`;
  });
  const partly = `new PodSecurity enforce level only checked against the first ${looked.length} of ${pods.length} existing pods`;
  const heading = `existing pods in namespace ${JSON.stringify(namespace)} violate the new PodSecurity enforce level ${JSON.stringify(formatStandard(standard))}`;
  return [...(looked.length < pods.length ? [partly] : []), ...(lines.length > 0 ? [heading] : []), ...lines.sort()];
}

function oneOfEachFirst(pods: readonly Pod[]): Pod[] {
  const seen = new Set<string>();
  const isFurther = ({ metadata }: Pod) => {
    const uid = metadata.ownerReferences?.find(({ controller }) => controller)?.uid;
    if (uid === undefined) return false;
    const further = seen.has(uid);
    seen.add(uid);
    return further;
  };
  const marked = pods.map((pod) => ({ pod, further: isFurther(pod) }));
  return [...marked.filter(({ further }) => !further), ...marked.filter(({ further }) => further)].map(({ pod }) => pod);
}
