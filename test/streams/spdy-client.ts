/** A SPDY/3.1 client for tests, written from the protocol and not from the server under test; only the dictionary is shared. */
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { constants, createDeflate, createInflate } from 'node:zlib';
import { spdyDictionary } from '../../src/api/streams/spdy-headers.ts';

interface Received {
  data: Buffer[];
  fin: boolean;
  reset: boolean;
}

export class SpdyClient {
  readonly #socket: Duplex;
  readonly #deflate = createDeflate({ dictionary: spdyDictionary });
  readonly #inflate = createInflate({ dictionary: spdyDictionary });
  readonly #streams = new Map<number, Received>();
  #nextId = 1;
  #rest: Buffer = Buffer.alloc(0);
  readonly replied = new Set<number>();
  readonly pings: number[] = [];
  /** Credits from the server, by stream. */
  readonly credits = new Map<number, number>();
  #changed: (() => void)[] = [];
  closed = false;

  constructor(socket: Duplex) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#push(chunk));
    socket.on('close', () => {
      this.closed = true;
      this.#wake();
    });
  }

  async open(headers: Record<string, string>): Promise<number> {
    const id = this.#nextId;
    this.#nextId += 2;
    this.#streams.set(id, { data: [], fin: false, reset: false });
    const block = await this.#compress(headers);
    this.#control(1, 0, Buffer.concat([u32(id), u32(0), Buffer.from([0, 0]), block]));
    await this.until(() => this.replied.has(id) || this.stream(id).reset);
    return id;
  }

  stream(id: number): Received {
    return this.#streams.get(id) as Received;
  }

  text(id: number): string {
    return Buffer.concat(this.stream(id).data).toString();
  }

  send(id: number, data: string | Buffer, fin = false): boolean {
    const payload = Buffer.from(data);
    const head = Buffer.concat([u32(id), u32(payload.length)]);
    head[4] = fin ? 1 : 0;
    return this.#socket.write(Buffer.concat([head, payload]));
  }

  ping(id: number): void {
    this.#control(6, 0, u32(id));
  }

  credit(id: number, bytes: number): void {
    this.#control(9, 0, Buffer.concat([u32(id), u32(bytes)]));
  }

  initialWindow(bytes: number): void {
    this.#control(4, 0, Buffer.concat([u32(1), u32(7), u32(bytes)]));
  }

  raw(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Resolves when `condition` holds, which is looked at whenever something came. Rejects when the connection ends first. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.closed) throw new Error('the connection is over');
      await new Promise<void>((resolve) => this.#changed.push(resolve));
    }
  }

  #wake(): void {
    const changed = this.#changed;
    this.#changed = [];
    for (const wake of changed) wake();
  }

  #control(type: number, flags: number, payload: Buffer): void {
    const head = Buffer.from([0x80, 3, 0, type, flags, 0, 0, 0]);
    head.writeUIntBE(payload.length, 5, 3);
    this.#socket.write(Buffer.concat([head, payload]));
  }

  async #compress(headers: Record<string, string>): Promise<Buffer> {
    const texts = Object.entries(headers).flat();
    const parts = texts.flatMap((text) => [u32(text.length), Buffer.from(text)]);
    this.#deflate.write(Buffer.concat([u32(texts.length / 2), ...parts]));
    await new Promise<void>((resolve) => this.#deflate.flush(constants.Z_SYNC_FLUSH, () => resolve()));
    return this.#deflate.read() as Buffer;
  }

  #push(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= 8) {
      const length = this.#rest.readUIntBE(5, 3);
      if (this.#rest.length < 8 + length) break;
      const frame = this.#rest.subarray(0, 8 + length);
      this.#rest = this.#rest.subarray(8 + length);
      this.#handle(frame, frame.subarray(8));
    }
    this.#wake();
  }

  #handle(frame: Buffer, payload: Buffer): void {
    const first = frame.readUInt32BE(0);
    if (first < 0x8000_0000) {
      const stream = this.stream(first);
      if (payload.length) stream.data.push(payload);
      if (frame[4] === 1) stream.fin = true;
      return;
    }
    const id = payload.readUInt32BE(0);
    const type = first & 0xffff;
    if (type === 2) {
      this.replied.add(id);
      this.#inflate.write(payload.subarray(4));
    } else if (type === 3) this.stream(id).reset = true;
    else if (type === 6) this.pings.push(id);
    else if (type === 9) this.credits.set(id, (this.credits.get(id) ?? 0) + payload.readUInt32BE(4));
  }
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

export const closedOf = (socket: Duplex) => (socket.destroyed ? Promise.resolve() : once(socket, 'close'));
