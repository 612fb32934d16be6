/**
 * Deletes what no living owner holds, and carries out foreground deletion and orphaning. It keeps a copy of every resource that may own
 * or be owned, indexed by uid and by owner. Before anything is deleted the absence of its owner is confirmed by the server, not only
 * by a copy; every deletion names the uid and version it was decided on.
 */
import { type Informer, keyOf } from '../../machinery/informer.ts';
import type { Resource } from '../../machinery/resources.ts';
import { isReason } from '../../machinery/status.ts';
import type { KubeObject, OwnerReference } from '../../machinery/types.ts';
import type { Controller, ControllerContext } from '../context.ts';
import { queueController } from '../queue-controller.ts';
import { followDefined } from './defined-kinds.ts';
import { blockers, foreground, isOrphaning, isWaiting, type OwnerState, orphan, planDependent } from './plan.ts';

const workers = 8;
const ownersIndex = 'owners';
/** Short-lived and many: a copy of these would cost more than it could ever find. Their deletions wait for nobody (see the kind). */
const neverOwned = new Set(['events']);
/** uids that the server has said are gone. */
const absentMax = 1_000;

export interface Source {
  resource: Resource;
  informer: Informer<KubeObject>;
}

interface Found {
  source: Source;
  object: KubeObject;
}

export function garbageCollector(context: ControllerContext): Controller {
  const { client } = context;
  const controller = queueController(context, {
    name: 'garbage-collector',
    workers,
    reconcile,
    start: (signal) => followDefined(context, { follow, reconsider, forget }, signal),
  });
  const absent = new Set<string>();
  /** By group and resource. */
  const sources = new Map<string, Source>();
  const byKind = new Map<string, Source>();
  for (const resource of context.options.ownableResources) {
    if (!neverOwned.has(resource.resource)) follow({ resource, informer: context.informer(resource) });
  }

  function follow(source: Source): void {
    const { resource, informer } = source;
    sources.set(idOf(resource), source);
    // Owners may be named by another version of the group than the one watched.
    byKind.set(`${resource.group}/${resource.kind}`, source);
    informer.addIndex(ownersIndex, ({ metadata }) => (metadata.ownerReferences ?? []).map(({ uid }) => uid));
    informer.onChange(({ type, object }) => {
      const { uid } = object.metadata;
      if (type === 'deleted') {
        remember(uid ?? '');
        enqueueDependents(uid);
        // An owner in the foreground may have waited for this one.
        for (const reference of object.metadata.ownerReferences ?? []) enqueueOwner(object, reference);
      } else if (object.metadata.ownerReferences?.length || isWaiting(object) || isOrphaning(object)) {
        controller.queue.add(queueKey(resource, object));
      }
    });
  }

  /** Objects whose owner is of a kind that is followed only now may have been looked at when nothing was known of it. */
  function reconsider({ resource: { group, kind } }: Source): void {
    const owned = ({ metadata }: KubeObject) =>
      metadata.ownerReferences?.some((reference) => reference.kind === kind && groupOfReference(reference) === group) ?? false;
    for (const source of sources.values()) {
      for (const object of source.informer.list()) if (owned(object)) enqueue({ source, object });
    }
  }

  /** No more is heard of this kind. `gone`: neither are there any objects of it. */
  function forget({ resource, informer }: Source, gone: boolean): void {
    sources.delete(idOf(resource));
    byKind.delete(`${resource.group}/${resource.kind}`);
    if (!gone) return;
    for (const { metadata } of informer.list()) {
      remember(metadata.uid ?? '');
      enqueueDependents(metadata.uid);
    }
  }

  function queueKey(resource: Resource, object: KubeObject): string {
    return `${idOf(resource)}|${keyOf(object)}`;
  }

  function enqueue({ source, object }: Found): void {
    controller.queue.add(queueKey(source.resource, object));
  }

  function dependentsOf(uid: string | undefined): Found[] {
    if (!uid) return [];
    return [...sources.values()].flatMap((source) =>
      source.informer.byIndex(ownersIndex, uid).map((object) => ({ source, object })),
    );
  }

  function enqueueDependents(uid: string | undefined): void {
    for (const dependent of dependentsOf(uid)) enqueue(dependent);
  }

  function enqueueOwner(dependent: KubeObject, reference: OwnerReference): void {
    const source = sourceOf(reference);
    const owner = source?.informer.get(ownerNamespace(source.resource, dependent), reference.name);
    if (source && owner && isWaiting(owner)) enqueue({ source, object: owner });
  }

  function sourceOf(reference: OwnerReference): Source | undefined {
    return byKind.get(`${groupOfReference(reference)}/${reference.kind}`);
  }

  async function reconcile(key: string, signal: AbortSignal): Promise<void> {
    const bar = key.indexOf('|');
    const source = sources.get(key.slice(0, bar));
    const path = key.slice(bar + 1);
    const slash = path.indexOf('/');
    const object = source?.informer.get(slash < 0 ? undefined : path.slice(0, slash), path.slice(slash + 1));
    if (!source || !object) return;
    const found = { source, object };
    try {
      if (isWaiting(object)) await advanceForeground(found, signal);
      else if (isOrphaning(object)) await releaseDependents(found, signal);
      else await judge(found, signal);
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
  }

  async function judge({ source, object }: Found, signal: AbortSignal): Promise<void> {
    const states = new Map<OwnerReference, OwnerState>();
    for (const reference of object.metadata.ownerReferences ?? []) {
      states.set(reference, await stateOf(object, source.resource, reference, signal));
    }
    const hasDependents = dependentsOf(object.metadata.uid).length > 0;
    const action = planDependent(object, (reference) => states.get(reference) ?? 'unknown', hasDependents);
    const { name, namespace, uid, resourceVersion } = object.metadata;
    if (action.type === 'delete') {
      await client.delete(source.resource, name, {
        ...(namespace ? { namespace } : {}),
        propagationPolicy: action.policy,
        preconditions: { uid: uid ?? '', resourceVersion: resourceVersion ?? '' },
        signal,
      });
    } else if (action.type === 'dropReferences') {
      await patchMetadata({ source, object }, { ownerReferences: action.ownerReferences }, signal);
    }
  }

  async function stateOf(
    dependent: KubeObject,
    resource: Resource,
    reference: OwnerReference,
    signal: AbortSignal,
  ): Promise<OwnerState> {
    if (absent.has(reference.uid)) return 'absent';
    const source = sourceOf(reference);
    // An object of the whole cluster cannot be owned by one of a namespace: the reference is a mistake, not a death sentence.
    if (!source || (source.resource.namespaced && !resource.namespaced)) return 'unknown';
    const namespace = ownerNamespace(source.resource, dependent);
    const seen = source.informer.get(namespace, reference.name);
    if (seen?.metadata.uid === reference.uid) return stateOfOwner(seen);
    try {
      const live = await client.get(source.resource, reference.name, { ...(namespace ? { namespace } : {}), signal });
      if (live.metadata.uid === reference.uid) return stateOfOwner(live);
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
    remember(reference.uid);
    return 'absent';
  }

  /** The owner goes last: its dependents are deleted first, and its finalizer when the last that blocks is gone. */
  async function advanceForeground({ source, object }: Found, signal: AbortSignal): Promise<void> {
    const dependents = dependentsOf(object.metadata.uid);
    const blocking = blockers(
      object,
      dependents.map((dependent) => dependent.object),
    );
    for (const dependent of dependents) enqueue(dependent);
    if (blocking.length === 0) await dropFinalizer({ source, object }, foreground, signal);
  }

  async function releaseDependents({ source, object }: Found, signal: AbortSignal): Promise<void> {
    for (const dependent of dependentsOf(object.metadata.uid)) {
      const references = dependent.object.metadata.ownerReferences ?? [];
      try {
        const ownerReferences = references.filter(({ uid }) => uid !== object.metadata.uid);
        await patchMetadata(dependent, { ownerReferences }, signal);
      } catch (error) {
        if (!isReason(error, 'NotFound')) throw error;
      }
    }
    await dropFinalizer({ source, object }, orphan, signal);
  }

  async function dropFinalizer(found: Found, name: string, signal: AbortSignal): Promise<void> {
    const finalizers = (found.object.metadata.finalizers ?? []).filter((each) => each !== name);
    await patchMetadata(found, { finalizers }, signal);
  }

  /** Refused when the object is no longer the one that was seen. */
  async function patchMetadata({ source, object }: Found, change: object, signal: AbortSignal): Promise<void> {
    const { name, namespace, uid, resourceVersion } = object.metadata;
    const patch = { metadata: { uid, resourceVersion, ...change } };
    await client.patch(source.resource, name, 'merge', patch, { ...(namespace ? { namespace } : {}), signal });
  }

  function remember(uid: string): void {
    absent.add(uid);
    if (absent.size <= absentMax) return;
    for (const oldest of absent) {
      absent.delete(oldest);
      return;
    }
  }

  return controller;
}

function groupOfReference({ apiVersion }: OwnerReference): string {
  return apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
}

function idOf({ group, resource }: Resource): string {
  return `${group}/${resource}`;
}

function stateOfOwner(owner: KubeObject): OwnerState {
  return isWaiting(owner) ? 'waiting' : 'present';
}

function ownerNamespace(owner: Resource, { metadata }: KubeObject): string | undefined {
  return owner.namespaced ? metadata.namespace : undefined;
}
