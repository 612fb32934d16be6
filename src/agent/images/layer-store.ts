/**
 * Unpacked layers, each once, in `layers/<hex of its diffID>`; `l/<16 digits>` are symbolic links to them, short enough for the
 * options of a mount; `recipes/<hex>` is how to make their tars again. A layer gets its name only when it is complete and its
 * digest was right.
 *
 * Crash safety: a layer counts from the moment an image record names it; the record is written after a flush of the file
 * system. What no record names when the store opens is removed.
 */
import { mkdir, readdir, readlink, rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { errorCode } from '../../lib/errors.ts';
import { AgentError } from '../errors.ts';
import type { Executor } from '../types.ts';
import { SharedWork, Slots } from './shared-work.ts';
import type { UnpackRequest, UnpackResult } from './unpack-process.ts';

/** Where a layer's bytes lie, still packed. */
export interface PackedLayer {
  file: string;
  offsetBytes: number;
  lengthBytes: number;
  /** Called when the bytes are no longer needed. */
  release?(): Promise<void>;
}

export interface LayerStoreOptions {
  folder: string;
  executor: Executor;
}

/** Refused beyond: entries and unpacked bytes of one layer. */
export const layerLimits = { entriesMax: 2_000_000, bytesMax: 64 * 1024 ** 3 };
const unpackTimeoutMs = 30 * 60_000;
const unpacksAtOnce = 2;

function unpackEntry(): string {
  const name = import.meta.url.endsWith('.ts') ? './unpack-process.ts' : './unpack.js';
  return fileURLToPath(new URL(name, import.meta.url));
}

export class LayerStore {
  readonly #folder: string;
  readonly #executor: Executor;
  /** Unpacked size by diffID, of every layer on disk. */
  readonly #sizes = new Map<string, number>();
  /** How many pulls and imports under way need a layer. */
  readonly #pins = new Map<string, number>();
  readonly #removing = new Map<string, Promise<void>>();
  readonly #work = new SharedWork<void>();
  readonly #slots = new Slots(unpacksAtOnce);
  #temporaries = 0;

  constructor({ folder, executor }: LayerStoreOptions) {
    this.#folder = folder;
    this.#executor = executor;
  }

  /** Takes up the layers that `known` names with their sizes and removes everything else, unfinished work too. */
  async open(known: ReadonlyMap<string, number>): Promise<void> {
    await mkdir(join(this.#folder, 'layers'), { recursive: true });
    await mkdir(join(this.#folder, 'l'), { recursive: true });
    await mkdir(join(this.#folder, 'recipes'), { recursive: true });
    await this.#executor.check('rm', ['-rf', '--one-file-system', this.temporaryFolder]);
    await mkdir(this.temporaryFolder, { recursive: true });
    for (const hex of await readdir(join(this.#folder, 'layers'))) {
      const diffId = `sha256:${hex}`;
      const size = known.get(diffId);
      this.#sizes.set(diffId, size ?? 0);
      if (size === undefined) await this.#remove(diffId);
      else await this.#link(hex);
    }
    for (const hex of await readdir(join(this.#folder, 'recipes'))) {
      if (!this.has(`sha256:${hex}`)) await rm(join(this.#folder, 'recipes', hex), { force: true });
    }
  }

  get temporaryFolder(): string {
    return join(this.#folder, 'tmp');
  }

  /** A name in the temporary folder that nobody else has. */
  temporaryPath(): string {
    return join(this.temporaryFolder, `${process.pid}-${this.#temporaries++}`);
  }

  has(diffId: string): boolean {
    return this.#sizes.has(diffId);
  }

  /** Unpacked bytes. */
  sizeBytes(diffId: string): number {
    return this.#sizes.get(diffId) ?? 0;
  }

  path(diffId: string): string {
    return join(this.#folder, 'layers', hexOf(diffId));
  }

  /** How to make the layer's tar again; the file may be missing. */
  recipe(diffId: string): string {
    return join(this.#folder, 'recipes', hexOf(diffId));
  }

  /** Relative to the store's folder. */
  shortPath(diffId: string): string {
    return `l/${hexOf(diffId).slice(0, 16)}`;
  }

  /** Keeps layers from being removed until the returned function is called, whether they are there yet or not. */
  pin(diffIds: readonly string[]): () => void {
    for (const diffId of diffIds) this.#pins.set(diffId, (this.#pins.get(diffId) ?? 0) + 1);
    return () => {
      for (const diffId of diffIds) {
        const left = (this.#pins.get(diffId) ?? 1) - 1;
        if (left > 0) this.#pins.set(diffId, left);
        else this.#pins.delete(diffId);
      }
    };
  }

  /**
   * Makes the layer be there. `fetch` is asked for its bytes only if it is not, and once however many ask. The caller has pinned
   * it. AgentError 'ImagePull' when the content is not what the digest says, or cannot be unpacked.
   */
  async ensure(diffId: string, signal: AbortSignal, fetch: (signal: AbortSignal) => Promise<PackedLayer>): Promise<void> {
    if (this.has(diffId) && !this.#removing.has(diffId)) return;
    await this.#work.run(diffId, signal, async (workSignal) => {
      await this.#removing.get(diffId);
      if (this.has(diffId)) return;
      const packed = await fetch(workSignal);
      try {
        await this.#slots.run(workSignal, () => this.#unpack(diffId, packed, workSignal));
      } finally {
        await packed.release?.();
      }
    });
  }

  /** Flushes everything unpacked so far, before a record names it. */
  async flush(): Promise<void> {
    await this.#executor.check('sync', ['-f', this.#folder], { timeoutMs: unpackTimeoutMs });
  }

  /** Removes every layer that is neither in `used` nor pinned. Gives the bytes it frees. */
  async removeExcept(used: ReadonlySet<string>): Promise<number> {
    const unused = [...this.#sizes.keys()].filter((diffId) => !used.has(diffId) && !this.#pins.has(diffId));
    const freedBytes = unused.reduce((sum, diffId) => sum + this.sizeBytes(diffId), 0);
    await Promise.all(unused.map((diffId) => this.#removing.get(diffId) ?? this.#startRemoval(diffId)));
    return freedBytes;
  }

  async #startRemoval(diffId: string): Promise<void> {
    const removal = this.#remove(diffId).finally(() => this.#removing.delete(diffId));
    this.#removing.set(diffId, removal);
    await removal;
  }

  async #remove(diffId: string): Promise<void> {
    this.#sizes.delete(diffId);
    const doomed = this.temporaryPath();
    await rm(join(this.#folder, this.shortPath(diffId)), { force: true });
    await rm(this.recipe(diffId), { force: true });
    await rename(this.path(diffId), doomed);
    await this.#executor.check('rm', ['-rf', '--one-file-system', doomed], { timeoutMs: unpackTimeoutMs });
  }

  async #unpack(diffId: string, packed: PackedLayer, signal: AbortSignal): Promise<void> {
    const target = this.temporaryPath();
    const recipe = this.temporaryPath();
    await mkdir(target, { mode: 0o755 });
    try {
      const { file, offsetBytes, lengthBytes } = packed;
      const request: UnpackRequest = { file, offsetBytes, lengthBytes, target, recipe, limits: layerLimits };
      const args = ['--max-old-space-size=512', '--disable-warning=ExperimentalWarning', unpackEntry(), JSON.stringify(request)];
      const ended = await this.#executor.run(process.execPath, args, { timeoutMs: unpackTimeoutMs, signal });
      if (ended.exitCode !== 0) {
        const why = ended.stderr.trim().slice(-2_000) || `exit code ${ended.exitCode}, signal ${ended.signal}`;
        throw new AgentError('ImagePull', `layer ${diffId} cannot be unpacked: ${why}`, { diffId });
      }
      const result = JSON.parse(ended.stdout) as UnpackResult;
      if (result.diffId !== diffId) {
        throw new AgentError('ImagePull', `layer ${diffId} has other content: ${result.diffId}`, {
          diffId,
          found: result.diffId,
        });
      }
      await rename(recipe, this.recipe(diffId)).catch((error) => {
        // One was not worth keeping; the image cannot be exported then.
        if (errorCode(error) !== 'ENOENT') throw error;
      });
      await rename(target, this.path(diffId));
      await this.#link(hexOf(diffId));
      this.#sizes.set(diffId, result.sizeBytes);
    } finally {
      // Nothing is there any more when all went well. Layers may hold what only rm can name.
      await this.#executor.check('rm', ['-rf', '--one-file-system', target, recipe], { timeoutMs: unpackTimeoutMs });
    }
  }

  async #link(hex: string): Promise<void> {
    const link = join(this.#folder, 'l', hex.slice(0, 16));
    const content = `../layers/${hex}`;
    const present = await readlink(link).catch((error) => {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw error;
    });
    if (present === content) return;
    // Left by a crash, or (once in 2^64) by another layer, which is then told so.
    if (present !== undefined && this.has(`sha256:${present.slice('../layers/'.length)}`)) {
      throw new AgentError('ImagePull', `layers ${present} and ${content} share a short name`, { link });
    }
    await rm(link, { force: true });
    await symlink(content, link);
  }
}

function hexOf(diffId: string): string {
  return diffId.slice('sha256:'.length);
}
