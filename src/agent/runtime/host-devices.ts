/** The device files of this machine, for privileged containers. Terminals, shared memory and queues are the container's own. */
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostDevice } from './spec.ts';

const skipped = new Set(['pts', 'shm', 'mqueue', 'fd', 'console', 'ptmx']);
const devicesMax = 4_096;

export async function readHostDevices(dir = '/dev'): Promise<HostDevice[]> {
  const devices: HostDevice[] = [];
  const open = [dir];
  while (open.length && devices.length < devicesMax) {
    const folder = open.pop()!;
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      if (folder === dir && skipped.has(entry.name)) continue;
      const path = join(folder, entry.name);
      if (entry.isDirectory()) open.push(path);
      else if (entry.isCharacterDevice() || entry.isBlockDevice()) {
        const { rdev, mode, uid, gid } = await lstat(path);
        devices.push({
          path,
          type: entry.isBlockDevice() ? 'b' : 'c',
          ...deviceNumbers(rdev),
          fileMode: mode & 0o777,
          uid,
          gid,
        });
      }
    }
  }
  return devices;
}

/** Major and minor of a Linux device number (makedev(3)). */
export function deviceNumbers(rdev: number): { major: number; minor: number } {
  const wide = BigInt(rdev);
  const major = ((wide >> 8n) & 0xfffn) | ((wide >> 32n) & 0xfffff000n);
  const minor = (wide & 0xffn) | ((wide >> 12n) & 0xffffff00n);
  return { major: Number(major), minor: Number(minor) };
}
