/**
 * The node's cgroup tree, by plain file writes (a spawned tool would cost a hundred times as much):
 *
 *     <root>/pods/{guaranteed,burstable,besteffort}/pod<uid>/<container, made by the runtime>
 *     <root>/monitor
 *
 * The three classes weigh as much as the pods in them ask for, besteffort the least the kernel allows: under contention
 * requests hold, as people know it from the kubelet. Nothing here kills a process.
 */
import { readFile, rmdir, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { type Clock, systemClock } from '../../lib/clock.ts';
import type { PodStatus } from '../../machinery/types.ts';
import type { CgroupLimits, Cgroups } from '../types.ts';
import {
  childCgroups,
  type Hierarchies,
  type Hierarchy,
  ignoring,
  makeCgroup,
  parseHierarchies,
  processesIn,
  removeCgroup,
} from './cgroup-hierarchies.ts';
import { type CgroupUsage, field, readUsage, usageFiles } from './cgroup-usage.ts';

export interface CgroupsOptions {
  /** For example `kontiki` or `kontiki-lab/peer-1`; below each hierarchy's mount point. */
  root: string;
  clock?: Clock;
}

type QosClass = NonNullable<PodStatus['qosClass']>;

const periodMicros = 100_000;
const sharesMin = 2;
const sharesMax = 262_144;
const classes = ['guaranteed', 'burstable', 'besteffort'] as const;

/** The weight of cgroup v2 (1 to 10,000) for cpu shares (2 to 262,144), on the line that the kubelet and runc use. */
export function cpuWeight(shares: number): number {
  return 1 + Math.floor(((clampShares(shares) - sharesMin) * 9_999) / (sharesMax - sharesMin));
}

/** Shares that have this weight: of the many those in the middle, so that the errors of many pods make up for each other. */
export function sharesOf(weight: number): number {
  return weight <= 1 ? sharesMin : sharesMin + Math.round(((weight - 0.5) * (sharesMax - sharesMin)) / 9_999);
}

function clampShares(shares: number): number {
  return Math.min(sharesMax, Math.max(sharesMin, Math.round(shares)));
}

/** Makes the tree for this node and gives its door. AgentError 'Cgroup'. */
export async function createCgroups({ root, clock = systemClock }: CgroupsOptions): Promise<Cgroups> {
  const hierarchies = parseHierarchies(await readFile('/proc/self/mountinfo', 'utf8'));
  const cgroups = new CgroupTree(root.replace(/^\/+|\/+$/g, ''), hierarchies, clock);
  await cgroups.start();
  return cgroups;
}

class CgroupTree implements Cgroups {
  readonly version: 1 | 2;
  readonly monitorParent: string;
  readonly #root: string;
  readonly #hierarchies: Hierarchies;
  readonly #clock: Clock;
  /** Cpu shares of each pod, by class: what the class's own weight is made of. */
  readonly #shares = new Map<string, Map<string, number>>(classes.map((name) => [name, new Map()]));

  constructor(root: string, hierarchies: Hierarchies, clock: Clock) {
    this.version = hierarchies.version;
    this.monitorParent = `/${root}/monitor`;
    this.#root = root;
    this.#hierarchies = hierarchies;
    this.#clock = clock;
  }

  async start(): Promise<void> {
    await this.#make(`${this.#root}/monitor`, { leaf: true });
    for (const name of classes) await this.#make(`${this.#root}/pods/${name}`);
    const machineShares = availableParallelism() * 1024;
    await this.#setShares(this.#root, machineShares);
    await this.#setShares(`${this.#root}/pods`, machineShares);
    for (const name of classes) {
      for (const pod of await this.#podFolders(name)) this.#shares.get(name)?.set(pod, await this.#readShares(name, pod));
      await this.#weigh(name);
    }
  }

  async ensurePod(podUid: string, qos: QosClass, limits: CgroupLimits): Promise<string> {
    const className = qos.toLowerCase();
    const path = `${this.#root}/pods/${className}/pod${podUid}`;
    await this.#make(path);
    await this.#setShares(path, limits.cpuShares);
    if (this.version === 1) {
      await this.#write('cpu', path, 'cpu.cfs_period_us', periodMicros);
      await this.#write('cpu', path, 'cpu.cfs_quota_us', limits.cpuQuotaMicros ?? -1);
      await this.#write('memory', path, 'memory.limit_in_bytes', limits.memoryLimitBytes ?? -1);
    } else {
      await this.#write('cpu', path, 'cpu.max', `${limits.cpuQuotaMicros ?? 'max'} ${periodMicros}`);
      await this.#write('memory', path, 'memory.max', limits.memoryLimitBytes ?? 'max');
    }
    await this.#write('pids', path, 'pids.max', limits.pidsLimit ?? 'max');
    this.#shares.get(className)?.set(`pod${podUid}`, clampShares(limits.cpuShares));
    await this.#weigh(className);
    return `/${path}`;
  }

  async removePod(podUid: string): Promise<void> {
    for (const name of classes) {
      for (const { mountpoint } of this.#hierarchies.all) {
        await removeCgroup(join(mountpoint, this.#root, 'pods', name, `pod${podUid}`), this.#clock);
      }
      if (this.#shares.get(name)?.delete(`pod${podUid}`)) await this.#weigh(name);
    }
  }

  async podUsage(podUid: string): Promise<CgroupUsage | undefined> {
    return this.#usageBelow(`pod${podUid}`);
  }

  async containerUsage(podUid: string, containerId: string): Promise<CgroupUsage | undefined> {
    return this.#usageBelow(`pod${podUid}/${containerId}`);
  }

  async groupUsage(group: 'pods' | 'monitor'): Promise<CgroupUsage | undefined> {
    return this.#usage(`${this.#root}/${group}`);
  }

  async containerMemory(podUid: string, containerId: string): Promise<number | undefined> {
    for (const name of classes) {
      const bytes = await this.#workingSet(`${this.#root}/pods/${name}/pod${podUid}/${containerId}`);
      if (bytes !== undefined) return bytes;
    }
    return undefined;
  }

  async podProcesses(podUid: string): Promise<number | undefined> {
    for (const name of classes) {
      const count = await this.#read('pids', `${this.#root}/pods/${name}/pod${podUid}`, 'pids.current');
      if (count !== undefined) return Number(count);
    }
    return undefined;
  }

  async #usageBelow(path: string): Promise<CgroupUsage | undefined> {
    for (const name of classes) {
      const usage = await this.#usage(`${this.#root}/pods/${name}/${path}`);
      if (usage) return usage;
    }
    return undefined;
  }

  async #usage(path: string): Promise<CgroupUsage | undefined> {
    const read = async ({ controller, file }: { controller: string; file: string }) =>
      [file, await this.#read(controller, path, file)] as const;
    return readUsage(this.version, Object.fromEntries(await Promise.all(usageFiles[this.version].map(read))));
  }

  async #workingSet(path: string): Promise<number | undefined> {
    const old = this.version === 1;
    const [memory, stat] = await Promise.all([
      this.#read('memory', path, old ? 'memory.usage_in_bytes' : 'memory.current'),
      this.#read('memory', path, 'memory.stat'),
    ]);
    if (memory === undefined || stat === undefined) return undefined;
    return Math.max(0, Number(memory) - (field(stat, old ? 'total_inactive_file' : 'inactive_file') ?? 0));
  }

  async list(): Promise<string[]> {
    const uids = new Set<string>();
    for (const name of classes) for (const pod of await this.#podFolders(name)) uids.add(pod.slice('pod'.length));
    return [...uids];
  }

  async addMonitor(pid: number): Promise<void> {
    for (const { mountpoint } of this.#hierarchies.used) {
      await writeFile(join(mountpoint, this.monitorParent, 'cgroup.procs'), String(pid));
    }
  }

  monitors(): Promise<number[]> {
    return processesIn(join(this.#hierarchies.used[0]!.mountpoint, this.monitorParent));
  }

  async containerProcesses(podUid: string, containerId: string): Promise<number[]> {
    const found = new Set<number>();
    for (const folder of this.#containerFolders(podUid, containerId)) {
      for (const pid of await processesIn(folder)) found.add(pid);
    }
    return [...found];
  }

  async removeContainer(podUid: string, containerId: string): Promise<void> {
    for (const folder of this.#containerFolders(podUid, containerId)) await removeCgroup(folder, this.#clock);
  }

  async removeAll(): Promise<void> {
    for (const { mountpoint } of this.#hierarchies.all) {
      await removeCgroup(join(mountpoint, this.#root), this.#clock);
      // Folders above our root (`kontiki-lab`) go when nobody else is in them.
      for (let parent = dirname(this.#root); parent !== '.'; parent = dirname(parent)) {
        await rmdir(join(mountpoint, parent)).catch(ignoring('ENOENT', 'EBUSY', 'ENOTEMPTY'));
      }
    }
    for (const pods of this.#shares.values()) pods.clear();
  }

  /** Where it may be: a runtime that was killed in the middle has made some of them. */
  #containerFolders(podUid: string, containerId: string): string[] {
    return this.#hierarchies.all.flatMap(({ mountpoint }) =>
      classes.map((name) => join(mountpoint, this.#root, 'pods', name, `pod${podUid}`, containerId)),
    );
  }

  async #make(path: string, { leaf } = { leaf: false }): Promise<void> {
    await Promise.all(this.#hierarchies.used.map((hierarchy) => makeCgroup(this.version, hierarchy, path, leaf)));
  }

  async #podFolders(className: string): Promise<string[]> {
    const names = new Set<string>();
    for (const { mountpoint } of this.#hierarchies.all) {
      for (const name of await childCgroups(join(mountpoint, this.#root, 'pods', className))) {
        if (name.startsWith('pod')) names.add(name);
      }
    }
    return [...names];
  }

  async #weigh(className: string): Promise<void> {
    let sum = 0;
    if (className !== 'besteffort') for (const shares of this.#shares.get(className)?.values() ?? []) sum += shares;
    await this.#setShares(`${this.#root}/pods/${className}`, sum);
  }

  async #setShares(path: string, shares: number): Promise<void> {
    if (this.version === 1) await this.#write('cpu', path, 'cpu.shares', clampShares(shares));
    else await this.#write('cpu', path, 'cpu.weight', cpuWeight(shares));
  }

  async #readShares(className: string, pod: string): Promise<number> {
    const path = `${this.#root}/pods/${className}/${pod}`;
    if (this.version === 1) return Number((await this.#read('cpu', path, 'cpu.shares')) ?? sharesMin);
    return sharesOf(Number((await this.#read('cpu', path, 'cpu.weight')) ?? 1));
  }

  /** v1: the hierarchy with the controller; v2: the only one. */
  #hierarchy(controller: string): Hierarchy | undefined {
    if (this.version === 2) return this.#hierarchies.used[0];
    return this.#hierarchies.used.find(({ controllers }) => controllers.includes(controller));
  }

  /** A controller or a file that this kernel does not have (no CFS bandwidth, no pids) limits nothing. */
  async #write(controller: string, path: string, file: string, value: number | string): Promise<void> {
    const hierarchy = this.#hierarchy(controller);
    if (!hierarchy) return;
    // Only an existing file is written: the kernel refuses to create others anyway.
    await writeFile(join(hierarchy.mountpoint, path, file), String(value), { flag: 'r+' }).catch(ignoring('ENOENT'));
  }

  async #read(controller: string, path: string, file: string): Promise<string | undefined> {
    const hierarchy = this.#hierarchy(controller);
    if (!hierarchy) return undefined;
    return readFile(join(hierarchy.mountpoint, path, file), 'utf8').catch(ignoring('ENOENT', 'ENODEV'));
  }
}
