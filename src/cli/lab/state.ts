/** What a local cluster is made of, kept in its folder so that every command finds it again. */
import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { readIfExists, writeDurably } from '../../node/durable-file.ts';
import { CliError } from '../errors.ts';

export interface LabPeer {
  number: number;
  name: string;
  dataDir: string;
  configFile: string;
  logFile: string;
  /** Holds the process id of the daemon: a file for each peer, since commands may run side by side. */
  pidFile: string;
  /** Port on 127.0.0.1 that leads to this peer's API. */
  localPort: number;
  /** Where its own disk is mounted, with the data folder on it; undefined: it shares that of the machine. */
  disk?: string;
}

export interface LabState {
  /** Names this cluster's namespaces and cgroups. */
  id: string;
  dir: string;
  /** Port on 127.0.0.1 of the load balancer. */
  port: number;
  balancerPid?: number;
  peers: LabPeer[];
}

export const labDirDefault = '.kontiki';
export const peerApiPort = 6443;
export const peerPort = 7420;

export function labId(dir: string): string {
  return createHash('sha256').update(resolve(dir)).digest('hex').slice(0, 6);
}

const stateFile = (dir: string) => `${resolve(dir)}/lab.json`;

/** Throws CliError 'NoLab'. */
export function readLab(dir: string): LabState {
  const text = readIfExists(stateFile(dir));
  if (text === undefined)
    throw new CliError('NoLab', `there is no local cluster in ${resolve(dir)}; start one with: kontiki dev up`);
  return JSON.parse(text) as LabState;
}

export function labExists(dir: string): boolean {
  return readIfExists(stateFile(dir)) !== undefined;
}

export function saveLab(state: LabState): void {
  writeDurably(stateFile(state.dir), `${JSON.stringify(state, null, 2)}\n`);
}

/** Throws CliError 'Usage' with the numbers there are. */
export function peerOf(state: LabState, text: string): LabPeer {
  const peer = state.peers.find((candidate) => String(candidate.number) === text || candidate.name === text);
  if (!peer)
    throw new CliError('Usage', `there is no peer ${text}; there are ${state.peers.map((one) => one.number).join(', ')}`);
  return peer;
}

/** The command of a process, argument by argument; empty when it is gone. */
export function commandOf(pid: number): string[] {
  return (readIfExists(`/proc/${pid}/cmdline`) ?? '').split('\0').filter(Boolean);
}

/** The daemon's process id; undefined when it does not run. Another program may have got the number since. */
export function pidOf(peer: LabPeer): number | undefined {
  const pid = Number(readIfExists(peer.pidFile) ?? 0);
  if (!(pid > 0)) return undefined;
  const command = commandOf(pid);
  // While a process replaces its program (nsenter by the daemon) it has no command line for a moment, as the dead have none.
  const runs = command.length === 0 ? isRunning(pid) : command.includes(peer.configFile);
  return runs ? pid : undefined;
}

/** False for what has ended and only waits for its parent. */
function isRunning(pid: number): boolean {
  const stat = readIfExists(`/proc/${pid}/stat`);
  const state = stat?.slice(stat.lastIndexOf(')') + 2)[0];
  return state !== undefined && state !== 'Z' && state !== 'X';
}

export function isAlive(peer: LabPeer): boolean {
  return pidOf(peer) !== undefined;
}
