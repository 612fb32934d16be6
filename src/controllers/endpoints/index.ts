/** Keeps the Endpoints object of every service with a selector. Writes name the version they are based on. */
import { keyOf, splitKey } from '../../machinery/informer.ts';
import * as r from '../../machinery/resources.ts';
import { isReason } from '../../machinery/status.ts';
import type { Controller, ControllerContext } from '../context.ts';
import { queueController } from '../queue-controller.ts';
import { same } from '../same.ts';
import { selectorOf, watchServiceBackends } from '../service-backends.ts';
import { planEndpoints } from './plan.ts';

const workers = 4;

export function endpointsController(context: ControllerContext): Controller {
  const { client, services, pods } = context;
  const stored = context.informer(r.endpoints);
  const controller = queueController(context, { name: 'endpoints', workers, reconcile });
  watchServiceBackends(context, () => controller.queue);
  stored.onChange(({ object, type }) => {
    // Somebody changed or removed them by hand, or a service is gone and left them.
    if (type !== 'added' || !services.get(object.metadata.namespace, object.metadata.name)) controller.queue.add(keyOf(object));
  });

  async function reconcile(key: string, signal: AbortSignal): Promise<void> {
    const { namespace = '', name } = splitKey(key);
    const service = services.get(namespace, name);
    const existing = stored.get(namespace, name);
    if (!service) {
      // Endpoints without a service may be somebody's own; those with our label are ours.
      if (existing?.metadata.labels?.['endpoints.kubernetes.io/managed-by'] !== 'endpoint-controller') return;
      await unlessReason('NotFound', client.delete(r.endpoints, name, { namespace, signal }));
      return;
    }
    if (!selectorOf(service) || service.metadata.deletionTimestamp) return;
    const { subsets, labels, annotations } = planEndpoints(service, pods.list(namespace));
    const metadata = { name, namespace, labels, annotations };
    if (!existing) {
      if (await exists(client.create(r.endpoints, { metadata, subsets }, { namespace, signal }))) controller.queue.retry(key);
      return;
    }
    const unchanged =
      same(existing.subsets ?? [], subsets) &&
      same(existing.metadata.labels ?? {}, labels) &&
      same(existing.metadata.annotations ?? {}, annotations);
    if (unchanged) return;
    await client.update(r.endpoints, { ...existing, metadata: { ...existing.metadata, ...metadata }, subsets }, { signal });
  }

  return controller;
}

async function unlessReason(reason: 'NotFound', write: Promise<unknown>): Promise<void> {
  try {
    await write;
  } catch (error) {
    if (!isReason(error, reason)) throw error;
  }
}

/** True when it was there already: the copy is behind. */
async function exists(creation: Promise<unknown>): Promise<boolean> {
  try {
    await creation;
    return false;
  } catch (error) {
    if (isReason(error, 'AlreadyExists')) return true;
    throw error;
  }
}
