/** Takes down what the agent made for a pod on this machine. Every part is idempotent, so a teardown cut short is begun again. */
import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Pod } from '../../machinery/types.ts';
import { stopPause } from '../runtime/pause.ts';
import { removeTree, unmountBelow } from '../volumes/mounts.ts';
import { releaseRun } from './container-launch.ts';
import { imageVolumeId, imageVolumePrefix, imageVolumesOf } from './image-volumes.ts';
import { containersOf } from './pod-context.ts';
import { containerId, type PodPaths, type PodRecord, pauseName, podPaths } from './record.ts';
import type { PodServices } from './services.ts';

/** All but the folder with record and logs. Nothing of the pod may run any more. */
export async function tearDownPod(services: PodServices, pod: Pod, paths: PodPaths, record: PodRecord): Promise<void> {
  const { network, cgroups, executor, images } = services;
  const uid = pod.metadata.uid!;
  for (const { name } of containersOf(pod)) {
    const state = record.containers[name];
    for (const run of [state?.last, state?.current]) if (run) await releaseRun({ services, paths }, name, run);
    // A root may have been mounted for a run that was never recorded.
    const next = state?.current ? state.current.attempt + 1 : 0;
    await images.removeRoot(containerId(uid, name, next));
  }
  for (const { name } of imageVolumesOf(pod)) await images.removeRoot(imageVolumeId(uid, name));
  if (pod.spec?.shareProcessNamespace) {
    const id = containerId(uid, pauseName, 0);
    await stopPause({ runtime: services.runtime, podUid: uid, id, bundle: paths.pause, rootfs: paths.pauseRoot }, record.pause);
  }
  if (record.hadSandbox && !pod.spec?.hostNetwork) await network.detach(uid);
  // All of them at once: what is below the folder and mounted is of these.
  await unmountBelow(paths.dir, executor);
  for (const dir of [dirname(paths.netns), paths.shm, paths.mapped, paths.volumes, paths.subPaths, paths.files]) {
    await rm(dir, { recursive: true, force: true });
  }
  await cgroups.removePod(uid);
}

/**
 * Removes everything of a pod whose record is missing or unreadable: its containers are known to the runtime by the folder of
 * their bundle. Its address and devices go with the sweep of the pod network.
 */
export async function removeLeftover(services: PodServices, podUid: string): Promise<void> {
  const { runtime, images, cgroups, executor } = services;
  const { dir } = podPaths(services.options.dataDir, podUid);
  for (const id of await runtime.deleteBelow(dir)) await images.removeRoot(id);
  await images.removeRootsOf(imageVolumePrefix(podUid));
  await removeTree(dir, executor);
  await cgroups.removePod(podUid);
}
