/** Text and bytes put one behind the other, without an object for each piece. Grows to what one `take` holds. */
const firstBytes = 4 * 1024;
/** For a chunk of 64 KiB and the piece that passes it. From 128 KiB on, every buffer would be new pages of the system. */
const usualBytes = 72 * 1024;
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

  /** Text of ASCII alone, and short: a call into the runtime would take longer than the text. */
  ascii(text: string): void {
    this.#reserve(text.length);
    const bytes = this.#bytes;
    let at = this.#length;
    for (let index = 0; index < text.length; index++) bytes[at++] = text.charCodeAt(index);
    this.#length = at;
  }

  /** `from` inclusive, `to` exclusive. */
  copy(source: Buffer, from: number, to: number): void {
    this.#reserve(to - from);
    this.#length += source.copy(this.#bytes, this.#length, from, to);
  }

  /** What was put in; goes on with nothing, in memory of its own. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#length);
    this.#nextBytes = Math.min(this.#bytes.length, usualBytes);
    this.#bytes = Buffer.alloc(0);
    this.#length = 0;
    return taken;
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#nextBytes, Math.min(this.#bytes.length * 2, usualBytes), needed));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}
