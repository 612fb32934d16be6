/** Accepts the names of definitions, which establishes them; and removes the objects of those that are being deleted. */
import { type CustomResourceDefinition, cleanupFinalizer, isEstablished } from '../../machinery/custom/definition.ts';
import * as r from '../../machinery/resources.ts';
import { isReason } from '../../machinery/status.ts';
import type { KubeObject } from '../../machinery/types.ts';
import type { Controller, ControllerContext } from '../context.ts';
import { timeMs } from '../pod-state.ts';
import { queueController, throwIfFailed, writeAll } from '../queue-controller.ts';
import { same } from '../same.ts';
import { type DefinitionStatus, planStatus, type TakenNames, takenNames, terminatingStatus } from './plan.ts';

/** Names are given out one after the other. */
const workers = 1;
/** Deletions of one kind under way at a time. */
const deletionsMax = 50;

export function customResourceDefinitionController(context: ControllerContext): Controller {
  const { client, clock } = context;
  const definitions = context.informer(r.customResourceDefinitions);
  const controller = queueController(context, { name: 'custom-resource-definition', workers, reconcile });
  definitions.onChange(({ type, object }) => {
    if (type !== 'deleted') return controller.queue.add(object.metadata.name);
    // Its names are free again.
    for (const other of definitions.list()) {
      if (other.spec.group === object.spec.group) controller.queue.add(other.metadata.name);
    }
  });

  async function reconcile(name: string, signal: AbortSignal): Promise<void> {
    // Not the copy: it may lack names that were given out a moment ago.
    const { items } = await client.list(r.customResourceDefinitions, { signal });
    const definition = items.find(({ metadata }) => metadata.name === name);
    if (!definition) return;
    if (definition.metadata.deletionTimestamp) return remove(definition, signal);
    const taken = takenNames(definition, items, builtIn(definition.spec.group));
    await writeStatus(definition, planStatus(definition, taken, clock.wallMs()), signal);
  }

  function builtIn(group: string): TakenNames {
    const own = context.options.ownableResources.filter((resource) => resource.group === group);
    return { resources: new Set(own.map(({ resource }) => resource)), kinds: new Set(own.map(({ kind }) => kind)) };
  }

  async function writeStatus(
    definition: CustomResourceDefinition,
    status: DefinitionStatus,
    signal: AbortSignal,
  ): Promise<CustomResourceDefinition | undefined> {
    if (same(status, definition.status)) return definition;
    try {
      return await client.update(r.customResourceDefinitions, { ...definition, status }, { subresource: 'status', signal });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
      return undefined;
    }
  }

  async function remove(definition: CustomResourceDefinition, signal: AbortSignal): Promise<void> {
    const { name, finalizers = [], deletionTimestamp } = definition.metadata;
    if (!finalizers.includes(cleanupFinalizer)) return;
    if (!isEstablished(definition)) return release(definition, 'NeverEstablished', signal);
    const started = await writeStatus(
      definition,
      terminatingStatus(definition, 'InstanceDeletionInProgress', clock.wallMs()),
      signal,
    );
    if (!started) return;
    if ((await removeObjects(started, signal)) === 0) return release(started, 'InstanceDeletionCompleted', signal);
    const sinceMs = clock.wallMs() - (timeMs(deletionTimestamp) ?? clock.wallMs());
    controller.queue.addAfter(name, Math.min(5_000, Math.max(100, sinceMs / 4)));
  }

  /** Gives how many wait for their finalizers. */
  async function removeObjects(definition: CustomResourceDefinition, signal: AbortSignal): Promise<number> {
    const resource = r.definedResource(definition);
    const { items } = await client.list(resource, { signal });
    const waiting = items.filter(({ metadata }) => !metadata.deletionTimestamp);
    for (let start = 0; start < waiting.length; start += deletionsMax) {
      const errors = await writeAll(waiting.slice(start, start + deletionsMax), (object) => drop(resource, object, signal));
      throwIfFailed(errors, `removing the objects of ${definition.metadata.name} failed`, { name: definition.metadata.name });
    }
    return items.length === 0 ? 0 : (await client.list(resource, { signal })).items.length;
  }

  async function drop(resource: r.Resource, { metadata }: KubeObject, signal: AbortSignal): Promise<void> {
    const { name, namespace, uid = '' } = metadata;
    try {
      await client.delete(resource, name, {
        ...(namespace ? { namespace } : {}),
        propagationPolicy: 'Background',
        preconditions: { uid },
        signal,
      });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
  }

  async function release(
    definition: CustomResourceDefinition,
    reason: 'InstanceDeletionCompleted' | 'NeverEstablished',
    signal: AbortSignal,
  ): Promise<void> {
    const told = await writeStatus(definition, terminatingStatus(definition, reason, clock.wallMs()), signal);
    if (!told) return;
    const finalizers = (told.metadata.finalizers ?? []).filter((each) => each !== cleanupFinalizer);
    try {
      await client.update(r.customResourceDefinitions, { ...told, metadata: { ...told.metadata, finalizers } }, { signal });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
  }

  return controller;
}
