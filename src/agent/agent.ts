/**
 * The agent put together: pod workers on the host rooms, the Node, the streams server. Its parts come in, so that a test can
 * give it a cluster in memory and stop and start it in one process.
 */
import { join } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import { abortable } from '../lib/deferred.ts';
import type { Logger } from '../lib/logger.ts';
import type { Random } from '../lib/random.ts';
import type { Client } from '../machinery/client.ts';
import { Informer } from '../machinery/informer.ts';
import { services as serviceResource } from '../machinery/resources.ts';
import type { Node } from '../machinery/types.ts';
import { DiskMeter } from './eviction/disk-meter.ts';
import { PodMeter } from './eviction/pod-meter.ts';
import { PressureRelief } from './eviction/pressure-relief.ts';
import { readSignals } from './eviction/signals.ts';
import type { EvictionSettings, Observations } from './eviction/types.ts';
import type { Machine } from './host/machine.ts';
import type { DiskUsage } from './images/garbage.ts';
import { diskUsage, ImageCollector } from './images/image-collector.ts';
import { askLease, LeaseWatch } from './lease-watch.ts';
import { NodeKeeper } from './node-status/node-keeper.ts';
import { allocatableOf } from './node-status/node-object.ts';
import { ExitWatch } from './pods/exit-watch.ts';
import { HostPorts } from './pods/host-ports.ts';
import { LeaseGate } from './pods/lease-gate.ts';
import { Ledger } from './pods/ledger.ts';
import { Objects } from './pods/objects.ts';
import { PodManager } from './pods/pod-manager.ts';
import { serviceLinks } from './pods/service-links.ts';
import type { PodEvents, PodServices } from './pods/services.ts';
import { UserNamespaceCheck } from './pods/user-namespace.ts';
import { UserRanges } from './pods/user-ranges.ts';
import { readBoundingSet } from './runtime/capabilities.ts';
import { ContainerRuntime } from './runtime/container-runtime.ts';
import { readHostDevices } from './runtime/host-devices.ts';
import { SeccompProfiles } from './runtime/seccomp.ts';
import { UsageStats } from './stats/usage-stats.ts';
import { StreamsServer } from './streams/server.ts';
import type { AgentOptions, Cgroups, Executor, ImageStore, PodNetwork } from './types.ts';
import { kubeletVersion, runtimeVersion } from './version.ts';

export interface AgentParts {
  options: AgentOptions;
  client: Client;
  events: PodEvents;
  executor: Executor;
  cgroups: Cgroups;
  images: ImageStore;
  network: PodNetwork;
  machine: Machine;
  /** The disk that holds images; left out: the data folder's. */
  disk?: () => Promise<DiskUsage>;
  /** What is left of the machine; left out: as measured. */
  readSignals?: () => Promise<Observations>;
  clock: Clock;
  random: Random;
  logger: Logger;
}

export interface Agent {
  /** Pods that ran before are adopted when this resolves; the API need not be there yet. */
  start(): Promise<void>;
  /** Containers, mounts and network stay: another agent takes them up. */
  stop(): Promise<void>;
}

const noEviction: EvictionSettings = { thresholds: [], transitionMs: 0, maxPodGraceSeconds: 0, lookIntervalMs: 10_000 };

export async function createAgent(parts: AgentParts): Promise<Agent> {
  const { options, client, clock, random, logger, machine, executor, cgroups, images, network } = parts;
  const stopping = new AbortController();
  const ledger = new Ledger(allocatableOf(machine.capacity, options.systemReserved));
  const hostPorts = new HostPorts(network);
  const runtime = new ContainerRuntime({ executor, cgroups, runtime: options.runtime, dataDir: options.dataDir });
  const keeper = new NodeKeeper({
    client,
    options,
    machine,
    images,
    network,
    clock,
    random,
    logger,
    onNetworkStarted: async () => {
      await network.sweep(manager.podUids());
      await hostPorts.start();
    },
    handlers: () => runtime.handlers,
    pressure: () => eviction.conditions,
    runtimeVersion,
    kubeletVersion,
  });
  const disk = new DiskMeter({ executor, logger });
  const meter = new PodMeter({ cgroups, images, disk });
  const eviction = new PressureRelief({
    settings: options.eviction ?? noEviction,
    readSignals: parts.readSignals ?? (() => readSignals(options.dataDir)),
    pods: () => manager.evictablePods(),
    usage: (pod, resource, signal) => meter.usage(pod, resource, signal),
    ...(options.imageGarbage && { reclaimDisk: async () => void (await images.prune({ all: true })) }),
    events: parts.events,
    node: () => keeper.node,
    clock,
    logger,
    onChange: () => keeper.refresh(),
  });
  const { leaseSocket } = options;
  const gate = new LeaseGate({
    clock,
    watched: leaseSocket !== undefined,
    stopAfterMs: options.stopAfterLeaseLossMs ?? 0,
    onChange: () => manager.leaseChanged(),
  });
  const links = new Informer({ client, resource: serviceResource, clock, random, logger });
  const exits = new ExitWatch();
  const bounding = await readBoundingSet();
  const services: PodServices = {
    ...parts,
    networkReady: (signal) => abortable(keeper.networkStarted, signal),
    runtime,
    exits,
    objects: new Objects({ client, clock, random, logger }),
    ledger,
    hostPorts,
    userRanges: new UserRanges(),
    userNamespaces: new UserNamespaceCheck(executor, options.dataDir),
    nodeKnown: (signal) => abortable(keeper.known, signal),
    node: () => keeper.node,
    pressure: () => eviction.conditions,
    meter,
    gate,
    bounding,
    seccomp: new SeccompProfiles({ folder: join(options.dataDir, 'seccomp') }),
    hostDevices: () => readHostDevices(),
    machineMemoryBytes: machine.capacity.memoryBytes,
    serviceLinks: (namespace, all) => serviceLinks(links.list(), namespace, all),
  };
  const manager = new PodManager(services, random);
  const { nodeName, dataDir } = options;
  const stats = new UsageStats({ nodeName, dataDir, pods: () => manager.all(), cgroups, images, disk, clock, logger });
  const server = new StreamsServer({
    socketPath: options.agentSocket,
    dataDir: options.dataDir,
    manager,
    runtime,
    images,
    stats,
    summary: async () => ({
      capacity: machine.capacity,
      allocatable: ledger.allocatable,
      reserved: ledger.reserved(),
      usage: await machine.usage(),
    }),
    onImagesChanged: () => keeper.refresh(),
    clock,
    logger,
  });
  images.setUsers(() => manager.imageUsers());
  const collector =
    options.imageGarbage &&
    new ImageCollector({
      images,
      policy: options.imageGarbage,
      disk: parts.disk ?? (() => diskUsage(options.dataDir)),
      warn: (reason, message) => parts.events.record(nodeOf(keeper), 'Warning', reason, message),
      onRemoved: () => keeper.refresh(),
      clock,
      logger,
    });
  const lease =
    leaseSocket === undefined
      ? undefined
      : new LeaseWatch({
          ask: () => askLease(leaseSocket),
          events: parts.events,
          node: () => keeper.node,
          clock,
          logger,
          onLeaseLost: () => gate.lost(),
          onLeaseRegained: () => gate.regained(),
          onFirstLease: () => gate.regained(),
        });
  let linked: Promise<void> | undefined;
  return {
    async start() {
      await runtime.prepare();
      exits.start(runtime.exitDir, (error) => logger.warn({ error }, 'watch of exit files lost'));
      linked = links.start(stopping.signal);
      await manager.start();
      keeper.start();
      eviction.start();
      gate.start();
      lease?.start();
      collector?.start();
      await server.listen();
      logger.info({ node: options.nodeName, socket: options.agentSocket }, 'agent runs');
    },
    async stop() {
      stopping.abort(new Error('the agent stops'));
      stats.stop();
      await server.close();
      await lease?.stop();
      await collector?.stop();
      gate.stop();
      await eviction.stop();
      await manager.stop();
      await keeper.stop();
      exits.stop();
      await linked;
    },
  };
}

/** The Node to tell events of: what a list gives has no kind. */
function nodeOf({ node: { metadata } }: NodeKeeper): Node {
  return { apiVersion: 'v1', kind: 'Node', metadata };
}
