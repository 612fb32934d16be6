/**
 * An image as an OCI archive (a tar of an OCI image layout): the config as it came, the layers as plain tars, rebuilt from their
 * folders and compared with their digests while they go out. Image id and diffIDs are the image's own; the manifest is written
 * here, so its digest differs from that of a registry which keeps the layers compressed. Equal images give equal archives.
 */
import { createHash } from 'node:crypto';
import { access } from 'node:fs/promises';
import { AgentError } from '../errors.ts';
import type { ImageExport } from '../types.ts';
import { rebuildLayer, recipeTarBytes } from './layer-recipe.ts';
import { endMark } from './layer-rewrite.ts';
import { digestOf } from './manifest.ts';
import { encodeHeader, paddingBytes, type TarHeader } from './tar-format.ts';

export interface ExportedImage {
  id: string;
  /** Written into the archive, one or more. Without any the image is found by its digest only. */
  names: readonly string[];
  config: Buffer | undefined;
  /** Lowest first, repeated ones too. */
  diffIds: readonly string[];
  /** How a layer's tar is made again, and where its files are. */
  layer(diffId: string): { recipe: string; folder: string };
}

interface Entry {
  path: string;
  sizeBytes: number;
  content: AsyncIterable<Buffer> | Iterable<Buffer>;
}

/** The caller keeps the layers from being removed until the content has been taken. AgentError 'ImageExport'. */
export async function exportImage(image: ExportedImage, signal: AbortSignal): Promise<ImageExport> {
  const refuse = (why: string) =>
    new AgentError('ImageExport', `image ${image.id} cannot be exported: ${why}`, { image: image.id });
  const { config, diffIds } = image;
  if (!config) throw refuse('it came before its original was kept; remove it, then pull or import it again');
  if (digestOf(config) !== image.id) throw refuse('its config is not what it was');
  const sizes = new Map<string, number>();
  for (const diffId of new Set(diffIds)) {
    const { recipe } = image.layer(diffId);
    await access(recipe).catch(() => {
      throw refuse(`the original of layer ${diffId} was not kept; remove the image, then pull or import it again`);
    });
    sizes.set(diffId, await recipeTarBytes(recipe, signal));
  }
  const layers = [...sizes].map(([diffId, sizeBytes]): Entry => {
    const { recipe, folder } = image.layer(diffId);
    return { path: blobPath(diffId), sizeBytes, content: checked(rebuildLayer(recipe, folder, signal), diffId, refuse) };
  });
  const manifest = json({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: image.id, size: config.length },
    layers: diffIds.map((digest) => ({ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest, size: sizes.get(digest) })),
  });
  const entries: Entry[] = [
    file('oci-layout', json({ imageLayoutVersion: '1.0.0' })),
    file('index.json', json(indexOf(manifest, image.names))),
    { path: 'blobs/', sizeBytes: 0, content: [] },
    { path: 'blobs/sha256/', sizeBytes: 0, content: [] },
    file(blobPath(digestOf(manifest)), manifest),
    file(blobPath(image.id), config),
    ...layers,
  ];
  const headers = entries.map(headerOf);
  const sizeBytes = entries.reduce(
    (sum, entry, at) => sum + headers[at]!.length + entry.sizeBytes + paddingBytes(entry.sizeBytes),
    endMark.length,
  );
  return { sizeBytes, content: archive(entries, headers) };
}

async function* archive(entries: readonly Entry[], headers: readonly Buffer[]): AsyncGenerator<Buffer> {
  for (const [at, { content, sizeBytes }] of entries.entries()) {
    yield headers[at]!;
    yield* content;
    const padding = paddingBytes(sizeBytes);
    if (padding > 0) yield Buffer.alloc(padding);
  }
  yield endMark;
}

async function* checked(
  content: AsyncIterable<Buffer>,
  digest: string,
  refuse: (why: string) => AgentError,
): AsyncGenerator<Buffer> {
  const hash = createHash('sha256');
  for await (const part of content) {
    hash.update(part);
    yield part;
  }
  const found = `sha256:${hash.digest('hex')}`;
  if (found !== digest) throw refuse(`layer ${digest} came out as ${found}: its files have been changed`);
}

function indexOf(manifest: Buffer, names: readonly string[]): unknown {
  const described = {
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    digest: digestOf(manifest),
    size: manifest.length,
  };
  const annotated = names.map((name) => ({
    ...described,
    // The first is what containerd and Docker read, the second skopeo and podman.
    annotations: { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': name },
  }));
  return {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: annotated.length > 0 ? annotated : [described],
  };
}

const blobPath = (digest: string) => `blobs/${digest.replace(':', '/')}`;

const json = (value: unknown) => Buffer.from(JSON.stringify(value));

const file = (path: string, bytes: Buffer): Entry => ({ path, sizeBytes: bytes.length, content: [bytes] });

function headerOf({ path, sizeBytes }: Entry): Buffer {
  const isFolder = path.endsWith('/');
  const header: TarHeader = {
    type: isFolder ? '5' : '0',
    path,
    linkPath: '',
    mode: isFolder ? 0o755 : 0o644,
    uid: 0,
    gid: 0,
    sizeBytes,
    modified: '0',
    deviceMajor: 0,
    deviceMinor: 0,
    attributes: new Map(),
  };
  return encodeHeader(header);
}
