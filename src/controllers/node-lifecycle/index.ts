/**
 * Turns what the gossip table knows of machines into conditions and taints of nodes, and takes the pods of a lost node out of their
 * services. It acts on a verdict at once. The agent writes its own conditions; here only Unknown is written, and if the agent says
 * otherwise while the verdict stands, the two do not quarrel more often than every few seconds.
 */
import { splitKey } from '../../machinery/informer.ts';
import * as r from '../../machinery/resources.ts';
import { isReason } from '../../machinery/status.ts';
import type { Node, Pod } from '../../machinery/types.ts';
import { withCondition } from '../conditions.ts';
import type { Controller, ControllerContext } from '../context.ts';
import { isReady } from '../pod-state.ts';
import { queueController, throwIfFailed, writeAll } from '../queue-controller.ts';
import { judgeHealth, lostConditions, type Observations, planTaints, readiness } from './plan.ts';

const workers = 8;
const agentSilenceMs = 10_000;
const unheardNodeMs = 15_000;
/** An agent that writes Ready although its machine counts as dead reaches the API: it gets this long before it is overruled again. */
const overruleMs = 5_000;
export const nodeIndex = 'node';

export function nodeLifecycleController(context: ControllerContext): Controller {
  const { client, clock, nodes, pods, nodeHealth, options } = context;
  const recorder = context.recorder('node-controller');
  const patience = {
    agentSilenceMs: options.agentSilenceMs ?? agentSilenceMs,
    unheardNodeMs: options.unheardNodeMs ?? unheardNodeMs,
  };
  const seen = new Map<string, Observations>();
  const overruledMs = new Map<string, number>();
  pods.addIndex(nodeIndex, ({ spec }) => (spec?.nodeName ? [spec.nodeName] : []));

  const controller = queueController(context, {
    name: 'node-lifecycle',
    workers,
    reconcile,
    start: () => {
      for (const node of nodes.list()) controller.queue.add(node.metadata.name);
      return nodeHealth.onChange(({ nodeName, agentReady, verdict }) => {
        const observations = observe(nodeName);
        observations.agentSilentSinceMs = agentReady ? undefined : (observations.agentSilentSinceMs ?? clock.monotonicMs());
        if (verdict !== 'dead') overruledMs.delete(nodeName);
        controller.queue.add(nodeName);
      });
    },
  });
  nodes.onChange(({ type, object }) => {
    const { name } = object.metadata;
    if (type === 'deleted') {
      seen.delete(name);
      overruledMs.delete(name);
    } else {
      observe(name);
      controller.queue.add(name);
    }
  });
  // A pod may be bound, or become ready in the agent's last words, just when its node is lost.
  pods.onChange(({ type, object }) => {
    const nodeName = object.spec?.nodeName;
    if (type === 'deleted' || !nodeName || !isReady(object)) return;
    const node = nodes.get(undefined, nodeName);
    if (node && isLost(node)) controller.queue.add(nodeName);
  });

  function observe(name: string): Observations {
    const known = seen.get(name);
    if (known) return known;
    const health = nodeHealth.get(name);
    const nowMs = clock.monotonicMs();
    const fresh = { agentSilentSinceMs: health?.agentReady === false ? nowMs : undefined, watchedSinceMs: nowMs };
    seen.set(name, fresh);
    return fresh;
  }

  async function reconcile(key: string, signal: AbortSignal): Promise<void> {
    const { name } = splitKey(key);
    let node = nodes.get(undefined, name);
    if (!node) return;
    const verdict = judgeHealth(nodeHealth.get(name), observe(name), patience, clock.monotonicMs());
    if (verdict.recheckMs !== undefined) controller.queue.addAfter(key, verdict.recheckMs);
    if (verdict.lost) {
      const conditions = lostConditions(node, verdict.lost, clock.wallMs());
      if (conditions && mayOverrule(name)) {
        node = await client.update(
          r.nodes,
          { ...node, status: { ...node.status, conditions } },
          { subresource: 'status', signal },
        );
        recorder.record(node, 'Normal', 'NodeNotReady', `Node ${name} status is now: NodeNotReady`);
      } else if (conditions) {
        controller.queue.addAfter(key, overruleMs);
      }
    }
    const taints = planTaints(node, clock.wallMs());
    if (taints) {
      node = await client.update(r.nodes, { ...node, spec: { ...node.spec, taints } }, { signal });
    }
    if (isLost(node)) await markPodsNotReady(name, signal);
  }

  function mayOverrule(name: string): boolean {
    const nowMs = clock.monotonicMs();
    const lastMs = overruledMs.get(name);
    if (lastMs !== undefined && nowMs - lastMs < overruleMs) return false;
    overruledMs.set(name, nowMs);
    return true;
  }

  async function markPodsNotReady(nodeName: string, signal: AbortSignal): Promise<void> {
    const errors = await writeAll(pods.byIndex(nodeIndex, nodeName).filter(isReady), (pod) => markNotReady(pod, signal));
    throwIfFailed(errors, `marking the pods of ${nodeName} failed`, { nodeName });
  }

  async function markNotReady(pod: Pod, signal: AbortSignal): Promise<void> {
    const { name, namespace = '', uid, resourceVersion } = pod.metadata;
    const condition = {
      type: 'Ready',
      status: 'False',
      reason: 'NodeNotReady',
      message: 'The node of this pod is not ready.',
    };
    const conditions = withCondition(pod.status?.conditions, condition, clock.wallMs());
    try {
      const patch = { metadata: { uid, resourceVersion }, status: { conditions } };
      await client.patch(r.pods, name, 'merge', patch, { namespace, subresource: 'status', signal });
      recorder.record(pod, 'Warning', 'NodeNotReady', 'Node is not ready');
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
  }

  return controller;
}

/** Its agent does not report any more; of a node that says itself that it is not ready, the agent still speaks for the pods. */
function isLost(node: Node): boolean {
  return readiness(node) === 'Unknown';
}
