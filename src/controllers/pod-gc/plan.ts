/** Which pods nobody will ever clean up: those of machines that are gone, those deleted before they had one, too many finished ones. Pure. */
import type { Pod } from '../../machinery/types.ts';
import { isFinished, timeMs } from '../pod-state.ts';

export interface PodGcPlan {
  /** Bound to a node that has been missing for long enough. */
  orphaned: Pod[];
  /** Deleted while waiting for a node: no agent will confirm it. */
  unscheduled: Pod[];
  /** The oldest finished ones above the threshold. */
  finished: Pod[];
}

export function planPodGc(pods: readonly Pod[], isMissing: (nodeName: string) => boolean, finishedMax: number): PodGcPlan {
  const plan: PodGcPlan = { orphaned: [], unscheduled: [], finished: [] };
  const finished: Pod[] = [];
  for (const pod of pods) {
    const nodeName = pod.spec?.nodeName;
    if (nodeName && isMissing(nodeName)) plan.orphaned.push(pod);
    else if (!nodeName && pod.metadata.deletionTimestamp) plan.unscheduled.push(pod);
    else if (isFinished(pod) && !pod.metadata.deletionTimestamp) finished.push(pod);
  }
  const age = ({ metadata }: Pod) => timeMs(metadata.creationTimestamp) ?? 0;
  finished.sort((a, b) => age(a) - age(b) || (a.metadata.name < b.metadata.name ? -1 : 1));
  plan.finished = finished.slice(0, Math.max(0, finished.length - finishedMax));
  return plan;
}
