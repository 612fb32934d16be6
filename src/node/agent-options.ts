/** What the agent of this machine is told, from its configuration. */
import type { AgentOptions } from '../agent/types.ts';
import { quantityMilli, quantityValue } from '../machinery/quantity.ts';
import type { NodeConfig, NodePaths } from './config.ts';
import { evictionSettings } from './eviction-settings.ts';
import { mirrorSettings } from './mirror-settings.ts';

export function agentOptions(config: NodeConfig, paths: NodePaths): AgentOptions {
  const { runtime, cgroupRoot, insecureRegistries, systemReserved, capacity, podsMax, staticPodPath, labels, lxcfs } =
    config.agent;
  return {
    nodeName: config.nodeName,
    nodeIp: config.nodeIp,
    dataDir: paths.agent,
    apiSocket: paths.apiSocket,
    agentSocket: paths.agentSocket,
    leaseSocket: paths.leaseSocket,
    cgroupRoot,
    runtime,
    insecureRegistries,
    registryMirrors: mirrorSettings(config.agent),
    systemReserved: { cpuMilli: quantityMilli(systemReserved.cpu), memoryBytes: quantityValue(systemReserved.memory) },
    imageGarbage: {
      highPercent: config.agent.imageGCHighThresholdPercent,
      lowPercent: config.agent.imageGCLowThresholdPercent,
      minimumAgeMs: config.agent.imageMinimumGCAgeSeconds * 1_000,
      maximumAgeMs: config.agent.imageMaximumGCAgeSeconds * 1_000,
    },
    capacity: {
      ...(capacity.cpu ? { cpuMilli: quantityMilli(capacity.cpu) } : {}),
      ...(capacity.memory ? { memoryBytes: quantityValue(capacity.memory) } : {}),
    },
    podsMax,
    eviction: evictionSettings(config.agent.eviction),
    stopAfterLeaseLossMs: config.agent.stopAfterLeaseLossSeconds * 1_000,
    ...(lxcfs.mode === 'off' ? {} : { lxcfs: { path: lxcfs.path, required: lxcfs.mode === 'required' } }),
    ...(staticPodPath ? { staticPodPath } : {}),
    labels,
    logLevel: config.log.level,
  };
}
