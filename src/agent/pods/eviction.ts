/** Ends a pod that took more of the machine's disk than its volumes may hold. */
import type { PodVolumes } from '../volumes/pod-volumes.ts';
import { sizedVolumes, watchSizes } from '../volumes/size-limits.ts';
import type { PodContext } from './pod-context.ts';

export interface EvictorOptions {
  volumes: PodVolumes;
  /** False once the pod goes for another reason. */
  mayEvict: () => boolean;
  /** Ends the counting; the pod stays. */
  signal: AbortSignal;
}

export class Evictor {
  readonly #context: PodContext;
  readonly #options: EvictorOptions;
  #counting: AbortController | undefined;

  constructor(context: PodContext, options: EvictorOptions) {
    this.#context = context;
    this.#options = options;
  }

  /** Counts in the background, from when the volumes are there. Again and again callable. */
  begin(): void {
    const { pod, services, uid } = this.#context;
    const volumes = sizedVolumes(pod().spec!);
    if (this.#counting || volumes.length === 0) return;
    this.#counting = new AbortController();
    const { executor, clock, logger } = services;
    const signal = AbortSignal.any([this.#counting.signal, this.#options.signal]);
    const folderOf = (name: string) => this.#options.volumes.folderOf(name);
    watchSizes({ volumes, folderOf, executor, clock, logger, signal })
      .then((message) => (message === undefined ? undefined : this.#evict(message)))
      .catch((error: unknown) => {
        if (!signal.aborted) logger.error({ error, uid }, 'counting of volumes ended');
      });
  }

  end(): void {
    this.#counting?.abort(new Error('the pod ended'));
  }

  async #evict(message: string): Promise<void> {
    if (!this.#options.mayEvict()) return;
    const { pod, services, record, save, waker } = this.#context;
    services.events.record(pod(), 'Warning', 'Evicted', message);
    record.failed = { reason: 'Evicted', message };
    await save();
    waker.wake();
  }
}
