/**
 * Reads one log file: from the start, from its last N lines, or from its end, and follows it while the program runs. A file
 * that is replaced (rotation) or cut is opened again.
 */
import { type FSWatcher, watch } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { type Clock, systemClock } from '../../lib/clock.ts';
import { errorCode } from '../../lib/errors.ts';
import { Waker } from '../pods/waker.ts';

export interface FollowOptions {
  file: string;
  /** -1: from the start; 0: only what comes; N: the last N lines first. Or from an offset, as `logEnd` gave it before. */
  tailLines: number | { offset: number };
  /** True while more may come. Undefined: what is there, then the end. */
  running?: () => boolean;
  signal: AbortSignal;
  clock?: Clock;
}

const blockBytes = 64 * 1024;
/** A watch may lose an event; the file is looked at this often anyway. */
const lookMs = 1_000;

/** Chunks of the file, in order. The file may not exist yet when it is followed. */
export async function* readLog({ file, tailLines, running, signal, clock = systemClock }: FollowOptions): AsyncGenerator<Buffer> {
  const waker = new Waker(clock);
  const watcher = running ? watchFile(file, waker) : undefined;
  let handle: FileHandle | undefined;
  try {
    handle = await openLog(file);
    let position = 0;
    if (typeof tailLines === 'object') position = tailLines.offset;
    else if (handle && tailLines >= 0) position = await tailStart(handle, tailLines);
    while (!signal.aborted) {
      const seen = waker.count;
      // Asked before reading: what was written before the end is read after it.
      const more = running?.() ?? false;
      if (handle) {
        for (;;) {
          const buffer = Buffer.allocUnsafe(blockBytes);
          const { bytesRead } = await handle.read(buffer, 0, blockBytes, position);
          if (bytesRead === 0) break;
          position += bytesRead;
          yield buffer.subarray(0, bytesRead);
          if (signal.aborted) return;
        }
      }
      const next = await replaced(file, handle, position);
      if (next) {
        await handle?.close();
        handle = next;
        position = 0;
        continue;
      }
      if (!more) return;
      await waker.sleep(seen, clock.wallMs() + lookMs, signal);
    }
  } finally {
    watcher?.close();
    await handle?.close();
  }
}

/** The offset behind the last byte there is now; 0 when there is no file yet. */
export async function logEnd(file: string): Promise<number> {
  const handle = await openLog(file);
  try {
    return (await handle?.stat())?.size ?? 0;
  } finally {
    await handle?.close();
  }
}

function watchFile(file: string, waker: Waker): FSWatcher | undefined {
  try {
    const name = basename(file);
    const watcher = watch(dirname(file), (_event, changed) => {
      if (changed === null || changed === name) waker.wake();
    });
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch (error) {
    // The folder comes with the first log; until then the file is looked for now and then.
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function openLog(file: string): Promise<FileHandle | undefined> {
  try {
    return await open(file, 'r');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** A new handle when the name stands for another file than the one open, or that was cut; else undefined. */
async function replaced(file: string, handle: FileHandle | undefined, position: number): Promise<FileHandle | undefined> {
  const found = await openLog(file);
  if (!found || !handle) return found;
  const [there, here] = await Promise.all([found.stat(), handle.stat()]);
  if (there.ino !== here.ino || there.size < position) return found;
  await found.close();
  return undefined;
}

/** The offset at which the last `lines` lines start. Reads backwards, block by block. */
export async function tailStart(handle: FileHandle, lines: number): Promise<number> {
  const { size } = await handle.stat();
  if (lines === 0) return size;
  const buffer = Buffer.allocUnsafe(blockBytes);
  let newlines = 0;
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - blockBytes);
    const { bytesRead } = await handle.read(buffer, 0, end - start, start);
    for (let at = bytesRead - 1; at >= 0; at--) {
      if (buffer[at] !== 10 || start + at === size - 1) continue;
      if (++newlines === lines) return start + at + 1;
    }
    end = start;
  }
  return 0;
}
