/**
 * A pod's namespaces without a process that holds them: `unshare` makes them and binds each to a file below the pod's folder;
 * containers join by path. Also what all containers of the pod share: /dev/shm, /etc/hosts, /etc/hostname, /etc/resolv.conf.
 */
import { access, chown, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorMessage } from '../../lib/errors.ts';
import type { Pod } from '../../machinery/types.ts';
import { AgentError } from '../errors.ts';
import { type IdMapping, makeNamespaces } from '../host/user-namespaces.ts';
import { bindMount, type OciMount } from '../runtime/spec.ts';
import type { Executor } from '../types.ts';
import { mountsBelow, unmountBelow } from '../volumes/mounts.ts';
import type { PodPaths } from './record.ts';
import { hasOwnUsers } from './user-namespace.ts';

/** Of the pod's files the one written last. */
const lastFile = 'resolv.conf';
const shmBytes = 64 * 1024 * 1024;
const podFiles = ['hosts', 'hostname', lastFile];

export interface Namespaces {
  net?: string;
  ipc?: string;
  uts?: string;
  pid?: string;
  user?: string;
}

/** Files of the namespaces the pod has for itself. */
export function namespacesOf(pod: Pod, paths: PodPaths): Namespaces {
  const spec = pod.spec!;
  return {
    ...(spec.hostNetwork ? {} : { net: paths.netns, uts: paths.utsns }),
    ...(spec.hostIPC ? {} : { ipc: paths.ipcns }),
    ...(spec.shareProcessNamespace ? { pid: paths.pidns } : {}),
    ...(hasOwnUsers(pod) ? { user: paths.userns } : {}),
  };
}

/** The pod's host name: its own, or the machine's when it uses the machine's network. */
export function hostnameOf(pod: Pod, nodeName: string): string {
  const spec = pod.spec!;
  if (spec.hostNetwork) return nodeName;
  return (spec.hostname ?? pod.metadata.name).slice(0, 63).replace(/[-.]+$/, '');
}

/** True when every namespace file is still bound, which it is not after a restart of the machine, and the pod's files are written. */
export async function sandboxStands(pod: Pod, paths: PodPaths): Promise<boolean> {
  const written = await access(join(paths.files, lastFile)).then(
    () => true,
    () => false,
  );
  return written && isComplete(pod, paths, new Set(await mountsBelow(paths.dir)));
}

function isComplete(pod: Pod, paths: PodPaths, mounted: ReadonlySet<string>): boolean {
  return [...Object.values(namespacesOf(pod, paths)), ...(pod.spec?.hostIPC ? [] : [paths.shm])].every((file) =>
    mounted.has(file),
  );
}

export interface SandboxPlace {
  paths: PodPaths;
  nodeName: string;
  executor: Executor;
  /** Of a pod with user ids of its own. */
  mapping: IdMapping | undefined;
}

/** Makes what is missing. What stands is kept only when it is complete. AgentError 'Sandbox'. */
export async function ensureSandbox(pod: Pod, place: SandboxPlace): Promise<void> {
  const { paths, nodeName, executor, mapping } = place;
  const mounted = new Set(await mountsBelow(paths.dir));
  if (isComplete(pod, paths, mounted)) return;
  // The shared process namespace needs a process that stays in it: it comes later, when the others stand.
  const { pid: _pid, user: _user, ...namespaces } = namespacesOf(pod, paths);
  try {
    if (mounted.size > 0) for (const dir of [dirname(paths.netns), paths.shm]) await unmountBelow(dir, executor);
    await mkdir(dirname(paths.netns), { recursive: true, mode: 0o700 });
    await mkdir(paths.shm, { recursive: true, mode: 0o700 });
    const hostname = namespaces.uts ? hostnameOf(pod, nodeName) : undefined;
    const owner = mapping ? `,uid=${mapping.firstId},gid=${mapping.firstId}` : '';
    const shm = ['-t', 'tmpfs', '-o', `mode=1777,size=${shmBytes},nosuid,nodev,noexec${owner}`, 'shm', paths.shm];
    const files = mapping ? { user: mapping.namespace, ...namespaces } : namespaces;
    for (const file of Object.values(files)) await writeFile(file, '');
    if (mapping) {
      await makeNamespaces(executor, {
        files: { user: mapping.namespace, ...namespaces },
        firstId: mapping.firstId,
        ...(hostname === undefined ? {} : { hostname }),
      });
      if (!pod.spec?.hostIPC) await executor.check('mount', shm);
      return;
    }
    const flags = Object.entries(namespaces).map(([kind, file]) => `--${kind}=${file}`);
    const inside = hostname === undefined ? ['true'] : ['hostname', hostname];
    if (pod.spec?.hostIPC) {
      if (flags.length) await executor.check('unshare', [...flags, ...inside]);
      return;
    }
    // Both by one shell: from here a process costs more than what it does.
    const both = `mount ${shm.map((_, at) => `"$${at}"`).join(' ')} || exit; shift ${shm.length - 1}; exec unshare "$@"`;
    await executor.check('sh', ['-c', both, ...shm, ...flags, ...inside]);
  } catch (error) {
    throw new AgentError('Sandbox', `failed to create pod sandbox: ${errorMessage(error)}`, {}, error);
  }
}

/** Writes the files; called again when the address is known. Containers see changes: the files are bound, not copied. */
export async function writePodFiles(pod: Pod, place: Omit<SandboxPlace, 'executor'>, ip: string | undefined): Promise<void> {
  const { paths, nodeName, mapping } = place;
  await mkdir(paths.files, { recursive: true, mode: 0o755 });
  const hostname = hostnameOf(pod, nodeName);
  const hostsFile = pod.spec?.hostNetwork ? await readFile('/etc/hosts', 'utf8').catch(() => '') : '';
  await writeFile(join(paths.files, 'hosts'), hostsText(pod, hostname, ip, hostsFile), { mode: 0o644 });
  await writeFile(join(paths.files, 'hostname'), `${hostname}\n`, { mode: 0o644 });
  const machine = await readFile('/etc/resolv.conf', 'utf8').catch(() => '');
  await writeFile(join(paths.files, lastFile), resolvText(pod, machine), { mode: 0o644 });
  if (mapping) for (const name of podFiles) await chown(join(paths.files, name), mapping.firstId, mapping.firstId);
}

/** Pure. */
export function hostsText(pod: Pod, hostname: string, ip: string | undefined, machineHosts: string): string {
  const spec = pod.spec!;
  const lines = spec.hostNetwork
    ? ['# Kubernetes-managed hosts file (host network).', machineHosts.trimEnd()]
    : [
        '# Kubernetes-managed hosts file.',
        '127.0.0.1\tlocalhost',
        '::1\tlocalhost ip6-localhost ip6-loopback',
        'fe00::0\tip6-localnet',
        'fe00::0\tip6-mcastprefix',
        'fe00::1\tip6-allnodes',
        'fe00::2\tip6-allrouters',
        ...(ip ? [`${ip}\t${hostname}`] : []),
      ];
  if (spec.hostAliases?.length) lines.push('', '# Entries added by HostAliases.');
  for (const alias of spec.hostAliases ?? []) lines.push(`${alias.ip}\t${(alias.hostnames ?? []).join('\t')}`);
  return `${lines.join('\n')}\n`;
}

/** The machine's resolver configuration (or nothing, for dnsPolicy None) with the pod's dnsConfig on top. Pure. */
export function resolvText(pod: Pod, machine: string): string {
  const spec = pod.spec!;
  const nameservers: string[] = [];
  const searches: string[] = [];
  const options: string[] = [];
  if (spec.dnsPolicy !== 'None') {
    for (const line of machine.split('\n')) {
      const [word, ...rest] = line.trim().split(/\s+/);
      if (word === 'nameserver') nameservers.push(...rest.slice(0, 1));
      else if (word === 'search' || word === 'domain') searches.push(...rest);
      else if (word === 'options') options.push(...rest);
    }
  }
  nameservers.push(...(spec.dnsConfig?.nameservers ?? []));
  searches.push(...(spec.dnsConfig?.searches ?? []));
  for (const { name, value } of spec.dnsConfig?.options ?? []) {
    if (!name) continue;
    const at = options.findIndex((option) => option.split(':')[0] === name);
    const option = value === undefined ? name : `${name}:${value}`;
    if (at >= 0) options[at] = option;
    else options.push(option);
  }
  // The resolver reads three servers; more would only look as if they were used.
  const lines = [...new Set(nameservers)].slice(0, 3).map((server) => `nameserver ${server}`);
  if (searches.length) lines.push(`search ${[...new Set(searches)].join(' ')}`);
  if (options.length) lines.push(`options ${options.join(' ')}`);
  return lines.length ? `${lines.join('\n')}\n` : '';
}

/** What every container of the pod gets, unless it mounts something of its own there. */
export function podMounts(pod: Pod, paths: PodPaths, taken: ReadonlySet<string>, readOnlyRoot: boolean): OciMount[] {
  const mounts: OciMount[] = [];
  const file = (name: string) => bindMount(join(paths.files, name), `/etc/${name}`, { readOnly: readOnlyRoot });
  if (!taken.has('/dev/shm')) {
    mounts.push(bindMount(pod.spec?.hostIPC ? '/dev/shm' : paths.shm, '/dev/shm', { readOnly: false }));
  }
  for (const name of podFiles) if (!taken.has(`/etc/${name}`)) mounts.push(file(name));
  return mounts;
}
