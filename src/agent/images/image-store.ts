/**
 * The images of this machine: pulled from registries or imported from archives, unpacked once per layer, mounted as roots of
 * containers. The parts: reference (names), registry (pull), archive (import), layer-store (unpacked layers), image-records
 * (what there is), container-roots (mounts). Everything is below `<dataDir>/images`.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/logger.ts';
import { AgentError, isAgentError } from '../errors.ts';
import type {
  Executor,
  Image,
  ImageExport,
  ImageRemoval,
  ImageStore,
  ImageUse,
  ImageUser,
  PullCredentials,
  RegistryMirrors,
  RootOptions,
} from '../types.ts';
import { plainArchive, readArchive } from './archive.ts';
import { ContainerRoots } from './container-roots.ts';
import { Endpoints, endpointsOf } from './endpoints.ts';
import { exportImage } from './image-export.ts';
import { ImageKeeping } from './image-keeping.ts';
import { ImageMarks } from './image-marks.ts';
import { type ImageRecord, ImageRecords } from './image-records.ts';
import { LayerStore, type PackedLayer } from './layer-store.ts';
import {
  choosePlatform,
  configBytesMax,
  type Descriptor,
  isIndex,
  type Manifest,
  type ParsedConfig,
  parseConfig,
  parseIndex,
  parseJson,
  parseManifest,
} from './manifest.ts';
import { resolveName } from './names.ts';
import { formatReference, imageIdOf, parseReference, type Reference, repositoryName } from './reference.ts';
import { SharedWork, Slots } from './shared-work.ts';

export interface ImageStoreOptions {
  dataDir: string;
  executor: Executor;
  /** host[:port] of registries that are asked over plain HTTP. */
  insecureRegistries: readonly string[];
  /** Left out: none. */
  registryMirrors?: RegistryMirrors;
  logger: Logger;
  clock: Clock;
}

/** Layers that are fetched at once, over all pulls. */
const downloadsAtOnce = 4;

/** Archives that are written at once. */
const exportsAtOnce = 2;

/** Opens the store, takes up what is there and removes what no image needs. */
export async function createImageStore(options: ImageStoreOptions): Promise<ImageStore> {
  const store = new Store(options);
  await store.open();
  return store;
}

class Store implements ImageStore {
  readonly #options: ImageStoreOptions;
  readonly #folder: string;
  readonly #layers: LayerStore;
  readonly #records: ImageRecords;
  readonly #roots: ContainerRoots;
  readonly #pulls = new SharedWork<Image>();
  readonly #downloads = new Slots(downloadsAtOnce);
  readonly #exports = new Slots(exportsAtOnce);
  readonly #marks: ImageMarks;
  readonly #keeping: ImageKeeping;

  constructor(options: ImageStoreOptions) {
    this.#options = options;
    this.#folder = join(options.dataDir, 'images');
    this.#layers = new LayerStore({ folder: this.#folder, executor: options.executor });
    this.#records = new ImageRecords(this.#folder, options.logger);
    this.#roots = new ContainerRoots(this.#folder, options.executor);
    this.#marks = new ImageMarks(this.#folder, options.logger);
    this.#keeping = new ImageKeeping({
      records: this.#records,
      roots: this.#roots,
      layers: this.#layers,
      marks: this.#marks,
      clock: options.clock,
    });
  }

  async open(): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await this.#records.open();
    await this.#roots.open();
    const known = new Map<string, number>();
    for (const { diffIds } of this.#roots.records.values()) for (const diffId of diffIds) known.set(diffId, 0);
    for (const { diffIds, layerBytes } of this.#records.all()) {
      for (const [at, diffId] of diffIds.entries()) known.set(diffId, layerBytes[at] ?? 0);
    }
    await this.#layers.open(known);
    for (const record of this.#records.all()) {
      if (record.diffIds.every((diffId) => this.#layers.has(diffId))) continue;
      this.#options.logger.warn({ image: record.id }, 'dropped an image that lacks layers');
      await this.#records.remove(record.id);
    }
    await this.#marks.open(new Set(this.#records.all().map(({ id }) => id)));
  }

  async list(): Promise<Image[]> {
    return this.#records.all().map((record) => this.#image(record));
  }

  async find(reference: string): Promise<Image | undefined> {
    const record = this.#find(reference);
    return record && this.#image(record);
  }

  async pull(
    reference: string,
    credentials: ReadonlyMap<string, PullCredentials> | undefined = new Map(),
    signal: AbortSignal,
  ): Promise<Image> {
    const parsed = parseReference(reference);
    const { registryMirrors = {}, insecureRegistries } = this.#options;
    const used = endpointsOf(parsed.domain, registryMirrors, insecureRegistries, credentials).map((one) => one.credentials);
    // Others' credentials must neither help nor harm.
    const key = JSON.stringify([formatReference(parsed), used.map((one) => one && [one.username, one.password])]);
    return this.#pulls.run(key, signal, async (workSignal) => {
      const present = this.#find(reference);
      const release = present && this.#keeping.claim(present.id);
      try {
        return await this.#pull(parsed, credentials, workSignal);
      } finally {
        release?.();
      }
    });
  }

  async importArchive(file: string, signal: AbortSignal): Promise<Image[]> {
    const temporary = this.#layers.temporaryPath();
    try {
      const plain = await plainArchive(file, temporary, signal);
      const images: Image[] = [];
      for (const { layers, references, ...config } of await readArchive(plain)) {
        const fetch = async (at: number): Promise<PackedLayer> => ({ file: plain, ...layers[at]! });
        images.push(await this.#admit(config, references, [], signal, fetch));
      }
      return images;
    } catch (error) {
      if (!isAgentError(error, 'ImagePull')) throw error;
      throw new AgentError('ImageImport', error.message, error.fields, error);
    } finally {
      await rm(temporary, { force: true });
    }
  }

  async exportArchive(reference: string, signal: AbortSignal, take: (archive: ImageExport) => Promise<void>): Promise<void> {
    await this.#exports.run(signal, async () => {
      const { name, record } = resolveName(this.#records, reference);
      if (!record) throw this.#keeping.notFound(reference);
      const { id, diffIds } = record;
      const release = this.#keeping.claim(id);
      try {
        const names = imageIdOf(reference) === undefined ? [name] : this.#records.referencesOf(id);
        const layer = (diffId: string) => ({ recipe: this.#layers.recipe(diffId), folder: this.#layers.path(diffId) });
        await take(await exportImage({ id, names, config: await this.#records.config(id), diffIds, layer }, signal));
      } finally {
        release();
      }
    });
  }

  remove(reference: string, { force = false } = {}): Promise<ImageRemoval> {
    return this.#keeping.remove(reference, force);
  }

  prune({ all }: { all: boolean }): Promise<ImageRemoval> {
    return this.#keeping.prune(all);
  }

  setPinned(reference: string, pinned: boolean): Promise<void> {
    return this.#keeping.setPinned(reference, pinned);
  }

  uses(): ImageUse[] {
    return this.#keeping.uses();
  }

  missing(reference: string): AgentError {
    return this.#keeping.notFound(reference);
  }

  saveUses(): Promise<void> {
    return this.#marks.save();
  }

  setUsers(users: () => readonly ImageUser[]): void {
    this.#keeping.setUsers(users);
  }

  writableLayer(containerId: string): string {
    return this.#roots.writableLayer(containerId);
  }

  async mountRoot(containerId: string, image: Image, options: RootOptions = {}): Promise<string> {
    const record = this.#records.get(image.id);
    if (!record) throw new AgentError('ImageNotFound', `image ${image.id} is not on this machine`, { image: image.id });
    const { id, diffIds } = record;
    const release = this.#keeping.claim(id);
    const layers = distinctLayers(diffIds).map((diffId) => this.#layers.shortPath(diffId));
    const unpin = this.#layers.pin(diffIds);
    try {
      return await this.#roots.mount(containerId, { imageId: id, diffIds }, layers, options);
    } finally {
      unpin();
      release();
    }
  }

  mountedRoot(containerId: string): Promise<string | undefined> {
    return this.#roots.mounted(containerId);
  }

  async removeRootsOf(prefix: string): Promise<void> {
    for (const id of [...this.#roots.records.keys()]) if (id.startsWith(prefix)) await this.#roots.remove(id);
  }

  async removeRoot(containerId: string): Promise<void> {
    await this.#roots.remove(containerId);
  }

  #find(reference: string): ImageRecord | undefined {
    return resolveName(this.#records, reference).record;
  }

  #image({ id, config, diffIds }: ImageRecord): Image {
    const layers = distinctLayers(diffIds);
    return {
      id,
      config,
      references: this.#records.referencesOf(id),
      digests: this.#records.digestsOf(id),
      sizeBytes: layers.reduce((sum, diffId) => sum + this.#layers.sizeBytes(diffId), 0),
      layers: layers.map((diffId) => this.#layers.path(diffId)),
    };
  }

  async #pull(reference: Reference, credentials: ReadonlyMap<string, PullCredentials>, signal: AbortSignal): Promise<Image> {
    const { clock, insecureRegistries, registryMirrors: mirrors = {}, logger } = this.#options;
    const startMs = clock.monotonicMs();
    const name = formatReference(reference);
    const registry = new Endpoints({ reference, mirrors, insecureRegistries, credentials, clock });
    const refuse = (why: string) => new AgentError('ImagePull', `${name}: ${why}`, { reference: name });

    const { manifest, digest } = await resolveManifest(registry, reference, refuse, signal);
    if (manifest.config.sizeBytes > configBytesMax) throw refuse('the image config is too large');
    const config = parseConfig(await registry.blob(manifest.config, signal), manifest.layers.length, refuse);
    let receivedBytes = 0;
    const fetch = (at: number, fetchSignal: AbortSignal) =>
      this.#downloads.run(fetchSignal, () =>
        this.#download(registry, manifest.layers[at]!, fetchSignal, (bytes) => {
          receivedBytes += bytes;
        }),
      );
    const references = reference.tag === undefined || reference.digest !== undefined ? [] : [name];
    const image = await this.#admit(config, references, [`${repositoryName(reference)}@${digest}`], signal, fetch);
    const tookMs = Math.round(clock.monotonicMs() - startMs);
    logger.info({ reference: name, image: image.id, receivedBytes, tookMs }, 'pulled an image');
    return image;
  }

  async #download(
    registry: Endpoints,
    layer: Descriptor,
    signal: AbortSignal,
    progress: (bytes: number) => void,
  ): Promise<PackedLayer> {
    const { logger } = this.#options;
    const file = this.#layers.temporaryPath();
    try {
      await registry.download(layer, file, signal, progress);
    } catch (error) {
      await rm(file, { force: true });
      throw error;
    }
    logger.debug({ layer: layer.digest, sizeBytes: layer.sizeBytes }, 'fetched a layer');
    return { file, offsetBytes: 0, lengthBytes: layer.sizeBytes, release: () => rm(file, { force: true }) };
  }

  /** Unpacks what is missing, then lets the names point to the image. */
  async #admit(
    { id, config, document, diffIds }: ParsedConfig,
    references: readonly string[],
    digests: readonly string[],
    signal: AbortSignal,
    fetch: (layer: number, signal: AbortSignal) => Promise<PackedLayer>,
  ): Promise<Image> {
    const unpin = this.#layers.pin(diffIds);
    const release = this.#keeping.claim(id);
    try {
      const missing = diffIds.some((diffId) => !this.#layers.has(diffId));
      // The first layer that fails takes the others along; its error is the one to report.
      const giveUp = new AbortController();
      const both = AbortSignal.any([signal, giveUp.signal]);
      const attempts = diffIds.map(async (diffId, at) => {
        try {
          await this.#layers.ensure(diffId, both, (workSignal) => fetch(at, workSignal));
        } catch (error) {
          giveUp.abort(error);
          throw error;
        }
      });
      await Promise.allSettled(attempts);
      both.throwIfAborted();
      if (missing) await this.#layers.flush();
      const record = { id, config, diffIds, layerBytes: diffIds.map((diffId) => this.#layers.sizeBytes(diffId)) };
      await this.#records.add(record, document, references, digests);
      this.#marks.added(id, this.#options.clock.wallMs());
      return this.#image(record);
    } finally {
      unpin();
      release();
    }
  }
}

/**
 * Equal layers have one folder, and overlayfs takes a folder only once: the highest stands for all, as it decides
 * everything that the lower ones say.
 */
function distinctLayers(diffIds: readonly string[]): string[] {
  return diffIds.filter((diffId, at) => diffIds.lastIndexOf(diffId) === at);
}

/** The manifest for this machine, and the digest of what the reference names (the index, when there is one). */
async function resolveManifest(
  registry: Endpoints,
  reference: Reference,
  refuse: (why: string) => AgentError,
  signal: AbortSignal,
): Promise<{ manifest: Manifest; digest: string }> {
  const { bytes, digest } = await registry.manifest(reference.digest ?? reference.tag ?? 'latest', signal);
  let document = parseJson(bytes, 'the manifest', refuse);
  if (isIndex(document)) {
    const chosen = choosePlatform(parseIndex(document, refuse), refuse);
    document = parseJson((await registry.manifest(chosen.digest, signal)).bytes, 'the manifest', refuse);
  }
  return { manifest: parseManifest(document, refuse), digest };
}
