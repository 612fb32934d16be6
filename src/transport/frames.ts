/** Frames on a byte stream: four bytes of length, big-endian, then that many bytes. A frame of no bytes is a sign of life. */
import { TransportError } from './errors.ts';

export const frameHeaderBytes = 4;

export function encodeFrame(frame: Uint8Array): Buffer {
  const encoded = Buffer.allocUnsafe(frameHeaderBytes + frame.length);
  encoded.writeUInt32BE(frame.length, 0);
  encoded.set(frame, frameHeaderBytes);
  return encoded;
}

export class FrameReader {
  readonly #frameBytesMax: number;
  readonly #onFrame: (frame: Buffer) => void;
  #parts: Uint8Array[] = [];
  #bytes = 0;
  #needed = frameHeaderBytes;

  /** Frames are views into the bytes that came in; empty ones are left out. */
  constructor(frameBytesMax: number, onFrame: (frame: Buffer) => void) {
    this.#frameBytesMax = frameBytesMax;
    this.#onFrame = onFrame;
  }

  /** Throws TransportError 'BadFrame' for a frame that is too long, and what `onFrame` throws. */
  push(chunk: Uint8Array): void {
    this.#parts.push(chunk);
    this.#bytes += chunk.length;
    // Joined only once the frame at hand is complete: a large frame in many pieces is copied once.
    if (this.#bytes < this.#needed) return;
    const bytes = this.#join();
    let at = 0;
    for (;;) {
      this.#needed = frameHeaderBytes;
      if (bytes.length - at < this.#needed) break;
      const length = bytes.readUInt32BE(at);
      if (length > this.#frameBytesMax) {
        throw new TransportError('BadFrame', `a frame of ${length} bytes exceeds ${this.#frameBytesMax}`);
      }
      this.#needed += length;
      if (bytes.length - at < this.#needed) break;
      if (length > 0) this.#onFrame(bytes.subarray(at + frameHeaderBytes, at + this.#needed));
      at += this.#needed;
    }
    const rest = bytes.subarray(at);
    this.#parts = rest.length > 0 ? [rest] : [];
    this.#bytes = rest.length;
  }

  #join(): Buffer {
    const [first] = this.#parts;
    if (first && this.#parts.length === 1) return Buffer.from(first.buffer, first.byteOffset, first.byteLength);
    return Buffer.concat(this.#parts, this.#bytes);
  }
}
