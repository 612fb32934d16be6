/** Ends a pod that took more of the machine's disk than its volumes and containers may hold. */
import { delay } from '../../lib/clock.ts';
import type { PodMeter } from '../eviction/pod-meter.ts';
import type { Eviction } from '../eviction/pressure-relief.ts';
import { isCritical } from '../eviction/rank.ts';
import { exceededLimit, hasLimits, storageLimits } from '../eviction/storage-limits.ts';
import type { PodContext } from './pod-context.ts';

/** As often as the kubelet looks, unless the settings say otherwise. */
const lookIntervalMs = 10_000;
/** Where counting takes long, it is done less often: at most a tenth of the time is spent with it. */
const restPerCount = 9;

export interface EvictorOptions {
  meter: PodMeter;
  evict: (eviction: Eviction) => Promise<boolean>;
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
    if (this.#counting || isCritical(pod()) || !hasLimits(storageLimits(pod().spec!))) return;
    this.#counting = new AbortController();
    const signal = AbortSignal.any([this.#counting.signal, this.#options.signal]);
    this.#watch(signal).catch((error: unknown) => {
      if (!signal.aborted) services.logger.error({ error, uid }, 'counting of volumes ended');
    });
  }

  end(): void {
    this.#counting?.abort(new Error('the pod ended'));
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { pod, services } = this.#context;
    const { meter, evict } = this.#options;
    for (;;) {
      const beganMs = services.clock.monotonicMs();
      const usage = await meter.disk(this.#context, 'bytes', signal);
      const message = usage && exceededLimit(storageLimits(pod().spec!), usage);
      if (message !== undefined) {
        await evict({ message, graceSeconds: 1, disruption: false });
        return;
      }
      const tookMs = services.clock.monotonicMs() - beganMs;
      const intervalMs = services.options.eviction?.lookIntervalMs ?? lookIntervalMs;
      await delay(services.clock, Math.max(intervalMs, tookMs * restPerCount), signal);
    }
  }
}
