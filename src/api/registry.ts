/**
 * The registry: every verb on every kind, for HTTP and for the in-process client alike. It admits, defaults, validates and
 * writes; who may ask is decided before.
 */
import { Turns } from '../lib/turns.ts';
import type { PatchType } from '../machinery/client.ts';
import { failure } from '../machinery/status.ts';
import type { KubeObject } from '../machinery/types.ts';
import { admissionRequest } from './admission/request.ts';
import { createObject } from './create.ts';
import { deleteCollection, deleteObject } from './delete.ts';
import { isStorageVersion, statusSubresourcesOf, subresourcesOf } from './kind-table.ts';
import { finalizeNamespace } from './namespace-finalize.ts';
import { patchObject } from './patch.ts';
import { bindPod, evictPod } from './pod-subresources.ts';
import { type Entry, getEntry, type ListAnswer, type ListRequest, listEntries } from './read.ts';
import type { DeletionOptions, NamedTarget, Outcome, RegistryContext, Target, WriteOptions } from './registry-types.ts';
import { patchScale, scaleOf, updateScale } from './scale.ts';
import { SharedWrites } from './shared-writes.ts';
import { fromStorage } from './stored-objects.ts';
import { requestToken } from './token-request.ts';
import { updateObject } from './update.ts';
import { type PreparedWatch, prepareWatch, type WatchRequest } from './watch.ts';

/** Subresources through which a part of a pod's description is read and changed. */
const podSpecParts = ['ephemeralcontainers', 'resize'];

export class Registry {
  readonly context: RegistryContext;

  constructor(context: Omit<RegistryContext, 'shared' | 'turns'>) {
    this.context = { ...context, shared: new SharedWrites(context.store), turns: new Turns(context.clock) };
  }

  /** One object, or its scale. The entry is there when the answer is the stored object in the storage version. */
  async get(target: NamedTarget, resourceVersion?: string): Promise<{ object: KubeObject; entry?: Entry }> {
    checkSubresource(target, [...statusSubresourcesOf(target.resolved.kind), 'scale', ...podSpecParts]);
    const entry = await getEntry(this.context, target, resourceVersion);
    if (target.subresource === 'scale') return { object: scaleOf(target, entry.object) };
    const object = fromStorage(target.resolved, entry.object);
    return isStorageVersion(target.resolved) ? { object, entry } : { object };
  }

  list(target: Target, request: ListRequest): Promise<ListAnswer> {
    return listEntries(this.context, target, request);
  }

  watch(target: Target, request: WatchRequest): Promise<PreparedWatch> {
    return prepareWatch(this.context, target, request);
  }

  create(target: Target, body: unknown, options: WriteOptions): Promise<Outcome> {
    return createObject(this.context, target, body, options);
  }

  /** POST to a subresource of an object. */
  async createSubresource(target: NamedTarget, body: unknown, options: WriteOptions): Promise<Outcome> {
    checkSubresource(target, ['binding', 'eviction', 'token']);
    if (target.subresource === 'token') return requestToken(this.context, target, body, options.dryRun);
    return target.subresource === 'binding'
      ? bindPod(this.context, target, body, options)
      : evictPod(this.context, target, body, options);
  }

  async update(target: NamedTarget, body: unknown, options: WriteOptions): Promise<Outcome> {
    checkSubresource(target, [...statusSubresourcesOf(target.resolved.kind), 'scale', 'finalize', ...podSpecParts]);
    if (target.subresource === 'scale') return updateScale(this.context, target, body, options);
    if (target.subresource === 'finalize') return finalizeNamespace(this.context, target, body, options);
    return updateObject(this.context, target, body, options);
  }

  async patch(target: NamedTarget, patch: { type: PatchType; body: unknown }, options: WriteOptions): Promise<Outcome> {
    checkSubresource(target, [...statusSubresourcesOf(target.resolved.kind), 'scale', ...podSpecParts]);
    if (target.subresource === 'scale') return patchScale(this.context, target, patch, options);
    return patchObject(this.context, target, patch, options);
  }

  async delete(target: NamedTarget, options: DeletionOptions): Promise<Outcome> {
    checkSubresource(target, []);
    return deleteObject(this.context, target, options);
  }

  /** Asks whether somebody may connect to an object through its subresource. StatusError when admission says no. */
  connect(target: NamedTarget, object: KubeObject): Promise<void> {
    const request = admissionRequest({ operation: 'CONNECT', target, object, options: {} });
    return this.context.admission.admit(request, this.context);
  }

  deleteCollection(
    target: Target,
    request: ListRequest,
    options: DeletionOptions,
  ): Promise<{ resourceVersion: string; items: KubeObject[] }> {
    return deleteCollection(this.context, target, request, options);
  }
}

/** StatusError 404 when the kind has no such subresource, 405 when it has, but not for this verb. */
function checkSubresource({ subresource, resolved }: NamedTarget, allowed: string[]): void {
  if (!subresource) return;
  if (!subresourcesOf(resolved.kind).includes(subresource)) throw unknownResource();
  if (!allowed.includes(subresource)) throw methodNotAllowed();
}

export function unknownResource() {
  return failure(404, 'NotFound', 'the server could not find the requested resource');
}

export function methodNotAllowed() {
  return failure(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource');
}
