/**
 * subPath of a volume mount, safe against symbolic links that a container planted: the path is resolved, must stay inside the
 * volume, then walked again part by part through file descriptors that follow no link, and the last descriptor is what is
 * bind-mounted. A link swapped in between is refused, not followed.
 */
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, realpath, stat, writeFile } from 'node:fs/promises';
import { dirname, join, normalize, relative } from 'node:path';
import { errorCode } from '../../lib/errors.ts';
import { AgentError } from '../errors.ts';
import type { Executor } from '../types.ts';

/** open(2)'s O_PATH: a place in the file tree, without opening what is there. */
const O_PATH = 0o10000000;

/** Binds `subPath` of `volume` on `target` (made here). A missing last folder is made in the volume, as Kubernetes does. */
export async function bindSubPath(volume: string, subPath: string, target: string, executor: Executor): Promise<void> {
  const clean = normalize(`/${subPath}`).slice(1);
  if (subPath.split('/').includes('..')) throw new AgentError('ContainerConfig', `subPath "${subPath}" must not contain ".."`);
  const root = await realpath(volume);
  const inside = await resolved(root, clean);
  const handle = await openWithoutLinks(root, inside);
  try {
    const source = `/proc/${process.pid}/fd/${handle.fd}`;
    const isFolder = (await stat(source)).isDirectory();
    if (isFolder) await mkdir(target, { recursive: true });
    else {
      await mkdir(dirname(target), { recursive: true });
      await writeFile(target, '', { flag: 'a' });
    }
    await executor.check('mount', ['--bind', source, target]);
  } finally {
    await handle.close();
  }
}

/** The real path below `root`, relative. Makes missing folders on the way. */
async function resolved(root: string, path: string): Promise<string> {
  let real = root;
  for (const part of path.split('/').filter(Boolean)) {
    const next = join(real, part);
    try {
      real = await realpath(next);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
      // `real` was checked to be inside; mkdir does not follow a link in its last part.
      await mkdir(next, { mode: 0o750 });
      real = next;
    }
    const within = relative(root, real);
    if (within === '..' || within.startsWith('../'))
      throw new AgentError('ContainerConfig', `subPath "${path}" leads out of its volume`);
  }
  return relative(root, real);
}

async function openWithoutLinks(root: string, path: string): Promise<FileHandle> {
  let handle = await open(root, O_PATH | constants.O_DIRECTORY);
  for (const part of path.split('/').filter(Boolean)) {
    try {
      const next = await open(`/proc/self/fd/${handle.fd}/${part}`, O_PATH | constants.O_NOFOLLOW);
      await handle.close();
      handle = next;
      if ((await handle.stat()).isSymbolicLink()) {
        throw new AgentError('ContainerConfig', `subPath "${path}" changed into a symbolic link`);
      }
    } catch (error) {
      await handle.close();
      throw error;
    }
  }
  return handle;
}
