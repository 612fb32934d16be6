/** What the whole machine has used, from the texts of /proc (proc(5)). The readers start no process; the parsers are pure. */
import { readFile } from 'node:fs/promises';
import { errorCode } from '../../lib/errors.ts';
import { pidsOf } from '../eviction/signals.ts';
import type { CgroupUsage } from '../host/cgroup-usage.ts';
import { cpuTicks } from '../host/machine.ts';
import type { InterfaceStats } from './types.ts';

/** USER_HZ, the unit of /proc/stat, is 100 on every Linux that Node.js runs on. */
const nanosPerTick = 10_000_000;

export interface MachineSample {
  /** Wall time of the boot, milliseconds since 1970. */
  bootedAtMs: number;
  usage: CgroupUsage;
  memoryBytes: number;
  swapBytes: number;
  pids: { max: number; used: number } | undefined;
  interfaces: InterfaceStats[];
  defaultInterface: string | undefined;
}

export async function readMachineSample(): Promise<MachineSample> {
  const names = ['stat', 'meminfo', 'vmstat', 'loadavg', 'sys/kernel/pid_max', 'sys/kernel/threads-max', 'net/dev', 'net/route'];
  const texts = await Promise.all(names.map((name) => readFile(`/proc/${name}`, 'utf8')));
  const [stat, meminfo, vmstat, load, pidMax, threadsMax, dev, route] = texts as [string, ...string[]];
  return machineSample(
    { stat, meminfo: meminfo!, vmstat: vmstat!, load: load!, pidMax: pidMax!, threadsMax: threadsMax! },
    dev!,
    route!,
  );
}

type Texts = Record<'stat' | 'meminfo' | 'vmstat' | 'load' | 'pidMax' | 'threadsMax', string>;

/** Pure. */
export function machineSample(texts: Texts, dev: string, route: string): MachineSample {
  const memory = (name: string) => numberAfter(texts.meminfo, `${name}:`) * 1_024;
  const total = memory('MemTotal');
  const usageBytes = total - memory('MemFree');
  const pids = pidsOf(texts.pidMax, texts.threadsMax, texts.load);
  const swapBytes = memory('SwapTotal');
  return {
    bootedAtMs: numberAfter(texts.stat, 'btime') * 1_000,
    usage: {
      cpuNanos: cpuTicks(texts.stat).busy * nanosPerTick,
      memory: {
        usageBytes,
        workingSetBytes: Math.max(0, usageBytes - memory('Inactive(file)')),
        rssBytes: memory('AnonPages'),
        pageFaults: numberAfter(texts.vmstat, 'pgfault'),
        majorPageFaults: numberAfter(texts.vmstat, 'pgmajfault'),
      },
      swapBytes: swapBytes - memory('SwapFree'),
      processes: pids ? pids.capacity - pids.available : 0,
    },
    memoryBytes: total,
    swapBytes,
    pids: pids && { max: pids.capacity, used: pids.capacity - pids.available },
    interfaces: interfacesOf(dev),
    defaultInterface: defaultInterface(route),
  };
}

/** The number after the word at the beginning of a line; 0 when there is none. */
function numberAfter(text: string, word: string): number {
  for (const line of text.split('\n')) {
    const [first, second] = line.split(/\s+/, 2);
    if (first === word) return Number(second);
  }
  return 0;
}

/** Loopback and the machine's ends of pods' cables are nobody's traffic of their own. */
const internal = /^(lo$|veth)/;

/** From the text of /proc/net/dev. */
export function interfacesOf(dev: string): InterfaceStats[] {
  return dev.split('\n').flatMap((line) => {
    const match = /^\s*([^:\s]+):\s*(.*)$/.exec(line);
    if (!match || internal.test(match[1]!)) return [];
    const numbers = match[2]!.trim().split(/\s+/).map(Number);
    const [rxBytes = 0, , rxErrors = 0] = numbers;
    const [txBytes = 0, , txErrors = 0] = numbers.slice(8);
    return [{ name: match[1]!, rxBytes, rxErrors, txBytes, txErrors }];
  });
}

/** From the text of /proc/net/route: the interface of the route to everywhere. */
export function defaultInterface(route: string): string | undefined {
  const rows = route.split('\n').map((line) => line.split('\t'));
  return rows.find(([, destination, , , , , , mask]) => destination === '00000000' && mask === '00000000')?.[0];
}

/** The interfaces of the network namespace that a process is in; undefined when the process has gone. */
export async function interfacesSeenBy(pid: number): Promise<InterfaceStats[] | undefined> {
  try {
    return interfacesOf(await readFile(`/proc/${pid}/net/dev`, 'utf8'));
  } catch (error) {
    // EINVAL: the process is a zombie and has left its namespaces.
    if (['ENOENT', 'ESRCH', 'EINVAL'].includes(errorCode(error) ?? '')) return undefined;
    throw error;
  }
}
