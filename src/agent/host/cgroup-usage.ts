/** What a cgroup has used, from the texts of the kernel's files. Pure. (Kernel: cgroup-v1/memory.rst, cgroup-v2.rst.) */

export interface CgroupUsage {
  /** Processor time since the cgroup was made, nanoseconds. */
  cpuNanos: number;
  memory: {
    usageBytes: number;
    /** Usage without files that nobody has touched lately: what cannot be given back at once. */
    workingSetBytes: number;
    /** Anonymous memory. */
    rssBytes: number;
    pageFaults: number;
    majorPageFaults: number;
    /** Left out: no limit of its own. */
    limitBytes?: number;
  };
  /** Left out where the kernel does not count it. */
  swapBytes?: number;
  /** Processes and threads. */
  processes: number;
}

/** The files of one cgroup by name; undefined: not there. */
export type CgroupTexts = Readonly<Record<string, string | undefined>>;

/** What `readUsage` wants, with the v1 controller that has the file. */
export const usageFiles: Record<1 | 2, readonly { controller: string; file: string }[]> = {
  1: [
    { controller: 'cpuacct', file: 'cpuacct.usage' },
    { controller: 'memory', file: 'memory.usage_in_bytes' },
    { controller: 'memory', file: 'memory.limit_in_bytes' },
    { controller: 'memory', file: 'memory.stat' },
    { controller: 'pids', file: 'pids.current' },
  ],
  2: [
    { controller: 'cpu', file: 'cpu.stat' },
    { controller: 'memory', file: 'memory.current' },
    { controller: 'memory', file: 'memory.max' },
    { controller: 'memory', file: 'memory.stat' },
    { controller: 'memory', file: 'memory.swap.current' },
    { controller: 'pids', file: 'pids.current' },
  ],
};

/** v1 says "no limit" by the largest number of whole pages. */
const unlimitedBytes = 2 ** 62;

/** Undefined when the cgroup has gone, or lacks its processor or memory files. */
export function readUsage(version: 1 | 2, texts: CgroupTexts): CgroupUsage | undefined {
  const stat = texts['memory.stat'];
  const cpu = texts[version === 1 ? 'cpuacct.usage' : 'cpu.stat'];
  const current = texts[version === 1 ? 'memory.usage_in_bytes' : 'memory.current'];
  if (stat === undefined || cpu === undefined || current === undefined) return undefined;
  const prefix = version === 1 ? 'total_' : '';
  const usageBytes = Number(current);
  const limit = Number(texts[version === 1 ? 'memory.limit_in_bytes' : 'memory.max']);
  const swapBytes = version === 1 ? field(stat, 'total_swap') : numberIn(texts['memory.swap.current']);
  return {
    cpuNanos: version === 1 ? Number(cpu) : (field(cpu, 'usage_usec') ?? 0) * 1_000,
    memory: {
      usageBytes,
      workingSetBytes: Math.max(0, usageBytes - (field(stat, `${prefix}inactive_file`) ?? 0)),
      rssBytes: field(stat, version === 1 ? 'total_rss' : 'anon') ?? 0,
      pageFaults: field(stat, `${prefix}pgfault`) ?? 0,
      majorPageFaults: field(stat, `${prefix}pgmajfault`) ?? 0,
      ...(limit < unlimitedBytes ? { limitBytes: limit } : {}),
    },
    ...(swapBytes === undefined ? {} : { swapBytes }),
    processes: numberIn(texts['pids.current']) ?? 0,
  };
}

/** The number after `name ` in a flat-keyed file. */
export function field(text: string, name: string): number | undefined {
  const match = new RegExp(`^${name} (\\d+)$`, 'm').exec(text);
  return match ? Number(match[1]) : undefined;
}

function numberIn(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}
