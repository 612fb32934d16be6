/**
 * One end of an upgraded connection: frames in, frames out, with back-pressure both ways. What comes before anyone listens
 * waits in the socket.
 */
import type { Duplex } from 'node:stream';
import type { Status } from '../../machinery/status.ts';
import { channels, encodeFrame, encodeFrames, type Frame, FrameDecoder } from '../../machinery/stream-frames.ts';

export class FrameSocket {
  readonly #socket: Duplex;
  readonly #decoder = new FrameDecoder();
  #closed = false;

  constructor(socket: Duplex) {
    this.#socket = socket;
  }

  /** `onFrame` gives false to be left alone until `resume`. `onEnd` is called once, whatever the reason. */
  listen(head: Buffer, onFrame: (frame: Frame) => boolean, onEnd: () => void): void {
    const take = (chunk: Buffer) => {
      try {
        let more = true;
        for (const frame of this.#decoder.push(chunk)) more = onFrame(frame) && more;
        if (!more) this.#socket.pause();
      } catch {
        // A frame above the bound: the other end is not one of ours.
        this.#socket.destroy();
      }
    };
    const end = () => {
      if (this.#closed) return;
      this.#closed = true;
      onEnd();
    };
    this.#socket.on('data', take);
    this.#socket.on('error', end);
    this.#socket.on('end', end);
    this.#socket.on('close', end);
    if (head.length) take(head);
    // It may have gone before anyone listened.
    if (this.#socket.destroyed) end();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** False: wait for `drained`. */
  send(channel: number, payload: Buffer): boolean {
    if (this.#socket.destroyed || this.#socket.writableEnded) return true;
    let room = true;
    for (const frame of encodeFrames(channel, payload)) room = this.#socket.write(frame);
    return room;
  }

  drained(): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#socket.off('drain', done);
        this.#socket.off('close', done);
        resolve();
      };
      if (this.#socket.destroyed || !this.#socket.writableNeedDrain) return resolve();
      this.#socket.once('drain', done);
      this.#socket.once('close', done);
    });
  }

  /** The last frame, then the end. */
  finish(status: Status): void {
    if (this.#socket.destroyed || this.#socket.writableEnded) return;
    this.#socket.end(encodeFrame(channels.error, Buffer.from(JSON.stringify(status))));
  }
}

/** What a session's last frame says. */
export function exitStatus(exitCode: number): Status {
  const base = { kind: 'Status', apiVersion: 'v1', metadata: {} } as const;
  if (exitCode === 0) return { ...base, status: 'Success', code: 200 };
  return {
    ...base,
    status: 'Failure',
    reason: 'NonZeroExitCode' as Status['reason'],
    message: `command terminated with non-zero exit code: exit status ${exitCode}`,
    details: { causes: [{ reason: 'ExitCode', message: String(exitCode) }] },
    code: 500,
  };
}

export function failureStatus(message: string): Status {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', reason: 'InternalError', message, code: 500 };
}
