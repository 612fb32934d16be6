/** Removes pods that no agent will remove. Looks every 20 s, and at once when a node is deleted. */
import * as r from '../../machinery/resources.ts';
import { isReason } from '../../machinery/status.ts';
import type { Pod } from '../../machinery/types.ts';
import { withCondition } from '../conditions.ts';
import type { Controller, ControllerContext } from '../context.ts';
import { isFinished } from '../pod-state.ts';
import { queueController, throwIfFailed, writeAll } from '../queue-controller.ts';
import { planPodGc } from './plan.ts';

const key = 'all';
const intervalMs = 20_000;
const missingNodeGraceMs = 20_000;
const finishedPodsMax = 12_500;
/** Pods removed in one round; the rest follow at once. */
const removalsMax = 100;

export function podGcController(context: ControllerContext): Controller {
  const { client, clock, pods, nodes, options } = context;
  const graceMs = options.missingNodeGraceMs ?? missingNodeGraceMs;
  /** Since when a node that pods name has been missing, on the monotonic clock. */
  const missingSinceMs = new Map<string, number>();
  const controller = queueController(context, {
    name: 'pod-gc',
    workers: 1,
    reconcile,
    start: () => {
      controller.queue.add(key);
      return () => missingSinceMs.clear();
    },
  });
  nodes.onChange(({ type }) => type === 'deleted' && controller.queue.add(key));
  pods.onChange(({ object }) => {
    if (!object.spec?.nodeName && object.metadata.deletionTimestamp) controller.queue.add(key);
  });

  async function reconcile(_: string, signal: AbortSignal): Promise<void> {
    controller.queue.addAfter(key, intervalMs);
    const all = pods.list();
    const missing = await confirmMissing(all, signal);
    const plan = planPodGc(all, (name) => missing.has(name), options.finishedPodsMax ?? finishedPodsMax);
    const doomed = [...plan.orphaned, ...plan.unscheduled, ...plan.finished];
    const errors = await writeAll(doomed.slice(0, removalsMax), async (pod) => {
      if (plan.orphaned.includes(pod)) await markFailed(pod, signal);
      await remove(pod, signal);
    });
    throwIfFailed(errors, 'removing pods failed', {});
    if (doomed.length > removalsMax) controller.queue.add(key);
  }

  /** Nodes that pods name, that the server does not have, and that have been missing for the time of grace. */
  async function confirmMissing(all: readonly Pod[], signal: AbortSignal): Promise<Set<string>> {
    const nowMs = clock.monotonicMs();
    const named = new Set(all.flatMap(({ spec }) => (spec?.nodeName ? [spec.nodeName] : [])));
    for (const name of missingSinceMs.keys()) {
      if (!named.has(name) || nodes.get(undefined, name)) missingSinceMs.delete(name);
    }
    const missing = new Set<string>();
    for (const name of named) {
      if (nodes.get(undefined, name)) continue;
      const sinceMs = missingSinceMs.get(name) ?? nowMs;
      missingSinceMs.set(name, sinceMs);
      const leftMs = sinceMs + graceMs - nowMs;
      if (leftMs > 0) controller.queue.addAfter(key, leftMs);
      else if (await isGone(name, signal)) missing.add(name);
    }
    return missing;
  }

  async function isGone(nodeName: string, signal: AbortSignal): Promise<boolean> {
    try {
      await client.get(r.nodes, nodeName, { signal });
      return false;
    } catch (error) {
      if (isReason(error, 'NotFound')) return true;
      throw error;
    }
  }

  /** So that whoever waits for the pod's end learns that it ended, and why. */
  async function markFailed(pod: Pod, signal: AbortSignal): Promise<void> {
    if (isFinished(pod)) return;
    const message = 'PodGC: node no longer exists';
    const condition = { type: 'DisruptionTarget', status: 'True', reason: 'DeletionByPodGC', message };
    const conditions = withCondition(pod.status?.conditions, condition, clock.wallMs());
    const { name, namespace = '', uid } = pod.metadata;
    const patch = { metadata: { uid }, status: { phase: 'Failed', conditions } };
    try {
      await client.patch(r.pods, name, 'merge', patch, { namespace, subresource: 'status', signal });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
  }

  async function remove({ metadata: { name, namespace = '', uid } }: Pod, signal: AbortSignal): Promise<void> {
    try {
      await client.delete(r.pods, name, { namespace, gracePeriodSeconds: 0, preconditions: { uid: uid ?? '' }, signal });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
  }

  return controller;
}
