/**
 * A libp2p stream as a Node.js Duplex: back-pressure both ways, half-close both ways, destroy resets. An end is only taken
 * for one when the other side said so; a lost connection is an error, never a short file.
 */
import { Duplex } from 'node:stream';
import type { Stream, StreamMessageEvent } from '@libp2p/interface';
import { TransportError } from './errors.ts';

class StreamDuplex extends Duplex {
  readonly #stream: Stream;
  #remoteFinished: boolean;
  #afterDrain: (() => void) | undefined;

  constructor(stream: Stream) {
    super({ allowHalfOpen: true });
    this.#stream = stream;
    // The other side may have finished before anyone listened; a stream that is closed altogether was cut.
    this.#remoteFinished = stream.remoteWriteStatus === 'closed' && stream.status === 'open';
    stream.addEventListener('remoteCloseWrite', () => {
      this.#remoteFinished = true;
    });
    stream.addEventListener('drain', () => this.#drained());
    stream.addEventListener('end', () => this.#ended());
    stream.addEventListener('close', (event) => this.#onClose(event.error));
    stream.addEventListener('message', (event) => this.#onMessage(event));
    if (stream.readableEnded) this.#ended();
    else if (stream.status !== 'open') this.#onClose(undefined);
  }

  override _read(): void {
    if (this.#stream.readStatus !== 'paused') return;
    try {
      this.#stream.resume();
    } catch (error) {
      // What was buffered is out by now; only the window update of a closed connection can fail.
      if (!this.#remoteFinished) this.destroy(reset(error));
    }
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    try {
      if (this.#stream.send(chunk) || !this.#stream.writableNeedsDrain) done();
      else this.#afterDrain = done;
    } catch (error) {
      done(reset(error));
    }
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#stream.close().then(
      () => done(),
      (error: unknown) => done(reset(error)),
    );
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#afterDrain = undefined;
    this.#stream.abort(error ?? new TransportError('StreamReset', 'the stream was destroyed'));
    done(error);
  }

  #onMessage(event: StreamMessageEvent): void {
    if (this.destroyed) return;
    const more = this.push(event.data.subarray());
    if (!more && this.#stream.readStatus === 'readable') this.#stream.pause();
  }

  #drained(): void {
    const done = this.#afterDrain;
    this.#afterDrain = undefined;
    done?.();
  }

  #ended(): void {
    if (this.destroyed) return;
    if (this.#remoteFinished) this.push(null);
    else this.destroy(reset(undefined));
  }

  #onClose(error: Error | undefined): void {
    // Closed in both directions by agreement: what is still buffered may be read to its end.
    if (this.#remoteFinished && !error) return;
    this.destroy(reset(error));
  }
}

export function toDuplex(stream: Stream): Duplex {
  return new StreamDuplex(stream);
}

function reset(cause: unknown): TransportError {
  return new TransportError('StreamReset', 'the stream was cut before its end', {}, cause);
}
