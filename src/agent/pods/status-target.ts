/** Where a pod's status is written: to the pod in the API, or to the mirror of a static pod, which may come and go. */
import type { Pod, PodStatus } from '../../machinery/types.ts';
import type { PodServices } from './services.ts';
import { StatusWriter } from './status-writer.ts';

export class StatusTarget {
  readonly #services: PodServices;
  readonly #signal: AbortSignal;
  /** None while there is no mirror. */
  #writer: StatusWriter | undefined;
  #uid: string | undefined;
  #status: PodStatus | undefined;

  /** `pod` left out: a mirror is shown later. */
  constructor(services: PodServices, signal: AbortSignal, pod?: Pod) {
    this.#services = services;
    this.#signal = signal;
    if (pod) this.#direct(pod, []);
  }

  set(status: PodStatus): void {
    this.#status = status;
    this.#writer?.set(status);
  }

  /** The pod as a watch delivered it. Another than the one written to is none of ours. */
  observe(pod: Pod): void {
    if (pod.metadata.uid === this.#uid) this.#writer?.observe(pod);
  }

  /** From now on to this mirror; undefined: there is none. */
  showOn(mirror: Pod | undefined): void {
    if (mirror && mirror.metadata.uid === this.#uid) {
      this.observe(mirror);
      return;
    }
    this.forget();
    this.#writer = undefined;
    this.#uid = undefined;
    // A pod that the scheduler never saw.
    if (mirror) this.#direct(mirror, ['PodScheduled']);
  }

  /** Nothing is written any more. */
  forget(): void {
    this.#writer?.forget();
  }

  /** Resolves when the newest status is stored, or there is nobody to store it. */
  async flushed(signal: AbortSignal): Promise<void> {
    await this.#writer?.flushed(signal);
  }

  #direct(pod: Pod, conditions: string[]): void {
    const { client, clock, logger } = this.#services;
    this.#uid = pod.metadata.uid;
    this.#writer = new StatusWriter({ client, clock, logger, pod, conditions, signal: this.#signal });
    if (this.#status) this.#writer.set(this.#status);
  }
}
