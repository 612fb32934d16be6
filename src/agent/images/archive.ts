/**
 * Image archives: OCI layouts in a tar, and what `docker save` writes. The archive is read in place: its entries are looked up
 * once by walking the headers, layers are then unpacked straight from their offset. Nothing of it is extracted by name.
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { AgentError } from '../errors.ts';
import {
  choosePlatform,
  configBytesMax,
  type Descriptor,
  digestOf,
  isIndex,
  manifestBytesMax,
  type ParsedConfig,
  parseConfig,
  parseIndex,
  parseJson,
  parseManifest,
} from './manifest.ts';
import { formatReference, parseReference } from './reference.ts';
import { applyPax, blockBytes, decodeHeader, decodePax, metadataBytesMax, paddingBytes, TarError } from './tar-format.ts';

export interface ArchivedImage extends ParsedConfig {
  references: string[];
  /** Where each layer lies in the file, lowest first. */
  layers: { offsetBytes: number; lengthBytes: number }[];
}

type Place = { offsetBytes: number; lengthBytes: number } | { link: string };

const entriesMax = 100_000;
const imagesMax = 100;
const annotationNames = ['io.containerd.image.name', 'org.opencontainers.image.ref.name'];

const refuse = (why: string, cause?: unknown) => new AgentError('ImageImport', `not a usable image archive: ${why}`, {}, cause);

/** Gives the file itself, or (for a compressed one) `plain` after decompressing into it. */
export async function plainArchive(file: string, plain: string, signal: AbortSignal): Promise<string> {
  const handle = await open(file);
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0).finally(() => handle.close());
  if (bytesRead < 4) throw refuse('the file is empty');
  const magic = buffer.readUInt32LE();
  const decompressor = (magic & 0xffff) === 0x8b1f ? createGunzip() : magic === 0xfd2fb528 ? createZstdDecompress() : undefined;
  if (!decompressor) return file;
  try {
    await pipeline(createReadStream(file), decompressor, createWriteStream(plain, { mode: 0o600 }), { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw refuse('it cannot be decompressed', error);
  }
  return plain;
}

/** The images in an uncompressed archive. AgentError 'ImageImport'. */
export async function readArchive(file: string): Promise<ArchivedImage[]> {
  const handle = await open(file);
  try {
    const archive = new Archive(handle, await index(handle));
    return await archive.images();
  } catch (error) {
    if (error instanceof TarError) throw refuse(error.message, error);
    throw error;
  } finally {
    await handle.close();
  }
}

/** Where each entry's body lies, by cleaned name. */
async function index(handle: FileHandle): Promise<Map<string, Place>> {
  const places = new Map<string, Place>();
  const fileBytes = (await handle.stat()).size;
  let records = new Map<string, Buffer>();
  let longName: string | undefined;
  for (let at = 0, entries = 0; at + blockBytes <= fileBytes; ) {
    const header = decodeHeader(await bytesAt(handle, at, blockBytes));
    if (!header) break;
    if (++entries > entriesMax) throw refuse(`more than ${entriesMax} entries`);
    const isMetadata = /[xgLK]/.test(header.type);
    if (!isMetadata) {
      header.path = longName ?? header.path;
      applyPax(header, records);
    }
    const offsetBytes = at + blockBytes;
    at = offsetBytes + header.sizeBytes + paddingBytes(header.sizeBytes);
    if (offsetBytes + header.sizeBytes > fileBytes) throw refuse('it is cut off');
    if (isMetadata) {
      if (header.sizeBytes > metadataBytesMax) throw refuse('a header is too large');
      const body = await bytesAt(handle, offsetBytes, header.sizeBytes);
      if (header.type === 'x') records = decodePax(body);
      if (header.type === 'L') longName = body.toString('latin1', 0, body.indexOf(0) < 0 ? body.length : body.indexOf(0));
      continue;
    }
    const name = clean(header.path);
    if (header.type === '0') places.set(name, { offsetBytes, lengthBytes: header.sizeBytes });
    // Older versions of docker save link equal layers to each other.
    else if (header.type === '1') places.set(name, { link: clean(header.linkPath) });
    else if (header.type === '2') places.set(name, { link: clean(`${name}/../${header.linkPath}`) });
    records = new Map();
    longName = undefined;
  }
  return places;
}

async function bytesAt(handle: FileHandle, offsetBytes: number, lengthBytes: number): Promise<Buffer> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(lengthBytes), 0, lengthBytes, offsetBytes);
  if (bytesRead < lengthBytes) throw refuse('it is cut off');
  return buffer;
}

/** Only ever looked up in the map, so a name that leads outside simply is not found. */
function clean(path: string): string {
  const done: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') done.pop();
    else if (part !== '' && part !== '.') done.push(part);
  }
  return done.join('/');
}

class Archive {
  readonly #handle: FileHandle;
  readonly #places: Map<string, Place>;

  constructor(handle: FileHandle, places: Map<string, Place>) {
    this.#handle = handle;
    this.#places = places;
  }

  async images(): Promise<ArchivedImage[]> {
    const images = this.#places.has('manifest.json') ? await this.#dockerImages() : await this.#ociImages();
    if (images.length === 0) throw refuse('it holds no image');
    return images;
  }

  async #dockerImages(): Promise<ArchivedImage[]> {
    const list = parseJson(await this.#read('manifest.json', manifestBytesMax), 'manifest.json', refuse);
    if (!Array.isArray(list)) throw refuse('manifest.json is not a list');
    const images: ArchivedImage[] = [];
    for (const entry of list.slice(0, imagesMax)) {
      const { Config: config, RepoTags: tags, Layers: layers } = entry as Record<string, unknown>;
      if (typeof config !== 'string' || !Array.isArray(layers)) throw refuse('manifest.json names no config or no layers');
      const parsed = parseConfig(await this.#read(config, configBytesMax), layers.length, refuse);
      const references = (Array.isArray(tags) ? tags : []).map((tag) => formatReference(parseReference(String(tag))));
      images.push({ ...parsed, references, layers: layers.map((layer) => this.#place(String(layer))) });
    }
    return images;
  }

  async #ociImages(): Promise<ArchivedImage[]> {
    if (!this.#places.has('index.json')) throw refuse('it has neither a manifest.json (Docker) nor an index.json (OCI)');
    const document = parseJson(await this.#read('index.json', manifestBytesMax), 'index.json', refuse);
    if (!isIndex(document)) throw refuse('index.json lists no manifests');
    const images = new Map<string, ArchivedImage>();
    const entries = parseIndex(document, refuse).filter(isForUs).slice(0, imagesMax);
    for (const entry of entries) {
      const image = await this.#ociImage(entry);
      const name = annotationNames.map((key) => entry.annotations[key]).find((text) => text !== undefined);
      const references = name === undefined ? [] : [formatReference(parseReference(name))];
      const earlier = images.get(image.id);
      if (earlier) earlier.references.push(...references);
      else images.set(image.id, { ...image, references });
    }
    return [...images.values()];
  }

  async #ociImage(entry: Descriptor): Promise<ArchivedImage> {
    let document = parseJson(await this.#blob(entry, manifestBytesMax), 'a manifest', refuse);
    if (isIndex(document)) {
      const chosen = choosePlatform(parseIndex(document, refuse), refuse);
      document = parseJson(await this.#blob(chosen, manifestBytesMax), 'a manifest', refuse);
    }
    const manifest = parseManifest(document, refuse);
    const config = parseConfig(await this.#blob(manifest.config, configBytesMax), manifest.layers.length, refuse);
    return { ...config, references: [], layers: manifest.layers.map(({ digest }) => this.#place(blobName(digest))) };
  }

  async #blob({ digest }: Descriptor, bytesMax: number): Promise<Buffer> {
    const bytes = await this.#read(blobName(digest), bytesMax);
    if (digestOf(bytes) !== digest) throw refuse(`${digest} has other content`);
    return bytes;
  }

  async #read(name: string, bytesMax: number): Promise<Buffer> {
    const { offsetBytes, lengthBytes } = this.#place(name);
    if (lengthBytes > bytesMax) throw refuse(`${name} is too large`);
    return bytesAt(this.#handle, offsetBytes, lengthBytes);
  }

  #place(name: string): { offsetBytes: number; lengthBytes: number } {
    let place = this.#places.get(clean(name));
    for (let links = 0; place && 'link' in place && links < 10; links++) place = this.#places.get(place.link);
    if (!place || 'link' in place) throw refuse(`it lacks ${name}`);
    return place;
  }
}

function blobName(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`;
}

/** Leaves out other platforms' images and what is no image at all (attestations say unknown/unknown). */
function isForUs({ platform }: Descriptor): boolean {
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
  return platform === undefined || (platform.os === 'linux' && platform.architecture === architecture);
}
