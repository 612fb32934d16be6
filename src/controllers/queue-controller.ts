/** The common form of a control loop: a queue of keys, and `reconcile` for one key at a time. */
import { isReason } from '../machinery/status.ts';
import { WorkQueue } from '../machinery/work-queue.ts';
import type { Controller, ControllerContext } from './context.ts';
import { ControllerError } from './errors.ts';

export interface QueueController extends Controller {
  readonly queue: WorkQueue;
}

export interface QueueControllerOptions {
  readonly name: string;
  readonly workers: number;
  /** Makes the world look as the key's object wants. Called again after an error, with back-off. */
  readonly reconcile: (key: string, signal: AbortSignal) => Promise<void>;
  /** Runs beside the queue, before the first key. Returns what undoes it. */
  readonly start?: (signal: AbortSignal) => () => void;
}

export function queueController(context: ControllerContext, options: QueueControllerOptions): QueueController {
  const { name, workers, reconcile, start } = options;
  const queue = new WorkQueue({ clock: context.clock, logger: context.logger.child({ controller: name }) });
  return {
    name,
    queue,
    async run(signal) {
      const stop = start?.(signal);
      try {
        await queue.run(workers, reconcile, signal);
      } finally {
        stop?.();
      }
    },
  };
}

/**
 * Ends a reconcile some of whose writes failed. When all of them were based on an old version it is a mere conflict: the next look
 * has the new one.
 */
export function throwIfFailed(errors: readonly unknown[], message: string, details: Record<string, unknown>): void {
  if (errors.length === 0) return;
  const worst = errors.find((error) => !isReason(error, 'Conflict'));
  if (worst === undefined) throw errors[0];
  throw new ControllerError('WritesFailed', message, { ...details, failures: errors.length }, worst);
}

/** Runs `write` for each item at once and waits for all; the errors of those that failed. */
export async function writeAll<T>(items: readonly T[], write: (item: T) => Promise<void>): Promise<unknown[]> {
  const results = await Promise.allSettled(items.map(write));
  return results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
}
