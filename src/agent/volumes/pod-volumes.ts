/**
 * The volumes of one pod on this machine. `setUp` may be called again at any time: what stands is kept, files that come from
 * objects are brought up to date. Everything lives below the pod's folder and is taken down through mounts.ts.
 */
import { chmod, chown, mkdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import { errorCode } from '../../lib/errors.ts';
import { quantityValue } from '../../machinery/quantity.ts';
import type { Container, Pod, Volume } from '../../machinery/types.ts';
import { AgentError } from '../errors.ts';
import { type IdMapping, mountMapped } from '../host/user-namespaces.ts';
import { podCgroupLimits } from '../pods/needs.ts';
import type { PodPaths } from '../pods/record.ts';
import { expandKnownVariables } from '../runtime/expand.ts';
import type { FieldValues } from '../runtime/pod-fields.ts';
import { bindMount, type OciMount } from '../runtime/spec.ts';
import type { Executor } from '../types.ts';
import { writeVolume } from './atomic-writer.ts';
import { mountsBelow, unmountBelow } from './mounts.ts';
import { type VolumeSources, volumeFiles } from './payload.ts';
import { bindSubPath } from './sub-path.ts';

export interface PodVolumesOptions {
  paths: PodPaths;
  executor: Executor;
  clock: Clock;
  sources: VolumeSources;
  values: () => FieldValues;
  /** Of a pod with user ids of its own. */
  mapping: () => IdMapping | undefined;
  /** Where an image volume is mounted; undefined: not yet. */
  imageRoot: (volume: string) => Promise<string | undefined>;
}

export class PodVolumes {
  readonly #options: PodVolumesOptions;

  constructor(options: PodVolumesOptions) {
    this.#options = options;
  }

  /** AgentError 'Volume': `<why>` for the first volume that cannot be set up. */
  async setUp(pod: Pod): Promise<void> {
    const mounted = new Set(await mountsBelow(this.#options.paths.dir));
    for (const volume of pod.spec?.volumes ?? []) {
      try {
        await this.#setUp(volume, pod, mounted);
        await this.#map(volume, mounted);
      } catch (error) {
        if (error instanceof AgentError && error.code !== 'Volume' && error.code !== 'ContainerConfig') throw error;
        const why = error instanceof Error ? error.message : String(error);
        throw new AgentError(
          'Volume',
          `MountVolume.SetUp failed for volume "${volume.name}" : ${why}`,
          { volume: volume.name },
          error,
        );
      }
    }
  }

  /** Brings the files of configMap, secret and downwardAPI volumes up to date. A source that has gone leaves them as they are. */
  async refresh(pod: Pod): Promise<void> {
    for (const volume of pod.spec?.volumes ?? []) {
      let files: ReturnType<typeof volumeFiles>;
      try {
        files = volumeFiles(volume, pod, this.#options.sources, this.#options.values());
      } catch (error) {
        if (error instanceof AgentError && error.code === 'Volume') continue;
        throw error;
      }
      if (files) await this.#write(volume, pod, files);
    }
  }

  /** The mounts of one run of a container. Sub-paths are bound below `subPaths`; AgentError 'ContainerConfig' when one is unsafe. */
  async containerMounts(pod: Pod, container: Container, env: ReadonlyMap<string, string>, subPaths: string): Promise<OciMount[]> {
    const mounts: OciMount[] = [];
    // Of an attempt that broke off before it was on record.
    if (container.volumeMounts?.some(({ subPath, subPathExpr }) => subPath || subPathExpr)) {
      await unmountBelow(subPaths, this.#options.executor);
    }
    for (const [index, mount] of (container.volumeMounts ?? []).entries()) {
      const volume = pod.spec?.volumes?.find(({ name }) => name === mount.name);
      if (!volume) throw new AgentError('ContainerConfig', `volume "${mount.name}" of container "${container.name}" not found`);
      let source = await this.#source(volume);
      const subPath = mount.subPathExpr ? expandKnownVariables(mount.subPathExpr, env) : mount.subPath;
      if (subPath) {
        const target = join(subPaths, String(index));
        const origin = volume.image ? undefined : this.#origin(volume);
        await bindSubPath({ volume: source, subPath, target, executor: this.#options.executor, origin });
        source = target;
      }
      mounts.push(
        bindMount(source, mount.mountPath, {
          readOnly: mount.readOnly === true || fromObjects(volume) || volume.image !== undefined,
          propagation: mount.mountPropagation as 'None' | undefined,
          recursiveReadOnly: mount.recursiveReadOnly === 'Enabled' || mount.recursiveReadOnly === 'IfPossible',
          noExec: volume.image !== undefined,
        }),
      );
    }
    // A mount inside another must come after it.
    const depth = ({ destination }: OciMount) => destination.split('/').filter(Boolean).length;
    return mounts.sort((a, b) => depth(a) - depth(b));
  }

  #dir({ name }: Volume): string {
    return this.folderOf(name);
  }

  /** What containers bind. */
  async #source(volume: Volume): Promise<string> {
    const { name, image } = volume;
    if (image) {
      const root = await this.#options.imageRoot(name);
      if (root === undefined) throw new AgentError('ContainerConfig', `the image of volume "${name}" is not mounted`);
      return root;
    }
    if (this.#options.mapping()) return this.#mapped(volume);
    return this.#origin(volume);
  }

  /** Where the files are, with the machine's owners. */
  #origin(volume: Volume): string {
    return volume.hostPath ? volume.hostPath.path : this.#dir(volume);
  }

  #mapped({ name }: Volume): string {
    return join(this.#options.paths.mapped, name);
  }

  /** For a pod with user ids of its own: its volumes again, where a file of its user N belongs to that user. */
  async #map(volume: Volume, mounted: ReadonlySet<string>): Promise<void> {
    const mapping = this.#options.mapping();
    const target = this.#mapped(volume);
    if (!mapping || volume.image || mounted.has(target)) return;
    const source = this.#origin(volume);
    await mkdir(dirname(target), { recursive: true, mode: 0o700 });
    if ((await stat(source)).isDirectory()) await mkdir(target, { recursive: true });
    else await writeFile(target, '');
    await mountMapped(this.#options.executor, mapping, [{ source, target }], { recursive: volume.hostPath !== undefined });
  }

  /** Where a volume of this pod lies. */
  folderOf(name: string): string {
    return join(this.#options.paths.volumes, name);
  }

  async #setUp(volume: Volume, pod: Pod, mounted: ReadonlySet<string>): Promise<void> {
    const dir = this.#dir(volume);
    if (volume.emptyDir) return this.#emptyDir(volume, pod, mounted.has(dir));
    if (volume.image) return;
    if (volume.hostPath) return checkHostPath(volume.hostPath.path, volume.hostPath.type ?? '');
    const files = volumeFiles(volume, pod, this.#options.sources, this.#options.values());
    if (!files) {
      const type = Object.keys(volume).find((key) => key !== 'name') ?? 'none';
      throw new AgentError('Volume', `volume type ${type} is not supported`);
    }
    await mkdir(dir, { recursive: true, mode: 0o755 });
    // All but configMaps may hold secrets, which must not reach the disk.
    if (!volume.configMap && !mounted.has(dir)) await this.#mountTmpfs(dir, ['mode=0755']);
    await chmod(dir, pod.spec?.securityContext?.fsGroup === undefined ? 0o755 : 0o2755);
    await this.#write(volume, pod, files);
  }

  async #write(volume: Volume, pod: Pod, files: NonNullable<ReturnType<typeof volumeFiles>>): Promise<void> {
    const group = pod.spec?.securityContext?.fsGroup;
    await writeVolume({ dir: this.#dir(volume), files, group, nowMs: this.#options.clock.wallMs() });
  }

  async #emptyDir(volume: Volume, pod: Pod, isMounted: boolean): Promise<void> {
    const dir = this.#dir(volume);
    const group = pod.spec?.securityContext?.fsGroup;
    const fresh = await mkdir(dir, { recursive: true }).then((made) => made !== undefined);
    const { medium, sizeLimit } = volume.emptyDir!;
    if (medium === 'Memory') {
      // What lies in memory counts for the pod's memory: a larger file system would promise what is not there.
      const ofPod = podCgroupLimits(pod.spec!, 0).memoryLimitBytes;
      const bytes = [sizeLimit === undefined ? 0 : quantityValue(sizeLimit), ofPod ?? 0].filter((limit) => limit > 0);
      const limit = bytes.length ? [`size=${Math.min(...bytes)}`] : [];
      if (!isMounted) await this.#mountTmpfs(dir, ['mode=0777', ...limit]);
      else if (!fresh) return;
    } else if (medium?.startsWith('HugePages')) {
      // A pod with such a request is not admitted: this machine offers none.
      throw new AgentError('Volume', 'hugePages storage requested, but there is no resource request for huge pages');
    } else if (medium) {
      throw new AgentError('Volume', `unknown storage medium "${medium}"`);
    } else if (!fresh) return;
    await chmod(dir, 0o777);
    if (group === undefined) return;
    await chown(dir, -1, group);
    await chmod(dir, 0o2777);
  }

  async #mountTmpfs(dir: string, options: string[]): Promise<void> {
    await this.#options.executor.check('mount', ['-t', 'tmpfs', '-o', [...options, 'nosuid', 'nodev'].join(','), 'tmpfs', dir]);
  }
}

function fromObjects(volume: Volume): boolean {
  return Boolean(volume.configMap ?? volume.secret ?? volume.downwardAPI ?? volume.projected);
}

/** The type a hostPath names must be what is there; `…OrCreate` makes it. With no type a missing path becomes a folder. */
async function checkHostPath(path: string, type: string): Promise<void> {
  const found = await stat(path).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  });
  const wrong = (what: string) => new AgentError('Volume', `hostPath type check failed: ${path} is not a ${what}`);
  switch (type) {
    case '':
      if (!found) await mkdir(path, { recursive: true, mode: 0o755 });
      return;
    case 'DirectoryOrCreate':
      if (!found) await mkdir(path, { recursive: true, mode: 0o755 });
      else if (!found.isDirectory()) throw wrong('directory');
      return;
    case 'FileOrCreate':
      if (!found) {
        // Its folder must be there already.
        await writeFile(path, '', { mode: 0o644, flag: 'a' }).catch((error: unknown) => {
          if (errorCode(error) !== 'ENOENT') throw error;
          throw new AgentError('Volume', `open ${path}: no such file or directory`);
        });
      } else if (!found.isFile()) throw wrong('file');
      return;
    case 'Directory':
      if (!found?.isDirectory()) throw wrong('directory');
      return;
    case 'File':
      if (!found?.isFile()) throw wrong('file');
      return;
    case 'Socket':
      if (!found?.isSocket()) throw wrong('socket file');
      return;
    case 'CharDevice':
      if (!found?.isCharacterDevice()) throw wrong('character device');
      return;
    case 'BlockDevice':
      if (!found?.isBlockDevice()) throw wrong('block device');
      return;
    default:
      throw new AgentError('Volume', `unknown hostPath type "${type}"`);
  }
}
