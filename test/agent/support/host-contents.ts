/**
 * What a machine holds of its pods, and what it should hold by the API: two lists of lines of one form, made from different
 * sources, so that a test can ask for no more and no less.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { deviceOf } from '../../../src/agent/network/pod-network.ts';
import { containerId, pauseName } from '../../../src/agent/pods/record.ts';
import type { ContainerStatus, Pod } from '../../../src/machinery/types.ts';

export interface Host {
  /** The agent's data folder. */
  dataDir: string;
  cgroupRoot: string;
  /** File of the machine's network namespace. */
  netnsFile: string;
}

/** A container of a pod that runs by the API. */
export interface RunningContainer {
  id: string;
  pod: Pod;
  name: string;
  restarts: number;
  /** Numbers of the mounts that have a sub-path. */
  subPaths: number[];
}

export function runningContainers(pod: Pod): RunningContainer[] {
  const statuses: ContainerStatus[] = [
    ...(pod.status?.containerStatuses ?? []),
    ...(pod.status?.initContainerStatuses ?? []),
  ].filter(({ state }) => state?.running);
  const specs = [...pod.spec!.containers, ...(pod.spec!.initContainers ?? [])];
  return statuses.map(({ name, containerID = '', restartCount }) => ({
    id: containerID.replace(/^.*:\/\//, ''),
    pod,
    name,
    restarts: restartCount,
    subPaths: (specs.find((container) => container.name === name)?.volumeMounts ?? []).flatMap(({ subPath }, at) =>
      subPath ? [at] : [],
    ),
  }));
}

/** `unwatched`: containers whose monitor was killed. One whose creation broke off then has another, or none. */
export function wantedOnHost(host: Host, pods: readonly Pod[], unwatched: ReadonlySet<string>): string[] {
  const lines: string[] = [];
  for (const pod of pods) {
    const uid = pod.metadata.uid!;
    const folder = join(host.dataDir, 'pods', uid);
    const { hostNetwork, shareProcessNamespace, volumes = [] } = pod.spec!;
    lines.push(`folder ${uid}`, `cgroup pod${uid}`, `mount ${folder}/_ns/ipc`, `mount ${folder}/_shm`);
    if (!hostNetwork) {
      lines.push(`mount ${folder}/_ns/net`, `mount ${folder}/_ns/uts`, `device ${deviceOf(uid)}`);
      lines.push(`address ${uid} ${pod.status?.podIP}`);
    }
    for (const { name, emptyDir, secret, projected, downwardAPI } of volumes) {
      if (secret || projected || downwardAPI || emptyDir?.medium === 'Memory') lines.push(`mount ${folder}/_volumes/${name}`);
    }
    const pause = shareProcessNamespace ? [containerId(uid, pauseName, 0)] : [];
    if (shareProcessNamespace) lines.push(`mount ${folder}/_ns/pid`);
    for (const id of pause) lines.push(`state ${id}`, `cgroup ${id}`, `lives ${id}`);
    for (const { id, name, restarts, subPaths } of runningContainers(pod)) {
      lines.push(`state ${id}`, `cgroup ${id}`, `lives ${id}`, `root ${id}`);
      lines.push(`mount ${host.dataDir}/images/containers/${id}/root`);
      if (!unwatched.has(id)) lines.push(`monitor ${id}`);
      for (const index of subPaths) lines.push(`mount ${folder}/_subpaths/${name}-${restarts}/${index}`);
    }
    for (const { ports = [] } of pod.spec!.containers) {
      for (const { hostPort, containerPort } of ports) {
        if (hostPort) lines.push(`port ${hostPort} ${pod.status?.podIP}:${containerPort}`);
      }
    }
  }
  return lines.sort();
}

export function foundOnHost(host: Host, unwatched: ReadonlySet<string> = new Set()): string[] {
  const { dataDir, cgroupRoot, netnsFile } = host;
  const inside = (...words: string[]) => execFileSync('nsenter', [`--net=${netnsFile}`, ...words], { encoding: 'utf8' });
  const names = (folder: string) => (existsSync(folder) ? readdirSync(folder) : []);
  const lines: string[] = [];
  for (const uid of names(join(dataDir, 'pods'))) lines.push(`folder ${uid}`);
  for (const id of names(join(dataDir, 'runtime'))) lines.push(`state ${id}`);
  for (const id of names(join(dataDir, 'images', 'containers'))) lines.push(`root ${id}`);
  for (const name of names(join(dataDir, 'images', 'tmp'))) lines.push(`unfinished ${name}`);
  for (const name of names(join(dataDir, 'exits'))) lines.push(`exit file ${name}`);
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const point = line.split(' ')[4];
    if (point?.startsWith(`${dataDir}/`)) lines.push(`mount ${point}`);
  }
  const links = JSON.parse(inside('ip', '-j', 'link')) as { ifname: string }[];
  for (const { ifname } of links) if (ifname.startsWith('ktk')) lines.push(`device ${ifname}`);
  const book = JSON.parse(readFileSync(join(dataDir, 'network', 'addresses.json'), 'utf8')) as { pods: Record<string, string> };
  for (const [uid, ip] of Object.entries(book.pods)) lines.push(`address ${uid} ${ip}`);
  const maps = inside('nft', 'list', 'map', 'ip', 'kontiki', 'host_ports');
  for (const [, port, ip, to] of maps.matchAll(/tcp \. (\d+) : ([\d.]+) \. (\d+)/g)) lines.push(`port ${port} ${ip}:${to}`);
  lines.push(...cgroups(cgroupRoot), ...monitors(dataDir));
  return lines.filter((line) => !(line.startsWith('monitor ') && unwatched.has(line.slice('monitor '.length)))).sort();
}

/** Of every hierarchy, each cgroup once: those of pods, those of containers, and the containers in which processes live. */
function cgroups(root: string): string[] {
  const found = new Set<string>();
  const look = (folder: string, depth: number) => {
    for (const name of readdirSync(folder)) {
      const path = join(folder, name);
      if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) continue;
      if (depth > 0) found.add(`cgroup ${name}`);
      if (depth === 2 && readFileSync(join(path, 'cgroup.procs'), 'utf8') !== '') found.add(`lives ${name}`);
      if (depth < 2) look(path, depth + 1);
    }
  };
  for (const hierarchy of ['', ...readdirSync('/sys/fs/cgroup')]) {
    const pods = join('/sys/fs/cgroup', hierarchy, root, 'pods');
    if (existsSync(pods)) look(pods, 0);
  }
  return [...found];
}

/** Monitors below a data folder, and the runtime's own processes that should have ended. */
function monitors(dataDir: string): string[] {
  return processes(dataDir).flatMap(({ command }) => {
    if (command[0] === 'conmon') return [`monitor ${command[command.indexOf('-c') + 1]}`];
    if (command.includes(`${dataDir}/runtime`)) return [`runtime ${command.join(' ')}`];
    return [];
  });
}

/** Every process that names the data folder. */
export function processes(dataDir: string): { pid: number; command: string[] }[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const text = readFileSync(`/proc/${name}/cmdline`, 'utf8');
      return text.includes(dataDir) ? [{ pid: Number(name), command: text.split('\0') }] : [];
    } catch {
      return []; // It ended meanwhile.
    }
  });
}

/** What is only in one of two sorted lists; empty: they are the same. */
export function difference(wanted: readonly string[], found: readonly string[]): string[] {
  const [left, right] = [new Set(wanted), new Set(found)];
  const twice = found.filter((line, at) => line === found[at - 1]);
  return [
    ...wanted.filter((line) => !right.has(line)).map((line) => `missing: ${line}`),
    ...found.filter((line) => !left.has(line)).map((line) => `too much: ${line}`),
    ...twice.map((line) => `twice: ${line}`),
  ];
}
