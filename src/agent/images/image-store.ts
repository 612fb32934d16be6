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
import type { Executor, Image, ImageStore, PullCredentials } from '../types.ts';
import { plainArchive, readArchive } from './archive.ts';
import { ContainerRoots } from './container-roots.ts';
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
import { formatReference, imageIdOf, parseReference, type Reference, repositoryName } from './reference.ts';
import { Registry } from './registry.ts';
import { SharedWork, Slots } from './shared-work.ts';

export interface ImageStoreOptions {
  dataDir: string;
  executor: Executor;
  /** host[:port] of registries that are asked over plain HTTP. */
  insecureRegistries: readonly string[];
  logger: Logger;
  clock: Clock;
}

/** Layers that are fetched at once, over all pulls. */
const downloadsAtOnce = 4;

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

  constructor(options: ImageStoreOptions) {
    this.#options = options;
    this.#folder = join(options.dataDir, 'images');
    this.#layers = new LayerStore({ folder: this.#folder, executor: options.executor });
    this.#records = new ImageRecords(this.#folder, options.logger);
    this.#roots = new ContainerRoots(this.#folder, options.executor);
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
  }

  async list(): Promise<Image[]> {
    return this.#records.all().map((record) => this.#image(record));
  }

  async find(reference: string): Promise<Image | undefined> {
    const record = this.#find(reference);
    return record && this.#image(record);
  }

  async pull(reference: string, credentials: PullCredentials | undefined, signal: AbortSignal): Promise<Image> {
    const parsed = parseReference(reference);
    // Others' credentials must neither help nor harm.
    const key = JSON.stringify([formatReference(parsed), credentials?.username, credentials?.password]);
    return this.#pulls.run(key, signal, (workSignal) => this.#pull(parsed, credentials, workSignal));
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

  async remove(reference: string): Promise<void> {
    const record = this.#find(reference);
    if (!record) return;
    const name = imageIdOf(reference) ? undefined : formatReference(parseReference(reference));
    const others = [...this.#records.referencesOf(record.id), ...this.#records.digestsOf(record.id)].filter(
      (other) => other !== name,
    );
    // A name among several is only a name. The digest a pull recorded does not keep an image whose last tag goes.
    const tagsLeft = this.#records.referencesOf(record.id).some((tag) => tag !== name);
    if (name !== undefined && (tagsLeft || (name.includes('@') && others.length > 0))) return this.#records.removeName(name);
    for (const [containerId, { imageId }] of this.#roots.records) {
      if (imageId !== record.id) continue;
      throw new AgentError('ImageInUse', `image ${reference} is in use by container ${containerId}`, {
        image: record.id,
        containerId,
      });
    }
    await this.#records.remove(record.id);
    await this.#collectLayers();
  }

  writableLayer(containerId: string): string {
    return this.#roots.writableLayer(containerId);
  }

  async mountRoot(containerId: string, image: Image): Promise<string> {
    const record = this.#records.get(image.id);
    if (!record) throw new AgentError('ImageNotFound', `image ${image.id} is not on this machine`, { image: image.id });
    const { id, diffIds } = record;
    const layers = distinctLayers(diffIds).map((diffId) => this.#layers.shortPath(diffId));
    const unpin = this.#layers.pin(diffIds);
    try {
      return await this.#roots.mount(containerId, { imageId: id, diffIds }, layers);
    } finally {
      unpin();
    }
  }

  async removeRoot(containerId: string): Promise<void> {
    await this.#roots.remove(containerId);
  }

  #find(reference: string): ImageRecord | undefined {
    const id = imageIdOf(reference) ?? this.#records.resolve(formatReference(parseReference(reference)));
    return id === undefined ? undefined : this.#records.get(id);
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

  async #pull(reference: Reference, credentials: PullCredentials | undefined, signal: AbortSignal): Promise<Image> {
    const { clock, insecureRegistries, logger } = this.#options;
    const startMs = clock.monotonicMs();
    const name = formatReference(reference);
    const insecure = insecureRegistries.includes(reference.domain);
    const registry = new Registry({ reference, credentials, insecure, clock });
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
    registry: Registry,
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
    { id, config, diffIds }: ParsedConfig,
    references: readonly string[],
    digests: readonly string[],
    signal: AbortSignal,
    fetch: (layer: number, signal: AbortSignal) => Promise<PackedLayer>,
  ): Promise<Image> {
    const unpin = this.#layers.pin(diffIds);
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
      await this.#records.add(record, references, digests);
      return this.#image(record);
    } finally {
      unpin();
    }
  }

  async #collectLayers(): Promise<void> {
    const used = new Set<string>();
    for (const { diffIds } of this.#records.all()) for (const diffId of diffIds) used.add(diffId);
    for (const { diffIds } of this.#roots.records.values()) for (const diffId of diffIds) used.add(diffId);
    await this.#layers.removeExcept(used);
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
  registry: Registry,
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
