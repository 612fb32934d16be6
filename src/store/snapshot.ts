/**
 * The bytes of a snapshot. A sequence of blocks of at most 1 MiB, each with its length and checksum; inside them runs one
 * stream of items (header, records in byte order, requests, end), which may cross block borders. The end holds the counts
 * and a SHA-256 of everything before it. Reading does not depend on where the chunks were cut on their way.
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { Packr, Unpackr } from 'msgpackr';
import { StoreError } from './errors.ts';
import { packRequest, type RecordedRequest, unpackRequest } from './request-window.ts';
import type { StoreRecord } from './types.ts';

export const snapshotFormat = 1;
export const snapshotChunkBytesMax = 1024 * 1024;

const blockHeaderBytes = 8;
const payloadBytesMax = snapshotChunkBytesMax - blockHeaderBytes;
/** No item is longer: a record's value is bounded by the transaction that put it. */
const itemBytesMax = 16 * 1024 * 1024;
const recordHeaderBytes = 18;
/** Read without a pause: some milliseconds of work. */
const itemsAtOnce = 2_000;
const endBytes = 40;
const tag = { header: 1, record: 2, request: 3, end: 4 } as const;

const packer = new Packr({ useRecords: false });
const unpacker = new Unpackr({ useRecords: false, int64AsType: 'number' });

export interface SnapshotHeader {
  index: number;
  term: number;
  revision: number;
}

export interface SnapshotImage extends SnapshotHeader {
  records: readonly (readonly StoreRecord[])[];
  requests: readonly RecordedRequest[];
}

function invalid(reason: string): StoreError {
  return new StoreError('SnapshotInvalid', `invalid snapshot: ${reason}`, { reason });
}

/** Chunks are made when they are asked for, each in a few milliseconds. */
export async function* writeSnapshot(image: SnapshotImage): AsyncGenerator<Uint8Array> {
  let block = Buffer.allocUnsafe(snapshotChunkBytesMax);
  let length = blockHeaderBytes;
  for (const item of snapshotItems(image)) {
    for (let from = 0; from < item.length; ) {
      const part = item.subarray(from, from + snapshotChunkBytesMax - length);
      block.set(part, length);
      length += part.length;
      from += part.length;
      if (length < snapshotChunkBytesMax) continue;
      yield sealBlock(block, length);
      block = Buffer.allocUnsafe(snapshotChunkBytesMax);
      length = blockHeaderBytes;
    }
  }
  if (length > blockHeaderBytes) yield sealBlock(block, length);
}

function sealBlock(block: Buffer, length: number): Buffer {
  const payload = block.subarray(blockHeaderBytes, length);
  block.writeUInt32BE(payload.length, 0);
  block.writeUInt32BE(crc32(payload), 4);
  return block.subarray(0, length);
}

function* snapshotItems(image: SnapshotImage): Generator<Uint8Array> {
  const hash = createHash('sha256');
  const hashed = (bytes: Uint8Array): Uint8Array => {
    hash.update(bytes);
    return bytes;
  };
  yield hashed(packedItem(tag.header, [snapshotFormat, image.index, image.term, image.revision]));
  let records = 0;
  for (const chunk of image.records) {
    for (const record of chunk) {
      records++;
      yield hashed(recordHead(record));
      yield hashed(record.value);
    }
  }
  for (const request of image.requests) yield hashed(packedItem(tag.request, packRequest(request)));
  const end = Buffer.allocUnsafe(1 + endBytes);
  end[0] = tag.end;
  end.writeUInt32BE(records, 1);
  end.writeUInt32BE(image.requests.length, 5);
  hash.digest().copy(end, 9);
  yield end;
}

function packedItem(kind: number, content: unknown): Buffer {
  const packed = packer.pack(content);
  const item = Buffer.allocUnsafe(5 + packed.length);
  item[0] = kind;
  item.writeUInt32BE(packed.length, 1);
  packed.copy(item, 5);
  return item;
}

function recordHead(record: StoreRecord): Buffer {
  const keyBytes = Buffer.byteLength(record.key);
  const head = Buffer.allocUnsafe(1 + recordHeaderBytes + keyBytes);
  head[0] = tag.record;
  head.writeUInt16BE(keyBytes, 1);
  head.writeUInt32BE(record.value.length, 3);
  head.writeUIntBE(record.createRevision, 7, 6);
  head.writeUIntBE(record.modRevision, 13, 6);
  head.write(record.key, 1 + recordHeaderBytes);
  return head;
}

export interface SnapshotVisitor {
  /** Comes first. */
  onHeader(header: SnapshotHeader): void;
  /** All records that the bytes read so far hold, in byte order. Waited for before more is read. */
  onRecords(records: StoreRecord[]): Promise<void>;
  onRequest(request: RecordedRequest): void;
}

/** Reads and checks a whole snapshot. Throws StoreError 'SnapshotInvalid', or what the chunks or the visitor throw. */
export async function readSnapshot(chunks: AsyncIterable<Uint8Array>, visitor: SnapshotVisitor): Promise<void> {
  const parser = new ItemParser(visitor);
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    rest = rest.length === 0 ? asBuffer(chunk) : Buffer.concat([rest, chunk]);
    for (;;) {
      if (rest.length < blockHeaderBytes) break;
      const length = rest.readUInt32BE(0);
      if (length === 0 || length > payloadBytesMax) throw invalid('a block has an impossible length');
      if (rest.length < blockHeaderBytes + length) break;
      const payload = rest.subarray(blockHeaderBytes, blockHeaderBytes + length);
      if (crc32(payload) !== rest.readUInt32BE(4)) throw invalid('a block has a wrong checksum');
      // Many small items cost more than one large one: in between, the thread is free for others.
      while (parser.add(payload)) await new Promise<void>((resolve) => setImmediate(resolve));
      if (parser.records.length > 0) await visitor.onRecords(parser.records.splice(0));
      rest = rest.subarray(blockHeaderBytes + length);
    }
  }
  if (rest.length > 0 || !parser.ended) throw invalid('it is cut off');
}

class ItemParser {
  readonly records: StoreRecord[] = [];
  readonly #visitor: SnapshotVisitor;
  readonly #hash = createHash('sha256');
  /** What is left of the last payload, and where the first item in it begins that was not read yet. */
  #rest: Buffer = Buffer.alloc(0);
  #at: number | undefined;
  #recordCount = 0;
  #requestCount = 0;
  #started = false;
  ended = false;

  constructor(visitor: SnapshotVisitor) {
    this.#visitor = visitor;
  }

  /** Takes in at most `itemsAtOnce` items. True: there are more in this payload, which must be given again. */
  add(payload: Buffer): boolean {
    if (this.#at === undefined) this.#rest = this.#rest.length === 0 ? payload : Buffer.concat([this.#rest, payload]);
    const bytes = this.#rest;
    let at = this.#at ?? 0;
    this.#at = undefined;
    for (let items = 0; ; items++) {
      if (items === itemsAtOnce) {
        this.#at = at;
        return true;
      }
      const length = itemLength(bytes, at);
      if (length === undefined || at + length > bytes.length) break;
      if (this.ended) throw invalid('something follows its end');
      this.#item(bytes.subarray(at, at + length));
      at += length;
    }
    this.#rest = bytes.subarray(at);
    return false;
  }

  #item(item: Buffer): void {
    const kind = item[0];
    if (this.#started === (kind === tag.header)) throw invalid('it does not begin with exactly one header');
    if (kind !== tag.end) this.#hash.update(item);
    switch (kind) {
      case tag.header:
        this.#header(unpackItem(item));
        break;
      case tag.record:
        this.#record(item);
        break;
      case tag.request: {
        const request = unpackRequest(unpackItem(item));
        if (!request) throw invalid('a request has a wrong shape');
        this.#requestCount++;
        this.#visitor.onRequest(request);
        break;
      }
      default:
        this.#end(item);
    }
  }

  #header(content: unknown): void {
    if (!Array.isArray(content) || content[0] !== snapshotFormat) throw invalid('its format is unknown');
    const numbers = content.slice(1) as unknown[];
    if (numbers.length !== 3 || !numbers.every((value) => Number.isSafeInteger(value) && (value as number) >= 0)) {
      throw invalid('its header has a wrong shape');
    }
    const [index, term, revision] = numbers as [number, number, number];
    this.#started = true;
    this.#visitor.onHeader({ index, term, revision });
  }

  #record(item: Buffer): void {
    const keyEnd = 1 + recordHeaderBytes + item.readUInt16BE(1);
    this.#recordCount++;
    this.records.push({
      key: item.toString('utf8', 1 + recordHeaderBytes, keyEnd),
      // Copied: a view would keep the whole chunk in memory as long as the record lives.
      value: Buffer.from(item.subarray(keyEnd)),
      createRevision: item.readUIntBE(7, 6),
      modRevision: item.readUIntBE(13, 6),
    });
  }

  #end(item: Buffer): void {
    if (item.readUInt32BE(1) !== this.#recordCount || item.readUInt32BE(5) !== this.#requestCount) {
      throw invalid('its counts are wrong');
    }
    if (!this.#hash.digest().equals(item.subarray(9))) throw invalid('its checksum is wrong');
    this.ended = true;
  }
}

/** Length of the item at `at`, or undefined when its head is not complete yet. */
function itemLength(bytes: Buffer, at: number): number | undefined {
  if (at >= bytes.length) return undefined;
  const kind = bytes[at];
  let length: number;
  if (kind === tag.end) return 1 + endBytes;
  if (kind === tag.record) {
    if (bytes.length < at + 7) return undefined;
    length = 1 + recordHeaderBytes + bytes.readUInt16BE(at + 1) + bytes.readUInt32BE(at + 3);
  } else if (kind === tag.header || kind === tag.request) {
    if (bytes.length < at + 5) return undefined;
    length = 5 + bytes.readUInt32BE(at + 1);
  } else {
    throw invalid('an item of unknown kind');
  }
  if (length > itemBytesMax) throw invalid('an item is too long');
  return length;
}

function unpackItem(item: Buffer): unknown {
  try {
    return unpacker.unpack(item.subarray(5));
  } catch (error) {
    throw new StoreError('SnapshotInvalid', 'invalid snapshot: an item is not msgpack', {}, error);
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
