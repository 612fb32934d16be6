/**
 * What this machine is and how busy it is: for Node.status and for the heartbeat each second. Facts are read once;
 * `usage()` reads files of /proc and starts no process (which rules out systeminformation's currentLoad and osInfo).
 */
import { readFile, statfs } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import systeminformation from 'systeminformation';

export interface MachineOptions {
  /** The file system of this folder is the ephemeral storage. */
  dataDir: string;
  podsMax: number;
  /** Several nodes on one machine: each says its part. */
  capacity?: { cpuMilli?: number; memoryBytes?: number };
}

export interface MachineUsage {
  /** Average since the previous call (the first time: since boot). */
  cpuMilli: number;
  /** Without caches that the kernel gives back at need. */
  memoryBytes: number;
  /** Free for unprivileged writers on the file system of the data folder. */
  ephemeralStorageFreeBytes: number;
  load1: number;
}

export interface Machine {
  readonly capacity: { cpuMilli: number; memoryBytes: number; ephemeralStorageBytes: number; pods: number };
  /** As `uname -r`. */
  readonly kernelVersion: string;
  /** PRETTY_NAME of os-release. */
  readonly osImage: string;
  /** Empty where the machine has none. */
  readonly machineId: string;
  readonly bootId: string;
  readonly systemUuid: string;
  /** In Go's words, as Kubernetes shows it: amd64, arm64. */
  readonly architecture: string;
  usage(): Promise<MachineUsage>;
}

export async function readMachine({ dataDir, podsMax, capacity }: MachineOptions): Promise<Machine> {
  const [files, osRelease, machineId, bootId, systemUuid] = await Promise.all([
    statfs(dataDir),
    readFirst('/etc/os-release', '/usr/lib/os-release'),
    readFirst('/etc/machine-id', '/var/lib/dbus/machine-id'),
    readFirst('/proc/sys/kernel/random/boot_id'),
    readFirst('/sys/class/dmi/id/product_uuid'),
  ]);
  return {
    capacity: {
      cpuMilli: capacity?.cpuMilli ?? availableParallelism() * 1_000,
      memoryBytes: capacity?.memoryBytes ?? totalmem(),
      ephemeralStorageBytes: files.blocks * files.bsize,
      pods: podsMax,
    },
    kernelVersion: release(),
    osImage: osName(osRelease),
    machineId: machineId.trim(),
    bootId: bootId.trim(),
    // Nodes need something here; machines without DMI have their machine id at least.
    systemUuid: (systemUuid || machineId).trim(),
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    usage: usageReader(dataDir),
  };
}

function usageReader(dataDir: string): () => Promise<MachineUsage> {
  let previous: CpuTicks = { busy: 0, total: 0 };
  let cpuMilli = 0;
  const processors = cpus().length;
  return async () => {
    const [stat, memory, files] = await Promise.all([readFile('/proc/stat', 'utf8'), systeminformation.mem(), statfs(dataDir)]);
    const current = cpuTicks(stat);
    // Two calls within one tick (10 ms) have nothing between them: the earlier answer still holds.
    if (current.total > previous.total) {
      const share = (current.busy - previous.busy) / (current.total - previous.total);
      cpuMilli = Math.max(0, Math.round(share * processors * 1_000));
      previous = current;
    }
    return {
      cpuMilli,
      memoryBytes: memory.total - memory.available,
      ephemeralStorageFreeBytes: files.bavail * files.bsize,
      load1: loadavg()[0] ?? 0,
    };
  };
}

export interface CpuTicks {
  busy: number;
  total: number;
}

/** Of all processors together, from the text of /proc/stat. Waiting for a disk is not work; time stolen by the host is. */
export function cpuTicks(stat: string): CpuTicks {
  const ticks = /^cpu +(.*)$/m.exec(stat)?.[1]?.split(' ').map(Number) ?? [];
  const [user = 0, nice = 0, system = 0, idle = 0, ioWait = 0, irq = 0, softIrq = 0, steal = 0] = ticks;
  const busy = user + nice + system + irq + softIrq + steal;
  return { busy, total: busy + idle + ioWait };
}

/** The text of the first file that can be read, else ''. */
async function readFirst(...paths: string[]): Promise<string> {
  for (const path of paths) {
    const text = await readFile(path, 'utf8').catch(() => undefined);
    if (text !== undefined) return text;
  }
  return '';
}

/** From the text of os-release(5); `Linux` when it says nothing. */
export function osName(osRelease: string): string {
  const match = /^PRETTY_NAME=(?:"([^"]*)"|'([^']*)'|(\S*))$/m.exec(osRelease);
  return match?.[1] || match?.[2] || match?.[3] || 'Linux';
}
