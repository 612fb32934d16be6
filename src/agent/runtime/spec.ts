/**
 * The OCI runtime description (config.json, runtime-spec 1.0.2) of one container. Pure: everything looked up on the machine
 * comes in. The defaults for mounts, masked paths and capabilities are those container engines agree on.
 */
import type { Container, Pod } from '../../machinery/types.ts';
import { idsPerNamespace } from '../host/user-namespaces.ts';
import type { CgroupLimits } from '../types.ts';
import { containerCapabilities } from './capabilities.ts';
import type { OciSeccomp } from './seccomp.ts';
import type { ProcessUser } from './user.ts';

export interface OciMount {
  destination: string;
  type: string;
  source: string;
  options: string[];
}

export interface OciProcess {
  terminal: boolean;
  user: ProcessUser;
  args: string[];
  env: string[];
  cwd: string;
  capabilities: Record<'bounding' | 'effective' | 'permitted' | 'inheritable', string[]>;
  noNewPrivileges: boolean;
  apparmorProfile?: string;
  selinuxLabel?: string;
  oomScoreAdj?: number;
}

export interface OciSpec {
  ociVersion: string;
  process: OciProcess;
  root: { path: string; readonly: boolean };
  mounts: OciMount[];
  linux: Record<string, unknown>;
  annotations: Record<string, string>;
}

/** A device file of the host, for privileged containers. */
export interface HostDevice {
  path: string;
  type: 'c' | 'b';
  major: number;
  minor: number;
  fileMode: number;
  uid: number;
  gid: number;
}

export interface SpecInput {
  pod: Pod;
  container: Container;
  /** Mount point of the container's root. */
  rootfs: string;
  args: string[];
  env: ReadonlyMap<string, string>;
  cwd: string;
  user: ProcessUser;
  /** Files that hold the pod's namespaces; a missing one: the host's. */
  namespaces: { net?: string; ipc?: string; uts?: string; pid?: string; user?: string };
  /** The machine's id that is 0 in the user namespace; only with one. */
  firstUserId?: number;
  /** Of the pod: /dev/shm, /etc/hosts and such, then the container's volumes. In order; a later one covers an earlier. */
  mounts: OciMount[];
  limits: CgroupLimits;
  cgroupsPath: string;
  cgroupVersion: 1 | 2;
  oomScoreAdj: number;
  /** `CAP_…` names this machine can give. */
  bounding: ReadonlySet<string>;
  hostDevices: HostDevice[];
  /** Left out: every system call is allowed. */
  seccomp?: OciSeccomp;
}

const maskedPaths = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];
const readonlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

export function buildSpec(input: SpecInput): OciSpec {
  const { pod, container } = input;
  const security = container.securityContext ?? {};
  const privileged = security.privileged === true;
  const namedAdds = security.capabilities?.add ?? [];
  const capabilities = containerCapabilities(
    { privileged, add: namedAdds, drop: security.capabilities?.drop ?? [] },
    input.bounding,
  );
  // A user other than root holds only what the pod names; the rest stays in the bounding set for set-uid programs.
  const held = input.user.uid === 0 ? capabilities : [];
  const unmasked = privileged || security.procMount === 'Unmasked';
  const canLowerOomScore = input.bounding.has('CAP_SYS_RESOURCE');
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: container.tty === true,
      user: input.user,
      args: input.args,
      env: [...input.env].map(([name, value]) => `${name}=${value}`),
      cwd: input.cwd || '/',
      capabilities: { bounding: capabilities, effective: held, permitted: held, inheritable: [] },
      noNewPrivileges: security.allowPrivilegeEscalation === false,
      ...securityLabels(pod, container),
      ...(input.oomScoreAdj >= 0 || canLowerOomScore ? { oomScoreAdj: input.oomScoreAdj } : {}),
    },
    root: { path: input.rootfs, readonly: security.readOnlyRootFilesystem === true },
    mounts: [...systemMounts(privileged), ...input.mounts],
    linux: {
      namespaces: namespaces(input),
      ...(input.firstUserId === undefined ? {} : idMappings(input.firstUserId)),
      cgroupsPath: input.cgroupsPath,
      resources: resources(input, privileged),
      ...(privileged ? { devices: input.hostDevices } : {}),
      sysctl: sysctls(pod),
      // Mounts that a container makes for the machine must have a way out.
      rootfsPropagation: input.mounts.some(({ options }) => options.includes('rshared')) ? 'rshared' : 'rslave',
      ...(unmasked ? {} : { maskedPaths, readonlyPaths }),
      ...(input.seccomp ? { seccomp: input.seccomp } : {}),
    },
    annotations: {
      'io.kubernetes.pod.uid': pod.metadata.uid ?? '',
      'io.kubernetes.pod.namespace': pod.metadata.namespace ?? '',
      'io.kubernetes.pod.name': pod.metadata.name,
      'io.kubernetes.container.name': container.name,
    },
  };
}

/** The runtime joins a namespace that has these already; it must know them to make what belongs to the container's root. */
export function idMappings(firstUserId: number): Record<'uidMappings' | 'gidMappings', object[]> {
  const mappings = [{ containerID: 0, hostID: firstUserId, size: idsPerNamespace }];
  return { uidMappings: mappings, gidMappings: mappings };
}

/** Of the kernel's security modules; a pod that names them is refused where the kernel has none. */
function securityLabels(pod: Pod, container: Container): Pick<OciProcess, 'apparmorProfile' | 'selinuxLabel'> {
  const [own, shared] = [container.securityContext, pod.spec?.securityContext];
  const profile = own?.appArmorProfile ?? shared?.appArmorProfile;
  const { user = '', role = '', type = '', level = '' } = own?.seLinuxOptions ?? shared?.seLinuxOptions ?? {};
  const label = [user || 'system_u', role || 'system_r', type || 'container_t', level || 's0'].join(':');
  return {
    ...(profile?.type === 'Localhost' && profile.localhostProfile ? { apparmorProfile: profile.localhostProfile } : {}),
    ...(user || role || type || level ? { selinuxLabel: label } : {}),
  };
}

function systemMounts(privileged: boolean): OciMount[] {
  const access = privileged ? 'rw' : 'ro';
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
    { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'] },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
    },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', access] },
    {
      destination: '/sys/fs/cgroup',
      type: 'cgroup',
      source: 'cgroup',
      options: ['nosuid', 'noexec', 'nodev', 'relatime', access],
    },
  ];
}

function namespaces({ namespaces: held, pod }: SpecInput): { type: string; path?: string }[] {
  const list: { type: string; path?: string }[] = [{ type: 'mount' }, { type: 'cgroup' }];
  if (held.pid) list.push({ type: 'pid', path: held.pid });
  else if (!pod.spec?.hostPID) list.push({ type: 'pid' });
  if (held.net) list.push({ type: 'network', path: held.net });
  if (held.ipc) list.push({ type: 'ipc', path: held.ipc });
  if (held.uts) list.push({ type: 'uts', path: held.uts });
  if (held.user) list.push({ type: 'user', path: held.user });
  return list;
}

/** Version 2 can kill a container as a whole when it runs out of memory, as the kubelet has it there: none goes on without its child. */
function resources({ limits, cgroupVersion }: SpecInput, privileged: boolean): Record<string, unknown> {
  return {
    devices: [{ allow: privileged, access: 'rwm' }],
    ...limitResources(limits),
    ...(cgroupVersion === 2 ? { unified: { 'memory.oom.group': '1' } } : {}),
  };
}

/** What a container may use, for its creation and for `update` of one that runs. */
export function limitResources(limits: CgroupLimits): Record<string, unknown> {
  return {
    cpu: {
      shares: limits.cpuShares,
      ...(limits.cpuQuotaMicros === undefined ? {} : { quota: limits.cpuQuotaMicros, period: 100_000 }),
    },
    ...(limits.memoryLimitBytes === undefined
      ? {}
      : { memory: { limit: limits.memoryLimitBytes, swap: limits.memoryLimitBytes } }),
    ...(limits.pidsLimit === undefined ? {} : { pids: { limit: limits.pidsLimit } }),
  };
}

/** Any user may bind low ports in a pod's own network; the pod's own settings come last. */
function sysctls(pod: Pod): Record<string, string> {
  const out: Record<string, string> = pod.spec?.hostNetwork ? {} : { 'net.ipv4.ip_unprivileged_port_start': '0' };
  for (const { name, value } of pod.spec?.securityContext?.sysctls ?? []) out[name] = value;
  return out;
}

/** A bind mount as volumes and the pod's own files need it. */
export function bindMount(
  source: string,
  destination: string,
  options: {
    readOnly: boolean;
    propagation?: 'None' | 'HostToContainer' | 'Bidirectional';
    /** Also what is mounted below it. */
    recursiveReadOnly?: boolean;
    noExec?: boolean;
  },
): OciMount {
  const propagation = { None: 'rprivate', HostToContainer: 'rslave', Bidirectional: 'rshared' }[options.propagation ?? 'None'];
  const access = options.readOnly ? (options.recursiveReadOnly ? ['ro', 'rro'] : ['ro']) : ['rw'];
  return { destination, type: 'bind', source, options: ['rbind', propagation, ...access, ...(options.noExec ? ['noexec'] : [])] };
}

/** The process of an exec in a running container: as the container's own, with another command. */
export function execProcess(spec: OciSpec, args: string[], terminal: boolean): OciProcess {
  const process: OciProcess = { ...spec.process, args, terminal };
  if (terminal && !process.env.some((line) => line.startsWith('TERM='))) process.env = [...process.env, 'TERM=xterm'];
  return process;
}
