/**
 * The folder of static pods, read again and again: only what changed is parsed. A manifest that is broken, or being written,
 * leaves the pod of its last good form running; one that is gone ends it.
 */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import { errorCode } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import type { Pod } from '../../machinery/types.ts';
import { readManifest } from './static-manifest.ts';

export interface StaticFolderOptions {
  path: string;
  nodeName: string;
  clock: Clock;
  logger: Logger;
}

interface Known {
  /** Of the file when it was read. */
  stamp: string;
  pod?: Pod;
}

const filesMax = 100;
const bytesMax = 1024 * 1024;

export class StaticFolder {
  readonly #options: StaticFolderOptions;
  #known = new Map<string, Known>();

  constructor(options: StaticFolderOptions) {
    this.#options = options;
  }

  /** Its pods, by name and namespace once each. Rejects when the folder cannot be read; one that is not there has none. */
  async read(): Promise<Pod[]> {
    const { path, logger } = this.#options;
    const files = await this.#files();
    if (files.length > filesMax) logger.warn({ path, filesMax }, 'too many static pods; the last files are left out');
    const known = new Map<string, Known>();
    for (const name of files.slice(0, filesMax)) {
      const found = await this.#readOne(name);
      if (found) known.set(name, found);
    }
    this.#known = known;
    const pods = new Map<string, Pod>();
    for (const { pod } of known.values()) {
      const key = pod && `${pod.metadata.namespace}/${pod.metadata.name}`;
      if (key && !pods.has(key)) pods.set(key, pod);
    }
    return [...pods.values()];
  }

  async #files(): Promise<string[]> {
    try {
      const entries = await readdir(this.#options.path, { withFileTypes: true });
      return entries
        .filter((entry) => !entry.isDirectory() && !entry.name.startsWith('.'))
        .map(({ name }) => name)
        .sort();
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return [];
      throw error;
    }
  }

  /** Undefined when it went away meanwhile. */
  async #readOne(name: string): Promise<Known | undefined> {
    const { path, nodeName, clock, logger } = this.#options;
    const file = join(path, name);
    const before = this.#known.get(name);
    try {
      const { mtimeMs, size, ino } = await stat(file);
      const stamp = `${mtimeMs}/${size}/${ino}`;
      if (before?.stamp === stamp) return before;
      const read =
        size > bytesMax
          ? { problem: `it is larger than ${bytesMax} bytes` }
          : readManifest(await readFile(file, 'utf8'), { file, nodeName, nowMs: clock.wallMs() });
      if ('pod' in read) return { stamp, pod: read.pod.metadata.uid === before?.pod?.metadata.uid ? before!.pod! : read.pod };
      logger.error({ file, problem: read.problem }, 'could not process manifest file');
      return { ...before, stamp };
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  }
}
