/**
 * The pods of this machine: one worker each, found again on disk after a restart, told of changes by a watch on the API. What
 * belongs to no pod is removed, but only after the API has said which pods there are.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../lib/errors.ts';
import type { Random } from '../../lib/random.ts';
import { Informer } from '../../machinery/informer.ts';
import { isMirrorPod } from '../../machinery/mirror-pods.ts';
import { pods } from '../../machinery/resources.ts';
import type { Pod } from '../../machinery/types.ts';
import { isAgentError } from '../errors.ts';
import type { EvictablePod } from '../eviction/pressure-relief.ts';
import type { ImageUser } from '../types.ts';
import { imageVolumeId, imageVolumesOf } from './image-volumes.ts';
import { podPaths, readRecord } from './record.ts';
import type { PodServices } from './services.ts';
import { StaticPods } from './static-pods.ts';
import { removeLeftover } from './teardown.ts';
import { PodWorker } from './worker.ts';

/** Pods that went lately: a late event must not bring one back. */
const finishedMax = 1_000;
const leftoverRetryMs = 10_000;

export class PodManager {
  readonly #services: PodServices;
  readonly #informer: Informer<Pod>;
  readonly #workers = new Map<string, PodWorker>();
  readonly #finished = new Set<string>();
  readonly #static: StaticPods;
  readonly #stop = new AbortController();
  /** The API has said which pods there are. */
  #heard = false;
  #running: Promise<void>[] = [];

  constructor(services: PodServices, random: Random) {
    this.#services = services;
    const { client, clock, logger, options } = services;
    this.#informer = new Informer({
      client,
      clock,
      random,
      logger,
      resource: pods,
      fieldSelector: `spec.nodeName=${options.nodeName}`,
    });
    this.#static = new StaticPods(services, {
      workers: () => [...this.#workers.values()].filter(({ record }) => record.static),
      add: (pod) => this.#add(new PodWorker({ pod, static: true, services })),
      seen: () => (this.#heard ? this.#informer.list() : undefined),
    });
  }

  /** Takes up what is on disk, removes what has no usable record, then follows the API. Resolves when the adopted workers run. */
  async start(): Promise<void> {
    const unusable = await this.#adoptAll();
    // Before the API is heard: a pod that comes from there must not meet its own remains, nor be taken for some.
    const strays = (await this.#services.cgroups.list()).filter((uid) => !this.#workers.has(uid));
    for (const uid of new Set([...unusable, ...strays])) await this.#removeLeftover(uid);
    this.#informer.onChange(({ type, object, previous }) => {
      if (type === 'deleted' || isMirrorPod(object)) this.#static.kick();
      if (previous && previous.metadata.uid !== object.metadata.uid) this.#workers.get(previous.metadata.uid!)?.removed();
      if (type === 'deleted') this.#workers.get(object.metadata.uid!)?.removed();
      else if (!isMirrorPod(object)) this.#seen(object);
    });
    this.#running = [this.#informer.start(this.#stop.signal), this.#endUnknown()];
    this.#static.start();
  }

  /** Ends all workers; containers run on. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error('the agent stops'));
    await this.#static.stop();
    await Promise.all([...this.#workers.values()].map((worker) => worker.shutDown()));
    await Promise.all(this.#running);
  }

  /** The worker of a pod by its name. When one is going and another came under the same name: the newer. */
  find(namespace: string, name: string): PodWorker | undefined {
    const named = [...this.#workers.values()].filter(
      ({ pod }) => pod().metadata.namespace === namespace && pod().metadata.name === name,
    );
    return named.at(-1);
  }

  /** Pods that have, or may still get, something on this machine. */
  podUids(): Set<string> {
    return new Set(this.#workers.keys());
  }

  /** The images that pods here need, and their containers. A pod that has ended needs none. */
  imageUsers(): ImageUser[] {
    return [...this.#workers.values()].filter(({ record }) => !record.ended).map(imageUserOf);
  }

  /** In the order in which they came. */
  all(): PodWorker[] {
    return [...this.#workers.values()];
  }

  /** All of them, as those who make pods go see them. */
  evictablePods(): EvictablePod[] {
    return [...this.#workers.values()];
  }

  leaseChanged(): void {
    for (const worker of this.#workers.values()) worker.leaseChanged();
  }

  #seen(pod: Pod): void {
    const uid = pod.metadata.uid!;
    if (this.#finished.has(uid) || this.#stop.signal.aborted) return;
    const worker = this.#workers.get(uid);
    if (worker) worker.update(pod);
    else this.#add(new PodWorker({ pod, services: this.#services }));
  }

  #add(worker: PodWorker): void {
    this.#workers.set(worker.uid, worker);
    void worker.start().then(() => {
      if (this.#stop.signal.aborted) return;
      this.#workers.delete(worker.uid);
      if (worker.record.static) return this.#static.kick();
      this.#finished.add(worker.uid);
      if (this.#finished.size > finishedMax) this.#finished.delete(this.#finished.values().next().value!);
    });
  }

  /** Gives the uids of folders whose record cannot be used. */
  async #adoptAll(): Promise<string[]> {
    const { options, logger } = this.#services;
    const unusable: string[] = [];
    for (const uid of await podFolders(options.dataDir)) {
      try {
        const record = await readRecord(podPaths(options.dataDir, uid).state);
        if (record?.pod.metadata.uid === uid) this.#add(new PodWorker({ pod: record.pod, record, services: this.#services }));
        else unusable.push(uid);
      } catch (error) {
        if (!isAgentError(error, 'CorruptState')) throw error;
        logger.error({ error, uid }, 'the record of a pod cannot be read; the pod is removed');
        unusable.push(uid);
      }
    }
    return unusable;
  }

  /** Pods that ran here but that the API, once it has spoken, does not have. */
  async #endUnknown(): Promise<void> {
    try {
      await this.#informer.synced(this.#stop.signal);
    } catch {
      // Only the end of the agent ends the waiting.
      return;
    }
    const known = new Set(this.#informer.list().map(({ metadata }) => metadata.uid!));
    for (const worker of this.#workers.values()) if (!known.has(worker.uid) && !worker.record.static) worker.removed();
    this.#heard = true;
    this.#static.kick();
  }

  async #removeLeftover(uid: string): Promise<void> {
    const { logger, clock } = this.#services;
    logger.info({ uid }, 'removing what is left of a pod');
    try {
      await removeLeftover(this.#services, uid);
    } catch (error) {
      logger.warn({ error, uid }, 'leftovers of a pod not removed, trying again');
      clock.setTimer(leftoverRetryMs, () => {
        if (!this.#stop.signal.aborted && !this.#workers.has(uid)) void this.#removeLeftover(uid);
      });
    }
  }
}

async function podFolders(dataDir: string): Promise<string[]> {
  try {
    return (await readdir(join(dataDir, 'pods'), { withFileTypes: true }))
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

function imageUserOf({ pod, record }: PodWorker): ImageUser {
  const { metadata, spec = { containers: [] } } = pod();
  const runs = Object.values(record.containers).flatMap(({ current, last }) =>
    [current, last].filter((run) => run !== undefined),
  );
  const wanted = [...spec.containers, ...(spec.initContainers ?? []), ...(spec.ephemeralContainers ?? [])];
  const volumes = imageVolumesOf(pod());
  return {
    name: `pod ${metadata.namespace}/${metadata.name}`,
    containers: [...runs.map(({ id }) => id), ...volumes.map(({ name }) => imageVolumeId(metadata.uid!, name))],
    images: [
      ...wanted.flatMap(({ image }) => image ?? []),
      ...volumes.flatMap(({ image }) => image.reference ?? []),
      ...runs.flatMap(({ imageId }) => imageId || []),
    ],
  };
}
