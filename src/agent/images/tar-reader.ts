/** Reads a tar stream entry by entry. The body of an entry must be taken (or skipped) before the next one is asked for. */
import {
  applyPax,
  blockBytes,
  decodeHeader,
  decodePax,
  metadataBytesMax,
  paddingBytes,
  TarError,
  type TarHeader,
} from './tar-format.ts';

/** Takes exact numbers of bytes from a stream of chunks. */
class ByteSource {
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(chunks: AsyncIterable<Buffer>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** Between 1 and `lengthMax` bytes; undefined at the end. */
  async some(lengthMax: number): Promise<Buffer | undefined> {
    while (this.#rest.length === 0) {
      const next = await this.#chunks.next();
      if (next.done) return undefined;
      this.#rest = next.value;
    }
    const part = this.#rest.subarray(0, lengthMax);
    this.#rest = this.#rest.subarray(part.length);
    return part;
  }

  /** Exactly `length` bytes; undefined when the stream ends before the first of them. */
  async exactly(length: number): Promise<Buffer | undefined> {
    const parts: Buffer[] = [];
    let missing = length;
    while (missing > 0) {
      const part = await this.some(missing);
      if (!part && parts.length === 0) return undefined;
      if (!part) throw new TarError('the archive ends in the middle of an entry');
      parts.push(part);
      missing -= part.length;
    }
    return parts.length === 1 ? parts[0] : Buffer.concat(parts);
  }
}

export class TarReader {
  readonly #source: ByteSource;
  #bodyBytes = 0;
  #padding = 0;

  constructor(chunks: AsyncIterable<Buffer>) {
    this.#source = new ByteSource(chunks);
  }

  /** The next entry's header with its pax records and long names applied; undefined at the end of the archive. TarError. */
  async next(): Promise<TarHeader | undefined> {
    let records = new Map<string, Buffer>();
    let longPath: string | undefined;
    let longLink: string | undefined;
    for (;;) {
      for await (const _ of this.body()) {
        // Whatever the caller left of the entry before.
      }
      const block = await this.#source.exactly(blockBytes);
      // Some writers leave out the end mark.
      const header = block && decodeHeader(block);
      if (!header) return undefined;
      this.#begin(header.sizeBytes);
      if (header.type === 'x') records = new Map([...records, ...decodePax(await this.#metadata())]);
      else if (header.type === 'g') await this.#metadata();
      else if (header.type === 'L') longPath = cString(await this.#metadata());
      else if (header.type === 'K') longLink = cString(await this.#metadata());
      else {
        header.path = longPath ?? header.path;
        header.linkPath = longLink ?? header.linkPath;
        applyPax(header, records);
        this.#begin(header.sizeBytes);
        return header;
      }
    }
  }

  /** The body of the entry that `next` gave last. */
  async *body(): AsyncGenerator<Buffer> {
    while (this.#bodyBytes > 0) {
      const part = await this.#source.some(this.#bodyBytes);
      if (!part) throw new TarError('the archive ends in the middle of an entry');
      this.#bodyBytes -= part.length;
      yield part;
    }
    const padding = this.#padding;
    this.#padding = 0;
    if (padding > 0) await this.#source.exactly(padding);
  }

  /** Reads to the end of the stream, past the end mark: a digest covers that too. */
  async drain(): Promise<void> {
    while (await this.#source.some(Number.MAX_SAFE_INTEGER)) {
      // Only the reading matters.
    }
  }

  #begin(sizeBytes: number): void {
    this.#bodyBytes = sizeBytes;
    this.#padding = paddingBytes(sizeBytes);
  }

  async #metadata(): Promise<Buffer> {
    if (this.#bodyBytes > metadataBytesMax) throw new TarError('a header is too large');
    const parts: Buffer[] = [];
    for await (const part of this.body()) parts.push(part);
    return Buffer.concat(parts);
  }
}

function cString(body: Buffer): string {
  const end = body.indexOf(0);
  return body.toString('latin1', 0, end < 0 ? body.length : end);
}
