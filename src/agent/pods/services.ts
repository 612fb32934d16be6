/** What every pod worker stands on: the doors of the host rooms and of the cluster, put together once in agent.ts. */
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/logger.ts';
import type { Client } from '../../machinery/client.ts';
import type { KubeObject, Node } from '../../machinery/types.ts';
import type { PodMeter } from '../eviction/pod-meter.ts';
import type { PressureCondition } from '../eviction/types.ts';
import type { ContainerRuntime } from '../runtime/container-runtime.ts';
import type { SeccompProfiles } from '../runtime/seccomp.ts';
import type { HostDevice } from '../runtime/spec.ts';
import type { AgentOptions, Cgroups, Executor, ImageStore, PodNetwork } from '../types.ts';
import type { ExitWatch } from './exit-watch.ts';
import type { HostPorts } from './host-ports.ts';
import type { LeaseGate } from './lease-gate.ts';
import type { Ledger } from './ledger.ts';
import type { Objects } from './objects.ts';
import type { UserNamespaceCheck } from './user-namespace.ts';
import type { UserRanges } from './user-ranges.ts';

/** As EventRecorder of the machinery: never throws, never waits. */
export interface PodEvents {
  record(about: KubeObject, type: 'Normal' | 'Warning', reason: string, message: string, fieldPath?: string): void;
}

export interface PodServices {
  options: AgentOptions;
  client: Client;
  clock: Clock;
  logger: Logger;
  events: PodEvents;
  executor: Executor;
  cgroups: Cgroups;
  images: ImageStore;
  network: PodNetwork;
  /** Resolves when the pod network has been started; rejects with the signal's reason. */
  networkReady(signal: AbortSignal): Promise<void>;
  runtime: ContainerRuntime;
  exits: ExitWatch;
  objects: Objects;
  ledger: Ledger;
  hostPorts: HostPorts;
  userRanges: UserRanges;
  userNamespaces: UserNamespaceCheck;
  /** Resolves when this machine's Node has been seen once. */
  nodeKnown(signal: AbortSignal): Promise<void>;
  /** This machine's Node as last seen. */
  node(): Pick<Node, 'metadata'>;
  /** What this machine runs short of. */
  pressure(): ReadonlySet<PressureCondition>;
  meter: PodMeter;
  gate: LeaseGate;
  /** `CAP_…` names of this process's bounding set. */
  bounding: ReadonlySet<string>;
  seccomp: SeccompProfiles;
  hostDevices(): Promise<HostDevice[]>;
  machineMemoryBytes: number;
  /** Environment variables that tell of services, for pods of a namespace. */
  serviceLinks(namespace: string, all: boolean): ReadonlyMap<string, string>;
}
