/**
 * Manifests, indexes and configs in their OCI and Docker v2 forms, checked before anything in them is used: they come from
 * strangers, and digests become file names.
 */
import { createHash } from 'node:crypto';
import type { AgentError } from '../errors.ts';
import type { ImageConfig } from '../types.ts';

export interface Descriptor {
  mediaType: string;
  digest: string;
  sizeBytes: number;
  annotations: Record<string, string>;
  platform: { os: string; architecture: string } | undefined;
}

export interface Manifest {
  config: Descriptor;
  layers: Descriptor[];
}

export interface ParsedConfig {
  /** sha256:… of the config: the image id. */
  id: string;
  config: ImageConfig;
  /** The config as it came: an export gives it back. */
  document: Uint8Array;
  diffIds: string[];
}

/** What went wrong, as the error of whoever reads (a pull or an import). */
export type Refuse = (why: string) => AgentError;

export const manifestBytesMax = 4 * 1024 * 1024;
export const configBytesMax = 8 * 1024 * 1024;
/** As many as the options of one overlay mount hold with short names. */
export const layersMax = 150;

export const manifestTypes = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
];

const digestPattern = /^sha256:[a-f0-9]{64}$/;

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

type Json = Record<string, unknown>;

/** A JSON object, or the refusal. */
export function parseJson(bytes: Uint8Array, what: string, refuse: Refuse): Json {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw refuse(`${what} is not JSON`);
  }
  if (typeof value !== 'object' || value === null) throw refuse(`${what} is not a JSON object`);
  return value as Json;
}

export function isIndex(document: Json): boolean {
  return Array.isArray(document.manifests);
}

/** The entries of an index or manifest list. */
export function parseIndex(document: Json, refuse: Refuse): Descriptor[] {
  return (document.manifests as unknown[]).slice(0, 1_000).map((entry) => parseDescriptor(entry, refuse));
}

/** The entry for this machine; one without platform is taken when there is no other choice. */
export function choosePlatform(entries: readonly Descriptor[], refuse: Refuse): Descriptor {
  const wanted = process.arch === 'x64' ? 'amd64' : process.arch;
  const fitting = entries.find(({ platform }) => platform?.os === 'linux' && platform.architecture === wanted);
  const chosen = fitting ?? entries.find(({ platform }) => platform === undefined);
  if (chosen) return chosen;
  const names = entries.map(({ platform }) => `${platform?.os}/${platform?.architecture}`);
  throw refuse(`no image for linux/${wanted}; there is ${[...new Set(names)].join(', ') || 'none'}`);
}

export function parseManifest(document: Json, refuse: Refuse): Manifest {
  if (document.schemaVersion === 1) throw refuse('the manifest has the old schema 1, which is not supported');
  if (!Array.isArray(document.layers) || !document.config) throw refuse('the manifest names no config or no layers');
  if (document.layers.length > layersMax)
    throw refuse(`the image has ${document.layers.length} layers; at most ${layersMax} are supported`);
  return {
    config: parseDescriptor(document.config, refuse),
    layers: document.layers.map((layer) => parseDescriptor(layer, refuse)),
  };
}

function parseDescriptor(value: unknown, refuse: Refuse): Descriptor {
  const { digest, size, mediaType, annotations, platform } = (value ?? {}) as Json;
  if (typeof digest !== 'string' || !digestPattern.test(digest)) throw refuse('a manifest has a malformed digest');
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) throw refuse('a manifest has a malformed size');
  const { os, architecture } = (platform ?? {}) as Json;
  return {
    digest,
    sizeBytes: size,
    mediaType: typeof mediaType === 'string' ? mediaType : '',
    annotations: Object.fromEntries(
      Object.entries((annotations ?? {}) as Json).filter(([, text]) => typeof text === 'string'),
    ) as Record<string, string>,
    platform: typeof os === 'string' && typeof architecture === 'string' ? { os, architecture } : undefined,
  };
}

/** An image config with the number of layers its manifest has. */
export function parseConfig(bytes: Uint8Array, layers: number, refuse: Refuse): ParsedConfig {
  const document = parseJson(bytes, 'the image config', refuse);
  const diffIds = (document.rootfs as Json | undefined)?.diff_ids;
  if (!Array.isArray(diffIds)) throw refuse('the image config names no layers');
  for (const diffId of diffIds) {
    if (typeof diffId !== 'string' || !digestPattern.test(diffId)) throw refuse('the image config has a malformed digest');
  }
  if (diffIds.length !== layers) throw refuse(`the image config names ${diffIds.length} layers, the manifest ${layers}`);
  const run = (document.config ?? {}) as Json;
  return {
    id: digestOf(bytes),
    document: bytes,
    diffIds: diffIds as string[],
    config: {
      entrypoint: strings(run.Entrypoint),
      cmd: strings(run.Cmd),
      env: strings(run.Env),
      workingDir: text(run.WorkingDir),
      user: text(run.User),
      stopSignal: text(run.StopSignal),
    },
  };
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
