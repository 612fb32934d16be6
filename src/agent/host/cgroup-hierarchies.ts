/**
 * Where this machine's cgroup hierarchies are mounted, and the few file operations on them. v1 has one hierarchy for each
 * controller (or set of them), v2 one for all; in hybrid set-ups the v2 mount has no controllers and only needs tidying.
 * (Kernel: Documentation/admin-guide/cgroup-v1, cgroup-v2.rst.)
 */
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, delay } from '../../lib/clock.ts';
import { errorCode } from '../../lib/errors.ts';
import { AgentError } from '../errors.ts';

export interface Hierarchy {
  mountpoint: string;
  /** v1: the controllers it has, or `name=systemd`; v2: none. */
  controllers: string[];
}

export interface Hierarchies {
  version: 1 | 2;
  /** The ones that hold our tree. */
  used: Hierarchy[];
  /** And the ones where a runtime may leave folders below our root. */
  all: Hierarchy[];
}

const busyTries = 40;
const busyWaitMs = 25;

/** From the text of /proc/self/mountinfo. AgentError 'Cgroup' when neither version is there. */
export function parseHierarchies(mountinfo: string): Hierarchies {
  const v1: Hierarchy[] = [];
  const v2: Hierarchy[] = [];
  const seen = new Set<string>();
  for (const line of mountinfo.split('\n')) {
    const [front, back] = line.split(' - ');
    if (!front || !back) continue;
    const mountpoint = front.split(' ')[4];
    const [type, , superOptions = ''] = back.split(' ');
    if (!mountpoint || seen.has(mountpoint)) continue;
    if (type === 'cgroup2') v2.push({ mountpoint, controllers: [] });
    else if (type === 'cgroup') {
      const options = superOptions.split(',').filter((option) => option !== 'rw' && option !== 'ro');
      const controllers = options.filter((option) => !/^(xattr|noprefix|clone_children|release_agent=.*)$/.test(option));
      v1.push({ mountpoint, controllers });
    } else continue;
    seen.add(mountpoint);
  }
  if (v1.some(({ controllers }) => controllers.includes('memory'))) return { version: 1, used: v1, all: [...v1, ...v2] };
  const unified = v2[0];
  if (!unified) throw new AgentError('Cgroup', 'no cgroup hierarchy with a memory controller is mounted');
  return { version: 2, used: [unified], all: [unified, ...v1] };
}

/**
 * Makes `path` (relative to the hierarchy's mount point) and its parents usable: cpusets filled, controllers passed down. What has
 * controllers passed down cannot hold processes in v2, so a `leaf` passes none.
 */
export async function makeCgroup(version: 1 | 2, hierarchy: Hierarchy, path: string, leaf: boolean): Promise<void> {
  let folder = hierarchy.mountpoint;
  for (const part of path.split('/')) {
    const parent = folder;
    folder = join(folder, part);
    if (version === 2) await enableControllers(parent);
    await mkdir(folder).catch(ignoring('EEXIST'));
    if (hierarchy.controllers.includes('cpuset')) await copyCpuset(parent, folder);
  }
  if (version === 2 && !leaf) await enableControllers(folder);
}

const wantedControllers = ['cpu', 'cpuset', 'io', 'memory', 'pids', 'hugetlb'];

async function enableControllers(folder: string): Promise<void> {
  const available = (await readFile(join(folder, 'cgroup.controllers'), 'utf8')).trim().split(' ');
  const enabled = (await readFile(join(folder, 'cgroup.subtree_control'), 'utf8')).trim().split(' ');
  const missing = wantedControllers.filter((name) => available.includes(name) && !enabled.includes(name));
  if (missing.length === 0) return;
  await writeFile(join(folder, 'cgroup.subtree_control'), missing.map((name) => `+${name}`).join(' '));
}

/** A v1 cpuset takes no process before it is told its processors and memory nodes. */
async function copyCpuset(parent: string, folder: string): Promise<void> {
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    if ((await readFile(join(folder, file), 'utf8')).trim() !== '') continue;
    await writeFile(join(folder, file), (await readFile(join(parent, file), 'utf8')).trim());
  }
}

/** Names of the cgroups directly in `folder`; none when it is not there. */
export async function childCgroups(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error) => {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  });
  return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
}

/** The processes directly in a cgroup; none when it is not there. */
export async function processesIn(folder: string): Promise<number[]> {
  const text = await readFile(join(folder, 'cgroup.procs'), 'utf8').catch(ignoring('ENOENT', 'ENODEV'));
  return (text ?? '').split('\n').filter(Boolean).map(Number);
}

/**
 * Removes a cgroup and those in it, deepest first. The kernel answers EBUSY for a moment after the last process has gone,
 * so that is tried again for a second; then AgentError 'Cgroup'.
 */
export async function removeCgroup(folder: string, clock: Clock): Promise<void> {
  for (const name of await childCgroups(folder)) await removeCgroup(join(folder, name), clock);
  for (let tries = 1; ; tries++) {
    try {
      return await rmdir(folder);
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return;
      if (errorCode(error) !== 'EBUSY') throw error;
      if (tries === busyTries) {
        const processes = (await readFile(join(folder, 'cgroup.procs'), 'utf8')).trim().split('\n').filter(Boolean);
        throw new AgentError('Cgroup', `${folder}: processes still live in it`, { folder, processes }, error);
      }
    }
    await delay(clock, busyWaitMs);
  }
}

/** For `catch`: an error with this code is fine, any other is thrown on. */
export function ignoring(...codes: string[]): (error: unknown) => undefined {
  return (error) => {
    if (codes.includes(errorCode(error) ?? '')) return undefined;
    throw error;
  };
}
