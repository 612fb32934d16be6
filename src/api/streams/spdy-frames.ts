/** Frames of SPDY/3.1 as bytes. Source: SPDY Protocol, Draft 3.1, section 2.2. */
import { StreamError } from './errors.ts';

export const frameTypes = {
  synStream: 1,
  synReply: 2,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  headers: 8,
  windowUpdate: 9,
} as const;

export const flagFin = 0x01;
export const resetCodes = { protocolError: 1, invalidStream: 2, refusedStream: 3, cancel: 5 } as const;

const version = 3;
const controlBit = 0x8000_0000;
const headBytes = 8;
/** Our own bound: nothing that Kubernetes' clients send comes near it. */
const controlBytesMax = 64 * 1024;
const dataBytesMax = 16 * 1024 * 1024 - 1;

export type SpdyFrame =
  | { kind: 'control'; type: number; flags: number; payload: Buffer }
  /** Part of a data frame: large ones are handed on as they come. `fin` only with the last part. */
  | { kind: 'data'; streamId: number; fin: boolean; payload: Buffer };

export function controlFrame(type: number, flags: number, payload: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(headBytes + payload.length);
  frame.writeUInt16BE(0x8000 | version, 0);
  frame.writeUInt16BE(type, 2);
  frame.writeUInt32BE(((flags << 24) | payload.length) >>> 0, 4);
  payload.copy(frame, headBytes);
  return frame;
}

/** The head only: the payload follows as it is. */
export function dataFrameHead(streamId: number, fin: boolean, length: number): Buffer {
  const frame = Buffer.allocUnsafe(headBytes);
  frame.writeUInt32BE(streamId & 0x7fff_ffff, 0);
  frame.writeUInt32BE((((fin ? flagFin : 0) << 24) | length) >>> 0, 4);
  return frame;
}

export function words(...values: number[]): Buffer {
  const bytes = Buffer.allocUnsafe(values.length * 4);
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value >>> 0, index * 4);
  return bytes;
}

interface OpenFrame {
  streamId: number;
  fin: boolean;
  missing: number;
}

/** Cuts a byte stream into frames. Throws StreamError 'SpdyProtocol'. */
export class SpdyFrameReader {
  #rest: Buffer = Buffer.alloc(0);
  /** A data frame of which parts are still to come. */
  #open: OpenFrame | undefined;

  push(chunk: Buffer): SpdyFrame[] {
    let bytes = this.#rest.length ? Buffer.concat([this.#rest, chunk]) : chunk;
    const frames: SpdyFrame[] = [];
    for (;;) {
      if (this.#open) {
        const part = bytes.subarray(0, this.#open.missing);
        bytes = bytes.subarray(part.length);
        if (!this.#take(this.#open, part, frames)) break;
      } else {
        const used = this.#head(bytes, frames);
        if (used === 0) break;
        bytes = bytes.subarray(used);
      }
    }
    this.#rest = bytes;
    return frames;
  }

  /** A part of the open data frame. False when more is needed. */
  #take(open: OpenFrame, part: Buffer, frames: SpdyFrame[]): boolean {
    open.missing -= part.length;
    const last = open.missing === 0;
    if (part.length > 0 || last) {
      frames.push({ kind: 'data', streamId: open.streamId, fin: last && open.fin, payload: part });
    }
    if (last) this.#open = undefined;
    return last;
  }

  /** Reads a whole control frame, or the head of a data frame. Gives the bytes used, 0 when more is needed. */
  #head(bytes: Buffer, frames: SpdyFrame[]): number {
    if (bytes.length < headBytes) return 0;
    const first = bytes.readUInt32BE(0);
    const second = bytes.readUInt32BE(4);
    const flags = second >>> 24;
    const length = second & 0xff_ffff;
    if ((first & controlBit) === 0) {
      if (length > dataBytesMax) throw new StreamError('SpdyProtocol', 'a data frame is too long');
      this.#open = { streamId: first, fin: (flags & flagFin) !== 0, missing: length };
      return headBytes;
    }
    const spoken = (first >>> 16) & 0x7fff;
    if (spoken !== version) throw new StreamError('SpdyProtocol', `a control frame is of version ${spoken}, not ${version}`);
    if (length > controlBytesMax) throw new StreamError('SpdyProtocol', `a control frame of ${length} bytes is too long`);
    if (bytes.length < headBytes + length) return 0;
    const payload = bytes.subarray(headBytes, headBytes + length);
    frames.push({ kind: 'control', type: first & 0xffff, flags, payload });
    return headBytes + length;
  }
}
