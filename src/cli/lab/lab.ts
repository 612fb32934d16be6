/** Starts and ends a local cluster of several peers, each a real daemon in a network namespace of its own. */
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { resolve } from 'node:path';
import { stringify } from 'yaml';
import type { ConsensusStatus, PeerId } from '../../consensus/types.ts';
import { delay, systemClock } from '../../lib/clock.ts';
import { errorMessage } from '../../lib/errors.ts';
import { loadConfig, pathsOf } from '../../node/config.ts';
import { readIfExists, writeDurably } from '../../node/durable-file.ts';
import { resetMachine } from '../../node/machine-reset.ts';
import { callDaemon } from '../control-client.ts';
import { CliError } from '../errors.ts';
import { mountDisk, unmountDisk } from './disk.ts';
import { LabNetwork } from './network.ts';
import { isAlive, type LabPeer, type LabState, labExists, labId, peerApiPort, peerPort, pidOf, saveLab } from './state.ts';

const pollMs = 50;
const startPatienceMs = 60_000;
const stopPatienceMs = 15_000;

export interface DaemonStatus {
  nodeName: string;
  pid: number;
  agentPid?: number;
  /** A client takes no part in it, and tells what it has heard. */
  consensus: ConsensusStatus | { role: 'client'; term: number; leader: PeerId | null };
}

/**
 * Makes everything and starts the peers; resolves when all are members. Progress goes to `report`. With `diskMiB` each peer has
 * a disk of that size, which can be filled.
 */
export async function createLab(
  dir: string,
  peerCount: number,
  report: (line: string) => void,
  diskMiB?: number,
): Promise<LabState> {
  if (labExists(dir))
    throw new CliError('LabExists', `a local cluster is already in ${resolve(dir)}; end it with: kontiki dev down`);
  const folder = resolve(dir);
  const id = labId(dir);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const state: LabState = { id, dir: folder, port: 0, peers: [] };
  for (let number = 1; number <= peerCount; number++) state.peers.push(newPeer(state, number, diskMiB !== undefined));
  const network = new LabNetwork(id);
  saveLab(state);

  report('network namespaces');
  await network.up(state.peers.map((peer) => peer.number));
  await startBalancer(state, network);
  for (const { disk } of state.peers) if (disk !== undefined && diskMiB !== undefined) await mountDisk(disk, diskMiB);
  for (const peer of state.peers) writePeerConfig(state, peer, network.peer(peer.number).address);

  const [first, ...others] = state.peers as [LabPeer, ...LabPeer[]];
  report(`${first.name} founds the cluster`);
  startPeer(state, first);
  await statusWhenReady(first);
  const join = others.length > 0 ? await joinArguments(first, network) : [];
  for (const peer of others) startPeer(state, peer, join);
  report(`${others.map((peer) => peer.name).join(' and ')} join${others.length === 1 ? 's' : ''}`);
  await Promise.all(others.map((peer) => statusWhenReady(peer)));
  const { kubeconfig } = await callDaemon<{ kubeconfig: string }>(pathsOf(first.dataDir).controlSocket, 'POST', '/kubeconfig', {
    server: `https://127.0.0.1:${state.port}`,
  });
  writeDurably(kubeconfigOf(state), kubeconfig);
  return state;
}

export function kubeconfigOf(state: LabState): string {
  return `${state.dir}/kubeconfig`;
}

function newPeer(state: LabState, number: number, ownDisk: boolean): LabPeer {
  const folder = `${state.dir}/peer-${number}`;
  const disk = `${folder}/disk`;
  return {
    ...(ownDisk ? { disk } : {}),
    number,
    name: `peer-${number}`,
    dataDir: ownDisk ? `${disk}/data` : `${folder}/data`,
    configFile: `${folder}/config.yaml`,
    logFile: `${folder}/log`,
    pidFile: `${folder}/pid`,
    localPort: 0,
  };
}

/** The machine is found at another address from now on. Throws CliError 'Usage' while its daemon runs. */
export async function movePeer(state: LabState, peer: LabPeer, address: string): Promise<void> {
  if (isAlive(peer)) throw new CliError('Usage', `${peer.name} runs; stop it first`);
  await new LabNetwork(state.id).readdress(peer.number, address);
  writePeerConfig(state, peer, address);
}

/** A lab is a guest on a machine whose disk may be as full as its owner likes: no pod has to go for that. */
const diskOff = { 'nodefs.available': '0%', 'nodefs.inodesFree': '0%', 'imagefs.available': '0%', 'imagefs.inodesFree': '0%' };

function writePeerConfig(state: LabState, peer: LabPeer, address: string): void {
  mkdirSync(peer.dataDir, { recursive: true, mode: 0o700 });
  const config = {
    nodeName: peer.name,
    nodeIp: address,
    dataDir: peer.dataDir,
    peer: { port: peerPort },
    api: { address, port: peerApiPort },
    // As on any developer's machine, a disk that is rather full is not ours to clean.
    agent: { cgroupRoot: `kontiki-${state.id}/${peer.name}`, imageGCHighThresholdPercent: 100, eviction: { hard: diskOff } },
  };
  writeDurably(peer.configFile, stringify(config));
}

/** Starts the daemon detached, in its namespace. `join` holds the arguments of a first start as a newcomer. */
export function startPeer(state: LabState, peer: LabPeer, join: string[] = []): void {
  const { netnsFile } = new LabNetwork(state.id).peer(peer.number);
  const log = openSync(peer.logFile, 'a', 0o600);
  const daemon = [process.execPath, ...process.execArgv, process.argv[1] as string, 'up', '--config', peer.configFile, ...join];
  const child = spawn('nsenter', [`--net=${netnsFile}`, ...daemon], { detached: true, stdio: ['ignore', log, log], cwd: '/' });
  closeSync(log);
  child.on('error', (error) => {
    throw new CliError('CommandFailed', `nsenter cannot be started: ${error.message}`);
  });
  child.unref();
  // nsenter replaces itself by the daemon: the process id stays.
  writeDurably(peer.pidFile, String(child.pid));
}

async function joinArguments(first: LabPeer, network: LabNetwork): Promise<string[]> {
  const { token } = await callDaemon<{ token: string }>(pathsOf(first.dataDir).controlSocket, 'POST', '/tokens', {
    ttlMs: 600_000,
  });
  return ['--join', `${network.peer(first.number).address}:${peerPort}`, '--token', token];
}

/** Undefined when the daemon does not answer. */
export async function statusOf(peer: LabPeer, timeoutMs = 1_000): Promise<DaemonStatus | undefined> {
  try {
    return await callDaemon<DaemonStatus>(pathsOf(peer.dataDir).controlSocket, 'GET', '/status', undefined, timeoutMs);
  } catch (error) {
    if (error instanceof CliError) return undefined;
    throw error;
  }
}

/** Waits until the daemon answers. Throws CliError 'NotReady' with the end of its log when it died or took too long. */
export async function statusWhenReady(peer: LabPeer): Promise<DaemonStatus> {
  const deadline = AbortSignal.timeout(startPatienceMs);
  while (!deadline.aborted && isAlive(peer)) {
    const status = await statusOf(peer);
    if (status) return status;
    await delay(systemClock, pollMs);
  }
  const log = (readIfExists(peer.logFile) ?? '').trimEnd().split('\n').slice(-5).join('\n');
  const what = isAlive(peer) ? `did not become ready within ${startPatienceMs / 1000} s` : 'ended';
  throw new CliError('NotReady', `the daemon of ${peer.name} ${what}; the end of ${peer.logFile}:\n${log}`);
}

/** Listening sockets of the root namespace, handed to a process in the bridge's namespace. */
async function startBalancer(state: LabState, network: LabNetwork): Promise<void> {
  const servers = await Promise.all([state.port, ...state.peers.map((peer) => peer.localPort)].map(listenLocally));
  const descriptors = servers.map((server) => (server as unknown as { _handle: { fd: number } })._handle.fd);
  const [port, ...peerPorts] = servers.map((server) => (server.address() as { port: number }).port);
  state.port = port as number;
  state.peers.forEach((peer, index) => {
    peer.localPort = peerPorts[index] as number;
  });
  const options = {
    peers: state.peers.map((peer) => ({ address: network.peer(peer.number).address, port: peerApiPort })),
    descriptors: descriptors.map((_, index) => index + 3),
  };
  const log = openSync(`${state.dir}/balancer.log`, 'a', 0o600);
  const command = [process.execPath, ...process.execArgv, process.argv[1] as string, 'dev', 'balancer', JSON.stringify(options)];
  const child = spawn('nsenter', [`--net=${network.bridgeFile}`, ...command], {
    detached: true,
    stdio: ['ignore', log, log, ...descriptors],
    cwd: '/',
  });
  child.unref();
  state.balancerPid = child.pid as number;
  closeSync(log);
  for (const server of servers) server.close();
  saveLab(state);
}

function listenLocally(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}

/** SIGTERM, then SIGKILL after a while. Resolves when the daemon is gone. */
export async function stopPeer(peer: LabPeer, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  const pid = pidOf(peer);
  if (pid === undefined) return;
  process.kill(pid, 'SIGCONT');
  process.kill(pid, signal);
  const patience = AbortSignal.timeout(stopPatienceMs);
  while (isAlive(peer)) {
    if (patience.aborted) process.kill(pid, 'SIGKILL');
    await delay(systemClock, pollMs);
  }
}

/** Ends everything and removes what it made. Goes on after a failure and reports all of them at the end. */
export async function destroyLab(state: LabState): Promise<void> {
  const failures: string[] = [];
  const attempt = async (step: () => Promise<void> | void) => {
    try {
      await step();
    } catch (error) {
      failures.push(errorMessage(error));
    }
  };
  if (state.balancerPid && (readIfExists(`/proc/${state.balancerPid}/cmdline`) ?? '').includes('balancer')) {
    process.kill(state.balancerPid, 'SIGTERM');
  }
  await Promise.all(state.peers.map((peer) => attempt(() => stopPeer(peer, 'SIGTERM'))));
  for (const peer of state.peers) {
    if (readIfExists(peer.configFile) !== undefined) await attempt(() => resetMachine(loadConfig(peer.configFile)));
  }
  for (const { disk } of state.peers) if (disk !== undefined) await attempt(() => unmountDisk(disk));
  await attempt(() => new LabNetwork(state.id).down());
  await attempt(() => removeEmptyCgroups(`kontiki-${state.id}`));
  if (failures.length > 0) throw new CliError('CommandFailed', `not everything could be removed: ${failures.join('; ')}`);
  for (const peer of state.peers) rmSync(`${state.dir}/peer-${peer.number}`, { recursive: true, force: true });
  for (const file of ['lab.json', 'kubeconfig', 'balancer.log']) rmSync(`${state.dir}/${file}`, { force: true });
}

/** The parent of the peers' cgroups, in each hierarchy. */
async function removeEmptyCgroups(name: string): Promise<void> {
  const { readdirSync, rmdirSync, existsSync } = await import('node:fs');
  const mount = '/sys/fs/cgroup';
  const hierarchies = existsSync(`${mount}/cgroup.controllers`) ? [mount] : readdirSync(mount).map((one) => `${mount}/${one}`);
  for (const hierarchy of hierarchies) if (existsSync(`${hierarchy}/${name}`)) rmdirSync(`${hierarchy}/${name}`);
}
