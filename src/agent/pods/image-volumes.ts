/**
 * Volumes that are images: pulled like those of containers, by the same rules and with the same events, mounted once per pod and
 * kept until the pod goes. A container that mounts one waits for it as for its own image.
 */
import type { Container, Pod, Volume } from '../../machinery/types.ts';
import type { IdMapping } from '../host/user-namespaces.ts';
import type { ImageStore } from '../types.ts';
import type { ImagePuller } from './image-puller.ts';
import type { PodObjects } from './objects.ts';
import { pullCredentials } from './pull-secrets.ts';

/** In the image store, where a container's root has its container's id. No such id holds a dot. */
export function imageVolumeId(podUid: string, volume: string): string {
  return `${imageVolumePrefix(podUid)}${volume}`;
}

/** How the ids of a pod's image volumes begin. */
export function imageVolumePrefix(podUid: string): string {
  return `${podUid}.`;
}

export interface ImageVolumesContext {
  pod: Pod;
  images: ImageStore;
  puller: ImagePuller;
  objects: PodObjects;
  mapping: IdMapping | undefined;
  signal: AbortSignal;
}

/** Makes those that the container mounts be there. Rejects with ContainerWaiting when an image cannot be had now. */
export async function mountImageVolumes(context: ImageVolumesContext, container: Container): Promise<void> {
  const { pod, images, puller, objects, mapping, signal } = context;
  for (const { name, image: source } of imageVolumesOf(pod)) {
    if (!container.volumeMounts?.some((mount) => mount.name === name)) continue;
    const id = imageVolumeId(pod.metadata.uid!, name);
    if (await images.mountedRoot(id)) continue;
    const { reference = '', pullPolicy } = source;
    const secrets = (pod.spec?.imagePullSecrets ?? []).map((secret) => objects.secret(secret.name ?? ''));
    const image = await puller.ensure(pod, { reference, policy: pullPolicy }, pullCredentials(secrets), signal);
    await images.mountRoot(id, image, { readOnly: true, ...(mapping ? { mapping } : {}) });
  }
}

/** Pure. */
export function imageVolumesOf({ spec }: Pod): (Volume & Required<Pick<Volume, 'image'>>)[] {
  return (spec?.volumes ?? []).filter((volume): volume is Volume & Required<Pick<Volume, 'image'>> => !!volume.image);
}
