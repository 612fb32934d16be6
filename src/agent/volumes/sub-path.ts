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

export interface SubPathBind {
  /** Folder of the whole volume. */
  volume: string;
  subPath: string;
  /** Made here. */
  target: string;
  executor: Executor;
  /** The same folder where we may make what is missing; left out: nothing is made. */
  origin: string | undefined;
}

/** Binds a part of a volume. Missing folders are made in it, with the rights of the volume's own. AgentError 'ContainerConfig'. */
export async function bindSubPath({ volume, subPath, target, executor, origin }: SubPathBind): Promise<void> {
  if (subPath.startsWith('/')) {
    throw new AgentError('ContainerConfig', `error SubPath \`${subPath}\` must not be an absolute path`);
  }
  if (subPath.split('/').includes('..')) throw new AgentError('ContainerConfig', `subPath "${subPath}" must not contain ".."`);
  const clean = normalize(`/${subPath}`).slice(1);
  const root = await realpath(volume);
  const inside = await resolved(root, clean, origin);
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

/** The real path below `root`, relative. Makes missing folders on the way, in `origin`. */
async function resolved(root: string, path: string, origin: string | undefined): Promise<string> {
  let real = root;
  for (const part of path.split('/').filter(Boolean)) {
    const next = join(real, part);
    try {
      real = await realpath(next);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
      if (origin === undefined) throw new AgentError('ContainerConfig', `failed to find subPath "${path}" in its volume`);
      // `real` was checked to be inside; mkdir does not follow a link in its last part.
      await makeLike(origin, join(origin, relative(root, next)));
      real = next;
    }
    const within = relative(root, real);
    if (within === '..' || within.startsWith('../'))
      throw new AgentError('ContainerConfig', `subPath "${path}" leads out of its volume`);
  }
  return relative(root, real);
}

/** Whoever may write to the volume may write to the new folder. */
async function makeLike(root: string, folder: string): Promise<void> {
  const { mode } = await stat(root);
  await mkdir(folder, { mode: 0o700 });
  const handle = await open(folder, constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    await handle.chmod(mode & 0o7777);
  } finally {
    await handle.close();
  }
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
