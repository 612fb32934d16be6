/**
 * Committed entries on their way from the peer thread to the main thread: columns and one piece of bytes instead of an object and
 * a buffer for each entry. Buffers that cross threads are dear to make and to collect.
 */
import type { Entry } from '../consensus/types.ts';

/** Entries that follow one another in the log. */
export interface EntryBatch {
  firstIndex: number;
  terms: number[];
  kinds: Entry['kind'][];
  /** Bytes of each entry's data; `data` has them one after the other. */
  lengths: number[];
  data: Uint8Array;
}

/** At least one entry. The data is copied. */
export function packEntries(entries: readonly Entry[]): EntryBatch {
  const lengths = entries.map((entry) => entry.data.byteLength);
  const data = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0));
  let at = 0;
  for (const entry of entries) {
    data.set(entry.data, at);
    at += entry.data.byteLength;
  }
  const [terms, kinds] = [entries.map(({ term }) => term), entries.map(({ kind }) => kind)];
  return { firstIndex: entries[0]?.index ?? 0, terms, kinds, lengths, data };
}

/** The data of each entry is a view into that of the batch. */
export function unpackEntries({ firstIndex, terms, kinds, lengths, data }: EntryBatch): Entry[] {
  let at = 0;
  return lengths.map((length, position) => {
    const start = at;
    at += length;
    const [term, kind] = [terms[position] as number, kinds[position] as Entry['kind']];
    return { index: firstIndex + position, term, kind, data: data.subarray(start, at) };
  });
}
