/** Empties a namespace that is being deleted, then takes away its finalizer so that the API removes it. */
import { splitKey } from '../../machinery/informer.ts';
import * as r from '../../machinery/resources.ts';
import { isReason } from '../../machinery/status.ts';
import type { KubeObject, Namespace } from '../../machinery/types.ts';
import type { Controller, ControllerContext } from '../context.ts';
import { queueController, throwIfFailed, writeAll } from '../queue-controller.ts';
import { same } from '../same.ts';
import { finalizer, isGoing, planConditions, type Remaining, recheckMs } from './plan.ts';

const workers = 4;
/** Deletions of one resource under way at a time. */
const deletionsMax = 50;

export function namespaceController(context: ControllerContext): Controller {
  const { client, clock, namespaces, options } = context;
  const controller = queueController(context, { name: 'namespace', workers, reconcile });
  namespaces.onChange(({ type, object }) => {
    if (type !== 'deleted' && isGoing(object)) controller.queue.add(object.metadata.name);
  });

  async function reconcile(key: string, signal: AbortSignal): Promise<void> {
    const { name } = splitKey(key);
    const namespace = namespaces.get(undefined, name);
    if (!namespace || !isGoing(namespace)) return;
    const results = await Promise.all(options.namespacedResources.map((resource) => empty(resource, name, signal)));
    const remaining = results.filter((each) => each !== undefined);
    if (remaining.length > 0) {
      await report(namespace, remaining, signal);
      controller.queue.addAfter(key, recheckMs(namespace, clock.wallMs()));
      return;
    }
    const finalizers = (namespace.spec?.finalizers ?? []).filter((each) => each !== finalizer);
    try {
      await client.update(
        r.namespaces,
        { ...namespace, spec: { ...namespace.spec, finalizers } },
        { subresource: 'finalize', signal },
      );
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
  }

  /** Deletes all of one resource; what was there before that. */
  async function empty(resource: r.Resource, namespace: string, signal: AbortSignal): Promise<Remaining | undefined> {
    const { items } = await client.list(resource, { namespace, signal });
    if (items.length === 0) return undefined;
    const waiting = items.filter(({ metadata }) => !metadata.deletionTimestamp);
    for (let start = 0; start < waiting.length; start += deletionsMax) {
      const errors = await writeAll(waiting.slice(start, start + deletionsMax), (object) => remove(resource, object, signal));
      throwIfFailed(errors, `emptying namespace ${namespace} failed`, { namespace, resource: resource.resource });
    }
    return {
      resource: resource.group ? `${resource.resource}.${resource.group}` : resource.resource,
      count: items.length,
      finalizers: items.flatMap(({ metadata }) => metadata.finalizers ?? []),
    };
  }

  async function remove(resource: r.Resource, { metadata }: KubeObject, signal: AbortSignal): Promise<void> {
    try {
      await client.delete(resource, metadata.name, {
        namespace: metadata.namespace ?? '',
        propagationPolicy: 'Background',
        preconditions: { uid: metadata.uid ?? '' },
        signal,
      });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
  }

  async function report(namespace: Namespace, remaining: Remaining[], signal: AbortSignal): Promise<void> {
    const conditions = planConditions(namespace, remaining, clock.wallMs());
    if (same(conditions, namespace.status?.conditions)) return;
    try {
      await client.update(
        r.namespaces,
        { ...namespace, status: { ...namespace.status, conditions } },
        { subresource: 'status', signal },
      );
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
  }

  return controller;
}
