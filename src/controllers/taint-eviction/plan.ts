/** When a pod must leave its node because of NoExecute taints. Pure. */
import { tolerates } from '../../machinery/tolerations.ts';
import type { Node, Pod } from '../../machinery/types.ts';
import { timeMs } from '../pod-state.ts';

/**
 * Wall time in milliseconds at which the pod must go; undefined when it may stay. It goes at once when a taint is not tolerated, else
 * when the shortest of its tolerationSeconds is over, counted from the time the taint was put there.
 */
export function evictionTimeMs(pod: Pod, node: Node, nowMs: number): number | undefined {
  if (pod.metadata.deletionTimestamp) return undefined;
  const taints = (node.spec?.taints ?? []).filter(({ effect }) => effect === 'NoExecute');
  let soonestMs: number | undefined;
  for (const taint of taints) {
    const matching = (pod.spec?.tolerations ?? []).filter((toleration) => tolerates(toleration, taint));
    if (matching.length === 0) return nowMs;
    const seconds = matching.flatMap(({ tolerationSeconds }) => (tolerationSeconds === undefined ? [] : [tolerationSeconds]));
    if (seconds.length === 0) continue;
    const sinceMs = timeMs(taint.timeAdded) ?? nowMs;
    const atMs = sinceMs + Math.max(0, Math.min(...seconds)) * 1000;
    soonestMs = Math.min(soonestMs ?? atMs, atMs);
  }
  return soonestMs;
}
