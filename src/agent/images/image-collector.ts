/**
 * Removes images that nobody needs when the disk below them fills up, or when they grow old. What goes is decided in garbage.ts;
 * here it is done, every five minutes, and told in the words of the kubelet as events of the Node.
 */
import { statfs } from 'node:fs/promises';
import type { Clock } from '../../lib/clock.ts';
import { errorMessage } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import { RepeatingTask } from '../../lib/repeating-task.ts';
import { AgentError, isAgentError } from '../errors.ts';
import type { ImageRemoval, ImageStore, ImageUse } from '../types.ts';
import { bytesToFree, type DiskUsage, type GarbagePolicy, outlived, removable, usedPercent } from './garbage.ts';

export interface ImageCollectorOptions {
  images: Pick<ImageStore, 'uses' | 'remove' | 'saveUses'>;
  policy: GarbagePolicy;
  /** Of the file system that holds the images. */
  disk: () => Promise<DiskUsage>;
  /** An event of this machine's Node. */
  warn: (reason: string, message: string) => void;
  /** Called when images have gone. */
  onRemoved: () => void;
  clock: Clock;
  logger: Logger;
}

const intervalMs = 5 * 60_000;

export class ImageCollector {
  readonly #options: ImageCollectorOptions;
  readonly #task: RepeatingTask;
  readonly #sinceMs: number;
  #failed = false;

  constructor(options: ImageCollectorOptions) {
    this.#options = options;
    const { clock } = options;
    this.#sinceMs = clock.wallMs();
    this.#task = new RepeatingTask({
      clock,
      intervalMs,
      run: (signal) => this.collect(signal),
      onError: (error) => this.#onError(error),
    });
  }

  start(): void {
    this.#task.start();
  }

  /** Writes the times of use down. */
  async stop(): Promise<void> {
    await this.#task.stop();
    await this.#options.images.saveUses();
  }

  /** One round. AgentError 'ImageCollection' when not enough could go. */
  async collect(signal: AbortSignal): Promise<void> {
    const { images, policy, disk, warn } = this.#options;
    try {
      await this.#removeOutlived(signal);
      const usage = await disk();
      if (usage.capacityBytes <= 0) {
        const message = `invalid capacity ${usage.capacityBytes} on image filesystem`;
        warn('InvalidDiskCapacity', message);
        throw new AgentError('ImageCollection', message);
      }
      const wantedBytes = bytesToFree(usage, policy);
      if (wantedBytes > 0) await this.#free(wantedBytes, usedPercent(usage), signal);
      this.#failed = false;
    } finally {
      await images.saveUses();
    }
  }

  async #removeOutlived(signal: AbortSignal): Promise<void> {
    const { policy, clock } = this.#options;
    const nowMs = clock.wallMs();
    for (const use of outlived(this.#removable(), policy, nowMs, this.#sinceMs)) {
      signal.throwIfAborted();
      await this.#remove(use, 'unused for too long');
    }
  }

  async #free(wantedBytes: number, percent: number, signal: AbortSignal): Promise<void> {
    const { logger, policy, warn } = this.#options;
    logger.info({ percent, wantedBytes, ...policy }, 'the disk is above the high threshold: images go');
    let freedBytes = 0;
    for (const use of this.#removable()) {
      if (freedBytes >= wantedBytes) return;
      signal.throwIfAborted();
      freedBytes += (await this.#remove(use, 'the disk fills up'))?.freedBytes ?? 0;
    }
    if (freedBytes >= wantedBytes) return;
    const message =
      `Failed to garbage collect required amount of images. Attempted to free ${wantedBytes} bytes, ` +
      `but only found ${freedBytes} bytes eligible to free.`;
    warn('FreeDiskSpaceFailed', message);
    throw new AgentError('ImageCollection', message, { wantedBytes, freedBytes });
  }

  #removable(): ImageUse[] {
    const { images, policy, clock } = this.#options;
    return removable(images.uses(), policy, clock.wallMs(), this.#sinceMs);
  }

  /** Undefined when somebody has come to need it meanwhile. */
  async #remove({ id, references }: ImageUse, why: string): Promise<ImageRemoval | undefined> {
    const { images, logger, onRemoved } = this.#options;
    try {
      const removal = await images.remove(id);
      logger.info({ image: id, references, freedBytes: removal.freedBytes, why }, 'removed an image');
      onRemoved();
      return removal;
    } catch (error) {
      if (!isAgentError(error, 'ImageInUse') && !isAgentError(error, 'ImagePinned')) throw error;
      return undefined;
    }
  }

  /** The first failure may only be a busy moment; from the second in a row on it is told. */
  #onError(error: unknown): void {
    const { logger, warn } = this.#options;
    logger.warn({ error }, 'collecting images failed');
    if (this.#failed) warn('ImageGCFailed', errorMessage(error));
    this.#failed = true;
  }
}

/** Of the file system that holds `folder`. */
export async function diskUsage(folder: string): Promise<DiskUsage> {
  const { blocks, bavail, bsize } = await statfs(folder);
  return { capacityBytes: blocks * bsize, availableBytes: bavail * bsize };
}
