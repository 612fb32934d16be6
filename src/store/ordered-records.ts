/**
 * The records in byte order of their keys. A sorted list of sorted chunks beside a map: exact gets in O(1), finding a place
 * in O(log n), an insert moves at most one chunk, and counting a prefix adds up chunk lengths without touching records.
 */
import { assert } from '../lib/assert.ts';
import { SetHash } from './state-hash.ts';
import type { StoreRecord } from './types.ts';

const chunkLengthMax = 512;
const chunkLengthMin = 128;

/** From here on UTF-16 order and UTF-8 order of code units differ (surrogates against U+E000 to U+FFFF). */
const wideCharacter = /[\ud800-\uffff]/;

/** Byte order of the UTF-8 forms of two well-formed strings. */
export function compareKeys(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    // A surrogate belongs to a character above U+FFFF, whose UTF-8 form is greater than that of any lone code unit.
    const xSurrogate = x >= 0xd800 && x <= 0xdfff;
    const ySurrogate = y >= 0xd800 && y <= 0xdfff;
    if (xSurrogate !== ySurrogate) return xSurrogate ? 1 : -1;
    return x - y;
  }
  return a.length - b.length;
}

interface Place {
  chunk: number;
  offset: number;
}

export class OrderedRecords {
  /** Of all records. */
  readonly hash = new SetHash();
  readonly #byKey = new Map<string, StoreRecord>();
  readonly #chunks: StoreRecord[][] = [];
  /** Whether some key ever held a character for which plain string comparison is not byte order. */
  #wide = false;
  #valueBytes = 0;

  get size(): number {
    return this.#byKey.size;
  }

  /** Sum of the lengths of all values. */
  get valueBytes(): number {
    return this.#valueBytes;
  }

  get(key: string): StoreRecord | undefined {
    return this.#byKey.get(key);
  }

  /** Returns the record that it replaces. */
  put(record: StoreRecord): StoreRecord | undefined {
    const previous = this.#byKey.get(record.key);
    this.#byKey.set(record.key, record);
    this.hash.toggleRecord(record);
    if (previous) this.hash.toggleRecord(previous);
    this.#valueBytes += record.value.length - (previous?.value.length ?? 0);
    if (!previous && !this.#wide && wideCharacter.test(record.key)) this.#wide = true;
    const place = this.#lowerBound(record.key);
    const chunk = this.#chunks[place.chunk];
    if (previous) {
      assert(chunk?.[place.offset] === previous, 'a known key stands at its place');
      chunk[place.offset] = record;
    } else {
      this.#insert(place, record);
    }
    return previous;
  }

  delete(key: string): StoreRecord | undefined {
    const previous = this.#byKey.get(key);
    if (!previous) return undefined;
    this.#byKey.delete(key);
    this.hash.toggleRecord(previous);
    this.#valueBytes -= previous.value.length;
    const place = this.#lowerBound(key);
    const chunk = this.#chunks[place.chunk];
    assert(chunk?.[place.offset] === previous, 'a known key stands at its place');
    chunk.splice(place.offset, 1);
    if (chunk.length < chunkLengthMin) this.#merge(place.chunk);
    return previous;
  }

  /** Adds a record whose key is greater than all others: for loading. */
  append(record: StoreRecord): void {
    let last = this.#chunks.at(-1);
    const greatest = last?.at(-1);
    assert(!greatest || compareKeys(greatest.key, record.key) < 0, 'records are loaded in byte order');
    if (!this.#wide && wideCharacter.test(record.key)) this.#wide = true;
    if (!last || last.length >= chunkLengthMax / 2) {
      last = [];
      this.#chunks.push(last);
    }
    last.push(record);
    this.#byKey.set(record.key, record);
    this.hash.toggleRecord(record);
    this.#valueBytes += record.value.length;
  }

  /** Calls `visit` for keys with `prefix`, and greater than `startAfter`, in order, until it returns false. */
  scan(prefix: string, startAfter: string | undefined, visit: (record: StoreRecord) => boolean): void {
    const start = this.#start(prefix, startAfter);
    for (let c = start.chunk; c < this.#chunks.length; c++) {
      const chunk = this.#chunks[c]!;
      for (let i = c === start.chunk ? start.offset : 0; i < chunk.length; i++) {
        const record = chunk[i]!;
        if (!record.key.startsWith(prefix) || !visit(record)) return;
      }
    }
  }

  /** The first `limit` records that `scan` would visit. Copies runs of chunks, and looks at no record between the first and the last. */
  range(prefix: string, startAfter: string | undefined, limit: number): StoreRecord[] {
    const from = this.#start(prefix, startAfter);
    const to = this.#end(prefix);
    const records: StoreRecord[] = [];
    for (let c = from.chunk; c <= to.chunk && records.length < limit; c++) {
      const first = c === from.chunk ? from.offset : 0;
      const last = c === to.chunk ? to.offset : undefined;
      const run = this.#chunks[c]?.slice(first, last) ?? [];
      const room = limit - records.length;
      for (const record of run.length > room ? run.slice(0, room) : run) records.push(record);
    }
    return records;
  }

  /** How many keys `scan` would visit at most. */
  count(prefix: string, startAfter: string | undefined): number {
    const from = this.#start(prefix, startAfter);
    const to = this.#end(prefix);
    if (to.chunk < from.chunk || (to.chunk === from.chunk && to.offset <= from.offset)) return 0;
    let count = to.offset - from.offset;
    for (let c = from.chunk; c < to.chunk; c++) count += this.#chunks[c]!.length;
    return count;
  }

  /** The records as they are now, in order; later changes do not show. Costs one shallow copy. */
  freeze(): StoreRecord[][] {
    return this.#chunks.map((chunk) => chunk.slice());
  }

  /** Behind the last key with the prefix. */
  #end(prefix: string): Place {
    return this.#find((key) => this.#less(key, prefix) || key.startsWith(prefix));
  }

  #start(prefix: string, startAfter: string | undefined): Place {
    if (startAfter === undefined || this.#less(startAfter, prefix)) return this.#lowerBound(prefix);
    return this.#find((key) => !this.#less(startAfter, key));
  }

  #less(a: string, b: string): boolean {
    return this.#wide ? compareKeys(a, b) < 0 : a < b;
  }

  #lowerBound(key: string): Place {
    return this.#find((other) => this.#less(other, key));
  }

  /** The first place whose key is not `before`, where `before` holds for a leading run of all keys. */
  #find(before: (key: string) => boolean): Place {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const chunk = this.#chunks[middle]!;
      if (before(chunk[chunk.length - 1]!.key)) low = middle + 1;
      else high = middle;
    }
    const chunk = this.#chunks[low];
    if (!chunk) return { chunk: low, offset: 0 };
    let first = 0;
    let last = chunk.length;
    while (first < last) {
      const middle = (first + last) >>> 1;
      if (before(chunk[middle]!.key)) first = middle + 1;
      else last = middle;
    }
    return { chunk: low, offset: first };
  }

  #insert(place: Place, record: StoreRecord): void {
    let index = place.chunk;
    let chunk = this.#chunks[index];
    if (!chunk) {
      const last = this.#chunks.at(-1);
      if (!last) {
        this.#chunks.push([record]);
        return;
      }
      index = this.#chunks.length - 1;
      chunk = last;
      chunk.push(record);
    } else {
      chunk.splice(place.offset, 0, record);
    }
    if (chunk.length > chunkLengthMax) this.#chunks.splice(index + 1, 0, chunk.splice(chunk.length >>> 1));
  }

  /** Removes an empty chunk, or joins a small one with its neighbour where both fit in one. */
  #merge(index: number): void {
    const chunk = this.#chunks[index]!;
    if (chunk.length === 0) {
      this.#chunks.splice(index, 1);
      return;
    }
    const next = this.#chunks[index + 1];
    if (next && next.length + chunk.length <= chunkLengthMax / 2) {
      this.#chunks.splice(index, 2, chunk.concat(next));
    }
  }
}
