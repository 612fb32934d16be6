/** One look at everything that runs here, and rates between two looks. */
import type { Pod } from '../../machinery/types.ts';
import type { CgroupUsage } from '../host/cgroup-usage.ts';
import { containersOf } from '../pods/pod-context.ts';
import type { PodPaths, PodRecord } from '../pods/record.ts';
import type { Cgroups } from '../types.ts';
import { interfacesSeenBy, type MachineSample } from './machine-stats.ts';
import type { InterfaceStats } from './types.ts';

/** A pod of this machine, as its worker has it. */
export interface StatsPod {
  readonly uid: string;
  readonly paths: PodPaths;
  readonly record: Pick<PodRecord, 'containers' | 'startTime' | 'ended'>;
  pod(): Pod;
}

export interface ContainerSample {
  name: string;
  id: string;
  startedAtMs: number;
  usage: CgroupUsage | undefined;
}

export interface PodSample {
  place: StatsPod;
  usage: CgroupUsage | undefined;
  containers: ContainerSample[];
  /** Undefined: it uses the machine's network, or nothing of it runs. */
  interfaces: InterfaceStats[] | undefined;
}

export interface Sample {
  wallMs: number;
  monotonicMs: number;
  machine: MachineSample;
  groups: Record<'pods' | 'monitor', CgroupUsage | undefined>;
  pods: PodSample[];
}

type UsageCgroups = Pick<Cgroups, 'podUsage' | 'containerUsage'>;

/** Of containers only those that run. */
export async function samplePod(place: StatsPod, cgroups: UsageCgroups): Promise<PodSample> {
  const pod = place.pod();
  const running = containersOf(pod).flatMap(({ name }) => {
    const run = place.record.containers[name]?.current;
    return run?.state === 'running' ? [{ name, run }] : [];
  });
  const pid = running[0]?.run.pid;
  const [usage, interfaces, ...usages] = await Promise.all([
    cgroups.podUsage(place.uid),
    pid === undefined || pod.spec?.hostNetwork ? undefined : interfacesSeenBy(pid),
    ...running.map(({ run }) => cgroups.containerUsage(place.uid, run.id)),
  ]);
  const containers = running.map(({ name, run: { id, startedAtMs } }, index) => {
    return { name, id, startedAtMs, usage: usages[index] };
  });
  return { place, usage, containers, interfaces };
}

/** Processor time of each thing in a sample by a name of its own. */
function clocksOf({ machine, groups, pods }: Sample): Map<string, number> {
  const clocks = new Map([['machine', machine.usage.cpuNanos]]);
  for (const [name, usage] of Object.entries(groups)) if (usage) clocks.set(name, usage.cpuNanos);
  for (const { place, usage, containers } of pods) {
    if (usage) clocks.set(place.uid, usage.cpuNanos);
    for (const { id, usage } of containers) if (usage) clocks.set(id, usage.cpuNanos);
  }
  return clocks;
}

/**
 * Nanoseconds of processor time in each second between the two samples, for what was there in both; for what has come since, from
 * its start on. `startedAtMs`: wall time. Undefined when no time has passed.
 */
export type Rates = (key: string, usage: CgroupUsage, startedAtMs: number) => number | undefined;

export function ratesBetween(before: Sample | undefined, now: Sample): Rates {
  const clocks = before && clocksOf(before);
  return (key, { cpuNanos }, startedAtMs) => {
    const earlier = clocks?.get(key);
    const known = before !== undefined && earlier !== undefined && earlier <= cpuNanos;
    const [nanos, ms] = known ? [cpuNanos - earlier, now.monotonicMs - before.monotonicMs] : [cpuNanos, now.wallMs - startedAtMs];
    return ms > 0 ? Math.round((nanos * 1_000) / ms) : undefined;
  };
}
