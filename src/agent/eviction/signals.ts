/** Measures what is left of this machine's memory, disk and process numbers. Reads files of /proc and asks the file systems; starts nothing. */
import type { StatsFs } from 'node:fs';
import { readFile, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../lib/errors.ts';
import type { Observation, Observations } from './types.ts';

export async function readSignals(dataDir: string): Promise<Observations> {
  const [memory, nodefs, imagefs, pids] = await Promise.all([
    readFile('/proc/meminfo', 'utf8').then(memoryOf),
    statfs(dataDir),
    // Before the first image there is no folder for them.
    statfs(join(dataDir, 'images')).catch((error: unknown) => {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw error;
    }),
    readPids(),
  ]);
  return {
    ...(memory ? { 'memory.available': memory } : {}),
    ...diskSignals('nodefs', nodefs),
    ...(imagefs ? diskSignals('imagefs', imagefs) : {}),
    ...(pids ? { 'pid.available': pids } : {}),
  };
}

type Disk = Pick<StatsFs, 'bavail' | 'blocks' | 'bsize' | 'ffree' | 'files'>;

/** File systems that make inodes as they need them say that they have none: they never run out. Pure. */
export function diskSignals(name: 'nodefs' | 'imagefs', { bavail, blocks, bsize, ffree, files }: Disk): Observations {
  return {
    [`${name}.available`]: { available: bavail * bsize, capacity: blocks * bsize },
    ...(files > 0 ? { [`${name}.inodesFree`]: { available: ffree, capacity: files } } : {}),
  };
}

/** From the text of /proc/meminfo: what the kernel can give without swapping. */
export function memoryOf(meminfo: string): Observation | undefined {
  const kibibytes = (name: string) => /\d+/.exec(new RegExp(`^${name}:.*$`, 'm').exec(meminfo)?.[0] ?? '')?.[0];
  const [available, total] = [kibibytes('MemAvailable'), kibibytes('MemTotal')];
  if (available === undefined || total === undefined) return undefined;
  return { available: Number(available) * 1_024, capacity: Number(total) * 1_024 };
}

async function readPids(): Promise<Observation | undefined> {
  const [pidMax, threadsMax, load] = await Promise.all(
    ['/proc/sys/kernel/pid_max', '/proc/sys/kernel/threads-max', '/proc/loadavg'].map((file) => readFile(file, 'utf8')),
  );
  return pidsOf(pidMax!, threadsMax!, load!);
}

/** From the texts of pid_max, threads-max and loadavg, whose fourth word is `running/all`. */
export function pidsOf(pidMax: string, threadsMax: string, load: string): Observation | undefined {
  const capacity = Math.min(Number(pidMax), Number(threadsMax));
  const used = Number(load.trim().split(/\s+/)[3]?.split('/')[1]);
  return capacity > 0 && Number.isInteger(used) ? { available: Math.max(0, capacity - used), capacity } : undefined;
}
