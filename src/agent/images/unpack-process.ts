/**
 * A process of its own that unpacks one layer: decompresses, takes the digest of the plain tar, rewrites it to be safe and pipes
 * it into tar(1). So neither the work nor a hostile archive is in the agent's process. Argument: an UnpackRequest as JSON; standard
 * output: an UnpackResult as JSON; on failure exit code 1 and a sentence on standard error.
 *
 * Whiteouts are made in a second pass, when it is known what the layer itself has there: a deletion becomes a character device
 * 0:0, an opaque folder gets `trusted.overlay.opaque` (kernel: Documentation/filesystems/overlayfs.rst).
 */
import { spawn } from 'node:child_process';
import { createHash, type Hash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { lstat, open, rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { RecipeWriter } from './layer-recipe.ts';
import { endMark, type LayerLimits, type LayerSummary, resolvePath, rewriteLayer } from './layer-rewrite.ts';
import { encodeHeader, type TarHeader } from './tar-format.ts';

export interface UnpackRequest {
  /** The layer: `lengthBytes` from `offsetBytes` of this file; gzip, zstd or plain tar. */
  file: string;
  offsetBytes: number;
  lengthBytes: number;
  /** An empty folder. */
  target: string;
  /** A file for the layer's recipe (layer-recipe.ts); not written for a layer that has too much outside of its files. */
  recipe: string;
  limits: LayerLimits;
}

export interface UnpackResult {
  /** sha256:… of the uncompressed tar. */
  diffId: string;
  sizeBytes: number;
}

const chunkBytes = 256 * 1024;

async function unpack(request: UnpackRequest): Promise<UnpackResult> {
  const { lengthBytes, target, recipe, limits } = request;
  const hash = createHash('sha256');
  const summary = emptySummary();
  if (lengthBytes === 0) throw new Error('the layer is empty');
  const writer = await RecipeWriter.open(recipe, new Set());
  try {
    await extract(rewriteLayer(hashed(await plainLayer(request), hash), limits, summary, writer), target);
  } finally {
    await writer.close();
  }
  await extract(await whiteoutEntries(summary, target), target);
  if (!writer.usable) await rm(recipe);
  else if (writer.lost.size > 0) await writeRecipeAgain(request, writer.lost);
  return { diffId: `sha256:${hash.digest('hex')}`, sizeBytes: summary.sizeBytes };
}

const emptySummary = (): LayerSummary => ({ whiteouts: [], opaqueFolders: [], links: new Map(), sizeBytes: 0 });

/** For a layer that has a path twice: what was overwritten is in no file, so it goes into the recipe. */
async function writeRecipeAgain(request: UnpackRequest, lost: ReadonlySet<string>): Promise<void> {
  const writer = await RecipeWriter.open(request.recipe, lost);
  try {
    for await (const _ of rewriteLayer(await plainLayer(request), request.limits, emptySummary(), writer)) {
      // Only what the writer hears matters.
    }
  } finally {
    await writer.close();
  }
  if (!writer.usable) await rm(request.recipe);
}

/** The layer's tar. */
async function plainLayer({ file, offsetBytes, lengthBytes }: UnpackRequest): Promise<Readable> {
  const range = { start: offsetBytes, end: offsetBytes + lengthBytes - 1, highWaterMark: chunkBytes };
  const source = createReadStream(file, range);
  const decompressor = await decompressorFor(file, offsetBytes);
  const plain = decompressor ? source.pipe(decompressor) : source;
  // pipe() does not carry errors along.
  source.on('error', (error) => plain.destroy(error));
  return plain;
}

async function decompressorFor(file: string, offsetBytes: number) {
  const handle = await open(file);
  try {
    const { buffer } = await handle.read(Buffer.alloc(4), 0, 4, offsetBytes);
    const magic = buffer.readUInt32LE();
    if ((magic & 0xffff) === 0x8b1f) return createGunzip({ chunkSize: chunkBytes });
    return magic === 0xfd2fb528 ? createZstdDecompress({ chunkSize: chunkBytes }) : undefined;
  } finally {
    await handle.close();
  }
}

async function* hashed(chunks: AsyncIterable<Buffer>, hash: Hash): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
}

async function extract(chunks: AsyncIterable<Buffer> | Iterable<Buffer>, target: string): Promise<void> {
  const args = ['-x', '-p', '-f', '-', '--numeric-owner', '--xattrs', '--xattrs-include=*', '-C', target];
  const tar = spawn('tar', args, { stdio: ['pipe', 'ignore', 'pipe'], env: { ...process.env, LC_ALL: 'C' } });
  let complaint = '';
  tar.stderr.setEncoding('utf8').on('data', (part: string) => {
    if (complaint.length < 4_096) complaint += part;
  });
  const ended = once(tar, 'close') as Promise<[number | null]>;
  const fed = await pipeline(Readable.from(chunks, { objectMode: true, highWaterMark: 4 }), tar.stdin).then(
    () => undefined,
    (error: Error) => error,
  );
  if (fed && (fed as NodeJS.ErrnoException).code !== 'EPIPE') tar.kill('SIGKILL');
  const [exitCode] = await ended;
  // Of a broken pipe tar itself says the cause.
  if (fed && (fed as NodeJS.ErrnoException).code !== 'EPIPE') throw fed;
  if (exitCode !== 0) throw new Error(`tar: ${complaint.trim() || `exit code ${exitCode}`}`);
}

/** A tar with the whiteouts in overlay form. Paths are resolved again, as later entries may have changed what they mean. */
async function whiteoutEntries(summary: LayerSummary, target: string): Promise<Buffer[]> {
  const devices: Buffer[] = [];
  const folders = new Map<string, boolean>();
  for (const path of summary.opaqueFolders) folders.set(resolvePath(`${path}/.`, summary.links), true);
  for (const raw of summary.whiteouts) {
    const path = resolvePath(raw, summary.links);
    const present = await look(target, path);
    if (present?.isDirectory()) folders.set(path, true);
    if (present) continue;
    const parent = path.slice(0, Math.max(0, path.lastIndexOf('/')));
    if (!folders.has(parent)) folders.set(parent, false);
    devices.push(encodeHeader({ ...entry('3', `./${path}`), mode: 0 }));
  }
  // After the devices, so that the folders keep the times the layer gave them.
  for (const [path, opaque] of folders) devices.push(encodeHeader(await folderEntry(target, path, opaque)));
  return devices.length > 0 ? [...devices, endMark] : [endMark];
}

async function folderEntry(target: string, path: string, opaque: boolean): Promise<TarHeader> {
  const header = entry('5', path ? `./${path}/` : './');
  const stat = await look(target, path);
  if (stat) {
    Object.assign(header, { mode: Number(stat.mode) & 0o7777, uid: Number(stat.uid), gid: Number(stat.gid) });
    if (stat.mtimeNs > 0n)
      header.modified = `${stat.mtimeNs / 1_000_000_000n}.${String(stat.mtimeNs % 1_000_000_000n).padStart(9, '0')}`;
  }
  if (opaque) header.attributes.set('trusted.overlay.opaque', Buffer.from('y'));
  return header;
}

function entry(type: string, path: string): TarHeader {
  const numbers = { mode: 0o755, uid: 0, gid: 0, sizeBytes: 0, deviceMajor: 0, deviceMinor: 0 };
  return { type, path, linkPath: '', modified: '0', attributes: new Map(), ...numbers };
}

async function look(target: string, path: string) {
  const bytes = Buffer.concat([Buffer.from(`${target}/`), Buffer.from(path, 'latin1')]);
  try {
    return await lstat(bytes, { bigint: true });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}

try {
  const result = await unpack(JSON.parse(process.argv[2] ?? '') as UnpackRequest);
  process.stdout.write(JSON.stringify(result));
} catch (error) {
  process.stderr.write(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
