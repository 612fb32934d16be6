/**
 * Gives each node its range of pod addresses, once. One worker gives them all, and remembers what it gave until its copy shows it, so no range
 * is held by two nodes at a time.
 */
import { splitKey } from '../../machinery/informer.ts';
import * as r from '../../machinery/resources.ts';
import { isReason } from '../../machinery/status.ts';
import type { Controller, ControllerContext } from '../context.ts';
import { ControllerError } from '../errors.ts';
import { queueController } from '../queue-controller.ts';
import { nextPodCidr } from './plan.ts';

export function nodeIpamController(context: ControllerContext): Controller {
  const { client, nodes, clusterCidr } = context;
  const recorder = context.recorder('cidrAllocator');
  const given = new Map<string, string>();
  const controller = queueController(context, { name: 'node-ipam', workers: 1, reconcile });
  nodes.onChange(({ type, object }) => {
    const { name } = object.metadata;
    if (type === 'deleted' || object.spec?.podCIDR) given.delete(name);
    if (type === 'deleted') {
      // A range is free: nodes that found none try again.
      for (const node of nodes.list()) if (!node.spec?.podCIDR) controller.queue.add(node.metadata.name);
    } else if (!object.spec?.podCIDR) controller.queue.add(name);
  });

  async function reconcile(key: string, signal: AbortSignal): Promise<void> {
    const { name } = splitKey(key);
    const node = nodes.get(undefined, name);
    if (!node || node.spec?.podCIDR || node.metadata.deletionTimestamp) return;
    const used = new Set<string>();
    for (const each of nodes.list()) if (each.spec?.podCIDR) used.add(each.spec.podCIDR);
    for (const [nodeName, cidr] of given) if (nodeName !== name) used.add(cidr);
    const podCIDR = given.get(name) ?? nextPodCidr(clusterCidr, used);
    if (!podCIDR) {
      recorder.record(node, 'Normal', 'CIDRNotAvailable', `Node ${name} status is now: CIDRNotAvailable`);
      throw new ControllerError('PodNetworkFull', `no range of ${clusterCidr} is left for node ${name}`, { name, clusterCidr });
    }
    // Remembered before the write: its answer may be lost although it was done.
    given.set(name, podCIDR);
    const { uid, resourceVersion } = node.metadata;
    try {
      await client.patch(
        r.nodes,
        name,
        'merge',
        { metadata: { uid, resourceVersion }, spec: { podCIDR, podCIDRs: [podCIDR] } },
        { signal },
      );
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
  }

  return controller;
}
