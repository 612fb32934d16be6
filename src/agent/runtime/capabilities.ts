/** Linux capabilities of a container: the usual default set, changed by the pod, cut to what this machine can give. */
import { readFile } from 'node:fs/promises';

/** In the order of the kernel's numbers (include/uapi/linux/capability.h). */
const all = [
  'CHOWN',
  'DAC_OVERRIDE',
  'DAC_READ_SEARCH',
  'FOWNER',
  'FSETID',
  'KILL',
  'SETGID',
  'SETUID',
  'SETPCAP',
  'LINUX_IMMUTABLE',
  'NET_BIND_SERVICE',
  'NET_BROADCAST',
  'NET_ADMIN',
  'NET_RAW',
  'IPC_LOCK',
  'IPC_OWNER',
  'SYS_MODULE',
  'SYS_RAWIO',
  'SYS_CHROOT',
  'SYS_PTRACE',
  'SYS_PACCT',
  'SYS_ADMIN',
  'SYS_BOOT',
  'SYS_NICE',
  'SYS_RESOURCE',
  'SYS_TIME',
  'SYS_TTY_CONFIG',
  'MKNOD',
  'LEASE',
  'AUDIT_WRITE',
  'AUDIT_CONTROL',
  'SETFCAP',
  'MAC_OVERRIDE',
  'MAC_ADMIN',
  'SYSLOG',
  'WAKE_ALARM',
  'BLOCK_SUSPEND',
  'AUDIT_READ',
  'PERFMON',
  'BPF',
  'CHECKPOINT_RESTORE',
]; // prettier-ignore

const defaults = [
  'CHOWN',
  'DAC_OVERRIDE',
  'FSETID',
  'FOWNER',
  'MKNOD',
  'NET_RAW',
  'SETGID',
  'SETUID',
  'SETFCAP',
  'SETPCAP',
  'NET_BIND_SERVICE',
  'SYS_CHROOT',
  'KILL',
  'AUDIT_WRITE',
];

export interface CapabilityRequest {
  privileged: boolean;
  /** Names with or without CAP_; ALL is every one. */
  add: readonly string[];
  drop: readonly string[];
}

/** `CAP_…` names, sorted by the kernel's number. Names that this machine's bounding set lacks are left out. */
export function containerCapabilities(request: CapabilityRequest, bounding: ReadonlySet<string>): string[] {
  const bare = (name: string) => name.toUpperCase().replace(/^CAP_/, '');
  const adds = request.add.map(bare);
  const drops = request.drop.map(bare);
  let set = new Set(request.privileged || adds.includes('ALL') ? all : defaults);
  if (!request.privileged) {
    if (drops.includes('ALL')) set = new Set(adds.includes('ALL') ? all : []);
    for (const name of drops) if (name !== 'ALL') set.delete(name);
    for (const name of adds) if (name !== 'ALL') set.add(name);
  }
  return all
    .filter((name) => set.has(name))
    .map((name) => `CAP_${name}`)
    .filter((name) => bounding.has(name));
}

/** The `CAP_…` names in a mask as /proc/PID/status shows it (hexadecimal). */
export function capabilitiesOfMask(hex: string): Set<string> {
  const mask = BigInt(`0x${hex}`);
  return new Set(all.filter((_, bit) => (mask >> BigInt(bit)) & 1n).map((name) => `CAP_${name}`));
}

/** The bounding set of this process. */
export async function readBoundingSet(): Promise<Set<string>> {
  const status = await readFile('/proc/self/status', 'utf8');
  return capabilitiesOfMask(/^CapBnd:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0');
}
