/**
 * Files of a configMap, secret or downwardAPI volume, changed all at once: they live in a folder of their own, the link
 * `..data` names it, and each visible name is a link through `..data`. A reader sees the old set or the new one. The layout
 * is the one programs in containers rely on.
 */
import { chmod, chown, lstat, mkdir, readdir, readFile, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorCode } from '../../lib/errors.ts';

export interface VolumeFile {
  data: Buffer;
  /** Permission bits. */
  mode: number;
}

/** Relative paths without `..`; a path may have folders. */
export type VolumeFiles = Map<string, VolumeFile>;

export interface WriteVolumeOptions {
  dir: string;
  files: VolumeFiles;
  /** Group that owns the files, when the pod has an fsGroup. */
  group: number | undefined;
  /** Makes the name of the new folder unique and says when it was written. */
  nowMs: number;
}

const dataLink = '..data';

/** True when something changed. */
export async function writeVolume({ dir, files, group, nowMs }: WriteVolumeOptions): Promise<boolean> {
  const current = await currentFolder(dir);
  if (current && (await holds(join(dir, current), files))) return false;
  const second = new Date(nowMs).toISOString().slice(0, 19).replace(/[-:T]/g, '_');
  const folder = `..${second}.${process.hrtime.bigint()}`;
  const target = join(dir, folder);
  await mkdir(target, { mode: 0o755 });
  await chmod(target, 0o755);
  for (const folder of [dir, target]) await giveFolder(folder, group);
  for (const [path, { data, mode }] of files) {
    const file = join(target, path);
    await mkdir(dirname(file), { recursive: true, mode: 0o755 });
    for (let folder = dirname(file); folder !== target; folder = dirname(folder)) await giveFolder(folder, group);
    await writeFile(file, data, { mode });
    if (group !== undefined) await chown(file, -1, group);
    // The umask has no say, and the group must be able to read.
    await chmod(file, group === undefined ? mode : mode | 0o440);
  }
  await rm(join(dir, '..data_new'), { force: true });
  await symlink(folder, join(dir, '..data_new'));
  await rename(join(dir, '..data_new'), join(dir, dataLink));
  await linkNames(dir, files);
  if (current) await rm(join(dir, current), { recursive: true, force: true });
  return true;
}

/** What is made in it later belongs to the group too. */
async function giveFolder(folder: string, group: number | undefined): Promise<void> {
  if (group === undefined) return;
  await chown(folder, -1, group);
  await chmod(folder, 0o2755);
}

async function currentFolder(dir: string): Promise<string | undefined> {
  try {
    return await readlink(join(dir, dataLink));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function holds(folder: string, files: VolumeFiles): Promise<boolean> {
  const present = await readdir(folder, { recursive: true, withFileTypes: true }).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  });
  const names = present.filter((entry) => entry.isFile());
  if (names.length !== files.size) return false;
  for (const [path, { data }] of files) {
    const found = await readFile(join(folder, path)).catch((error: unknown) => {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw error;
    });
    if (!found?.equals(data)) return false;
  }
  return true;
}

/** One link for each first part of a path; links of names that are gone are removed. */
async function linkNames(dir: string, files: VolumeFiles): Promise<void> {
  const wanted = new Set([...files.keys()].map((path) => path.split('/')[0]!));
  for (const name of wanted) {
    const link = join(dir, name);
    const there = await lstat(link).catch((error: unknown) => {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw error;
    });
    if (!there) await symlink(join(dataLink, name), link);
  }
  for (const name of await readdir(dir)) {
    if (!name.startsWith('..') && !wanted.has(name)) await rm(join(dir, name), { recursive: true, force: true });
  }
}
