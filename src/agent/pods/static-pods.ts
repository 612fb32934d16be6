/**
 * Static pods: those of the machine's own folder, run without the API, each with a mirror there. Level-driven: what the folder
 * says, which workers there are and which mirrors the API shows are compared again after every change. A mirror follows its
 * pod, never the other way round; a pod whose manifest changed is another pod, and starts when the former has gone.
 */
import { RepeatingTask } from '../../lib/repeating-task.ts';
import { configHashAnnotation, isMirrorPod, mirrorAnnotation } from '../../machinery/mirror-pods.ts';
import { pods } from '../../machinery/resources.ts';
import { isReason } from '../../machinery/status.ts';
import type { Pod } from '../../machinery/types.ts';
import type { PodServices } from './services.ts';
import { StaticFolder } from './static-folder.ts';
import type { PodWorker } from './worker.ts';

/** What has the workers. */
export interface StaticPodsHost {
  /** Of static pods. */
  workers(): PodWorker[];
  add(pod: Pod): void;
  /** Pods bound to this machine as the API has them; undefined before it has been heard. */
  seen(): Pod[] | undefined;
}

const folderMs = 1_000;
const retryMsMin = 1_000;
const retryMsMax = 30_000;

export class StaticPods {
  readonly #services: PodServices;
  readonly #host: StaticPodsHost;
  readonly #stop = new AbortController();
  readonly #reading: RepeatingTask | undefined;
  /** By namespace and name; undefined before the folder has been read. */
  #wanted: Map<string, Pod> | undefined;
  #working: Promise<void> | undefined;
  #again = false;
  #retryMs = retryMsMin;

  constructor(services: PodServices, host: StaticPodsHost) {
    this.#services = services;
    this.#host = host;
    const { options, clock, logger } = services;
    const { staticPodPath: path, nodeName } = options;
    if (!path) {
      this.#wanted = new Map();
      return;
    }
    const folder = new StaticFolder({ path, nodeName, clock, logger });
    this.#reading = new RepeatingTask({
      clock,
      intervalMs: folderMs,
      run: async () => this.#want(await folder.read()),
      onError: (error) => logger.warn({ error, path }, 'the folder of static pods cannot be read'),
    });
  }

  start(): void {
    this.#reading?.start();
    // Mirrors name the Node as their owner. Only the end of the agent ends the waiting.
    this.#services.nodeKnown(this.#stop.signal).then(
      () => this.kick(),
      () => undefined,
    );
    this.kick();
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('the agent stops'));
    await this.#reading?.stop();
    await this.#working;
  }

  /** Compares again, once what is under way has ended. */
  kick(): void {
    this.#again = true;
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined;
      if (this.#again) this.kick();
    });
  }

  #want(list: Pod[]): void {
    const wanted = new Map(list.map((pod) => [keyOf(pod), pod]));
    const same = wanted.size === this.#wanted?.size && [...wanted].every(([key, pod]) => this.#wanted!.get(key) === pod);
    this.#wanted = wanted;
    if (!same) this.kick();
  }

  async #work(): Promise<void> {
    const { clock, logger } = this.#services;
    this.#again = false;
    if (this.#stop.signal.aborted) return;
    try {
      this.#follow();
      await this.#mirror();
      this.#retryMs = retryMsMin;
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      logger.warn({ error }, 'mirrors of static pods not up to date, trying again');
      clock.setTimer(this.#retryMs, () => {
        if (!this.#stop.signal.aborted) this.kick();
      });
      this.#retryMs = Math.min(this.#retryMs * 2, retryMsMax);
    }
  }

  /** Ends and starts pods. */
  #follow(): void {
    if (!this.#wanted) return;
    const workers = this.#workers();
    for (const [key, worker] of workers) if (this.#wanted.get(key)?.metadata.uid !== worker.uid) worker.end();
    for (const [key, pod] of this.#wanted) if (!workers.has(key)) this.#host.add(pod);
  }

  #workers(): Map<string, PodWorker> {
    return new Map(this.#host.workers().map((worker) => [keyOf(worker.pod()), worker]));
  }

  /** Makes and removes mirrors, and tells workers where their status is to be shown. */
  async #mirror(): Promise<void> {
    const seen = this.#host.seen();
    if (!seen || !this.#wanted) return;
    const workers = this.#workers();
    const taken = new Map(seen.map((pod) => [keyOf(pod), pod]));
    for (const mirror of seen.filter(isMirrorPod)) {
      const worker = workers.get(keyOf(mirror));
      const good = !mirror.metadata.deletionTimestamp && mirror.metadata.annotations![mirrorAnnotation] === worker?.uid;
      worker?.showOn(good ? mirror : undefined);
      if (!good) await this.#remove(mirror);
    }
    for (const [key, worker] of workers) {
      if (taken.has(key)) continue;
      worker.showOn(undefined);
      if (!worker.terminating) await this.#create(worker.pod());
    }
  }

  async #create(pod: Pod): Promise<void> {
    const { client, node } = this.#services;
    const { name, uid } = node().metadata;
    if (!uid) return;
    const { metadata, spec } = pod;
    const hash = metadata.annotations![configHashAnnotation]!;
    const mirror: Pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: metadata.name,
        namespace: metadata.namespace,
        ...(metadata.labels ? { labels: metadata.labels } : {}),
        annotations: { ...metadata.annotations, [mirrorAnnotation]: hash },
        ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name, uid, controller: true }],
      },
      spec: structuredClone(spec!),
    };
    try {
      await client.create(pods, mirror, { namespace: metadata.namespace, signal: this.#stop.signal });
    } catch (error) {
      // The watch has not shown it yet, or a pod of another kind has the name: then it runs without a mirror.
      if (!isReason(error, 'AlreadyExists')) throw error;
    }
  }

  async #remove({ metadata: { name, namespace, uid } }: Pod): Promise<void> {
    const { client } = this.#services;
    try {
      const preconditions = { uid: uid! };
      await client.delete(pods, name, { namespace, gracePeriodSeconds: 0, preconditions, signal: this.#stop.signal });
    } catch (error) {
      if (!isReason(error, 'NotFound') && !isReason(error, 'Conflict')) throw error;
    }
  }
}

function keyOf({ metadata: { namespace, name } }: Pod): string {
  return `${namespace}/${name}`;
}
