/**
 * The bytes of a snapshot file: a line that names it, then frames: one header (JSON), the chunks of the store's snapshot, and an
 * end with a SHA-256 of everything before it. Each frame begins with its kind, its length, a CRC32 of its content and a CRC32 of
 * these three, so that a file that was cut off is told from one that was damaged, and damage is located.
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { errorCode, errorMessage } from '../../lib/errors.ts';
import { snapshotChunkBytesMax } from '../../store/index.ts';
import { RecoveryError } from './errors.ts';

export const snapshotFileFormat = 1;

export interface SnapshotFileHeader {
  format: number;
  clusterId: string;
  revision: number;
  /** The last log entry that it holds. */
  index: number;
  term: number;
  /** Wall time of the machine that saved it, ISO 8601. */
  savedAt: string;
  /** The machine that saved it. */
  nodeName: string;
  peer: string;
  members: { id: string; nodeName: string; addresses: string[] }[];
}

const magic = Buffer.from('kontiki snapshot\n');
const kind = { header: 1, chunk: 2, end: 3 } as const;
const frameHeaderBytes = 13;
/** The header of 10,000 members still fits. */
const frameBytesMax = 4 * snapshotChunkBytesMax;

/** The file's bytes, made as they are asked for. */
export async function* encodeSnapshotFile(
  header: SnapshotFileHeader,
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  const hashed = (bytes: Uint8Array): Uint8Array => {
    hash.update(bytes);
    return bytes;
  };
  yield hashed(magic);
  const content = Buffer.from(JSON.stringify(header));
  yield hashed(frameHeader(kind.header, content));
  yield hashed(content);
  for await (const chunk of chunks) {
    yield hashed(frameHeader(kind.chunk, chunk));
    yield hashed(chunk);
  }
  const digest = hash.digest();
  yield frameHeader(kind.end, digest);
  yield digest;
}

function frameHeader(frameKind: number, content: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(frameHeaderBytes);
  bytes[0] = frameKind;
  bytes.writeUInt32BE(content.byteLength, 1);
  bytes.writeUInt32BE(crc32(content), 5);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, 9)), 9);
  return bytes;
}

export interface SnapshotFileReading<T> {
  header: SnapshotFileHeader;
  /** Of the whole file. */
  bytes: number;
  /** Hex of the SHA-256 at the file's end. */
  sha256: string;
  /** What `read` gave. */
  result: T;
}

/**
 * Reads a whole file and checks every byte of it; `read` gets the store's snapshot meanwhile and must not act on it before this
 * resolves. Throws RecoveryError 'NotASnapshot', 'SnapshotTruncated', 'SnapshotDamaged', 'SnapshotFormat'.
 */
export async function readSnapshotFile<T>(
  bytes: AsyncIterable<Uint8Array>,
  read: (header: SnapshotFileHeader, chunks: AsyncIterable<Uint8Array>) => Promise<T>,
): Promise<SnapshotFileReading<T>> {
  const reader = new FrameReader(bytes);
  try {
    await reader.begin();
    const header = parseHeader(await reader.next(kind.header));
    const result = await read(header, reader.chunks());
    // The snapshot inside knows its own end; nothing may follow it but the end of the file.
    for await (const chunk of reader.chunks()) throw damaged(reader.offset, `${chunk.byteLength} bytes follow the snapshot`);
    return { header, bytes: reader.offset, sha256: reader.digest, result };
  } catch (error) {
    if (errorCode(error) !== 'SnapshotInvalid') throw error;
    throw damaged(reader.offset, errorMessage(error), error);
  } finally {
    await reader.close();
  }
}

function damaged(offset: number, what: string, cause?: unknown): RecoveryError {
  return new RecoveryError('SnapshotDamaged', `the snapshot is damaged near byte ${offset}: ${what}`, { offset }, cause);
}

function parseHeader(content: Buffer): SnapshotFileHeader {
  const header = JSON.parse(content.toString()) as SnapshotFileHeader;
  if (header.format === snapshotFileFormat) return header;
  throw new RecoveryError(
    'SnapshotFormat',
    `the snapshot has format ${header.format}, this version knows ${snapshotFileFormat}: use the version that wrote it, or a later one`,
  );
}

/** Takes frames out of a stream of bytes; holds at most a frame and a piece of the stream. */
class FrameReader {
  readonly #input: AsyncIterator<Uint8Array>;
  readonly #hash = createHash('sha256');
  #rest: Buffer = Buffer.alloc(0);
  /** Bytes taken so far. */
  offset = 0;
  /** Set once the end was read and was right. */
  digest = '';

  constructor(bytes: AsyncIterable<Uint8Array>) {
    this.#input = bytes[Symbol.asyncIterator]();
  }

  async begin(): Promise<void> {
    await this.#fill(magic.length);
    const length = Math.min(this.#rest.length, magic.length);
    if (!this.#rest.subarray(0, length).equals(magic.subarray(0, length))) {
      throw new RecoveryError('NotASnapshot', 'this is not a snapshot: it does not begin like one');
    }
    this.#hash.update(await this.#take(magic.length));
  }

  /** The content of the next frame, which must be of this kind. */
  async next(wanted: number): Promise<Buffer> {
    const frame = await this.#frame();
    if (frame.kind !== wanted) throw damaged(this.offset, 'its parts are not in order');
    return frame.content;
  }

  /** The chunks up to the end. May be read in several goes. */
  async *chunks(): AsyncGenerator<Uint8Array> {
    while (this.digest === '') {
      const frame = await this.#frame();
      if (frame.kind === kind.chunk) yield frame.content;
      else if (frame.kind !== kind.end) throw damaged(this.offset, 'its parts are not in order');
    }
  }

  async close(): Promise<void> {
    await this.#input.return?.();
  }

  async #frame(): Promise<{ kind: number; content: Buffer }> {
    const from = this.offset;
    const head = await this.#take(frameHeaderBytes);
    if (crc32(head.subarray(0, 9)) !== head.readUInt32BE(9)) throw damaged(from, 'the beginning of a part is wrong');
    const length = head.readUInt32BE(1);
    if (length > frameBytesMax) throw damaged(from, 'a part is too long');
    const content = await this.#take(length);
    if (crc32(content) !== head.readUInt32BE(5)) throw damaged(from, 'the checksum of a part is wrong');
    if (head[0] === kind.end) await this.#end(content);
    else this.#hash.update(head).update(content);
    return { kind: head[0] as number, content };
  }

  async #end(content: Buffer): Promise<void> {
    if (!this.#hash.digest().equals(content)) throw damaged(this.offset, 'the checksum of the whole is wrong');
    await this.#fill(1);
    if (this.#rest.length > 0) throw damaged(this.offset, 'something follows its end');
    this.digest = content.toString('hex');
  }

  /** Throws 'SnapshotTruncated' when there are fewer bytes. The bytes belong to the caller. */
  async #take(length: number): Promise<Buffer> {
    await this.#fill(length);
    if (this.#rest.length < length) {
      const end = this.offset + this.#rest.length;
      throw new RecoveryError('SnapshotTruncated', `the snapshot is cut off: it ends at byte ${end}, before its end`, { end });
    }
    const taken = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(length);
    this.offset += length;
    return taken;
  }

  async #fill(length: number): Promise<void> {
    while (this.#rest.length < length) {
      const { value, done } = await this.#input.next();
      if (done) return;
      this.#rest = this.#rest.length === 0 ? Buffer.from(value) : Buffer.concat([this.#rest, value]);
    }
  }
}
