/**
 * How a layer's original tar is made again from its unpacked folder, byte for byte: everything of the tar but the bodies of files
 * (headers, padding, end), and in between which file's content belongs there. So an image can be exported with its own
 * digests without keeping its layers twice. (tar-split does the same for Docker, in a form of its own.)
 *
 * The file is gzip, in members of some 256 KiB, of frames: `L`, 4 bytes of length, the bytes; `F`, 6 bytes of size, 2 bytes of
 * length, the path (latin1, below the layer's folder). Numbers are big-endian.
 */
import { createReadStream } from 'node:fs';
import { constants, type FileHandle, open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createGunzip, gzipSync } from 'node:zlib';
import { AgentError } from '../errors.ts';
import { ByteSource } from './byte-source.ts';
import type { LayerTap } from './layer-rewrite.ts';

const memberBytes = 256 * 1024;
/** Beyond, no recipe is kept: what follows the end of an archive, for example, may be anything. */
const literalBytesMax = 1024 ** 3;
const chunkBytes = 256 * 1024;

/** Writes the recipe while the layer passes. */
export class RecipeWriter implements LayerTap {
  readonly #handle: FileHandle;
  readonly #overwritten: ReadonlySet<string>;
  readonly #paths = new Set<string>();
  #literals: Buffer[] = [];
  #literalBytes = 0;
  #frames: Buffer[] = [];
  #framesBytes = 0;
  #allBytes = 0;
  /** Paths whose content a later entry replaced: a second pass has to write their bodies down. */
  readonly lost = new Set<string>();

  private constructor(handle: FileHandle, overwritten: ReadonlySet<string>) {
    this.#handle = handle;
    this.#overwritten = overwritten;
  }

  /** `overwritten`: the paths that an earlier pass has found lost. */
  static async open(file: string, overwritten: ReadonlySet<string>): Promise<RecipeWriter> {
    return new RecipeWriter(await open(file, 'w', 0o600), overwritten);
  }

  /** False when the layer has too much that is not in its files. */
  get usable(): boolean {
    return this.#allBytes <= literalBytesMax;
  }

  literal(part: Buffer): void {
    this.#allBytes += part.length;
    if (!this.usable) return;
    // A copy: the part is a piece of something larger that must not be held.
    this.#literals.push(Buffer.from(part));
    this.#literalBytes += part.length;
  }

  placed(path: string): void {
    if (this.#paths.has(path)) this.lost.add(path);
  }

  body(path: string, sizeBytes: number): boolean {
    if (this.#overwritten.has(path)) return false;
    this.#paths.add(path);
    this.#endLiteral();
    const name = Buffer.from(path, 'latin1');
    const head = Buffer.alloc(9);
    head.write('F', 0, 'latin1');
    head.writeUIntBE(sizeBytes, 1, 6);
    head.writeUInt16BE(name.length, 7);
    this.#add(head, name);
    return true;
  }

  async settle(): Promise<void> {
    if (this.#literalBytes + this.#framesBytes < memberBytes) return;
    this.#endLiteral();
    await this.#writeMember();
  }

  async close(): Promise<void> {
    try {
      this.#endLiteral();
      await this.#writeMember();
    } finally {
      await this.#handle.close();
    }
  }

  #endLiteral(): void {
    if (this.#literalBytes === 0) return;
    const head = Buffer.alloc(5);
    head.write('L', 0, 'latin1');
    head.writeUInt32BE(this.#literalBytes, 1);
    this.#add(head, ...this.#literals);
    this.#literals = [];
    this.#literalBytes = 0;
  }

  #add(...parts: Buffer[]): void {
    this.#frames.push(...parts);
    for (const part of parts) this.#framesBytes += part.length;
  }

  async #writeMember(): Promise<void> {
    if (this.#framesBytes === 0) return;
    const member = gzipSync(Buffer.concat(this.#frames), { level: 3 });
    this.#frames = [];
    this.#framesBytes = 0;
    await this.#handle.writeFile(member);
  }
}

type Part = { literal: Buffer } | { path: string; sizeBytes: number };

/** How long the tar will be. AgentError 'ImageExport' for a recipe that cannot be read. */
export async function recipeTarBytes(recipe: string, signal: AbortSignal): Promise<number> {
  let bytes = 0;
  for await (const part of parts(recipe, signal)) bytes += 'literal' in part ? part.literal.length : part.sizeBytes;
  return bytes;
}

/** The tar again. AgentError 'ImageExport' when a file of the layer is not what it was; the caller compares the digest. */
export async function* rebuildLayer(recipe: string, folder: string, signal: AbortSignal): AsyncGenerator<Buffer> {
  for await (const part of parts(recipe, signal)) {
    if ('literal' in part) yield part.literal;
    else yield* fileBody(folder, part);
  }
}

async function* parts(recipe: string, signal: AbortSignal): AsyncGenerator<Part> {
  const broken = (cause?: unknown) => new AgentError('ImageExport', 'the record of a layer is damaged', { recipe }, cause);
  const gunzip = createGunzip({ chunkSize: chunkBytes });
  const fed = pipeline(createReadStream(recipe), gunzip, { signal });
  // The reader below meets the same error.
  fed.catch(() => {});
  const source = new ByteSource(gunzip, broken);
  const whole = async (length: number): Promise<Buffer> => {
    const bytes = length === 0 ? Buffer.alloc(0) : await source.exactly(length);
    if (!bytes) throw broken();
    return bytes;
  };
  try {
    for (let kind = await source.exactly(1); kind; kind = await source.exactly(1)) {
      signal.throwIfAborted();
      if (kind[0] === 'L'.charCodeAt(0)) yield { literal: await whole((await whole(4)).readUInt32BE()) };
      else if (kind[0] === 'F'.charCodeAt(0)) {
        const head = await whole(8);
        const path = (await whole(head.readUInt16BE(6))).toString('latin1');
        yield { path, sizeBytes: head.readUIntBE(0, 6) };
      } else throw broken();
    }
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof AgentError ? error : broken(error);
  } finally {
    gunzip.destroy();
  }
}

async function* fileBody(folder: string, { path, sizeBytes }: { path: string; sizeBytes: number }): AsyncGenerator<Buffer> {
  const changed = (cause?: unknown) =>
    new AgentError('ImageExport', `the file ${path} of a layer is not what it was`, { folder, path }, cause);
  const name = Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(path, 'latin1')]);
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const handle = await open(name, flags).catch((error) => {
    throw changed(error);
  });
  try {
    for (let at = 0; at < sizeBytes; ) {
      const length = Math.min(chunkBytes, sizeBytes - at);
      const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(length), 0, length, at);
      if (bytesRead === 0) throw changed();
      yield buffer.subarray(0, bytesRead);
      at += bytesRead;
    }
  } finally {
    await handle.close();
  }
}
