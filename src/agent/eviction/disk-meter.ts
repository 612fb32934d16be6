/**
 * Counts what folders hold on disk. One count at a time on the whole machine, however many pods ask: counting reads every
 * folder below, and must not take the disk from those who work.
 */
import { errorMessage } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import { isAgentError } from '../errors.ts';
import type { Executor } from '../types.ts';

/** What takes longer is not known this time. */
const countTimeoutMs = 30_000;

export interface DiskMeterOptions {
  executor: Executor;
  logger: Logger;
}

export class DiskMeter {
  readonly #options: DiskMeterOptions;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: DiskMeterOptions) {
    this.#options = options;
  }

  /**
   * Bytes or inodes of each folder, without other file systems mounted below; a folder that is not there holds nothing. Undefined
   * when it could not be counted. Rejects with the signal's reason.
   */
  measure(
    folders: readonly string[],
    what: 'bytes' | 'inodes',
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, number> | undefined> {
    const turn = this.#last.then(() => this.#count(folders, what, signal));
    // The next one comes whatever became of this one, of which its own caller is told.
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async #count(folders: readonly string[], what: 'bytes' | 'inodes', signal: AbortSignal) {
    signal.throwIfAborted();
    if (folders.length === 0) return new Map<string, number>();
    const unit = what === 'bytes' ? '--block-size=1' : '--inodes';
    try {
      const args = ['--summarize', unit, '--one-file-system', '--', ...folders];
      // A file that goes while we count makes the exit code, but no difference.
      const { stdout } = await this.#options.executor.run('du', args, { timeoutMs: countTimeoutMs, signal });
      return parseCounts(stdout);
    } catch (error) {
      signal.throwIfAborted();
      if (!isAgentError(error, 'CommandFailed') && !isAgentError(error, 'ExecutorBusy')) throw error;
      this.#options.logger.warn({ folders: folders.length, error: errorMessage(error) }, 'folders not counted');
      return undefined;
    }
  }
}

/** `NUMBER<tab>FOLDER` on each line. */
export function parseCounts(text: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const line of text.split('\n')) {
    const tab = line.indexOf('\t');
    if (tab > 0) counts.set(line.slice(tab + 1), Number(line.slice(0, tab)));
  }
  return counts;
}
