/**
 * The ground a pod's containers stand on: its cgroup, namespaces, address and volumes. `prepare` makes what is missing and is
 * quick when nothing is; `remove` takes it all away.
 */
import { errorMessage } from '../../lib/errors.ts';
import { qosClassOf } from '../../machinery/qos.ts';
import type { Pod, PodSpec } from '../../machinery/types.ts';
import { isAgentError } from '../errors.ts';
import { startPause, stopPause } from '../runtime/pause.ts';
import { isAlive } from '../runtime/process-identity.ts';
import type { CgroupLimits } from '../types.ts';
import { unmountBelow } from '../volumes/mounts.ts';
import { PodTokens } from '../volumes/pod-tokens.ts';
import { PodVolumes } from '../volumes/pod-volumes.ts';
import { imageVolumeId } from './image-volumes.ts';
import { podCgroupLimits } from './needs.ts';
import type { PodObjects } from './objects.ts';
import { addressOf, fieldValuesOf, type PodContext } from './pod-context.ts';
import { containerId, pauseName } from './record.ts';
import { runtimeHandler } from './runtime-handler.ts';
import { ensureSandbox, namespacesOf, sandboxStands, writePodFiles } from './sandbox.ts';
import { tearDownPod } from './teardown.ts';
import { hasOwnUsers, mappingOf } from './user-namespace.ts';

/** Processes and threads of one pod. */
export const pidsMax = 32_768;

export class PodGround {
  readonly volumes: PodVolumes;
  readonly #context: PodContext;
  readonly #objects: PodObjects;
  readonly #tokens: PodTokens;
  #cgroupParent: string | undefined;
  #ready = false;

  constructor(context: PodContext, objects: PodObjects) {
    this.#context = context;
    this.#objects = objects;
    const { paths, services } = context;
    const { executor, client, clock, logger } = services;
    const tokens = new PodTokens({ client, clock, logger, volumesDir: paths.volumes });
    this.#tokens = tokens;
    const sources = {
      configMap: objects.configMap,
      secret: objects.secret,
      token: (volume: string, path: string) => tokens.get(volume, path),
    };
    this.volumes = new PodVolumes({
      paths,
      executor,
      clock,
      sources,
      values: () => fieldValuesOf(context),
      mapping: () => mappingOf(context.pod(), context.record, paths),
      imageRoot: (volume) => services.images.mountedRoot(imageVolumeId(context.uid, volume)),
    });
  }

  /** True while namespaces and network stand. */
  get ready(): boolean {
    return this.#ready;
  }

  /** The cgroup under which the runtime makes those of the containers. Only after `prepare`. */
  get cgroupParent(): string {
    return this.#cgroupParent!;
  }

  /** Finds out what an earlier agent left standing. */
  async look(): Promise<void> {
    const { record, paths, pod } = this.#context;
    const hasAddress = pod().spec?.hostNetwork === true || record.ip !== undefined;
    const stands = !record.ended && record.hadSandbox && hasAddress && (await sandboxStands(pod(), paths));
    this.#ready = stands && (!pod().spec?.shareProcessNamespace || (!!record.pause && (await isAlive(record.pause))));
  }

  /** Rejects with the signal's reason, AgentError 'Sandbox', 'Network' or 'Volume'; the events are recorded here. */
  async prepare(signal: AbortSignal): Promise<void> {
    const pod = this.#context.pod();
    if (!this.#cgroupParent) await this.limit((limits) => limits(pod.spec!));
    if (hasOwnUsers(pod)) {
      // Volumes are shown with the owners of the sandbox.
      await this.#prepareSandbox(pod, signal);
      return this.#prepareVolumes(pod, signal);
    }
    // Neither needs the other. Both have ended when this does: nothing goes on behind a teardown.
    const parts = await Promise.allSettled([this.#prepareSandbox(pod, signal), this.#prepareVolumes(pod, signal)]);
    for (const part of parts) if (part.status === 'rejected') throw part.reason;
  }

  async #prepareSandbox(pod: Pod, signal: AbortSignal): Promise<void> {
    const { services } = this.#context;
    try {
      if (!pod.spec?.hostNetwork) await services.networkReady(signal);
      signal.throwIfAborted();
      await this.look();
      if (!this.#ready) await this.#makeSandbox(pod, signal);
    } catch (error) {
      signal.throwIfAborted();
      const message = `Failed to create pod sandbox: ${errorMessage(error)}`;
      services.events.record(pod, 'Warning', 'FailedCreatePodSandBox', message);
      throw error;
    }
  }

  async #prepareVolumes(pod: Pod, signal: AbortSignal): Promise<void> {
    const { services } = this.#context;
    await this.#objects.synced(signal);
    try {
      await this.#tokens.ensure(pod, signal);
      await this.volumes.setUp(pod);
    } catch (error) {
      if (isAgentError(error, 'Volume')) services.events.record(pod, 'Warning', 'FailedMount', error.message);
      throw error;
    }
  }

  /** Sets the limits of the pod as a whole. They are made of those that specs give. AgentError 'Cgroup', or of the kernel. */
  async limit(make: (limits: (spec: PodSpec) => CgroupLimits) => CgroupLimits): Promise<void> {
    const { services, uid, pod } = this.#context;
    const qos = pod().status?.qosClass ?? qosClassOf(pod().spec!);
    const limits = make((spec) => podCgroupLimits(spec, pidsMax));
    this.#cgroupParent = await services.cgroups.ensurePod(uid, qos as 'Burstable', limits);
  }

  /** Wall time at which files of the pod must be renewed though nothing has changed. */
  get renewAtMs(): number {
    return this.#ready ? this.#tokens.dueAtMs(this.#context.pod()) : Number.POSITIVE_INFINITY;
  }

  /** Brings the files of volumes up to date. A source that has gone leaves them as they are. */
  async refresh(signal: AbortSignal): Promise<void> {
    const pod = this.#context.pod();
    try {
      await this.#tokens.ensure(pod, signal);
    } catch (error) {
      if (!isAgentError(error, 'Volume')) throw error;
      this.#context.services.logger.warn({ error, pod: pod.metadata.name }, 'a service account token could not be had yet');
    }
    await this.volumes.refresh(pod);
  }

  /** Nothing of the pod may run any more. The logs stay. */
  async remove(): Promise<void> {
    const { services, paths, record, pod } = this.#context;
    await tearDownPod(services, pod(), paths, record);
    this.#ready = false;
    this.#cgroupParent = undefined;
  }

  async #makeSandbox(pod: Pod, signal: AbortSignal): Promise<void> {
    const { services, paths, record, uid, save, publish } = this.#context;
    const { options, executor, network } = services;
    if (record.ip !== undefined) {
      services.events.record(pod, 'Normal', 'SandboxChanged', 'Pod sandbox changed, it will be killed and re-created.');
    }
    record.runtimeHandler = await runtimeHandler(pod, services, signal);
    // On disk before the first mount: an agent that dies here leaves nothing that the next one does not know of.
    record.hadSandbox = true;
    record.ip = undefined;
    if (hasOwnUsers(pod)) record.firstUserId = await services.userRanges.take(uid);
    await save();
    const mapping = mappingOf(pod, record, paths);
    const place = { paths, nodeName: options.nodeName, executor, mapping };
    await ensureSandbox(pod, place);
    const ip = pod.spec?.hostNetwork ? undefined : (await network.attach(uid, paths.netns)).ip;
    if (ip !== undefined) await services.hostPorts.lead(uid, ip);
    await writePodFiles(pod, place, ip ?? addressOf(this.#context));
    if (pod.spec?.shareProcessNamespace) await this.#startPause(pod);
    // Last: with the address on record the sandbox counts as whole.
    record.ip = ip;
    this.#ready = true;
    await save();
    publish();
  }

  async #startPause(pod: Pod): Promise<void> {
    const { services, paths, record, uid } = this.#context;
    const { runtime, executor } = services;
    const mapping = mappingOf(pod, record, paths);
    const { pid: namespaceFile, ...namespaces } = namespacesOf(pod, paths);
    const id = containerId(uid, pauseName, 0);
    const place = { runtime, podUid: uid, id, bundle: paths.pause, rootfs: paths.pauseRoot };
    await stopPause(place, record.pause);
    await unmountBelow(namespaceFile!, executor);
    const cgroupsPath = `${this.cgroupParent}/${id}`;
    record.pause = await startPause({
      ...place,
      handler: record.runtimeHandler,
      executor,
      cgroupsPath,
      namespaceFile: namespaceFile!,
      namespaces,
      ...(mapping ? { firstUserId: mapping.firstId } : {}),
    });
  }
}
