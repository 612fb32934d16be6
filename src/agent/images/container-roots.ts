/**
 * The root file systems of containers: an overlay of an image's layers and a read-write layer of the container's own, in
 * `containers/<id>/{upper,work,root}`; `container.json` beside them says which layers it stands on, so that they
 * are not removed while it lives, whoever restarts in between.
 */
import { lstat, mkdir, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../lib/errors.ts';
import { AgentError } from '../errors.ts';
import { readOptional, writeReplacing } from '../host/atomic-file.ts';
import type { Executor } from '../types.ts';

export interface RootRecord {
  imageId: string;
  diffIds: string[];
}

const optionsBytesMax = 4_095;
const removeTimeoutMs = 10 * 60_000;

export class ContainerRoots {
  readonly #folder: string;
  readonly #executor: Executor;
  readonly #records = new Map<string, RootRecord>();
  /** The change under way for a container: mounting and removing one never overlap. */
  readonly #changes = new Map<string, Promise<unknown>>();

  /** `folder` is the image store's; the short names of layers are relative to it. */
  constructor(folder: string, executor: Executor) {
    this.#folder = folder;
    this.#executor = executor;
  }

  async open(): Promise<void> {
    await mkdir(join(this.#folder, 'containers'), { recursive: true });
    await mkdir(join(this.#folder, 'empty'), { recursive: true });
    for (const id of await readdir(join(this.#folder, 'containers'))) {
      const text = await readOptional(join(this.#folder, 'containers', id, 'container.json'));
      // Without the record nothing was mounted yet, or the machine has started anew since; removeRoot takes the folder away.
      if (text) this.#records.set(id, JSON.parse(text) as RootRecord);
    }
  }

  get records(): ReadonlyMap<string, RootRecord> {
    return this.#records;
  }

  /** `layers`: short names, lowest first. Gives the mount point. */
  async mount(containerId: string, record: RootRecord, layers: readonly string[]): Promise<string> {
    return this.#serially(containerId, async () => {
      const folder = this.#containerFolder(containerId);
      const root = join(folder, 'root');
      const name = `containers/${containerId}`;
      const lower = layers.length > 0 ? layers.toReversed().join(':') : 'empty';
      const options = `lowerdir=${lower},upperdir=${name}/upper,workdir=${name}/work`;
      if (options.length > optionsBytesMax) {
        throw new AgentError('ImagePull', `the image has too many layers to be mounted (${layers.length})`, { containerId });
      }
      if (await isMountPoint(root)) {
        if (this.#records.get(containerId)?.imageId === record.imageId) return root;
        // The name of the image has come to mean another since.
        await this.#removeNow(containerId);
      }
      for (const part of ['upper', 'work', 'root']) await mkdir(join(folder, part), { recursive: true });
      await writeReplacing(join(folder, 'container.json'), JSON.stringify(record));
      this.#records.set(containerId, record);
      // Relative names, so that the options stay short wherever the data folder is.
      await this.#executor.check('mount', ['-t', 'overlay', 'overlay', '-o', options, `${name}/root`], { cwd: this.#folder });
      return root;
    });
  }

  /** Where what the container writes lies. */
  writableLayer(containerId: string): string {
    return join(this.#containerFolder(containerId), 'upper');
  }

  async remove(containerId: string): Promise<void> {
    await this.#serially(containerId, () => this.#removeNow(containerId));
  }

  async #removeNow(containerId: string): Promise<void> {
    const folder = this.#containerFolder(containerId);
    const root = join(folder, 'root');
    if (await isMountPoint(root)) await this.#unmount(root);
    const doomed = join(this.#folder, 'tmp', `container-${containerId}`);
    // From an earlier try that was cut short.
    if (await exists(doomed)) await this.#delete(doomed);
    if (await exists(folder)) {
      // From here on the folder is nothing but leftovers, also for a start after a crash.
      await rename(folder, doomed);
      await this.#delete(doomed);
    }
    this.#records.delete(containerId);
  }

  async #delete(folder: string): Promise<void> {
    await this.#executor.check('rm', ['-rf', '--one-file-system', folder], { timeoutMs: removeTimeoutMs });
  }

  async #unmount(root: string): Promise<void> {
    const { exitCode, stderr } = await this.#executor.run('umount', ['--recursive', root]);
    if (exitCode !== 0 && (await isMountPoint(root))) {
      // Something outside (a shell, a backup) stands in it; it keeps its view, the name is free.
      await this.#executor.check('umount', ['--lazy', '--recursive', root]);
    }
    if (await isMountPoint(root)) throw new AgentError('StillMounted', `${root} is still mounted: ${stderr.trim()}`, { root });
  }

  #containerFolder(containerId: string): string {
    if (!/^[\w][\w.-]{0,127}$/.test(containerId)) {
      throw new AgentError('ContainerConfig', `not a container id: ${JSON.stringify(containerId)}`, { containerId });
    }
    return join(this.#folder, 'containers', containerId);
  }

  async #serially<T>(containerId: string, change: () => Promise<T>): Promise<T> {
    const before = this.#changes.get(containerId);
    const done = (async () => {
      await before?.catch(() => {});
      return change();
    })();
    this.#changes.set(containerId, done);
    try {
      return await done;
    } finally {
      if (this.#changes.get(containerId) === done) this.#changes.delete(containerId);
    }
  }
}

async function exists(path: string): Promise<boolean> {
  return (await device(path)) !== undefined;
}

/** An overlay has a device number of its own. */
async function isMountPoint(path: string): Promise<boolean> {
  const own = await device(path);
  return own !== undefined && own !== (await device(join(path, '..')));
}

async function device(path: string): Promise<number | undefined> {
  return lstat(path).then(
    (stat) => stat.dev,
    (error) => {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw error;
    },
  );
}
