/** Whether a toleration is for a taint, after the Kubernetes documentation "Taints and Tolerations". Pure. */
import type { Taint, Toleration } from '../../machinery/types.ts';

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
