/** Whether a toleration is for a taint, after the Kubernetes documentation "Taints and Tolerations". Pure. */
import type { PodSpec, Taint, Toleration } from './types.ts';

type TaintLike = Pick<Taint, 'key' | 'effect' | 'value'>;

/** An empty effect stands for all effects, an empty key with Exists for all keys. */
export function tolerates(toleration: Toleration, taint: TaintLike): boolean {
  if (toleration.effect && toleration.effect !== taint.effect) return false;
  if (toleration.key && toleration.key !== taint.key) return false;
  if (toleration.operator === 'Exists') return true;
  return Boolean(toleration.key) && (toleration.value ?? '') === (taint.value ?? '');
}

export function toleratesAll(tolerations: readonly Toleration[] | undefined, taint: TaintLike): boolean {
  return tolerations?.some((toleration) => tolerates(toleration, taint)) ?? false;
}

/**
 * How long a pod stays on a machine that is not ready, or not there, in the manner of Kubernetes' DefaultTolerationSeconds. A
 * machine that is gone gets far less than Kubernetes' 300 s: the failure detector has been patient already. The rest covers a
 * daemon that crashed and comes back.
 */
const defaultSeconds = { 'node.kubernetes.io/not-ready': 300, 'node.kubernetes.io/unreachable': 2 };

/** Adds the default tolerations, in place, for each of these taints of which the pod says nothing itself. */
export function addDefaultTolerations(spec: PodSpec): void {
  for (const [key, tolerationSeconds] of Object.entries(defaultSeconds)) {
    const taint = { key, effect: 'NoExecute' };
    if (toleratesAll(spec.tolerations, taint)) continue;
    spec.tolerations = [...(spec.tolerations ?? []), { ...taint, operator: 'Exists', tolerationSeconds }];
  }
}
