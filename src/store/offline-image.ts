/**
 * A store's whole state outside of a running peer: read from the bytes of a snapshot, revised, written to a folder in which a
 * peer then starts. Used only by backup and recovery. It is in memory at once, as in every store.
 */
import { StoreError } from './errors.ts';
import { compareKeys, OrderedRecords } from './ordered-records.ts';
import type { RecordedRequest } from './request-window.ts';
import { readSnapshot, type SnapshotHeader, type SnapshotImage, writeSnapshot } from './snapshot.ts';
import { Store } from './store.ts';
import type { StoreRecord } from './types.ts';

export type StoreImage = SnapshotImage;

/** Reads and checks a whole snapshot, and keeps nothing: `onRecord` sees each record. Gives its header. */
export async function surveySnapshot(
  chunks: AsyncIterable<Uint8Array>,
  onRecord: (record: StoreRecord) => void,
): Promise<SnapshotHeader> {
  let header: SnapshotHeader | undefined;
  let previous: string | undefined;
  await readSnapshot(chunks, {
    onHeader: (read) => {
      header = read;
    },
    onRecords: async (records) => {
      for (const record of records) {
        checkOrder(previous, record.key);
        previous = record.key;
        onRecord(record);
      }
    },
    onRequest: () => undefined,
  });
  if (!header) throw new StoreError('SnapshotInvalid', 'invalid snapshot: it has no header');
  return header;
}

/** Throws StoreError 'SnapshotInvalid', or what the chunks throw. */
export async function readImage(chunks: AsyncIterable<Uint8Array>): Promise<StoreImage> {
  let header: SnapshotHeader | undefined;
  const records: StoreRecord[][] = [];
  const requests: RecordedRequest[] = [];
  await readSnapshot(chunks, {
    onHeader: (read) => {
      header = read;
    },
    onRecords: async (batch) => {
      let previous = records.at(-1)?.at(-1)?.key;
      for (const { key } of batch) {
        checkOrder(previous, key);
        previous = key;
      }
      records.push(batch);
    },
    onRequest: (request) => requests.push(request),
  });
  if (!header) throw new StoreError('SnapshotInvalid', 'invalid snapshot: it has no header');
  return { ...header, records, requests };
}

export interface StoreRevision {
  /** Above the image's. Every record is shown as last changed at this revision. */
  revision: number;
  /** True: the record goes. */
  drops(key: string): boolean;
  /** Records to put after that. */
  puts: ReadonlyMap<string, Uint8Array>;
}

/**
 * The image with records dropped and put, at a higher revision. All records get that revision, not only the changed ones: a
 * client may have seen a later state of any of them, and no object may seem older than what was seen of it. Pure.
 */
export function reviseImage(image: StoreImage, { revision, drops, puts }: StoreRevision): StoreImage {
  const records = new OrderedRecords();
  for (const chunk of image.records) {
    for (const record of chunk) if (!drops(record.key)) records.append({ ...record, modRevision: revision });
  }
  for (const [key, value] of puts) {
    const createRevision = records.get(key)?.createRevision ?? revision;
    records.put({ key, value, createRevision, modRevision: revision });
  }
  return { ...image, revision, records: records.freeze() };
}

/** Writes the image to a new folder. Durable when it resolves. */
export async function writeImage(dir: string, image: StoreImage): Promise<void> {
  let failure: StoreError | undefined;
  const store = await Store.open({
    dir,
    onFailure: (error) => {
      failure = error;
    },
  });
  try {
    await store.restore({ index: image.index, term: image.term }, writeSnapshot(image));
  } finally {
    await store.close();
  }
  if (failure) throw failure;
}

function checkOrder(previous: string | undefined, key: string): void {
  if (previous === undefined || compareKeys(previous, key) < 0) return;
  throw new StoreError('SnapshotInvalid', 'invalid snapshot: its records are not in order');
}
