/**
 * Takes everything of a machine's daemon away: processes by cgroup, mounts, cgroups, data. Works without the daemon, from what
 * the kernel says, so that it also cleans up after a crash. Nothing is deleted while anything is mounted below the data folder.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { type Clock, delay, systemClock } from '../lib/clock.ts';
import { errorCode } from '../lib/errors.ts';
import { type NodeConfig, pathsOf } from './config.ts';
import { NodeError } from './errors.ts';
import { demandUnlocked } from './machine-lock.ts';

const cgroupMount = '/sys/fs/cgroup';
const roundsMax = 100;
const roundMs = 50;

/** Idempotent. Throws NodeError 'AlreadyRunning' while the daemon, or a restore or recovery, works on the data folder. */
export async function resetMachine(config: NodeConfig, clock: Clock = systemClock): Promise<void> {
  demandUnlocked(pathsOf(config.dataDir));
  const roots = cgroupRoots(config.agent.cgroupRoot);
  await killAll(roots, clock);
  unmountBelow(config.dataDir);
  for (const root of roots) await removeCgroup(root, clock);
  rmSync(config.dataDir, { recursive: true, force: true });
}

/** Ends everything that this machine's agent runs, at once. The agent must have ended. */
export async function endContainers(config: NodeConfig, clock: Clock): Promise<void> {
  await killAll(cgroupRoots(config.agent.cgroupRoot), clock);
}

/** The folder of this cgroup in each controller's hierarchy (v1), or the one folder (v2). */
function cgroupRoots(name: string): string[] {
  const hierarchies = existsSync(`${cgroupMount}/cgroup.controllers`)
    ? [cgroupMount]
    : readdirSync(cgroupMount).map((controller) => `${cgroupMount}/${controller}`);
  return hierarchies.map((hierarchy) => `${hierarchy}/${name}`).filter((folder) => existsSync(folder));
}

async function killAll(roots: string[], clock: Clock): Promise<void> {
  for (let round = 0; round < roundsMax; round++) {
    const pids = new Set(roots.flatMap(processesBelow));
    if (pids.size === 0) return;
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch (error) {
        if (errorCode(error) !== 'ESRCH') throw error;
      }
    }
    await delay(clock, roundMs);
  }
  throw new NodeError('InvalidConfig', `processes below ${roots.join(', ')} do not end`);
}

function processesBelow(folder: string): number[] {
  let own: number[];
  try {
    own = readFileSync(`${folder}/cgroup.procs`, 'utf8').split('\n').filter(Boolean).map(Number);
  } catch (error) {
    if (['ENOENT', 'ENODEV'].includes(errorCode(error) ?? '')) return [];
    throw error;
  }
  return [...own, ...childrenOf(folder).flatMap(processesBelow)];
}

function childrenOf(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => `${folder}/${entry.name}`);
}

/** Deepest and latest mounts first. */
function unmountBelow(dataDir: string): void {
  for (let round = 0; round < roundsMax; round++) {
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .map((line) => (line.split(' ')[4] ?? '').replaceAll('\\040', ' '))
      .filter((path) => path.startsWith(`${dataDir}/`));
    if (mounts.length === 0) return;
    for (const mount of mounts.reverse()) spawnSync('umount', ['--lazy', mount], { stdio: 'ignore' });
  }
  throw new NodeError('InvalidConfig', `something below ${dataDir} stays mounted; see: grep ${dataDir} /proc/self/mountinfo`);
}

/** A cgroup whose last process just died may stay busy for a moment. */
async function removeCgroup(folder: string, clock: Clock): Promise<void> {
  if (!existsSync(folder)) return;
  for (const child of childrenOf(folder)) await removeCgroup(child, clock);
  for (let round = 0; ; round++) {
    try {
      return rmdirSync(folder);
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return;
      if (errorCode(error) !== 'EBUSY' || round >= roundsMax) throw error;
    }
    await delay(clock, roundMs);
  }
}
