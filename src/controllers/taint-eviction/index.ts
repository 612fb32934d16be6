/**
 * Deletes pods that do not tolerate a NoExecute taint of their node, at once or when their tolerationSeconds are over. While no node at
 * all is ready nothing is evicted: nowhere would be better, and what looks like the death of every machine is most likely ours.
 */
import { keyOf, splitKey } from '../../machinery/informer.ts';
import * as r from '../../machinery/resources.ts';
import { isReason } from '../../machinery/status.ts';
import type { Pod } from '../../machinery/types.ts';
import { withCondition } from '../conditions.ts';
import type { Controller, ControllerContext } from '../context.ts';
import { nodeIndex } from '../node-lifecycle/index.ts';
import { readiness } from '../node-lifecycle/plan.ts';
import { queueController } from '../queue-controller.ts';
import { same } from '../same.ts';
import { evictionTimeMs } from './plan.ts';

const workers = 8;

export function taintEvictionController(context: ControllerContext): Controller {
  const { client, clock, nodes, pods } = context;
  const recorder = context.recorder('taint-eviction-controller');
  /** Pods with an eviction ahead of them, by key: their uid. */
  const planned = new Map<string, string>();
  pods.addIndex(nodeIndex, ({ spec }) => (spec?.nodeName ? [spec.nodeName] : []));

  const controller = queueController(context, { name: 'taint-eviction', workers, reconcile });
  nodes.onChange(({ type, object, previous }) => {
    if (type === 'deleted') return;
    const recovered = readiness(object) === 'True' && previous && readiness(previous) !== 'True';
    if (type === 'added' || !same(object.spec?.taints, previous?.spec?.taints)) enqueuePodsOf(object.metadata.name);
    // The first node to recover ends the truce for all others.
    if (recovered) for (const node of nodes.list()) if (readiness(node) !== 'True') enqueuePodsOf(node.metadata.name);
  });
  pods.onChange(({ type, object, previous }) => {
    const key = keyOf(object);
    if (type === 'deleted') planned.delete(key);
    else if (object.spec?.nodeName && object.spec.nodeName !== previous?.spec?.nodeName) controller.queue.add(key);
    else if (planned.has(key) && !same(object.spec?.tolerations, previous?.spec?.tolerations)) controller.queue.add(key);
  });

  function enqueuePodsOf(nodeName: string): void {
    for (const pod of pods.byIndex(nodeIndex, nodeName)) controller.queue.add(keyOf(pod));
  }

  async function reconcile(key: string, signal: AbortSignal): Promise<void> {
    const { namespace, name } = splitKey(key);
    const pod = pods.get(namespace, name);
    const node = nodes.get(undefined, pod?.spec?.nodeName ?? '');
    if (!pod || !node) {
      planned.delete(key);
      return;
    }
    const nowMs = clock.wallMs();
    const atMs = evictionTimeMs(pod, node, nowMs);
    if (atMs === undefined) {
      const cancelled = planned.get(key) === pod.metadata.uid && !pod.metadata.deletionTimestamp;
      planned.delete(key);
      if (cancelled) recorder.record(pod, 'Normal', 'TaintManagerEviction', `Cancelling deletion of Pod ${key}`);
      return;
    }
    if (readiness(node) !== 'True' && !nodes.list().some((each) => readiness(each) === 'True')) return;
    if (atMs > nowMs) {
      planned.set(key, pod.metadata.uid ?? '');
      controller.queue.addAfter(key, atMs - nowMs);
      return;
    }
    await evict(pod, signal);
    planned.delete(key);
  }

  async function evict(pod: Pod, signal: AbortSignal): Promise<void> {
    const { name, namespace = '', uid } = pod.metadata;
    const condition = {
      type: 'DisruptionTarget',
      status: 'True',
      reason: 'DeletionByTaintManager',
      message: 'Taint manager: deleting due to NoExecute taint',
    };
    const conditions = withCondition(pod.status?.conditions, condition, clock.wallMs());
    try {
      const { resourceVersion } = pod.metadata;
      const patch = { metadata: { uid, resourceVersion }, status: { conditions } };
      await client.patch(r.pods, name, 'merge', patch, { namespace, subresource: 'status', signal });
      recorder.record(pod, 'Normal', 'TaintManagerEviction', `Marking for deletion Pod ${namespace}/${name}`);
      await client.delete(r.pods, name, { namespace, preconditions: { uid: uid ?? '' }, signal });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
  }

  return controller;
}
