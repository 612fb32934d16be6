/** Whether claims and volumes that are being deleted may go. Source: Kubernetes documentation, "Storage Object in Use Protection". Pure. */
import { volumeProtection } from '../../machinery/finalizers.ts';
import type { PersistentVolume } from '../../machinery/kind-types.ts';
import type { KubeObject, Pod } from '../../machinery/types.ts';
import { isFinished } from '../pod-state.ts';

/** True when the object is being deleted and this finalizer keeps it. */
export function isKeptBy(finalizer: string, { metadata }: KubeObject): boolean {
  return metadata.deletionTimestamp !== undefined && (metadata.finalizers ?? []).includes(finalizer);
}

export function withoutFinalizer<T extends KubeObject>(object: T, finalizer: string): T {
  const finalizers = (object.metadata.finalizers ?? []).filter((each) => each !== finalizer);
  return { ...object, metadata: { ...object.metadata, finalizers } };
}

/** `namespace/name` of the claims that the pod names, also of those made for its ephemeral volumes. */
export function claimKeysOf({ metadata, spec }: Pod): string[] {
  return (spec?.volumes ?? []).flatMap(({ name, persistentVolumeClaim, ephemeral }) => {
    const claim = persistentVolumeClaim?.claimName ?? (ephemeral ? `${metadata.name}-${name}` : undefined);
    return claim === undefined ? [] : [`${metadata.namespace}/${claim}`];
  });
}

/** A pod without a machine uses nothing yet, and no machine starts a pod on a claim that is being deleted. */
export function uses(pod: Pod, claimKey: string): boolean {
  return Boolean(pod.spec?.nodeName) && !isFinished(pod) && claimKeysOf(pod).includes(claimKey);
}

export function mayGo(volume: PersistentVolume): boolean {
  return isKeptBy(volumeProtection, volume) && volume.status?.phase !== 'Bound';
}
