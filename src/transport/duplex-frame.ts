/** Reads one frame from the beginning of a Duplex and leaves everything after it in place. */
import type { Duplex } from 'node:stream';
import { TransportError } from './errors.ts';
import { frameHeaderBytes } from './frames.ts';

/**
 * Rejects with TransportError 'BadFrame' for a longer frame, 'StreamReset' when the stream ends before, and the signal's
 * reason. The stream is not destroyed here.
 */
export function readFrame(duplex: Duplex, bytesMax: number, signal: AbortSignal): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let bytes: Buffer = Buffer.alloc(0);
    const finish = (settle: () => void) => {
      duplex.off('readable', onReadable).off('end', onEnd).off('error', onError).off('close', onEnd);
      signal.removeEventListener('abort', onAbort);
      settle();
    };
    const fail = (error: unknown) => finish(() => reject(error));
    const onEnd = () => fail(new TransportError('StreamReset', 'the stream ended within a frame'));
    const onError = (error: Error) => fail(error);
    const onAbort = () => fail(signal.reason);
    const onReadable = () => {
      for (let chunk: Buffer | null = duplex.read(); chunk !== null; chunk = duplex.read()) {
        bytes = Buffer.concat([bytes, chunk]);
        if (bytes.length < frameHeaderBytes) continue;
        const length = bytes.readUInt32BE(0);
        if (length > bytesMax) return fail(new TransportError('BadFrame', `a frame of ${length} bytes exceeds ${bytesMax}`));
        const end = frameHeaderBytes + length;
        if (bytes.length < end) continue;
        const frame = bytes.subarray(frameHeaderBytes, end);
        const rest = bytes.subarray(end);
        return finish(() => {
          if (rest.length > 0) duplex.unshift(rest);
          resolve(frame);
        });
      }
    };
    if (signal.aborted) return onAbort();
    duplex.on('readable', onReadable).on('end', onEnd).on('error', onError).on('close', onEnd);
    signal.addEventListener('abort', onAbort);
  });
}
