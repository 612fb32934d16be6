/**
 * The root file systems of containers: an overlay of an image's layers and a read-write layer of the container's own, in
 * `containers/<id>/{upper,work,root}`; `container.json` beside them says which layers it stands on, so that they
 * are not removed while it lives, whoever restarts in between.
 */
import { chown, lstat, mkdir, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../lib/errors.ts';
import { AgentError } from '../errors.ts';
import { readOptional, writeReplacing } from '../host/atomic-file.ts';
import { type IdMapping, mountMapped } from '../host/user-namespaces.ts';
import type { Executor, RootOptions } from '../types.ts';
import { unmountBelow } from '../volumes/mounts.ts';

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
  async mount(
    containerId: string,
    record: RootRecord,
    layers: readonly string[],
    { readOnly = false, mapping }: RootOptions = {},
  ): Promise<string> {
    return this.#serially(containerId, async () => {
      const folder = this.#containerFolder(containerId);
      const root = join(folder, 'root');
      const name = `containers/${containerId}`;
      if (await isMountPoint(root)) {
        if (this.#records.get(containerId)?.imageId === record.imageId) return root;
        // The name of the image has come to mean another since.
        await this.#removeNow(containerId);
      }
      for (const part of readOnly ? ['root'] : ['upper', 'work', 'root']) await mkdir(join(folder, part), { recursive: true });
      await writeReplacing(join(folder, 'container.json'), JSON.stringify(record));
      this.#records.set(containerId, record);
      if (mapping && !readOnly) await chown(join(folder, 'upper'), mapping.firstId, mapping.firstId);
      const shown = mapping ? await this.#mapLayers(folder, layers, mapping) : layers;
      try {
        // Nothing to write to: the kernel wants two layers then.
        const lower = [
          ...shown.toReversed(),
          ...(readOnly || shown.length === 0 ? [mapping ? '../../empty' : 'empty'] : []),
        ].join(':');
        const own = mapping ? '' : `${name}/`;
        const options = readOnly ? `lowerdir=${lower},ro,noexec` : `lowerdir=${lower},upperdir=${own}upper,workdir=${own}work`;
        if (options.length > optionsBytesMax) {
          throw new AgentError('ImagePull', `the image has too many layers to be mounted (${layers.length})`, { containerId });
        }
        // Relative names, so that the options stay short wherever the data folder is.
        const cwd = mapping ? folder : this.#folder;
        await this.#executor.check('mount', ['-t', 'overlay', 'overlay', '-o', options, `${own}root`], { cwd });
      } finally {
        // The overlay holds its layers itself.
        if (mapping) await this.#unmountLayers(folder);
      }
      return root;
    });
  }

  async mounted(containerId: string): Promise<string | undefined> {
    const root = join(this.#containerFolder(containerId), 'root');
    return (await isMountPoint(root)) ? root : undefined;
  }

  /** Shows the layers below `folder` with other owners. Gives their names there, lowest first. */
  async #mapLayers(folder: string, layers: readonly string[], mapping: IdMapping): Promise<string[]> {
    await this.#unmountLayers(folder);
    const names = layers.map((_, at) => `lower/${at}`);
    for (const name of names) await mkdir(join(folder, name), { recursive: true });
    const mounts = layers.map((layer, at) => ({ source: join(this.#folder, layer), target: join(folder, names[at]!) }));
    await mountMapped(this.#executor, mapping, mounts);
    return names;
  }

  /** They are on the disk of the layers: what deletes a folder could not tell them from its own files. */
  async #unmountLayers(folder: string): Promise<void> {
    const lower = join(folder, 'lower');
    if (await exists(lower)) await unmountBelow(lower, this.#executor);
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
    await this.#unmountLayers(folder);
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
