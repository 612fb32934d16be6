/**
 * The only way in which controllers, scheduler and agent see the cluster. Implementations: in-process on a peer (through the
 * same admission and validation as HTTP), HTTP (the agent), and over a simulated store in tests.
 *
 * Every method rejects with a StatusError for what Kubernetes answers with a Status, and with the signal's reason when aborted.
 * Objects that come back must be treated as read-only: caches share them. Copy with structuredClone before changing one.
 */
import type { Resource } from './resources.ts';
import type { KubeObject, ObjectMeta } from './types.ts';

export interface ListOptions {
  /** Leave out for all namespaces. */
  namespace?: string;
  /** Kubernetes' text form, for example `app=web,tier in (a,b)`. */
  labelSelector?: string;
  /** For example `spec.nodeName=a`. */
  fieldSelector?: string;
  /** '0': whatever this peer has. Left out: linearizable. */
  resourceVersion?: string;
  signal?: AbortSignal;
}

export interface WatchOptions extends ListOptions {
  signal: AbortSignal;
  allowWatchBookmarks?: boolean;
}

export interface List<T> {
  resourceVersion: string;
  items: T[];
}

export type WatchEvent<T> =
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: T }
  | { type: 'BOOKMARK'; object: { metadata: Pick<ObjectMeta, 'resourceVersion'> } };

export type PatchType = 'json' | 'merge' | 'strategic' | 'apply';

export interface WriteOptions {
  namespace?: string;
  /** 'status', 'scale', 'binding', … */
  subresource?: string;
  /** Who shall own the fields of this write. Left out: the program's own name. Apply needs it. */
  fieldManager?: string;
  /** With apply: take over fields that others own. */
  force?: boolean;
  dryRun?: boolean;
  signal?: AbortSignal;
}

export interface DeleteOptions {
  namespace?: string;
  gracePeriodSeconds?: number;
  propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
  preconditions?: { uid?: string; resourceVersion?: string };
  signal?: AbortSignal;
}

/** What is needed to create an object: its metadata may lack a name when it has generateName. */
export type NewObject<T extends KubeObject> = Omit<T, 'apiVersion' | 'kind' | 'metadata'> & {
  metadata: Partial<ObjectMeta>;
};

export interface Client {
  get<T extends KubeObject>(
    resource: Resource<T>,
    name: string,
    options?: { namespace?: string; signal?: AbortSignal },
  ): Promise<T>;
  list<T extends KubeObject>(resource: Resource<T>, options?: ListOptions): Promise<List<T>>;
  /** Ends by rejection: StatusError 410 when `resourceVersion` is too old, or the signal's reason. Ends normally when the server closes it. */
  watch<T extends KubeObject>(resource: Resource<T>, options: WatchOptions): AsyncIterable<WatchEvent<T>>;
  /** With `subresource`, `name` names the parent (for example a Binding or an Eviction of a pod). */
  create<T extends KubeObject>(
    resource: Resource<T>,
    object: NewObject<T>,
    options?: WriteOptions & { name?: string },
  ): Promise<T>;
  /** 409 Conflict when the object's resourceVersion is not the stored one. */
  update<T extends KubeObject>(resource: Resource<T>, object: T, options?: WriteOptions): Promise<T>;
  patch<T extends KubeObject>(
    resource: Resource<T>,
    name: string,
    type: PatchType,
    patch: unknown,
    options?: WriteOptions,
  ): Promise<T>;
  /** Resolves when the deletion is accepted; the object may still wait for finalizers or its grace period. */
  delete<T extends KubeObject>(resource: Resource<T>, name: string, options?: DeleteOptions): Promise<void>;
}
