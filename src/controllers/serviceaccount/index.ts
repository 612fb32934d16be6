/** Every namespace that is not going has a ServiceAccount `default`, for pods that name none. */
import * as r from '../../machinery/resources.ts';
import { isReason } from '../../machinery/status.ts';
import type { Controller, ControllerContext } from '../context.ts';
import { queueController } from '../queue-controller.ts';

const name = 'default';
const workers = 2;

export function serviceAccountController(context: ControllerContext): Controller {
  const { client, namespaces } = context;
  const accounts = context.informer(r.serviceAccounts);
  const controller = queueController(context, { name: 'serviceaccount', workers, reconcile });
  namespaces.onChange(({ object }) => controller.queue.add(object.metadata.name));
  accounts.onChange(({ type, object }) => {
    if (type === 'deleted' && object.metadata.name === name) controller.queue.add(object.metadata.namespace ?? '');
  });

  async function reconcile(namespace: string, signal: AbortSignal): Promise<void> {
    const owner = namespaces.get(undefined, namespace);
    if (!owner || owner.metadata.deletionTimestamp || owner.status?.phase === 'Terminating') return;
    if (accounts.get(namespace, name)) return;
    try {
      await client.create(r.serviceAccounts, { metadata: { name, namespace } }, { namespace, signal });
    } catch (error) {
      if (!isReason(error, 'AlreadyExists') && !isReason(error, 'NotFound') && !isReason(error, 'Forbidden')) throw error;
    }
  }

  return controller;
}
