/** Keeps the EndpointSlices of every service with a selector. Their names are generated, so a stale copy must not create twice. */
import { splitKey } from '../../machinery/informer.ts';
import * as r from '../../machinery/resources.ts';
import { isReason } from '../../machinery/status.ts';
import type { EndpointSlice } from '../../machinery/types.ts';
import type { Controller, ControllerContext } from '../context.ts';
import { Expectations } from '../expectations.ts';
import { controllerReference } from '../ownership.ts';
import { queueController } from '../queue-controller.ts';
import { selectorOf, watchServiceBackends } from '../service-backends.ts';
import { managedByLabel, manager, planSlices, serviceNameLabel } from './plan.ts';

const workers = 4;
const byService = 'service';

export function endpointSliceController(context: ControllerContext): Controller {
  const { client, clock, services, pods } = context;
  const slices = context.informer(r.endpointSlices);
  const expectations = new Expectations(clock);
  slices.addIndex(byService, (slice) => {
    const key = serviceKey(slice);
    return key ? [key] : [];
  });
  const controller = queueController(context, { name: 'endpointslice', workers, reconcile });
  watchServiceBackends(context, () => controller.queue);
  slices.onChange(({ type, object }) => {
    const key = serviceKey(object);
    if (!key) return;
    if (type === 'added') expectations.creationSeen(key);
    if (type === 'deleted') expectations.deletionSeen(key, object.metadata.uid ?? '');
    controller.queue.add(key);
  });

  async function reconcile(key: string, signal: AbortSignal): Promise<void> {
    const { namespace = '', name } = splitKey(key);
    const service = services.get(namespace, name);
    const existing = slices.byIndex(byService, key);
    if (!service) {
      expectations.forget(key);
      for (const slice of existing) await remove(slice, signal);
      return;
    }
    if (!selectorOf(service) || service.metadata.deletionTimestamp) return;
    if (!expectations.met(key)) {
      controller.queue.addAfter(key, expectations.patienceMs);
      return;
    }
    const plan = planSlices(service, pods.list(namespace), existing);
    // New places first: an address may move from one slice to another.
    for (const { addressType, ports, endpoints, labels } of plan.create) {
      const metadata = {
        generateName: `${name}-`,
        namespace,
        labels,
        ownerReferences: [controllerReference(service, r.services)],
      };
      expectations.expectCreations(key, 1);
      try {
        await client.create(r.endpointSlices, { metadata, addressType, ports, endpoints }, { namespace, signal });
      } catch (error) {
        expectations.creationSeen(key);
        throw error;
      }
    }
    for (const { slice, content } of plan.update) {
      const metadata = { ...slice.metadata, labels: content.labels };
      await client.update(r.endpointSlices, { ...slice, metadata, endpoints: content.endpoints }, { signal });
    }
    for (const slice of plan.delete) {
      const uid = slice.metadata.uid ?? '';
      expectations.expectDeletions(key, [uid]);
      let deleted = false;
      try {
        deleted = await remove(slice, signal);
      } finally {
        if (!deleted) expectations.deletionSeen(key, uid);
      }
    }
  }

  /** False when it was gone already. */
  async function remove({ metadata: { namespace = '', name, uid } }: EndpointSlice, signal: AbortSignal): Promise<boolean> {
    try {
      await client.delete(r.endpointSlices, name, { namespace, preconditions: { uid: uid ?? '' }, signal });
      return true;
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
      return false;
    }
  }

  return controller;
}

/** The service of a slice that this controller keeps; others' slices are left alone. */
function serviceKey({ metadata: { labels, namespace } }: EndpointSlice): string | undefined {
  const name = labels?.[serviceNameLabel];
  return name && labels?.[managedByLabel] === manager ? `${namespace}/${name}` : undefined;
}
