/**
 * Counts what namespaces take of their quotas: when a quota is new or changed, when something may have been given back, and every five
 * minutes. What is added, admission counts in the write itself. The quota is read before what it counts and written on the version
 * that was read, so a write that came in between makes the count be done again instead of being lost.
 */
import type { Informer } from '../../machinery/informer.ts';
import { keyOf, splitKey } from '../../machinery/informer.ts';
import { countedResources } from '../../machinery/quota.ts';
import * as r from '../../machinery/resources.ts';
import { type GroupResource, isReason } from '../../machinery/status.ts';
import type { KubeObject } from '../../machinery/types.ts';
import type { Controller, ControllerContext } from '../context.ts';
import { queueController } from '../queue-controller.ts';
import { same } from '../same.ts';
import { counts, isUncounted, mayGiveBack, planQuota } from './plan.ts';

const workers = 2;
/** What goes together is counted together. */
const settleMs = 100;
/** Many and short-lived: no copy is held of them for this; the periodic count finds them. */
const unwatched = new Set(['events', 'leases']);

export function resourceQuotaController(context: ControllerContext): Controller {
  const { client, clock, options } = context;
  const quotas = context.informer(r.resourceQuotas);
  const controller = queueController(context, { name: 'resource-quota', workers, reconcile, start });
  quotas.onChange(({ type, object }) => {
    if (type !== 'deleted' && isUncounted(object)) controller.queue.add(keyOf(object));
  });
  for (const resource of options.namespacedResources) {
    if (!unwatched.has(resource.resource)) listen(resource, context.informer(resource));
  }

  /** A new leader counts everything once: nobody did while there was none. */
  function start(): () => void {
    for (const quota of quotas.list()) controller.queue.add(keyOf(quota));
    return () => {};
  }

  function listen(of: GroupResource, informer: Informer<KubeObject>): void {
    informer.onChange(({ type, object, previous }) => {
      const affected = quotas.list(object.metadata.namespace).filter((quota) => counts(quota, of));
      if (affected.length === 0 || !mayGiveBack(type, object, previous)) return;
      for (const quota of affected) controller.queue.addAfter(keyOf(quota), settleMs);
    });
  }

  async function reconcile(key: string, signal: AbortSignal): Promise<void> {
    const { namespace = '', name } = splitKey(key);
    try {
      const quota = await client.get(r.resourceQuotas, name, { namespace, signal });
      const found = new Map<string, readonly KubeObject[]>();
      for (const of of countedResources(quota.spec?.hard ?? {})) found.set(textOf(of), await list(of, namespace, signal));
      const plan = planQuota(quota, (of) => found.get(textOf(of)) ?? [], clock.wallMs());
      controller.queue.addAfter(key, plan.recountInMs);
      if (same(plan.status, quota.status)) return;
      await client.update(r.resourceQuotas, { ...quota, status: plan.status }, { subresource: 'status', signal });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
  }

  async function list({ group, resource }: GroupResource, namespace: string, signal: AbortSignal): Promise<KubeObject[]> {
    const known = options.namespacedResources.find((each) => each.group === group && each.resource === resource);
    return known ? (await client.list(known, { namespace, signal })).items : [];
  }

  return controller;
}

const textOf = ({ group, resource }: GroupResource) => `${group}/${resource}`;
