/**
 * Keeps a container's log bounded: above the limit the file is put aside (one older file is kept) and conmon told to open a new one,
 * which loses no line. `kubectl logs` reads the newer file, as it does with Kubernetes.
 */
import { constants } from 'node:fs';
import { open, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../lib/errors.ts';
import type { PodPaths } from './record.ts';

export const logBytesMax = 10 * 1024 * 1024;

/** True when it was rotated. */
export async function rotateLog(paths: PodPaths, container: string, attempt: number, bytesMax = logBytesMax): Promise<boolean> {
  const file = paths.log(container, attempt);
  const size = await stat(file).then(
    (found) => found.size,
    (error: unknown) => ignoreMissing(error),
  );
  if (size <= bytesMax) return false;
  let control: Awaited<ReturnType<typeof open>>;
  try {
    control = await open(join(paths.bundle(container, attempt), 'ctl'), constants.O_WRONLY | constants.O_NONBLOCK);
  } catch (error) {
    // No monitor reads there any more: nothing more is written either.
    if (errorCode(error) === 'ENXIO' || errorCode(error) === 'ENOENT') return false;
    throw error;
  }
  try {
    await rename(file, `${file}.1`);
    await control.write('2 0 0\n');
  } finally {
    await control.close();
  }
  return true;
}

function ignoreMissing(error: unknown): number {
  if (errorCode(error) === 'ENOENT') return 0;
  throw error;
}
