/**
 * The server's side of a SPDY/3.1 connection: as much of it as Kubernetes' clients use for exec, attach and port-forward.
 * Source: SPDY Protocol, Draft 3.1.
 *
 * Flow control: the clients in use know none (they neither keep to windows nor give them). So what we send is bound by the
 * connection alone until a client first speaks of windows; from then on its windows hold. What we receive is credited as it
 * is read, and a client that sends past its window finds that its connection is no longer read.
 */
import type { Duplex } from 'node:stream';
import { StreamError } from './errors.ts';
import { drained } from './session.ts';
import {
  controlFrame,
  dataFrameHead,
  flagFin,
  frameTypes,
  resetCodes,
  type SpdyFrame,
  SpdyFrameReader,
  words,
} from './spdy-frames.ts';
import { HeaderCompressor, HeaderDecompressor } from './spdy-headers.ts';
import { type SpdyCarrier, SpdyStream, windowBytes } from './spdy-stream.ts';

const streamsMax = 256;
const sendBytesMax = 16 * 1024;
const initialWindowSetting = 7;
const windowBytesMax = 2 ** 31 - 1;

export class SpdyConnection implements SpdyCarrier {
  readonly #socket: Duplex;
  readonly #onStream: (stream: SpdyStream) => void;
  readonly #streams = new Map<number, SpdyStream>();
  readonly #compressor = new HeaderCompressor();
  readonly #decompressor = new HeaderDecompressor();
  #lastStreamId = 0;
  #closing = false;
  /** The client speaks of windows, so they hold. */
  #windowed = false;
  #initialWindowBytes = windowBytes;
  #sendWindowBytes = windowBytes;
  /** Senders that wait for a larger window. */
  #waiting: (() => void)[] = [];

  /** `onStream` is called for every stream the client opens, after it has been accepted. */
  constructor(socket: Duplex, onStream: (stream: SpdyStream) => void) {
    this.#socket = socket;
    this.#onStream = onStream;
    // Whoever reads sees the end of the connection; a write that fails is another sign of the same.
    socket.on('error', () => socket.destroy());
  }

  /** Reads until the connection is over. Rejects with StreamError 'SpdyProtocol', or what broke the connection. */
  async run(): Promise<void> {
    const reader = new SpdyFrameReader();
    try {
      for await (const chunk of this.#socket as AsyncIterable<Buffer>) {
        for (const frame of reader.push(chunk)) await this.#handle(frame);
      }
    } catch (error) {
      if (error instanceof RangeError) throw new StreamError('SpdyProtocol', 'a control frame is too short', {}, error);
      throw error;
    } finally {
      this.destroy();
    }
  }

  /** Tells the client that there will be no more, and closes when what was written is sent. */
  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    if (this.#socket.writable) {
      this.#socket.write(controlFrame(frameTypes.goAway, 0, words(this.#lastStreamId, 0)));
      this.#socket.end();
    }
  }

  destroy(): void {
    this.#closing = true;
    for (const stream of [...this.#streams.values()]) stream.destroy();
    this.#streams.clear();
    this.#compressor.close();
    this.#decompressor.close();
    this.#socket.destroy();
    this.#wakeSenders();
  }

  async sendData(stream: SpdyStream, data: Buffer, fin: boolean): Promise<void> {
    let rest = data;
    do {
      if (rest.length > 0) await this.#room(stream);
      if (!this.#socket.writable) throw new StreamError('ClientGone', 'the connection to the client is over');
      const allowed = this.#windowed ? Math.max(0, this.#windowOf(stream)) : sendBytesMax;
      const bytes = Math.min(rest.length, sendBytesMax, allowed);
      const part = rest.subarray(0, bytes);
      rest = rest.subarray(bytes);
      this.#sendWindowBytes -= bytes;
      stream.sendWindowBytes -= bytes;
      this.#socket.cork();
      this.#socket.write(dataFrameHead(stream.id, fin && rest.length === 0, bytes));
      if (bytes > 0) this.#socket.write(part);
      this.#socket.uncork();
      await drained(this.#socket);
    } while (rest.length > 0);
  }

  credit(stream: SpdyStream, bytes: number): void {
    this.#control(frameTypes.windowUpdate, words(stream.id, bytes));
  }

  forget(stream: SpdyStream, reset: boolean): void {
    if (!this.#streams.delete(stream.id) || !reset || this.#closing) return;
    this.#control(frameTypes.rstStream, words(stream.id, resetCodes.cancel));
  }

  #windowOf(stream: SpdyStream): number {
    return Math.min(this.#sendWindowBytes, stream.sendWindowBytes);
  }

  /** Resolves when something may be sent on the stream. Rejects when it is over. */
  async #room(stream: SpdyStream): Promise<void> {
    while (this.#windowed && this.#windowOf(stream) <= 0) {
      if (stream.destroyed || this.#socket.destroyed) throw new StreamError('ClientGone', 'the stream is over');
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  #wakeSenders(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  #control(type: number, payload: Buffer, flags = 0): void {
    if (this.#socket.writable) this.#socket.write(controlFrame(type, flags, payload));
  }

  async #handle(frame: SpdyFrame): Promise<void> {
    if (frame.kind === 'data') return this.#receive(frame.streamId, frame.payload, frame.fin);
    const { type, flags, payload } = frame;
    switch (type) {
      case frameTypes.synStream:
        return this.#open(payload, (flags & flagFin) !== 0);
      case frameTypes.synReply:
      case frameTypes.headers: {
        // Of no use here, but the compression context has to see it.
        await this.#decompressor.decompress(payload.subarray(4));
        return;
      }
      case frameTypes.rstStream:
        this.#streams.get(payload.readUInt32BE(0))?.destroy();
        return this.#wakeSenders();
      case frameTypes.settings:
        return this.#settings(payload);
      case frameTypes.ping:
        // Odd numbers are the client's; even ones would answer pings of ours.
        if (payload.readUInt32BE(0) % 2 === 1) this.#control(frameTypes.ping, payload);
        return;
      case frameTypes.windowUpdate:
        return this.#enlarge(payload.readUInt32BE(0) & 0x7fff_ffff, payload.readUInt32BE(4) & 0x7fff_ffff);
      default:
        // GOAWAY: the client closes when its streams are done. What is unknown is ignored, as the protocol asks.
        return;
    }
  }

  async #open(payload: Buffer, fin: boolean): Promise<void> {
    const id = payload.readUInt32BE(0) & 0x7fff_ffff;
    const headers = await this.#decompressor.decompress(payload.subarray(10));
    if (id % 2 === 0 || id <= this.#lastStreamId) throw new StreamError('SpdyProtocol', `stream ${id} is out of order`);
    this.#lastStreamId = id;
    if (this.#closing) return;
    if (this.#streams.size >= streamsMax) {
      return this.#control(frameTypes.rstStream, words(id, resetCodes.refusedStream));
    }
    const stream = new SpdyStream(id, headers, { carrier: this, sendWindowBytes: this.#initialWindowBytes });
    // Errors of a stream that nobody uses any more end in its 'close'.
    stream.on('error', () => stream.destroy());
    this.#streams.set(id, stream);
    this.#control(frameTypes.synReply, Buffer.concat([words(id), await this.#compressor.compress({})]));
    if (fin) stream.receive(Buffer.alloc(0), true);
    this.#onStream(stream);
  }

  async #receive(id: number, data: Buffer, fin: boolean): Promise<void> {
    // The connection's own window is no bound of ours, so it is given back at once.
    if (data.length > 0) this.#control(frameTypes.windowUpdate, words(0, data.length));
    await this.#streams.get(id)?.receive(data, fin);
  }

  #settings(payload: Buffer): void {
    const count = payload.readUInt32BE(0);
    for (let i = 0; i < count; i++) {
      const at = 4 + i * 8;
      if ((payload.readUInt32BE(at) & 0xff_ffff) !== initialWindowSetting) continue;
      const bytes = payload.readUInt32BE(at + 4);
      for (const stream of this.#streams.values()) stream.sendWindowBytes += bytes - this.#initialWindowBytes;
      this.#initialWindowBytes = bytes;
      this.#windowed = true;
    }
    this.#wakeSenders();
  }

  #enlarge(id: number, bytes: number): void {
    this.#windowed = true;
    const stream = this.#streams.get(id);
    if (id === 0) this.#sendWindowBytes += bytes;
    else if (stream) stream.sendWindowBytes += bytes;
    if (Math.max(this.#sendWindowBytes, stream?.sendWindowBytes ?? 0) > windowBytesMax) {
      throw new StreamError('SpdyProtocol', 'a window is larger than the protocol allows');
    }
    this.#wakeSenders();
  }
}
