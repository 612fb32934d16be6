/**
 * Files of /proc that tell a container of its own limits instead of the machine's: lxcfs (a file system in user space) gives each
 * reader what its cgroup may use. Programs that size themselves by /proc/meminfo or /proc/cpuinfo then size themselves right.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../lib/errors.ts';
import { AgentError } from '../errors.ts';
import { bindMount, type OciMount } from './spec.ts';

export interface LxcfsSettings {
  /** Where lxcfs is mounted. */
  path: string;
  /** Containers do not start without it. */
  required: boolean;
}

/** What lxcfs has and runtimes let containers cover. */
export const lxcfsFiles = ['cpuinfo', 'diskstats', 'loadavg', 'meminfo', 'slabinfo', 'stat', 'swaps', 'uptime'];

/**
 * The mounts for a container that has its own at `taken`. None while lxcfs is not mounted, or its process has died; then, where it is
 * required, AgentError 'ContainerConfig'.
 */
export async function lxcfsMounts({ path, required }: LxcfsSettings, taken: ReadonlySet<string>): Promise<OciMount[]> {
  if (taken.has('/proc')) return [];
  const there = await Promise.all(lxcfsFiles.map((name) => isThere(join(path, 'proc', name))));
  if (required && !there.includes(true)) throw new AgentError('ContainerConfig', `lxcfs is not mounted at ${path}`, { path });
  const wanted = lxcfsFiles.filter((name, index) => there[index] && !taken.has(`/proc/${name}`));
  return wanted.map((name) => bindMount(join(path, 'proc', name), `/proc/${name}`, { readOnly: true }));
}

async function isThere(file: string): Promise<boolean> {
  try {
    await stat(file);
    return true;
  } catch (error) {
    // The last two: the process behind the mount has gone.
    if (['ENOENT', 'ENOTDIR', 'ENOTCONN', 'ECONNABORTED'].includes(errorCode(error) ?? '')) return false;
    throw error;
  }
}
