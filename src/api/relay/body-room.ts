/** Room for bodies that are held until their request is over, so that they can be sent again. */
import type { IncomingMessage } from 'node:http';

/** Of one body; the API itself takes no larger ones. */
const bodyBytesMax = 3 * 1024 * 1024;
/** Of all together. */
const roomBytesMax = 64 * 1024 * 1024;

export interface HeldBody {
  /** Up to its end, or to where it did not fit any more. */
  begun: readonly Buffer[];
  whole: boolean;
  /** Gives the room back. */
  release(): void;
}

export class BodyRoom {
  #bytes = 0;

  /** Reads the body to its end, if there is room for it. What is left can still be read. Rejects when the connection breaks. */
  take(message: IncomingMessage): Promise<HeldBody> {
    const begun: Buffer[] = [];
    let length = 0;
    const release = () => {
      this.#bytes -= length;
      length = 0;
    };
    return new Promise((resolve, reject) => {
      const settle = (done: () => void) => {
        message.off('data', onData);
        message.off('end', onEnd);
        message.off('error', onError);
        message.off('close', onClose);
        done();
      };
      const onData = (chunk: Buffer) => {
        begun.push(chunk);
        length += chunk.length;
        this.#bytes += chunk.length;
        if (length <= bodyBytesMax && this.#bytes <= roomBytesMax) return;
        message.pause();
        settle(() => resolve({ begun, whole: false, release }));
      };
      const onEnd = () => settle(() => resolve({ begun, whole: true, release }));
      const broken = (error: Error) => {
        release();
        reject(error);
      };
      const onError = (error: Error) => settle(() => broken(error));
      const onClose = () => onError(new Error('the connection broke'));
      if (message.readableEnded) return onEnd();
      message.on('data', onData);
      message.once('end', onEnd);
      message.once('error', onError);
      message.once('close', onClose);
    });
  }
}
