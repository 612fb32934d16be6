/**
 * Reads one type at a time from a generated file (dist/*.json: an object with one type per line). The text stays outside the
 * heap as bytes; only what is asked for is parsed, and kept. So a peer that serves a dozen kinds does not pay for nine hundred types.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { MachineryError } from './errors.ts';

/** The generated files lie beside the bundle or above its chunks, or in dist/ of the source tree. */
const folders = ['./', '../', '../../dist/'];

function locate(file: string): URL {
  for (const folder of folders) {
    const url = new URL(folder + file, import.meta.url);
    if (existsSync(url)) return url;
  }
  throw new MachineryError('GeneratedFileMissing', `${file} is missing: run "npm run generate"`, { file });
}

export class TypeFile<T> {
  readonly #file: string;
  readonly #parsed = new Map<string, T>();
  #bytes: Buffer | undefined;
  /** Where each type's JSON starts and ends. */
  #places = new Map<string, [number, number]>();

  constructor(file: string) {
    this.#file = file;
  }

  #open(): Buffer {
    if (this.#bytes) return this.#bytes;
    const bytes = readFileSync(locate(this.#file));
    for (let start = 0; start < bytes.length; ) {
      const newline = bytes.indexOf(10, start);
      const end = newline < 0 ? bytes.length : newline;
      if (bytes[start] === 0x22) {
        const colon = bytes.indexOf('":', start);
        const comma = bytes[end - 1] === 0x2c ? 1 : 0;
        this.#places.set(bytes.toString('latin1', start + 1, colon), [colon + 2, end - comma]);
      }
      start = end + 1;
    }
    this.#bytes = bytes;
    return bytes;
  }

  /** Undefined when there is no such type. Throws when the file was not generated. What was parsed is kept: treat it as read-only. */
  get(name: string): T | undefined {
    const known = this.#parsed.get(name);
    if (known !== undefined) return known;
    const type = this.peek(name);
    if (type !== undefined) this.#parsed.set(name, type);
    return type;
  }

  /** Like get, but keeps nothing: for what is read once. */
  peek(name: string): T | undefined {
    const bytes = this.#open();
    const place = this.#places.get(name);
    return place && (JSON.parse(bytes.toString('utf8', ...place)) as T);
  }

  /** Changes when the generated file does. */
  digest(): Buffer {
    return createHash('sha256').update(this.#open()).digest();
  }

  names(): string[] {
    this.#open();
    return [...this.#places.keys()];
  }
}
