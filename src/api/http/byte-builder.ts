/** Text and bytes put one behind the other, without an object for each piece. Grows to what one `take` holds. */
const firstBytes = 16 * 1024;
/** UTF-8 needs at most so many bytes for each unit of a JavaScript text. */
const bytesPerUnit = 3;

export class ByteBuilder {
  #bytes = Buffer.alloc(0);
  #length = 0;
  #nextBytes = firstBytes;

  /** Bytes since the last `take`. */
  get length(): number {
    return this.#length;
  }

  text(text: string): void {
    this.#reserve(text.length * bytesPerUnit);
    this.#length += this.#bytes.write(text, this.#length);
  }

  /** `from` inclusive, `to` exclusive. */
  copy(source: Buffer, from: number, to: number): void {
    this.#reserve(to - from);
    this.#length += source.copy(this.#bytes, this.#length, from, to);
  }

  /** What was put in; goes on with nothing, in memory of its own. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#length);
    this.#nextBytes = this.#bytes.length;
    this.#bytes = Buffer.alloc(0);
    this.#length = 0;
    return taken;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#nextBytes, this.#bytes.length * 2, this.#length + bytes));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}
