/**
 * Who controls what. A controller owns the objects that name it by uid as their controller; it takes in matching objects without
 * one and lets go of its own that match no longer. Pure, except `applyClaims`.
 */
import type { Client } from '../machinery/client.ts';
import type { Informer } from '../machinery/informer.ts';
import { apiVersionOf, type Resource } from '../machinery/resources.ts';
import { labelSelectorMatches } from '../machinery/selectors.ts';
import { isReason } from '../machinery/status.ts';
import type { KubeObject, LabelSelector, OwnerReference } from '../machinery/types.ts';

/** The reference that is marked as controller, if any. */
export function controllerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((reference) => reference.controller === true);
}

export function controllerReference(owner: KubeObject, resource: Resource): OwnerReference {
  return {
    apiVersion: apiVersionOf(resource),
    kind: resource.kind,
    name: owner.metadata.name,
    uid: owner.metadata.uid ?? '',
    controller: true,
    blockOwnerDeletion: true,
  };
}

export interface Claims<T> {
  /** Owned and matching. */
  owned: T[];
  /** Matching, without a controller. */
  adopt: T[];
  /** Owned, but matching no longer. */
  release: T[];
}

/** `candidates` may hold anything of the namespace. An owner that is being deleted takes in nothing. */
export function planClaims<T extends KubeObject>(
  owner: KubeObject,
  selector: LabelSelector | undefined,
  candidates: Iterable<T>,
): Claims<T> {
  const claims: Claims<T> = { owned: [], adopt: [], release: [] };
  for (const candidate of candidates) {
    const controller = controllerOf(candidate);
    if (controller && controller.uid !== owner.metadata.uid) continue;
    const matches = labelSelectorMatches(selector, candidate.metadata.labels);
    if (controller) (matches ? claims.owned : claims.release).push(candidate);
    else if (matches && !owner.metadata.deletionTimestamp && !candidate.metadata.deletionTimestamp) claims.adopt.push(candidate);
  }
  return claims;
}

/**
 * Carries out adoptions and releases and gives what is owned afterwards. Each write names the version it is based on, so two
 * controllers never adopt the same object. Before the first adoption the owner is read from the server: a copy may not know yet that
 * it is being deleted or was replaced.
 */
export async function applyClaims<T extends KubeObject>(
  claims: Claims<T>,
  options: {
    client: Client;
    owner: KubeObject;
    ownerResource: Resource;
    resource: Resource<T>;
    signal: AbortSignal;
  },
): Promise<T[]> {
  const { client, owner, ownerResource, resource, signal } = options;
  const namespace = owner.metadata.namespace ?? '';
  const write = async (object: T, ownerReferences: OwnerReference[]): Promise<T | undefined> => {
    const { name, uid, resourceVersion } = object.metadata;
    try {
      return await client.patch(
        resource,
        name,
        'merge',
        { metadata: { uid, resourceVersion, ownerReferences } },
        { namespace, signal },
      );
    } catch (error) {
      if (isReason(error, 'NotFound')) return undefined;
      throw error;
    }
  };
  for (const object of claims.release) {
    const rest = (object.metadata.ownerReferences ?? []).filter(({ uid }) => uid !== owner.metadata.uid);
    await write(object, rest);
  }
  if (claims.adopt.length === 0) return claims.owned;
  const live = await client.get(ownerResource, owner.metadata.name, { namespace, signal });
  if (live.metadata.uid !== owner.metadata.uid || live.metadata.deletionTimestamp) return claims.owned;
  const owned = [...claims.owned];
  for (const object of claims.adopt) {
    const references = [...(object.metadata.ownerReferences ?? []), controllerReference(owner, ownerResource)];
    const adopted = await write(object, references);
    if (adopted) owned.push(adopted);
  }
  return owned;
}

/** Index of an informer: by the controller's uid, or for objects without one by `free/<namespace>`. */
export const controllerIndex = 'controller';

export function addControllerIndex<T extends KubeObject>(informer: Informer<T>): void {
  informer.addIndex(controllerIndex, (object) => [controllerOf(object)?.uid ?? `free/${object.metadata.namespace ?? ''}`]);
}

/** What this owner may own now or take in: a superset for `planClaims`. Needs the index. */
export function claimCandidates<T extends KubeObject>(informer: Informer<T>, owner: KubeObject): T[] {
  return [
    ...informer.byIndex(controllerIndex, owner.metadata.uid ?? ''),
    ...informer.byIndex(controllerIndex, `free/${owner.metadata.namespace ?? ''}`),
  ];
}
