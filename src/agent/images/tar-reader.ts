/** Reads a tar stream entry by entry. The body of an entry must be taken (or skipped) before the next one is asked for. */
import { ByteSource } from './byte-source.ts';
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

/** Of what follows the end mark, at a time. */
const drainBytes = 256 * 1024;

export class TarReader {
  readonly #source: ByteSource;
  readonly #tap: ((part: Buffer) => void) | undefined;
  #bodyBytes = 0;
  #padding = 0;

  /** `tap` hears every byte that is read, in order, but those of bodies that are taken as untapped. */
  constructor(chunks: AsyncIterable<Buffer>, tap?: (part: Buffer) => void) {
    this.#source = new ByteSource(chunks, () => new TarError('the archive ends in the middle of an entry'));
    this.#tap = tap;
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
      if (block) this.#tap?.(block);
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
  async *body(tapped = true): AsyncGenerator<Buffer> {
    while (this.#bodyBytes > 0) {
      const part = await this.#source.some(this.#bodyBytes);
      if (!part) throw new TarError('the archive ends in the middle of an entry');
      this.#bodyBytes -= part.length;
      if (tapped) this.#tap?.(part);
      yield part;
    }
    const padding = this.#padding;
    this.#padding = 0;
    const zeros = padding > 0 ? await this.#source.exactly(padding) : undefined;
    if (zeros) this.#tap?.(zeros);
  }

  /** Reads to the end of the stream, past the end mark: a digest covers that too. Gives how much came, piece by piece. */
  async *drain(): AsyncGenerator<number> {
    for (let part = await this.#source.some(drainBytes); part; part = await this.#source.some(drainBytes)) {
      this.#tap?.(part);
      yield part.length;
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
