/** Takes exact numbers of bytes from a stream of chunks. */
export class ByteSource {
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #cutOff: () => Error;
  #rest: Buffer = Buffer.alloc(0);

  /** `cutOff` makes the error for a stream that ends too early. */
  constructor(chunks: AsyncIterable<Buffer>, cutOff: () => Error) {
    this.#chunks = chunks[Symbol.asyncIterator]();
    this.#cutOff = cutOff;
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
      if (!part) throw this.#cutOff();
      parts.push(part);
      missing -= part.length;
    }
    return parts.length === 1 ? parts[0] : Buffer.concat(parts);
  }
}
