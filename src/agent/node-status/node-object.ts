/** This machine as a Node. Pure: facts come in, the object's parts come out. */
import { formatMilli } from '../../machinery/quantity.ts';
import type { Node, NodeCondition } from '../../machinery/types.ts';
import type { PressureCondition } from '../eviction/types.ts';
import type { Machine } from '../host/machine.ts';
import type { Capacity } from '../pods/ledger.ts';
import { timestamp } from '../pods/status.ts';
import type { AgentOptions, Image } from '../types.ts';

export type NodeStatus = NonNullable<Node['status']>;

export interface NodeFacts {
  options: AgentOptions;
  machine: Pick<Machine, 'capacity' | 'kernelVersion' | 'osImage' | 'machineId' | 'bootId' | 'systemUuid' | 'architecture'>;
  /** For example `kontiki://0.1.0` and what the API calls itself. */
  runtimeVersion: string;
  kubeletVersion: string;
  images: readonly Image[];
  /** What a RuntimeClass may name here. */
  handlers: readonly string[];
  /** Undefined: ready. */
  notReady: { reason: string; message: string } | undefined;
  /** What the machine runs short of. */
  pressure: ReadonlySet<PressureCondition>;
  nowMs: number;
  /** The conditions as stored, for transition times and those of others. */
  conditions: readonly NodeCondition[];
}

/** As the kubelet: more would make every Node large. */
const imagesMax = 50;
const namesMax = 5;

/** Labels every node has, then the configured ones. */
export function nodeLabels(options: AgentOptions, architecture: string): Record<string, string> {
  return {
    'kubernetes.io/hostname': options.nodeName,
    'kubernetes.io/os': 'linux',
    'kubernetes.io/arch': architecture,
    'beta.kubernetes.io/os': 'linux',
    'beta.kubernetes.io/arch': architecture,
    ...options.labels,
  };
}

/** Capacity without what is kept for the system. */
export function allocatableOf(capacity: Capacity, reserved: AgentOptions['systemReserved']): Capacity {
  return {
    cpuMilli: Math.max(0, capacity.cpuMilli - reserved.cpuMilli),
    memoryBytes: Math.max(0, capacity.memoryBytes - reserved.memoryBytes),
    ephemeralStorageBytes: Math.floor(capacity.ephemeralStorageBytes * 0.9),
    pods: capacity.pods,
  };
}

function quantities(of: Capacity): Record<string, string> {
  return {
    cpu: formatMilli(of.cpuMilli),
    memory: `${Math.floor(of.memoryBytes / 1024)}Ki`,
    'ephemeral-storage': `${Math.floor(of.ephemeralStorageBytes / 1024)}Ki`,
    'hugepages-1Gi': '0',
    'hugepages-2Mi': '0',
    pods: String(of.pods),
  };
}

export function nodeStatus(facts: NodeFacts): NodeStatus {
  const { options, machine } = facts;
  return {
    addresses: [
      { type: 'InternalIP', address: options.nodeIp },
      { type: 'Hostname', address: options.nodeName },
    ],
    capacity: quantities(machine.capacity),
    allocatable: quantities(allocatableOf(machine.capacity, options.systemReserved)),
    conditions: conditions(facts),
    images: facts.images
      .toSorted((a, b) => b.sizeBytes - a.sizeBytes)
      .slice(0, imagesMax)
      .map(({ references, digests, sizeBytes }) => ({ names: [...digests, ...references].slice(0, namesMax), sizeBytes })),
    nodeInfo: {
      architecture: machine.architecture,
      bootID: machine.bootId,
      containerRuntimeVersion: facts.runtimeVersion,
      kernelVersion: machine.kernelVersion,
      kubeProxyVersion: facts.kubeletVersion,
      kubeletVersion: facts.kubeletVersion,
      machineID: machine.machineId,
      operatingSystem: 'linux',
      osImage: machine.osImage,
      systemUUID: machine.systemUuid,
    },
    // The one without a name is what pods without a class get.
    runtimeHandlers: ['', ...facts.handlers].map((name) => ({ name })),
  };
}

function conditions({ notReady, pressure, nowMs, conditions: known }: NodeFacts): NodeCondition[] {
  const now = timestamp(nowMs);
  const make = (type: string, holds: boolean, reason: string, message: string): NodeCondition => {
    const status = holds ? 'True' : 'False';
    const before = known.find((condition) => condition.type === type);
    const lastTransitionTime = before?.status === status && before.lastTransitionTime ? before.lastTransitionTime : now;
    return { type, status, reason, message, lastHeartbeatTime: now, lastTransitionTime };
  };
  return [
    pressure.has('MemoryPressure')
      ? make('MemoryPressure', true, 'KubeletHasInsufficientMemory', 'kubelet has insufficient memory available')
      : make('MemoryPressure', false, 'KubeletHasSufficientMemory', 'kubelet has sufficient memory available'),
    pressure.has('DiskPressure')
      ? make('DiskPressure', true, 'KubeletHasDiskPressure', 'kubelet has disk pressure')
      : make('DiskPressure', false, 'KubeletHasNoDiskPressure', 'kubelet has no disk pressure'),
    pressure.has('PIDPressure')
      ? make('PIDPressure', true, 'KubeletHasInsufficientPID', 'kubelet has insufficient PID available')
      : make('PIDPressure', false, 'KubeletHasSufficientPID', 'kubelet has sufficient PID available'),
    notReady
      ? make('Ready', false, notReady.reason, notReady.message)
      : make('Ready', true, 'AgentReady', 'the agent runs and takes pods'),
  ];
}

/** True when what people and controllers read differs; heartbeat times alone do not count. */
export function statusDiffers(wanted: NodeStatus, stored: NodeStatus | undefined): boolean {
  const comparable = (status: NodeStatus | undefined) =>
    JSON.stringify(
      [
        status?.addresses,
        status?.capacity,
        status?.allocatable,
        status?.images ?? [],
        status?.runtimeHandlers ?? [],
        status?.nodeInfo,
        wanted.conditions?.map(({ type }) => {
          const found = status?.conditions?.find((condition) => condition.type === type);
          return [found?.status, found?.reason, found?.message];
        }),
      ],
      (_, value) => (isPlain(value) ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) : value),
    );
  return comparable(wanted) !== comparable(stored);
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
