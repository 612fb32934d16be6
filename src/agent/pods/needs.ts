/**
 * What a pod asks of the machine: the sum its reservation takes, and the cgroup limits of pod and containers. Pure.
 * Init containers run one by one, so the pod needs the larger of their maximum and the sum of the others; sidecars count
 * with both (KEP 753).
 */
import { quantityMilli, quantityValue } from '../../machinery/quantity.ts';
import type { Container, PodSpec } from '../../machinery/types.ts';
import type { CgroupLimits } from '../types.ts';
import { isSidecar } from './plan.ts';

export interface PodNeeds {
  cpuMilli: number;
  memoryBytes: number;
  ephemeralStorageBytes: number;
}

type Kind = 'requests' | 'limits';

const zero: PodNeeds = { cpuMilli: 0, memoryBytes: 0, ephemeralStorageBytes: 0 };
const add = (a: PodNeeds, b: PodNeeds): PodNeeds => ({
  cpuMilli: a.cpuMilli + b.cpuMilli,
  memoryBytes: a.memoryBytes + b.memoryBytes,
  ephemeralStorageBytes: a.ephemeralStorageBytes + b.ephemeralStorageBytes,
});
/** Of each resource the larger amount. */
export const larger = (a: PodNeeds, b: PodNeeds): PodNeeds => ({
  cpuMilli: Math.max(a.cpuMilli, b.cpuMilli),
  memoryBytes: Math.max(a.memoryBytes, b.memoryBytes),
  ephemeralStorageBytes: Math.max(a.ephemeralStorageBytes, b.ephemeralStorageBytes),
});

export function containerNeeds(container: Container, kind: Kind): PodNeeds {
  const list = container.resources?.[kind] ?? {};
  const fallback = kind === 'requests' ? (container.resources?.limits ?? {}) : {};
  const of = (name: string) => list[name] ?? fallback[name];
  const cpu = of('cpu');
  const memory = of('memory');
  const storage = of('ephemeral-storage');
  return {
    cpuMilli: cpu === undefined ? 0 : quantityMilli(cpu),
    memoryBytes: memory === undefined ? 0 : quantityValue(memory),
    ephemeralStorageBytes: storage === undefined ? 0 : quantityValue(storage),
  };
}

/** What the pod's reservation holds: its effective requests plus its overhead. */
export function podRequests(spec: PodSpec): PodNeeds {
  return withOverhead(spec, effective(spec, 'requests'));
}

function effective(spec: PodSpec, kind: Kind): PodNeeds {
  let sidecars = zero;
  let initPeak = zero;
  for (const container of spec.initContainers ?? []) {
    const needs = containerNeeds(container, kind);
    if (isSidecar(container)) sidecars = add(sidecars, needs);
    initPeak = larger(initPeak, isSidecar(container) ? sidecars : add(sidecars, needs));
  }
  const apps = spec.containers.reduce((sum, container) => add(sum, containerNeeds(container, kind)), sidecars);
  return larger(apps, initPeak);
}

function withOverhead(spec: PodSpec, needs: PodNeeds): PodNeeds {
  const overhead = spec.overhead ?? {};
  return add(needs, {
    cpuMilli: overhead.cpu === undefined ? 0 : quantityMilli(overhead.cpu),
    memoryBytes: overhead.memory === undefined ? 0 : quantityValue(overhead.memory),
    ephemeralStorageBytes: 0,
  });
}

const periodMicros = 100_000;

/** 1024 shares for a core, at least 2 (the kernel's minimum). */
function limitsOf(requests: PodNeeds, limits: { cpuMilli?: number; memoryBytes?: number }): CgroupLimits {
  return {
    cpuShares: Math.min(262_144, Math.max(2, Math.floor((requests.cpuMilli * 1024) / 1000))),
    ...(limits.cpuMilli ? { cpuQuotaMicros: Math.max(1000, Math.round((limits.cpuMilli * periodMicros) / 1000)) } : {}),
    ...(limits.memoryBytes ? { memoryLimitBytes: limits.memoryBytes } : {}),
  };
}

export function containerCgroupLimits(container: Container): CgroupLimits {
  const limits = containerNeeds(container, 'limits');
  return limitsOf(containerNeeds(container, 'requests'), limits);
}

/** The pod's own limit exists for a resource only when every container limits it. `pidsMax` bounds each pod. */
export function podCgroupLimits(spec: PodSpec, pidsMax: number): CgroupLimits {
  const all = [...spec.containers, ...(spec.initContainers ?? [])];
  const limits = withOverhead(spec, effective(spec, 'limits'));
  const everyOne = (name: string) => all.every(({ resources }) => resources?.limits?.[name] !== undefined);
  return {
    ...limitsOf(podRequests(spec), {
      ...(everyOne('cpu') ? { cpuMilli: limits.cpuMilli } : {}),
      ...(everyOne('memory') ? { memoryBytes: limits.memoryBytes } : {}),
    }),
    pidsLimit: pidsMax,
  };
}

/**
 * How readily the kernel kills a container when the machine is out of memory: 1000 first, -997 last. A request that takes
 * the whole machine's memory gives 2.
 */
export function oomScoreAdjust(qos: string, memoryRequestBytes: number, machineMemoryBytes: number): number {
  if (qos === 'Guaranteed') return -997;
  if (qos === 'BestEffort') return 1000;
  const share = Math.floor((1000 * memoryRequestBytes) / Math.max(1, machineMemoryBytes));
  return Math.min(999, Math.max(2, 1000 - share));
}
