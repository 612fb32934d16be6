/**
 * Frames between the API and an agent for exec, attach and port-forward, after the HTTP/1.1 upgrade `kontiki-stream`.
 * One frame: channel (1 byte), payload length (4 bytes, big-endian, at most frameBytesMax), payload.
 */
export const streamUpgrade = 'kontiki-stream';
export const frameBytesMax = 64 * 1024;

export const channels = {
  stdin: 0,
  stdout: 1,
  stderr: 2,
  /** JSON of a Status; the last frame of a session. */
  error: 3,
  /** JSON `{"Width": columns, "Height": rows}`. */
  resize: 4,
  /** Payload is one byte: the channel whose sender has finished (half-close). */
  close: 255,
} as const;

export interface Frame {
  channel: number;
  payload: Buffer;
}

/** One frame as bytes. Payloads above frameBytesMax must be split by the caller: see encodeFrames. */
export function encodeFrame(channel: number, payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(5 + payload.length);
  frame[0] = channel;
  frame.writeUInt32BE(payload.length, 1);
  frame.set(payload, 5);
  return frame;
}

/** As many frames as `payload` needs. */
export function encodeFrames(channel: number, payload: Uint8Array): Buffer[] {
  const frames: Buffer[] = [];
  for (let start = 0; start < payload.length; start += frameBytesMax) {
    frames.push(encodeFrame(channel, payload.subarray(start, start + frameBytesMax)));
  }
  return frames;
}

/** Cuts a byte stream into frames, in order. */
export class FrameDecoder {
  #rest: Buffer = Buffer.alloc(0);

  /** Returns the frames that are complete. Throws RangeError when a length is above the bound. */
  push(chunk: Uint8Array): Frame[] {
    let buffer = this.#rest.length
      ? Buffer.concat([this.#rest, chunk])
      : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const frames: Frame[] = [];
    while (buffer.length >= 5) {
      const length = buffer.readUInt32BE(1);
      if (length > frameBytesMax) throw new RangeError(`stream frame of ${length} bytes is above ${frameBytesMax}`);
      if (buffer.length < 5 + length) break;
      frames.push({ channel: buffer[0] as number, payload: buffer.subarray(5, 5 + length) });
      buffer = buffer.subarray(5 + length);
    }
    this.#rest = buffer;
    return frames;
  }
}
