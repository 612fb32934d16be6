/**
 * Turns the tar stream of an image layer into one that is safe to extract, and gathers its whiteouts (OCI image spec,
 * "Representing Changes").
 *
 * Promise: every path that leaves here is relative, has no `..`, and does not pass through a symbolic link of the layer: links in the
 * middle of a path are followed as if the layer were the root of the file system, so nothing can be written outside, whatever the
 * extracting program does. Attributes that overlayfs reads itself are dropped: a layer must not redirect to other folders.
 */
import { encodeHeader, paddingBytes, TarError, type TarHeader } from './tar-format.ts';
import { TarReader } from './tar-reader.ts';

export interface LayerLimits {
  entriesMax: number;
  /** Sum of the file bodies. */
  bytesMax: number;
}

export interface LayerSummary {
  /** Paths that hide what lower layers have. */
  whiteouts: string[];
  /** Folders that hide everything lower layers have in them; '' is the root. */
  opaqueFolders: string[];
  /** Symbolic links by path, as they are at the end of the layer. */
  links: Map<string, string>;
  sizeBytes: number;
}

const whiteoutPrefix = '.wh.';
const opaqueMark = '.wh..wh..opq';
const linkDepthMax = 40;
const pathLengthMax = 4_096;

/** What is written down of a layer so that its tar can be made again, see layer-recipe.ts. */
export interface LayerTap {
  /** Bytes of the original that the unpacked files will not hold. */
  literal(part: Buffer): void;
  /** An entry arrives at this path, over what may be there. */
  placed(path: string): void;
  /** Whether the body that comes now will be found at this path. */
  body(path: string, sizeBytes: number): boolean;
  /** Called between pieces: a place to wait. */
  settle(): Promise<void>;
}

/** Yields the safe tar stream; `summary` is complete when it has ended. TarError for anything that is refused. */
export async function* rewriteLayer(
  chunks: AsyncIterable<Buffer>,
  limits: LayerLimits,
  summary: LayerSummary,
  tap?: LayerTap,
): AsyncGenerator<Buffer> {
  const reader = new TarReader(chunks, tap && ((part) => tap.literal(part)));
  const { links } = summary;
  let entries = 0;
  for (let header = await reader.next(); header; header = await reader.next()) {
    if (++entries > limits.entriesMax) throw new TarError(`more than ${limits.entriesMax} entries`);
    summary.sizeBytes += header.sizeBytes;
    if (summary.sizeBytes > limits.bytesMax) throw new TarError(`more than ${limits.bytesMax} bytes`);
    if (!/^[0-6]$/.test(header.type)) throw new TarError(`${header.path}: entries of type ${header.type} are not supported`);

    const path = resolvePath(header.path, links);
    const name = path.slice(path.lastIndexOf('/') + 1);
    if (name.startsWith(whiteoutPrefix)) {
      noteWhiteout(path, name, summary);
      for await (const _ of reader.body()) await tap?.settle();
      continue;
    }
    if (path === '' && header.type !== '5') throw new TarError(`${header.path}: the root of a layer is a folder`);
    const safe = safeHeader(header, path, links);
    // A hard link to a symbolic link is one more symbolic link.
    const target = header.type === '2' ? header.linkPath : header.type === '1' ? links.get(safe.linkPath.slice(2)) : undefined;
    if (target === undefined) links.delete(path);
    else links.set(path, target);
    yield encodeHeader(safe);
    tap?.placed(path);
    const isKept = header.type === '0' && header.sizeBytes > 0 && tap?.body(path, header.sizeBytes);
    for await (const part of reader.body(!isKept)) {
      yield part;
      await tap?.settle();
    }
    const padding = paddingBytes(header.sizeBytes);
    if (padding > 0) yield Buffer.alloc(padding);
    await tap?.settle();
  }
  for await (const _ of reader.drain()) await tap?.settle();
  yield endMark;
}

/** Two blocks of zeros. */
export const endMark = Buffer.alloc(1024);

function noteWhiteout(path: string, name: string, summary: LayerSummary): void {
  const folder = path.slice(0, Math.max(0, path.length - name.length - 1));
  if (name === opaqueMark) {
    summary.opaqueFolders.push(folder);
    return;
  }
  // Other names with two prefixes are bookkeeping of AUFS.
  if (name.startsWith(whiteoutPrefix + whiteoutPrefix)) return;
  const hidden = name.slice(whiteoutPrefix.length);
  if (hidden === '' || hidden === '.' || hidden === '..') throw new TarError(`${path}: not the name of a whiteout`);
  summary.whiteouts.push(folder ? `${folder}/${hidden}` : hidden);
}

function safeHeader(header: TarHeader, path: string, links: ReadonlyMap<string, string>): TarHeader {
  const attributes = new Map(
    [...header.attributes].filter(([name]) => name === 'security.capability' || name.startsWith('user.')),
  );
  for (const name of attributes.keys()) if (name.startsWith('user.overlay.')) attributes.delete(name);
  // A symbolic link may say anything: it is followed inside the container only. A hard link is made now.
  const linkPath = header.type === '1' ? `./${resolvePath(header.linkPath, links)}` : header.linkPath;
  if (header.type === '1' && linkPath === './') throw new TarError(`${header.path}: a hard link to the root`);
  return { ...header, attributes, linkPath, path: header.type === '5' ? `./${path}/`.replace('.//', './') : `./${path}` };
}

/**
 * The path inside the layer, without leading slash, following the layer's links in every part but the last. `..` above the
 * root is the root, as in a chroot.
 */
export function resolvePath(path: string, links: ReadonlyMap<string, string>): string {
  if (path.length > pathLengthMax) throw new TarError('a path is too long');
  if (path.includes('\0')) throw new TarError('a path has a zero byte');
  const todo = path.split('/').filter((part) => part !== '' && part !== '.');
  const done: string[] = [];
  let followed = 0;
  for (let part = todo.shift(); part !== undefined; part = todo.shift()) {
    if (part === '..') {
      done.pop();
      continue;
    }
    done.push(part);
    const target = todo.length > 0 ? links.get(done.join('/')) : undefined;
    if (target === undefined) continue;
    if (++followed > linkDepthMax) throw new TarError(`${path}: too many symbolic links`);
    if (target.startsWith('/')) done.length = 0;
    else done.pop();
    todo.unshift(...target.split('/').filter((next) => next !== '' && next !== '.'));
  }
  return done.join('/');
}
