/** The checks of the level baseline. Source: Kubernetes documentation, "Pod Security Standards". Pure. */
import {
  type Check,
  containersWhere,
  distinct,
  everyContainer,
  type Finding,
  plural,
  quoted,
  type Security,
  type Subject,
  setters,
  theContainers,
} from './findings.ts';

const grantable = new Set([
  ...['AUDIT_WRITE', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'MKNOD', 'NET_BIND_SERVICE'],
  ...['SETFCAP', 'SETGID', 'SETPCAP', 'SETUID', 'SYS_CHROOT'],
]);
const profileTypes = ['RuntimeDefault', 'Localhost'];
const appArmorPrefix = 'container.apparmor.security.beta.kubernetes.io/';
const seccompPod = 'seccomp.security.alpha.kubernetes.io/pod';
const seccompPrefix = 'container.seccomp.security.alpha.kubernetes.io/';
/** Since when seccomp is a field. */
const seccompField = 19;

/** Settings of the kernel that reach no further than the pod, and since when they count as that. */
const safeSysctls: [number, string[]][] = [
  [
    0,
    [
      ...['kernel.shm_rmid_forced', 'net.ipv4.ip_local_port_range', 'net.ipv4.tcp_syncookies', 'net.ipv4.ping_group_range'],
      'net.ipv4.ip_unprivileged_port_start',
    ],
  ],
  [27, ['net.ipv4.ip_local_reserved_ports']],
  [29, ['keepalive_time', 'fin_timeout', 'keepalive_intvl', 'keepalive_probes'].map((name) => `net.ipv4.tcp_${name}`)],
  [32, ['net.ipv4.tcp_rmem', 'net.ipv4.tcp_wmem']],
];
const seLinuxTypes: [number, string[]][] = [
  [0, ['', 'container_t', 'container_init_t', 'container_kvm_t']],
  [31, ['container_engine_t']],
];

const upTo = (table: [number, string[]][], version: number) =>
  new Set(table.flatMap(([since, names]) => (since <= version ? names : [])));

export const baselineChecks: Check[] = [
  { id: 'appArmorProfile', look: appArmor },
  {
    id: 'capabilities_baseline',
    look({ spec }) {
      const refused = ({ capabilities }: Security) => (capabilities?.add ?? []).filter((name) => !grantable.has(name));
      const bad = containersWhere(spec, (security) => refused(security).length > 0);
      if (bad.length === 0) return undefined;
      const names = distinct(everyContainer(spec).flatMap(({ securityContext }) => refused(securityContext ?? {})));
      const detail = `${theContainers(bad)} must not include ${quoted(names)} in securityContext.capabilities.add`;
      return { reason: 'non-default capabilities', detail };
    },
  },
  {
    id: 'hostNamespaces',
    look({ spec }) {
      const shared = (['hostNetwork', 'hostPID', 'hostIPC'] as const).filter((field) => spec[field]);
      if (shared.length === 0) return undefined;
      return { reason: 'host namespaces', detail: shared.map((field) => `${field}=true`).join(', ') };
    },
  },
  {
    id: 'hostPathVolumes',
    look({ spec }) {
      const names = (spec.volumes ?? []).filter(({ hostPath }) => hostPath).map(({ name }) => name);
      if (names.length === 0) return undefined;
      return { reason: 'hostPath volumes', detail: `${plural('volume', names.length)} ${quoted(names)}` };
    },
  },
  { id: 'hostPorts', look: hostPorts },
  {
    id: 'privileged',
    look({ spec }) {
      const bad = containersWhere(spec, ({ privileged }) => privileged === true);
      if (bad.length === 0) return undefined;
      return { reason: 'privileged', detail: `${theContainers(bad)} must not set securityContext.privileged=true` };
    },
  },
  {
    id: 'procMount',
    look({ spec }) {
      const unmasked = ({ procMount }: Security) => procMount != null && procMount !== 'Default';
      const bad = containersWhere(spec, unmasked);
      if (bad.length === 0) return undefined;
      const types = everyContainer(spec).flatMap(({ securityContext = {} }) =>
        unmasked(securityContext) ? [securityContext.procMount as string] : [],
      );
      const detail = `${theContainers(bad)} must not set securityContext.procMount to ${quoted(distinct(types))}`;
      return { reason: 'procMount', detail };
    },
  },
  { id: 'seLinuxOptions', look: seLinux },
  { id: 'seccompProfile_baseline', look: seccomp },
  {
    id: 'sysctls',
    look({ spec }, version) {
      const safe = upTo(safeSysctls, version);
      const bad = (spec.securityContext?.sysctls ?? []).map(({ name }) => name).filter((name) => !safe.has(name));
      return bad.length === 0 ? undefined : { reason: 'forbidden sysctls', detail: bad.join(', ') };
    },
  },
  {
    id: 'windowsHostProcess',
    look({ spec }) {
      const pod = spec.securityContext?.windowsOptions?.hostProcess === true;
      const bad = containersWhere(spec, ({ windowsOptions }) => windowsOptions?.hostProcess === true);
      if (!pod && bad.length === 0) return undefined;
      const detail = `${setters(pod, bad)} must not set securityContext.windowsOptions.hostProcess=true`;
      return { reason: 'hostProcess', detail };
    },
  },
];

function appArmor({ metadata, spec }: Subject): Finding | undefined {
  const refused = (profile: { type: string } | undefined) => profile != null && !profileTypes.includes(profile.type);
  const pod = spec.securityContext?.appArmorProfile;
  const bad = containersWhere(spec, ({ appArmorProfile }) => refused(appArmorProfile));
  const profiles = [pod, ...everyContainer(spec).map(({ securityContext }) => securityContext?.appArmorProfile)];
  const types = distinct(profiles.flatMap((profile) => (profile && refused(profile) ? [profile.type] : [])));
  const annotations = Object.entries(metadata.annotations ?? {})
    .filter(([key]) => key.startsWith(appArmorPrefix))
    .filter(([, value]) => value !== '' && value !== 'runtime/default' && !value.startsWith('localhost/'))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .sort();
  const who = [
    ...[setters(refused(pod), bad)].filter((text) => text !== ''),
    ...(annotations.length > 0 ? [plural('annotation', annotations.length)] : []),
  ];
  if (who.length === 0) return undefined;
  const values = [...types, ...annotations];
  const detail = `${who.join(' and ')} must not set AppArmor profile type to ${quoted(values)}`;
  return { reason: plural('forbidden AppArmor profile', values.length), detail };
}

function hostPorts({ spec }: Subject): Finding | undefined {
  const bad = containersWhere(spec, (_, { ports }) => (ports ?? []).some(({ hostPort }) => hostPort));
  if (bad.length === 0) return undefined;
  const ports = everyContainer(spec).flatMap(({ ports: each }) =>
    (each ?? []).flatMap(({ hostPort }) => (hostPort ? [String(hostPort)] : [])),
  );
  const listed = distinct(ports);
  const use = bad.length === 1 ? 'uses' : 'use';
  const detail = `${theContainers(bad)} ${use} ${plural('hostPort', listed.length)} ${listed.join(', ')}`;
  return { reason: 'hostPort', detail };
}

function seLinux({ spec }: Subject, version: number): Finding | undefined {
  const types = upTo(seLinuxTypes, version);
  type Options = Security['seLinuxOptions'];
  const isBad = (options: Options) =>
    options != null && (!types.has(options.type ?? '') || Boolean(options.user) || Boolean(options.role));
  const pod = spec.securityContext?.seLinuxOptions;
  const bad = containersWhere(spec, ({ seLinuxOptions }) => isBad(seLinuxOptions));
  const who = setters(isBad(pod), bad);
  if (who === '') return undefined;
  const given = [pod, ...everyContainer(spec).map(({ securityContext }) => securityContext?.seLinuxOptions)];
  const wrong = distinct(given.map((options) => options?.type ?? '').filter((type) => !types.has(type)));
  const what = [
    ...(wrong.length > 0 ? [`${plural('type', wrong.length)} ${quoted(wrong)}`] : []),
    ...(given.some((options) => options?.user) ? ['user may not be set'] : []),
    ...(given.some((options) => options?.role) ? ['role may not be set'] : []),
  ];
  return { reason: 'seLinuxOptions', detail: `${who} set forbidden securityContext.seLinuxOptions: ${what.join('; ')}` };
}

type Profile = Security['seccompProfile'];
export const isUnconfined = (profile: Profile): boolean => profile != null && !profileTypes.includes(profile.type);

function seccomp({ metadata, spec }: Subject, version: number): Finding | undefined {
  return version < seccompField ? seccompAnnotations(metadata.annotations ?? {}, spec) : seccompFields(spec);
}

function seccompAnnotations(annotations: Record<string, string>, spec: Subject['spec']): Finding | undefined {
  const keys = [seccompPod, ...everyContainer(spec).map(({ name }) => seccompPrefix + name)];
  const isBad = (value: string | undefined) =>
    value !== undefined && !/^(runtime\/default|docker\/default|localhost\/.*)$/s.test(value);
  const bad = distinct(keys.filter((key) => isBad(annotations[key])));
  if (bad.length === 0) return undefined;
  const listed = bad.map((key) => `${key}=${JSON.stringify(annotations[key])}`).join(', ');
  return { reason: 'seccompProfile', detail: `forbidden ${plural('annotation', bad.length)} ${listed}` };
}

/** What is said, and should not be. */
export function seccompFields(spec: Subject['spec']): Finding | undefined {
  const pod = spec.securityContext?.seccompProfile;
  const bad = containersWhere(spec, ({ seccompProfile }) => isUnconfined(seccompProfile));
  const who = setters(isUnconfined(pod), bad);
  if (who === '') return undefined;
  const given = [pod, ...everyContainer(spec).map(({ securityContext }) => securityContext?.seccompProfile)];
  const types = distinct(given.flatMap((profile) => (profile && isUnconfined(profile) ? [profile.type] : [])));
  return { reason: 'seccompProfile', detail: `${who} must not set securityContext.seccompProfile.type to ${quoted(types)}` };
}
