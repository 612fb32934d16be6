/**
 * Which images there are: `records/<hex of the id>.json` for what never changes about one, `configs/<hex>.json` its config as it
 * came, and `references.json` for the names and digests that point to them. All are replaced atomically. A record is written
 * before a name points to it, and names that point to no record are dropped when the store opens: so a crash in between leaves an image
 * without a name at worst.
 */
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import { readOptional, writeAtomic } from '../host/atomic-file.ts';
import type { ImageConfig } from '../types.ts';

export interface ImageRecord {
  id: string;
  config: ImageConfig;
  /** Lowest first. */
  diffIds: string[];
  /** Unpacked size of each layer. */
  layerBytes: number[];
}

interface Names {
  /** Normalized name with tag → image id. */
  references: Record<string, string>;
  /** repository@sha256:… → image id. */
  digests: Record<string, string>;
}

export class ImageRecords {
  readonly #folder: string;
  readonly #logger: Logger;
  readonly #records = new Map<string, ImageRecord>();
  #names: Names = { references: {}, digests: {} };
  /** Changes are written one after the other. */
  #writing: Promise<void> = Promise.resolve();

  constructor(folder: string, logger: Logger) {
    this.#folder = folder;
    this.#logger = logger;
  }

  /** Reads what is there. A record that cannot be read is dropped: its image can be had again. */
  async open(): Promise<void> {
    for (const part of ['records', 'configs']) await mkdir(join(this.#folder, part), { recursive: true });
    for (const name of await readdir(join(this.#folder, 'records'))) {
      const file = join(this.#folder, 'records', name);
      try {
        const record = JSON.parse(await readFile(file, 'utf8')) as ImageRecord;
        this.#records.set(record.id, record);
      } catch (error) {
        this.#logger.warn({ file, error }, 'dropped an image record that cannot be read');
        await rm(file, { force: true });
      }
    }
    const text = await readOptional(join(this.#folder, 'references.json'));
    try {
      if (text !== undefined) this.#names = JSON.parse(text) as Names;
    } catch (error) {
      this.#logger.warn({ error }, 'dropped the names of images, which cannot be read');
    }
    for (const name of await readdir(join(this.#folder, 'configs'))) {
      const id = `sha256:${name.replace(/\.json(\.new)?$/, '')}`;
      if (!this.#records.has(id)) await rm(join(this.#folder, 'configs', name), { force: true });
    }
    for (const names of [this.#names.references, this.#names.digests]) {
      for (const [name, id] of Object.entries(names)) if (!this.#records.has(id)) delete names[name];
    }
  }

  all(): ImageRecord[] {
    return [...this.#records.values()];
  }

  get(id: string): ImageRecord | undefined {
    return this.#records.get(id);
  }

  /** The config as it came; undefined for an image from before configs were kept. */
  async config(id: string): Promise<Buffer | undefined> {
    return readFile(this.#configFile(id)).catch((error) => {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw error;
    });
  }

  /** The id a normalized name or repository@digest points to. */
  resolve(name: string): string | undefined {
    return this.#names.references[name] ?? this.#names.digests[name];
  }

  referencesOf(id: string): string[] {
    return keysWith(this.#names.references, id);
  }

  digestsOf(id: string): string[] {
    return keysWith(this.#names.digests, id);
  }

  /** Adds an image, and lets names point to it (away from where they pointed). */
  async add(record: ImageRecord, document: Uint8Array, references: readonly string[], digests: readonly string[]): Promise<void> {
    await this.#serially(async () => {
      if (!this.#records.has(record.id)) {
        await writeAtomic(this.#configFile(record.id), document);
        await writeAtomic(this.#file(record.id), JSON.stringify(record));
        this.#records.set(record.id, record);
      }
      for (const name of references) this.#names.references[name] = record.id;
      for (const name of digests) this.#names.digests[name] = record.id;
      await this.#writeNames();
    });
  }

  /** Takes one name away; the image stays. */
  async removeName(name: string): Promise<void> {
    await this.#serially(async () => {
      delete this.#names.references[name];
      delete this.#names.digests[name];
      await this.#writeNames();
    });
  }

  /** Removes an image with all its names; nobody finds it from the call on. */
  async remove(id: string): Promise<void> {
    this.#records.delete(id);
    await this.#serially(async () => {
      for (const name of this.referencesOf(id)) delete this.#names.references[name];
      for (const name of this.digestsOf(id)) delete this.#names.digests[name];
      // First what gives room back: on a full disk nothing could be written before.
      await rm(this.#file(id), { force: true });
      await rm(this.#configFile(id), { force: true });
      await this.#writeNames();
    });
  }

  #file(id: string): string {
    return join(this.#folder, 'records', `${id.slice('sha256:'.length)}.json`);
  }

  #configFile(id: string): string {
    return join(this.#folder, 'configs', `${id.slice('sha256:'.length)}.json`);
  }

  async #writeNames(): Promise<void> {
    await writeAtomic(join(this.#folder, 'references.json'), JSON.stringify(this.#names));
  }

  #serially(change: () => Promise<void>): Promise<void> {
    const done = this.#writing.then(change);
    // The next change does not depend on whether this one worked.
    this.#writing = done.catch(() => {});
    return done;
  }
}

function keysWith(names: Record<string, string>, id: string): string[] {
  return Object.keys(names).filter((name) => names[name] === id);
}
