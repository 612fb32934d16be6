/** Builds small images by hand, as archives in Docker's and OCI's form, and hostile layers. For tests only. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { encodeHeader, paddingBytes, type TarHeader } from '../../src/agent/images/tar-format.ts';

export const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** One entry of a layer made by hand. */
export function entry(path: string, content = '', change: Partial<TarHeader> = {}): Buffer {
  const body = Buffer.from(content);
  const header: TarHeader = {
    type: path.endsWith('/') ? '5' : '0',
    path,
    linkPath: '',
    mode: path.endsWith('/') ? 0o755 : 0o644,
    uid: 0,
    gid: 0,
    sizeBytes: body.length,
    modified: '1000000000',
    deviceMajor: 0,
    deviceMinor: 0,
    attributes: new Map(),
    ...change,
  };
  return Buffer.concat([encodeHeader(header), body, Buffer.alloc(paddingBytes(body.length))]);
}

export const symbolicLink = (path: string, to: string) => entry(path, '', { type: '2', linkPath: to, mode: 0o777 });
export const hardLink = (path: string, to: string) => entry(path, '', { type: '1', linkPath: to });

export function layer(...entries: Buffer[]): Buffer {
  return Buffer.concat([...entries, Buffer.alloc(1024)]);
}

/** A layer with busybox and links to it, made by the real tar. */
export function busyboxLayer(): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'kontiki-busybox-'));
  try {
    mkdirSync(join(folder, 'bin'));
    mkdirSync(join(folder, 'tmp'), { mode: 0o1777 });
    copyFileSync('/bin/busybox', join(folder, 'bin/busybox'));
    for (const name of ['sh', 'cat', 'ls', 'ping', 'ip']) symlinkSync('busybox', join(folder, 'bin', name));
    return execFileSync('tar', ['-c', '--numeric-owner', '--owner=0', '--group=0', '-C', folder, '.'], { maxBuffer: 1e8 });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export interface BuiltImage {
  config: Buffer;
  layers: Buffer[];
  /** sha256:… of the config. */
  id: string;
}

export function image(layers: Buffer[], run: Record<string, unknown> = { Cmd: ['/bin/sh'], Env: ['PATH=/bin'] }): BuiltImage {
  const config = Buffer.from(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      config: run,
      rootfs: { type: 'layers', diff_ids: layers.map((content) => `sha256:${sha256(content)}`) },
    }),
  );
  return { config, layers, id: `sha256:${sha256(config)}` };
}

/** Packs files into a tar with the real tar. */
export function pack(file: string, files: Record<string, Uint8Array | string>, options: string[] = []): string {
  const folder = mkdtempSync(join(tmpdir(), 'kontiki-pack-'));
  try {
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), content);
    }
    execFileSync('tar', ['-c', ...options, '-f', file, '-C', folder, '.']);
    return file;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** As `docker save` writes it; several images in one archive. */
export function dockerArchive(file: string, images: { image: BuiltImage; tags: string[] }[], options: string[] = []): string {
  const files: Record<string, Uint8Array | string> = {};
  const manifest = images.map(({ image: { config, layers, id }, tags }) => {
    files[`${id.slice(7)}.json`] = config;
    for (const content of layers) files[`${sha256(content)}/layer.tar`] = content;
    return { Config: `${id.slice(7)}.json`, RepoTags: tags, Layers: layers.map((content) => `${sha256(content)}/layer.tar`) };
  });
  files['manifest.json'] = JSON.stringify(manifest);
  return pack(file, files, options);
}

export interface OciParts {
  files: Record<string, Uint8Array | string>;
  manifestDigest: string;
}

/** The files of an OCI layout; `packLayer` compresses. */
export function ociFiles({ config, layers }: BuiltImage, name: string, packLayer = (content: Buffer) => content): OciParts {
  const files: Record<string, Uint8Array | string> = { 'oci-layout': '{"imageLayoutVersion":"1.0.0"}' };
  const blob = (content: Buffer, mediaType: string) => {
    files[`blobs/sha256/${sha256(content)}`] = content;
    return { mediaType, digest: `sha256:${sha256(content)}`, size: content.length };
  };
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      config: blob(config, 'application/vnd.oci.image.config.v1+json'),
      layers: layers.map((content) => blob(packLayer(content), 'application/vnd.oci.image.layer.v1.tar+gzip')),
    }),
  );
  const described = blob(manifest, 'application/vnd.oci.image.manifest.v1+json');
  const annotations = { 'org.opencontainers.image.ref.name': name };
  files['index.json'] = JSON.stringify({ schemaVersion: 2, manifests: [{ ...described, annotations }] });
  return { files, manifestDigest: described.digest };
}

export function readJson(file: string): unknown {
  return JSON.parse(readFileSync(file, 'utf8'));
}

/** Resolves when the folder is empty: work that was given up tidies up behind who gave it up. */
export async function emptied(folder: string): Promise<void> {
  const deadlineMs = performance.now() + 60_000;
  for (let left = readdirSync(folder); left.length > 0; left = readdirSync(folder)) {
    if (performance.now() > deadlineMs) throw new Error(`${folder} still has ${left.join(', ')}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
