/** One stream of a SPDY connection as a duplex stream. Its connection does the framing. */
import { Duplex } from 'node:stream';
import type { SpdyHeaders } from './spdy-headers.ts';

/** What a stream asks of its connection. */
export interface SpdyCarrier {
  /** Resolves when the bytes are on their way and there is room for more. Rejects when the connection is over. */
  sendData(stream: SpdyStream, data: Buffer, fin: boolean): Promise<void>;
  /** The reader has taken `bytes`: the client may send as many again. */
  credit(stream: SpdyStream, bytes: number): void;
  /** The stream is over on our side. `reset` tells the client, when it did not end by itself. */
  forget(stream: SpdyStream, reset: boolean): void;
}

export const windowBytes = 64 * 1024;
/** Clients that ignore windows are held back by not reading their connection. */
const waitingBytesMax = 4 * windowBytes;

export class SpdyStream extends Duplex {
  readonly id: number;
  readonly headers: SpdyHeaders;
  /** How much the client still takes; only meaningful for clients that speak of windows. */
  sendWindowBytes: number;
  readonly #carrier: SpdyCarrier;
  #uncreditedBytes = 0;
  #remoteEnded = false;
  #localEnded = false;
  #wake: (() => void) | undefined;

  constructor(id: number, headers: SpdyHeaders, options: { carrier: SpdyCarrier; sendWindowBytes: number }) {
    super({ readableHighWaterMark: windowBytes, writableHighWaterMark: windowBytes });
    this.id = id;
    this.headers = headers;
    this.sendWindowBytes = options.sendWindowBytes;
    this.#carrier = options.carrier;
  }

  /** Bytes from the client. A promise when the connection should not be read before that resolves. */
  receive(data: Buffer, fin: boolean): Promise<void> | undefined {
    if (this.destroyed || this.#remoteEnded) return undefined;
    if (data.length > 0) {
      this.#uncreditedBytes += data.length;
      this.push(data);
    }
    if (fin) {
      this.#remoteEnded = true;
      this.push(null);
    }
    this.#account();
    if (this.readableLength <= waitingBytesMax) return undefined;
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  override read(size?: number): Buffer | null {
    const chunk = super.read(size) as Buffer | null;
    this.#account();
    return chunk;
  }

  /** Bytes come when the client sends them, not when they are asked for. */
  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#carrier.sendData(this, chunk, false).then(() => callback(), callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#localEnded = true;
    this.#carrier.sendData(this, Buffer.alloc(0), true).then(() => callback(), callback);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#wakeConnection();
    this.#carrier.forget(this, !(this.#remoteEnded && this.#localEnded));
    callback(error);
  }

  /** Gives the client credit for what the reader has taken. */
  #account(): void {
    const taken = this.#uncreditedBytes - this.readableLength;
    if (taken >= windowBytes / 2 && !this.#remoteEnded) {
      this.#uncreditedBytes -= taken;
      this.#carrier.credit(this, taken);
    }
    if (this.readableLength <= waitingBytesMax) this.#wakeConnection();
  }

  #wakeConnection(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}
