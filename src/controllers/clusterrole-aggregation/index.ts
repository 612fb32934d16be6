/** Keeps the rules of aggregated ClusterRoles the union of those that their selectors choose. */
import { aggregatedRules } from '../../machinery/aggregation.ts';
import * as r from '../../machinery/resources.ts';
import type { Controller, ControllerContext } from '../context.ts';
import { queueController } from '../queue-controller.ts';
import { same } from '../same.ts';

export function clusterRoleAggregationController(context: ControllerContext): Controller {
  const { client } = context;
  const roles = context.informer(r.clusterRoles);
  const controller = queueController(context, { name: 'clusterrole-aggregation', workers: 1, reconcile });
  // Any role may be part of any aggregated one; there are few of those.
  roles.onChange(() => {
    for (const { aggregationRule, metadata } of roles.list()) if (aggregationRule) controller.queue.add(metadata.name);
  });

  async function reconcile(name: string, signal: AbortSignal): Promise<void> {
    const role = roles.get(undefined, name);
    const rules = role && !role.metadata.deletionTimestamp && aggregatedRules(role, roles.list());
    if (!role || !rules || same(rules, role.rules ?? [])) return;
    await client.update(r.clusterRoles, { ...role, rules }, { signal });
  }

  return controller;
}
