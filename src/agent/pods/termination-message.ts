/** What a container left for people when it ended: its termination file, or the end of its log. */
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../lib/errors.ts';
import type { Container } from '../../machinery/types.ts';
import type { ContainerRun, PodPaths } from './record.ts';

const messageBytesMax = 4_096;
const fallbackBytesMax = 2_048;
const fallbackLinesMax = 80;
/** Enough for 2 KiB of text with a prefix on each of 80 lines. */
const logTailBytes = 16 * 1024;

export async function terminationMessage(
  paths: PodPaths,
  container: Container,
  run: ContainerRun,
  exitCode: number,
): Promise<string> {
  const file = join(paths.bundle(container.name, run.attempt), 'termination-log');
  const text = (await readPart(file, messageBytesMax, 'head')).toString('utf8');
  if (text || container.terminationMessagePolicy !== 'FallbackToLogsOnError' || exitCode === 0) return text;
  return logTail((await readPart(paths.log(container.name, run.attempt), logTailBytes, 'tail')).toString('utf8'));
}

/** The last lines of a log in CRI form, without their prefixes. Pure. */
export function logTail(log: string): string {
  const lines = log.split('\n').flatMap((line) => {
    const [, stream, tag, ...rest] = line.split(' ');
    if (!tag || (stream !== 'stdout' && stream !== 'stderr')) return [];
    return [rest.join(' ') + (tag.startsWith('F') ? '\n' : '')];
  });
  return Buffer.from(lines.slice(-fallbackLinesMax).join('')).subarray(-fallbackBytesMax).toString('utf8');
}

async function readPart(file: string, bytesMax: number, part: 'head' | 'tail'): Promise<Buffer> {
  let handle: FileHandle;
  try {
    handle = await open(file, 'r');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return Buffer.alloc(0);
    throw error;
  }
  try {
    const { size } = await handle.stat();
    const buffer = Buffer.alloc(Math.min(size, bytesMax));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, part === 'head' ? 0 : size - buffer.length);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}
