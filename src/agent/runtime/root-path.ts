/**
 * Paths inside a container's root, resolved as the container would see them: a symbolic link in an image may name any
 * absolute path or climb with `..`, and must never lead to a file of the host.
 */
import { lstat, readFile, readlink } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import { errorCode } from '../../lib/errors.ts';

const linksMax = 40;

/** The host path of `path` inside `root`, following links within the root. The last part need not exist. */
export async function resolveInRoot(root: string, path: string): Promise<string> {
  let inside = '/';
  let rest = normalize(`/${path}`).split('/').filter(Boolean);
  let links = 0;
  while (rest.length) {
    const [part, ...after] = rest as [string, ...string[]];
    const next = normalize(join(inside, part));
    const target = await linkTarget(join(root, next));
    if (target === undefined) {
      inside = next;
      rest = after;
      continue;
    }
    if (++links > linksMax) throw Object.assign(new Error(`too many symbolic links: ${path}`), { code: 'ELOOP' });
    const whole = target.startsWith('/') ? target : join(dirname(next), target);
    rest = [...normalize(`/${whole}`).split('/').filter(Boolean), ...after];
    inside = '/';
  }
  return join(root, inside);
}

async function linkTarget(path: string): Promise<string | undefined> {
  try {
    return (await lstat(path)).isSymbolicLink() ? await readlink(path) : undefined;
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** The text of a file inside `root`, or '' when it is not there. At most 4 MiB are of interest to callers. */
export async function readInRoot(root: string, path: string): Promise<string> {
  try {
    return await readFile(await resolveInRoot(root, path), 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR' || errorCode(error) === 'EISDIR') return '';
    throw error;
  }
}
