/**
 * Gets a container's image by its pull policy, with the reasons, messages and events Kubernetes users know. One per pod; the
 * store itself shares pulls of one reference between pods.
 */
import type { Clock } from '../../lib/clock.ts';
import { errorMessage } from '../../lib/errors.ts';
import type { Pod } from '../../machinery/types.ts';
import { isAgentError } from '../errors.ts';
import type { Image, ImageStore, PullCredentials } from '../types.ts';
import { type BackOff, backOffRemainingMs, raiseBackOff } from './back-off.ts';
import { ContainerWaiting } from './container-waiting.ts';
import type { PodEvents } from './services.ts';

export interface ImagePullerOptions {
  images: ImageStore;
  events: PodEvents;
  clock: Clock;
}

/** An image that something in a pod needs. */
export interface WantedImage {
  reference: string;
  /** Left out: by the tag. */
  policy: string | undefined;
  /** For events: what needs it; left out: the pod. */
  fieldPath?: string;
}

interface Failure extends BackOff {
  failedAtMs: number;
  reason: string;
  message: string;
}

/** A pull that fails for this reason fails again: it is still retried, as its back-off allows. */
const retryNeverMs = 60_000;

export class ImagePuller {
  readonly #options: ImagePullerOptions;
  readonly #failures = new Map<string, Failure>();

  constructor(options: ImagePullerOptions) {
    this.#options = options;
  }

  /** Rejects with ContainerWaiting when the image cannot be had now. */
  async ensure(
    pod: Pod,
    { reference, policy: wanted, fieldPath }: WantedImage,
    credentials: ReadonlyMap<string, PullCredentials>,
    signal: AbortSignal,
  ): Promise<Image> {
    const { images, events, clock } = this.#options;
    const policy = pullPolicyOf(reference, wanted);
    const present = policy === 'Always' ? undefined : await this.#find(reference, pod, fieldPath);
    if (present) {
      events.record(pod, 'Normal', 'Pulled', `Container image "${reference}" already present on machine`, fieldPath);
      return present;
    }
    if (policy === 'Never') {
      const message = `Container image "${reference}" is not present with pull policy of Never`;
      events.record(pod, 'Warning', 'ErrImageNeverPull', message, fieldPath);
      events.record(pod, 'Warning', 'Failed', 'Error: ErrImageNeverPull', fieldPath);
      throw new ContainerWaiting('ErrImageNeverPull', message, clock.wallMs() + retryNeverMs);
    }
    const failure = this.#failures.get(reference);
    if (failure) this.#checkBackOff(pod, reference, failure, fieldPath);
    const startMs = clock.monotonicMs();
    events.record(pod, 'Normal', 'Pulling', `Pulling image "${reference}"`, fieldPath);
    try {
      const image = await images.pull(reference, credentials, signal);
      const took = goDuration(clock.monotonicMs() - startMs);
      const message = `Successfully pulled image "${reference}" in ${took} (${took} including waiting). Image size: ${image.sizeBytes} bytes.`;
      events.record(pod, 'Normal', 'Pulled', message, fieldPath);
      this.#failures.delete(reference);
      return image;
    } catch (error) {
      signal.throwIfAborted();
      throw this.#failed(pod, reference, error, fieldPath);
    }
  }

  async #find(reference: string, pod: Pod, fieldPath: string | undefined): Promise<Image | undefined> {
    try {
      return await this.#options.images.find(reference);
    } catch (error) {
      if (isAgentError(error, 'InvalidImageName')) throw this.#failed(pod, reference, error, fieldPath);
      throw error;
    }
  }

  #checkBackOff(pod: Pod, reference: string, failure: Failure, fieldPath: string | undefined): void {
    const { clock, events } = this.#options;
    const remainingMs = backOffRemainingMs(failure, failure.failedAtMs, clock.wallMs());
    if (remainingMs <= 0) return;
    const message = `Back-off pulling image "${reference}"`;
    events.record(pod, 'Normal', 'BackOff', message, fieldPath);
    events.record(pod, 'Warning', 'Failed', 'Error: ImagePullBackOff', fieldPath);
    throw new ContainerWaiting(
      'ImagePullBackOff',
      `${message}: ${failure.reason}: ${failure.message}`,
      clock.wallMs() + remainingMs,
    );
  }

  #failed(pod: Pod, reference: string, error: unknown, fieldPath: string | undefined): ContainerWaiting {
    const { clock, events } = this.#options;
    const nowMs = clock.wallMs();
    if (isAgentError(error, 'InvalidImageName')) {
      const message = `Failed to apply default image tag "${reference}": couldn't parse image name "${reference}": invalid reference format`;
      events.record(pod, 'Warning', 'InspectFailed', message, fieldPath);
      events.record(pod, 'Warning', 'Failed', 'Error: InvalidImageName', fieldPath);
      return new ContainerWaiting('InvalidImageName', message, nowMs + retryNeverMs);
    }
    const reason = 'ErrImagePull';
    const message = errorMessage(error);
    events.record(pod, 'Warning', 'Failed', `Failed to pull image "${reference}": ${message}`, fieldPath);
    events.record(pod, 'Warning', 'Failed', `Error: ${reason}`, fieldPath);
    const before = this.#failures.get(reference) ?? {};
    this.#failures.set(reference, { ...raiseBackOff(before, nowMs, nowMs), failedAtMs: nowMs, reason, message });
    // Asked again at once, the back-off itself becomes what the container waits for.
    return new ContainerWaiting(reason, message, nowMs + 1_000);
  }
}

/** As given, or by the tag. */
export function pullPolicyOf(reference: string, given: string | undefined): string {
  return given || (/:[^/]+$/.test(reference) && !reference.endsWith(':latest') ? 'IfNotPresent' : 'Always');
}

/** `1.234s`, `56ms`: how Go prints durations of this size. */
export function goDuration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)}ms`;
  const seconds = Math.round(ms) / 1_000;
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${Math.round((seconds % 60) * 1000) / 1000}s`;
}
