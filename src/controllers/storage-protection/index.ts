/** Lets claims and volumes that are being deleted go as soon as nothing uses them: admission gave each a finalizer. */
import { claimProtection, volumeProtection } from '../../machinery/finalizers.ts';
import { keyOf, splitKey } from '../../machinery/informer.ts';
import * as r from '../../machinery/resources.ts';
import { isReason } from '../../machinery/status.ts';
import type { KubeObject } from '../../machinery/types.ts';
import type { Controller, ControllerContext } from '../context.ts';
import { queueController } from '../queue-controller.ts';
import { claimKeysOf, isKeptBy, mayGo, uses, withoutFinalizer } from './plan.ts';

const workers = 2;
const claimsIndex = 'claims';

export function claimProtectionController(context: ControllerContext): Controller {
  const { client, pods } = context;
  const claims = context.informer(r.persistentVolumeClaims);
  const controller = queueController(context, { name: 'pvc-protection', workers, reconcile });
  pods.addIndex(claimsIndex, claimKeysOf);
  claims.onChange(({ type, object }) => {
    if (type !== 'deleted' && isKeptBy(claimProtection, object)) controller.queue.add(keyOf(object));
  });
  pods.onChange(({ type, object }) => {
    for (const key of claimKeysOf(object)) if (type === 'deleted' || !uses(object, key)) controller.queue.add(key);
  });

  async function reconcile(key: string, signal: AbortSignal): Promise<void> {
    const { namespace, name } = splitKey(key);
    const claim = claims.get(namespace, name);
    if (!claim || !isKeptBy(claimProtection, claim)) return;
    if (pods.byIndex(claimsIndex, key).some((pod) => uses(pod, key))) return;
    // The copy may be behind: a pod may just have got its machine.
    const { items } = await client.list(r.pods, { namespace: namespace ?? '', signal });
    if (items.some((pod) => uses(pod, key))) {
      controller.queue.addAfter(key, recheckMs);
      return;
    }
    await letGo(context, r.persistentVolumeClaims, withoutFinalizer(claim, claimProtection), signal);
  }

  return controller;
}

/** The copy will have caught up by then. */
const recheckMs = 1_000;

export function volumeProtectionController(context: ControllerContext): Controller {
  const volumes = context.informer(r.persistentVolumes);
  const controller = queueController(context, { name: 'pv-protection', workers, reconcile });
  volumes.onChange(({ type, object }) => {
    if (type !== 'deleted' && mayGo(object)) controller.queue.add(keyOf(object));
  });

  async function reconcile(name: string, signal: AbortSignal): Promise<void> {
    const volume = volumes.get(undefined, name);
    if (volume && mayGo(volume)) await letGo(context, r.persistentVolumes, withoutFinalizer(volume, volumeProtection), signal);
  }

  return controller;
}

async function letGo<T extends KubeObject>(
  { client }: ControllerContext,
  resource: r.Resource<T>,
  object: T,
  signal: AbortSignal,
): Promise<void> {
  try {
    await client.update(resource, object, { signal });
  } catch (error) {
    if (!isReason(error, 'NotFound')) throw error;
  }
}
