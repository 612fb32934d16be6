/** Filters on what a node is: named, open for pods, tainted, of the right kind. */

import { tolerates, toleratesAll } from '../../machinery/tolerations.ts';
import type { Filter } from '../types.ts';
import { matchesRequired } from './node-affinity.ts';

const unschedulable = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' };

/** Cordoned. A pod that tolerates the matching taint may go there all the same. */
export const nodeUnschedulable: Filter = ({ pod }, { node }) => {
  if (!node.spec?.unschedulable) return undefined;
  return toleratesAll(pod.spec?.tolerations, unschedulable) ? undefined : { filter: 'NodeUnschedulable' };
};

export const nodeName: Filter = ({ pod }, { name }) => {
  const wanted = pod.spec?.nodeName;
  return wanted && wanted !== name ? { filter: 'NodeName', wanted } : undefined;
};

export const taintToleration: Filter = ({ pod }, { node }) => {
  for (const taint of node.spec?.taints ?? []) {
    if (taint.effect !== 'NoSchedule' && taint.effect !== 'NoExecute') continue;
    if (pod.spec?.tolerations?.some((toleration) => tolerates(toleration, taint))) continue;
    return { filter: 'TaintToleration', taint: { key: taint.key, value: taint.value ?? '', effect: taint.effect } };
  }
  return undefined;
};

export const nodeAffinity: Filter = ({ pod }, { node }) => {
  for (const [key, value] of Object.entries(pod.spec?.nodeSelector ?? {})) {
    if (node.metadata.labels?.[key] !== value) return { filter: 'NodeAffinity', because: 'selector' };
  }
  const required = pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  if (!required || matchesRequired(required.nodeSelectorTerms, node)) return undefined;
  return { filter: 'NodeAffinity', because: 'affinity' };
};
