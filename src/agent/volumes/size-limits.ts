/**
 * Disk emptyDirs with a sizeLimit: what lies in them is counted now and then, and a pod that exceeds a limit is told on. Those
 * in memory need no counting: their file system is as large as the limit.
 */
import { type Clock, delay } from '../../lib/clock.ts';
import { errorMessage } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import { quantityValue } from '../../machinery/quantity.ts';
import type { PodSpec } from '../../machinery/types.ts';
import { isAgentError } from '../errors.ts';
import type { Executor } from '../types.ts';

/** As often as the kubelet looks. */
const lookIntervalMs = 10_000;
/** A folder that takes longer to count is counted at the next look. */
const countTimeoutMs = 30_000;

export interface SizedVolume {
  name: string;
  /** As written in the spec. */
  limit: string;
}

/** Pure. */
export function sizedVolumes(spec: PodSpec): SizedVolume[] {
  return (spec.volumes ?? []).flatMap(({ name, emptyDir }) => {
    const limit = emptyDir?.medium === 'Memory' ? undefined : emptyDir?.sizeLimit;
    return limit !== undefined && quantityValue(limit) > 0 ? [{ name, limit: String(limit) }] : [];
  });
}

export interface SizeWatchOptions {
  volumes: SizedVolume[];
  folderOf: (volume: string) => string;
  executor: Executor;
  clock: Clock;
  logger: Logger;
  signal: AbortSignal;
}

/** Why the pod has to go, once a limit is exceeded; undefined when the signal ended the watch. */
export async function watchSizes(options: SizeWatchOptions): Promise<string | undefined> {
  const { volumes, folderOf, clock, signal } = options;
  while (!signal.aborted) {
    for (const { name, limit } of volumes) {
      const bytes = await usedBytes(folderOf(name), options);
      if (bytes > quantityValue(limit)) return `Usage of EmptyDir volume "${name}" exceeds the limit "${limit}". `;
    }
    await delay(clock, lookIntervalMs, signal).catch(() => undefined);
  }
  return undefined;
}

/** Bytes on disk, without other file systems mounted below. A file that goes while we count makes no difference. */
async function usedBytes(folder: string, { executor, logger, signal }: SizeWatchOptions): Promise<number> {
  const args = ['--summarize', '--block-size=1', '--one-file-system', folder];
  try {
    const { stdout } = await executor.run('du', args, { timeoutMs: countTimeoutMs, signal });
    return Number.parseInt(stdout, 10) || 0;
  } catch (error) {
    if (signal.aborted) return 0;
    if (!isAgentError(error, 'CommandFailed') && !isAgentError(error, 'ExecutorBusy')) throw error;
    logger.warn({ folder, error: errorMessage(error) }, 'volume not counted, at the next look again');
    return 0;
  }
}
