/**
 * One direction of frames between two members, on a stream that lives as long as the connection. The opener sends frames;
 * the other side answers with single bytes: first whether it accepts, later signs that it still reads. Frames queued by one
 * callback leave in one send, which is what makes many small frames cheap; whoever has more to gather does so before.
 */
import type { Stream, StreamMessageEvent } from '@libp2p/interface';
import { type Deferred, deferred } from '../lib/deferred.ts';
import { TransportError } from './errors.ts';
import { FrameReader, frameHeaderBytes } from './frames.ts';

/** Bound of what waits on one stream, and of a single frame. */
export const queueBytesMax = 8 * 1024 * 1024;
/** Handed to the stream at a time; the rest waits here, where it can be counted. */
const sendBytesMax = 512 * 1024;
/** While frames come in, the reader gives a sign of life no more often than this. */
const signIntervalMs = 250;
/** After this many silent ticks the other side is taken for dead. */
export const silentTicksMax = 2;

const reply = { refused: 0, accepted: 1, alive: 2 } as const;

export class FrameWriter {
  readonly #stream: Stream;
  readonly #accepted: Deferred<void> = deferred();
  readonly #ended: Deferred<Error> = deferred();
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #flushing = false;
  #closed = false;
  #silentTicks = 0;
  #sentSinceTick = false;

  constructor(stream: Stream) {
    this.#stream = stream;
    this.#accepted.promise.catch(() => {
      // Also told by `ended`; whoever waits for the acceptance sees it there.
    });
    stream.addEventListener('message', (event) => this.#onReply(event));
    stream.addEventListener('drain', () => this.#flush());
    stream.addEventListener('remoteCloseWrite', () => this.#end(new TransportError('StreamReset', 'the reader closed')));
    stream.addEventListener('close', (event) => {
      this.#end(new TransportError('StreamReset', 'the stream was closed', {}, event.error));
    });
    if (stream.status !== 'open') this.#end(new TransportError('StreamReset', 'the stream was closed'));
  }

  /** Resolves when the other side takes frames; rejects with 'NotMember', or 'StreamReset'. */
  get accepted(): Promise<void> {
    return this.#accepted.promise;
  }

  /** Resolves, never rejects, with the reason why no more frames can be sent. */
  get ended(): Promise<Error> {
    return this.#ended.promise;
  }

  /**
   * False, and nothing is sent, when it would exceed queueBytesMax or the stream has ended. The frame is copied after
   * this callback or later: it must not be changed.
   */
  send(frame: Uint8Array): boolean {
    const bytes = frameHeaderBytes + frame.length;
    if (this.#closed || this.#queuedBytes + this.#stream.writeBufferLength + bytes > queueBytesMax) return false;
    this.#queue.push(frame);
    this.#queuedBytes += bytes;
    this.#sentSinceTick = true;
    if (!this.#flushing) {
      this.#flushing = true;
      queueMicrotask(() => {
        this.#flushing = false;
        this.#flush();
      });
    }
    return true;
  }

  /**
   * To be called each second. Asks for a sign of life, and ends the stream after silentTicksMax ticks without one: counted
   * in ticks and not in time, so that a pause of this process counts once.
   */
  tick(): void {
    if (this.#closed) return;
    if (!this.#sentSinceTick) this.send(new Uint8Array(0));
    this.#sentSinceTick = false;
    this.#silentTicks++;
    if (this.#silentTicks > silentTicksMax) {
      this.close(new TransportError('Silent', 'the other side gives no sign of life'));
    }
  }

  close(reason: Error): void {
    this.#end(reason);
    this.#stream.abort(reason);
  }

  #onReply(event: StreamMessageEvent): void {
    this.#silentTicks = 0;
    const first = event.data.subarray(0, 1)[0];
    if (first === reply.refused) this.#end(new TransportError('NotMember', 'the other side does not know this peer as a member'));
    else this.#accepted.resolve();
  }

  #flush(): void {
    while (this.#queue.length > 0 && !this.#closed && !this.#stream.writableNeedsDrain) {
      try {
        this.#stream.send(this.#take());
      } catch (error) {
        this.close(new TransportError('StreamReset', 'the stream takes no more', {}, error));
      }
    }
  }

  /** As many frames as fit into one send, at least one. */
  #take(): Buffer {
    let count = 0;
    let bytes = 0;
    for (const frame of this.#queue) {
      if (count > 0 && bytes + frameHeaderBytes + frame.length > sendBytesMax) break;
      bytes += frameHeaderBytes + frame.length;
      count++;
    }
    const gathered = Buffer.allocUnsafe(bytes);
    let at = 0;
    for (const frame of this.#queue.splice(0, count)) {
      gathered.writeUInt32BE(frame.length, at);
      gathered.set(frame, at + frameHeaderBytes);
      at += frameHeaderBytes + frame.length;
    }
    this.#queuedBytes -= bytes;
    return gathered;
  }

  #end(reason: Error): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#accepted.reject(reason);
    this.#ended.resolve(reason);
  }
}

/** A yamux stream, as far as it is used here. */
interface WindowedStream extends Stream {
  recvWindow: number;
  recvWindowCapacity: number;
  sendWindowUpdate(): void;
}

/**
 * yamux would answer each piece of data by an update of the window: a record, a write and a turn of the other side's event loop for
 * nothing, as frames are small against the window. Here it is updated when half of it is used.
 */
function updateWindowByHalves(stream: WindowedStream): void {
  const update = stream.sendWindowUpdate.bind(stream);
  stream.sendWindowUpdate = () => {
    if (stream.recvWindowCapacity <= stream.recvWindow / 2) update();
  };
}

/** The reading side: accepts, gives each frame to `onFrame`, and signs of life to the writer. */
export function readFrames(stream: Stream, nowMs: () => number, onFrame: (frame: Buffer) => void): void {
  updateWindowByHalves(stream as WindowedStream);
  const reader = new FrameReader(queueBytesMax, onFrame);
  let signedMs = nowMs();
  stream.addEventListener('message', (event) => {
    try {
      reader.push(event.data.subarray());
      if (nowMs() - signedMs < signIntervalMs || stream.writeStatus !== 'writable') return;
      signedMs = nowMs();
      stream.send(Uint8Array.of(reply.alive));
    } catch (error) {
      stream.abort(error instanceof Error ? error : new Error(String(error)));
    }
  });
  stream.addEventListener('remoteCloseWrite', () => stream.abort(new TransportError('StreamReset', 'the writer closed')));
  stream.send(Uint8Array.of(reply.accepted));
}

/** The opener learns that it is not a member here, rather than only that its stream was reset. */
export async function refuseFrames(stream: Stream): Promise<void> {
  stream.send(Uint8Array.of(reply.refused));
  await stream.close();
}
