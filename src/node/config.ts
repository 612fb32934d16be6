/** Reads a machine's configuration: a YAML file against cluster-config/schema.json, then what only the machine itself can tell. */
import { existsSync, readFileSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';
import { parse } from 'yaml';
import schema from '../../cluster-config/schema.json' with { type: 'json' };
import type { RuntimeName } from '../agent/types.ts';
import { errorMessage } from '../lib/errors.ts';
import type { LogLevel } from '../lib/logger.ts';
import { NodeError } from './errors.ts';
import { type EvictionConfig, evictionProblems } from './eviction-settings.ts';
import { mirrorProblems } from './mirror-settings.ts';
import { checkSchema, type JsonSchema } from './schema-check.ts';

export interface NodeConfig {
  nodeName: string;
  nodeIp: string;
  dataDir: string;
  peer: { port: number };
  api: { address: string; port: number; extraNames: string[] };
  cluster: { podCidr: string; serviceCidr: string; nodePorts: { from: number; to: number } };
  agent: {
    runtime: RuntimeName;
    cgroupRoot: string;
    insecureRegistries: string[];
    registryMirrors: Record<string, string[]>;
    systemReserved: { cpu: string; memory: string };
    capacity: { cpu?: string; memory?: string };
    imageGCHighThresholdPercent: number;
    imageGCLowThresholdPercent: number;
    imageMinimumGCAgeSeconds: number;
    imageMaximumGCAgeSeconds: number;
    podsMax: number;
    eviction: EvictionConfig;
    stopAfterLeaseLossSeconds: number;
    lxcfs: { mode: 'off' | 'auto' | 'required'; path: string };
    staticPodPath?: string;
    labels: Record<string, string>;
  };
  encryption: { resources: string[] };
  audit: {
    enabled: boolean;
    policyFile?: string;
    file?: string;
    maxSizeMiB: number;
    maxBackups: number;
    maxAgeDays: number;
  };
  log: { level: LogLevel };
}

/** Throws NodeError 'InvalidConfig' that lists every problem with its path. `file` undefined: all defaults. */
export function loadConfig(file: string | undefined): NodeConfig {
  if (file === undefined) return parseConfig('', 'the defaults');
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new NodeError('InvalidConfig', `cannot read the configuration: ${errorMessage(error)}`, { file }, error);
  }
  return parseConfig(text, file);
}

/** As loadConfig, from text; `source` is named in errors. */
export function parseConfig(text: string, source: string): NodeConfig {
  let raw: unknown;
  try {
    raw = parse(text) ?? {};
  } catch (error) {
    throw new NodeError('InvalidConfig', `${source} is not YAML: ${errorMessage(error)}`, { source }, error);
  }
  const { value, problems } = checkSchema(raw, schema as JsonSchema);
  const config = value as NodeConfig;
  if (problems.length === 0 && config.cluster.nodePorts.from > config.cluster.nodePorts.to) {
    problems.push('cluster.nodePorts.from must not be above cluster.nodePorts.to');
  }
  if (problems.length === 0) problems.push(...imageCollectionProblems(config.agent));
  if (problems.length === 0) problems.push(...mirrorProblems(config.agent));
  if (problems.length === 0) problems.push(...evictionProblems(config.agent.eviction));
  if (problems.length === 0) problems.push(...lxcfsProblems(config.agent.lxcfs));
  // sun_path holds 108 bytes; the longest socket's name below dataDir is run/streams.sock.
  if (problems.length === 0 && Buffer.byteLength(config.dataDir) > 80) {
    problems.push('dataDir must be at most 80 bytes long: Unix sockets live below it');
  }
  if (problems.length > 0) {
    throw new NodeError('InvalidConfig', `${source}: ${problems.join('; ')}`, { source, problems });
  }
  config.nodeName ??= hostname().toLowerCase();
  config.nodeIp ??= ownAddress();
  return config;
}

function imageCollectionProblems(agent: NodeConfig['agent']): string[] {
  const problems: string[] = [];
  if (agent.imageGCLowThresholdPercent >= agent.imageGCHighThresholdPercent) {
    problems.push('agent.imageGCLowThresholdPercent must be below agent.imageGCHighThresholdPercent');
  }
  if (agent.imageMaximumGCAgeSeconds !== 0 && agent.imageMaximumGCAgeSeconds <= agent.imageMinimumGCAgeSeconds) {
    problems.push('agent.imageMaximumGCAgeSeconds must be 0 or above agent.imageMinimumGCAgeSeconds');
  }
  return problems;
}

function lxcfsProblems({ mode, path }: NodeConfig['agent']['lxcfs']): string[] {
  if (mode !== 'required' || existsSync(`${path}/proc/meminfo`)) return [];
  return [`agent.lxcfs.mode is "required", but lxcfs is not mounted at ${path}: there is no ${path}/proc/meminfo`];
}

/** The first IPv4 address that is not loopback; loopback on a machine without a network. */
function ownAddress(): string {
  for (const addresses of Object.values(networkInterfaces())) {
    for (const address of addresses ?? []) {
      if (address.family === 'IPv4' && !address.internal) return address.address;
    }
  }
  return '127.0.0.1';
}

/** Where things are below dataDir. One place, so that every process agrees. */
export function pathsOf(dataDir: string) {
  return {
    identity: `${dataDir}/identity.json`,
    members: `${dataDir}/members.json`,
    audit: `${dataDir}/audit/audit.log`,
    clusterKey: `${dataDir}/cluster.key`,
    raft: `${dataDir}/raft`,
    store: `${dataDir}/store`,
    agent: `${dataDir}/agent`,
    run: `${dataDir}/run`,
    lock: `${dataDir}/run/daemon.pid`,
    apiSocket: `${dataDir}/run/api.sock`,
    agentSocket: `${dataDir}/run/agent.sock`,
    streamsSocket: `${dataDir}/run/streams.sock`,
    leaseSocket: `${dataDir}/run/lease.sock`,
    controlSocket: `${dataDir}/run/control.sock`,
    doorSocket: `${dataDir}/run/door.sock`,
    kubeconfig: `${dataDir}/admin.kubeconfig`,
  };
}
export type NodePaths = ReturnType<typeof pathsOf>;
