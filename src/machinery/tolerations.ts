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
 * How long a pod stays on a machine that is there but not ready, as Kubernetes' DefaultTolerationSeconds has it. A machine that
 * is gone (unreachable) gets no such grace: the failure detector has been patient already, and pods move at once.
 */
const notReadySeconds = 300;

/** Adds the default toleration of `not-ready`, in place, unless the pod says something about that taint itself. */
export function addDefaultTolerations(spec: PodSpec): void {
  const taint = { key: 'node.kubernetes.io/not-ready', effect: 'NoExecute' };
  if (toleratesAll(spec.tolerations, taint)) return;
  spec.tolerations = [...(spec.tolerations ?? []), { ...taint, operator: 'Exists', tolerationSeconds: notReadySeconds }];
}
