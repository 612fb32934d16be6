/**
 * The seams inside the agent: pod workers (pods/, volumes/, streams/) stand on the host rooms (host/, images/, network/).
 * All paths are below the agent's data folder unless said otherwise.
 */
import type { PodSpec } from '../machinery/types.ts';
import type { AgentError } from './errors.ts';
import type { EvictionSettings } from './eviction/types.ts';
import type { CgroupUsage } from './host/cgroup-usage.ts';
import type { IdMapping } from './host/user-namespaces.ts';
import type { GarbagePolicy } from './images/garbage.ts';
import type { LxcfsSettings } from './runtime/lxcfs.ts';

export interface CommandResult {
  exitCode: number;
  /** The signal that ended it, if one did. */
  signal: string | undefined;
  /** At most 1 MiB each; the rest is cut. */
  stdout: string;
  stderr: string;
}

export interface CommandOptions {
  stdin?: string | Uint8Array;
  env?: Record<string, string>;
  cwd?: string;
  /** Default 60,000. The process group gets SIGTERM, then SIGKILL after 2 s. */
  timeoutMs?: number;
  signal?: AbortSignal;
}

/** Runs short host commands through one small process started early, so that the agent's heap never slows a fork. */
export interface Executor {
  /** Resolves for every exit code; rejects with AgentError 'CommandFailed' only when it cannot be started, or timed out. */
  run(command: string, args: readonly string[], options?: CommandOptions): Promise<CommandResult>;
  /** As `run`, but rejects with AgentError 'CommandFailed' (command, exit code, stderr) on a non-zero exit. Gives stdout. */
  check(command: string, args: readonly string[], options?: CommandOptions): Promise<string>;
  /**
   * Starts a process that outlives the agent (conmon): its own session, standard streams on /dev/null. With `syncPipe` an
   * extra pipe is its file descriptor 3; resolves with the first line it writes there (at most 64 KiB, 60 s), else with ''.
   */
  detach(
    command: string,
    args: readonly string[],
    options: { env?: Record<string, string>; cwd?: string; syncPipe?: boolean },
  ): Promise<{ pid: number; line: string }>;
  close(): Promise<void>;
}

/** What an image says about how to run it (OCI image config, the parts used). */
export interface ImageConfig {
  entrypoint: string[];
  cmd: string[];
  env: string[];
  workingDir: string;
  user: string;
  stopSignal: string;
}

export interface Image {
  /** sha256:… of the config: the image id. */
  id: string;
  /** Normalized references that name it, for example docker.io/library/nginx:1.25. */
  references: string[];
  /** repository@sha256:… where pulled from a registry. */
  digests: string[];
  sizeBytes: number;
  config: ImageConfig;
  /** Unpacked layer folders, lowest first. */
  layers: string[];
}

export interface PullCredentials {
  username: string;
  password: string;
}

/** By registry (host[:port]; `*`: every other), what is asked before it, in order: http(s)://host[:port][/prefix]. */
export type RegistryMirrors = Readonly<Record<string, readonly string[]>>;

/** Somebody who needs images, mounted or not: a pod. */
export interface ImageUser {
  /** For messages: `pod default/web`. */
  name: string;
  /** Container ids that are its own. */
  containers: readonly string[];
  /** References and ids of the images it needs, in any form. */
  images: readonly string[];
}

/** What decides over an image's staying. */
export interface ImageUse {
  id: string;
  references: string[];
  digests: string[];
  sizeBytes: number;
  /** Who needs it now: pods, containers, `a pull`. */
  usedBy: string[];
  /** One of its names, or its id, is pinned. */
  pinned: boolean;
  /** Wall time when a container last needed it; 0: never known. */
  usedAtMs: number;
  /** Wall time when it came; 0: from before times were kept. */
  addedAtMs: number;
}

export interface ImageRemoval {
  /** Names that lead nowhere now. */
  untagged: string[];
  /** Images that are gone. */
  deleted: string[];
  /** Unpacked bytes of the layers that went with them. */
  freedBytes: number;
}

export interface ImageExport {
  sizeBytes: number;
  /** An OCI archive. Ends with AgentError 'ImageExport' when a layer is not what its digest says. */
  content: AsyncIterable<Buffer>;
}

export interface RootOptions {
  /** Nothing can be written, and there is no layer to write to. */
  readOnly?: boolean;
  /** Owners of files as this namespace has them. */
  mapping?: IdMapping;
}

export interface ImageStore {
  list(): Promise<Image[]>;
  /** By reference in any form users write (nginx, nginx:1.25, registry/x@sha256:…) or by id. */
  find(reference: string): Promise<Image | undefined>;
  /** Pulls over HTTPS (or HTTP for registries configured as insecure). Concurrent pulls of one reference share the work. AgentError 'ImagePull' | 'InvalidImageName'. */
  pull(reference: string, credentials: ReadonlyMap<string, PullCredentials> | undefined, signal: AbortSignal): Promise<Image>;
  /** From an OCI or Docker archive (tar, may be gzipped). Gives the images it held. */
  importArchive(file: string, signal: AbortSignal): Promise<Image[]>;
  /**
   * Gives `take` the image as an OCI archive with the same id and the same (uncompressed) layers, and keeps it from going
   * meanwhile. AgentError 'ImageNotFound' | 'ImageExport'.
   */
  exportArchive(reference: string, signal: AbortSignal, take: (archive: ImageExport) => Promise<void>): Promise<void>;
  /**
   * Takes a name away, with the last one (or by id) the image and the layers that no other needs. What is not there needs no removal.
   * Never an image in use: AgentError 'ImageInUse'; a pinned one only with `force`: 'ImagePinned'.
   */
  remove(reference: string, options?: { force?: boolean }): Promise<ImageRemoval>;
  /** Removes what nobody uses and is not pinned: images without a tag, with `all` the tagged ones too. */
  prune(options: { all: boolean }): Promise<ImageRemoval>;
  /** A pinned name (or id) keeps its image from being collected, pruned and removed. AgentError 'ImageNotFound'. Idempotent. */
  setPinned(reference: string, pinned: boolean): Promise<void>;
  /** All images with their uses. */
  uses(): ImageUse[];
  /** Writes down the times of use, which otherwise a crash forgets. */
  saveUses(): Promise<void>;
  /** The error for an image that is not there: with the name that may have been meant. */
  missing(reference: string): AgentError;
  /** Who else needs images from now on: asked before every removal. */
  setUsers(users: () => readonly ImageUser[]): void;
  /**
   * Mounts a container's root (overlay of the layers and a fresh read-write layer) and returns the mount point.
   * `inUse` images are never removed. Idempotent for one container id.
   */
  mountRoot(containerId: string, image: Image, options?: RootOptions): Promise<string>;
  /** Where `mountRoot` mounted it; undefined when it did not, or not since the machine started. */
  mountedRoot(containerId: string): Promise<string | undefined>;
  /** The folder on disk that holds what a container has written below its root. Pure. */
  writableLayer(containerId: string): string;
  /** Unmounts and removes the read-write layer. Idempotent. */
  removeRoot(containerId: string): Promise<void>;
  /** The same for every id that begins so. */
  removeRootsOf(prefix: string): Promise<void>;
}

/** A port of this machine that leads to one of a pod. */
export interface HostPortForward {
  protocol: 'tcp' | 'udp' | 'sctp';
  hostPort: number;
  /** Only at this address of the machine; left out: at all. */
  hostIp?: string;
  podIp: string;
  port: number;
}

export interface PodNetworkSetup {
  /** For example 10.42.1.7. */
  ip: string;
}

export interface PodNetwork {
  /** Makes bridge, VXLAN, forwarding for this node's range. Idempotent; adopts what is there. */
  start(podCidr: string, nodeIp: string): Promise<void>;
  /** Other nodes: routes, forwarding entries. Called with the complete list whenever it changes. */
  setPeers(peers: { nodeName: string; nodeIp: string; podCidr: string }[]): Promise<void>;
  /** veth, address, routes into the pod's network namespace. Idempotent per pod uid; the address survives restarts of the agent. */
  attach(podUid: string, netnsFile: string): Promise<PodNetworkSetup>;
  /** Removes the veth and frees the address. Idempotent. */
  detach(podUid: string): Promise<void>;
  /** The ports of the machine that lead to pods: the complete list whenever it changes. */
  setHostPorts(forwards: readonly HostPortForward[]): Promise<void>;
  /** Takes away everything that belongs to pods not in `podUids`. */
  sweep(podUids: ReadonlySet<string>): Promise<void>;
  /** Removes bridge, VXLAN and rules: the machine is as before start(). */
  stop(): Promise<void>;
}

/** The OCI runtimes that the agent can drive: what a RuntimeClass's handler may be here. */
export const runtimeNames = ['runc', 'crun'] as const;
export type RuntimeName = (typeof runtimeNames)[number];

/** Cgroup limits of a pod or container, from requests and limits. */
export interface CgroupLimits {
  cpuShares: number;
  /** Left out: no quota. Microseconds in 100 ms. */
  cpuQuotaMicros?: number;
  memoryLimitBytes?: number;
  pidsLimit?: number;
}

export interface Cgroups {
  readonly version: 1 | 2;
  /** Makes the tree `<root>/<qos>/pod<uid>` with limits; gives the cgroupsPath parent for the runtime. Idempotent. */
  ensurePod(
    podUid: string,
    qos: NonNullable<import('../machinery/types.ts').PodStatus['qosClass']>,
    limits: CgroupLimits,
  ): Promise<string>;
  removePod(podUid: string): Promise<void>;
  /** Usage of the whole pod; undefined: it has no cgroup. */
  podUsage(podUid: string): Promise<CgroupUsage | undefined>;
  containerUsage(podUid: string, containerId: string): Promise<CgroupUsage | undefined>;
  /** Of all pods together, or of their monitors. */
  groupUsage(group: 'pods' | 'monitor'): Promise<CgroupUsage | undefined>;
  /** Working set of one container of a pod, bytes. */
  containerMemory(podUid: string, containerId: string): Promise<number | undefined>;
  /** Processes and threads of the whole pod. */
  podProcesses(podUid: string): Promise<number | undefined>;
  /** Pods that have a cgroup below our root. */
  list(): Promise<string[]>;
  /** A cgroup of its own for monitors (conmon), and for the process that starts them. */
  readonly monitorParent: string;
  /** Puts a process into the monitor cgroup; what it starts is in it too. */
  addMonitor(pid: number): Promise<void>;
  /** The processes in the monitor cgroup. */
  monitors(): Promise<number[]>;
  /** The processes of one container; none when it has no cgroup. */
  containerProcesses(podUid: string, containerId: string): Promise<number[]>;
  /** For a container that the runtime does not know, or only in part. Nothing may run in it. AgentError 'Cgroup'. */
  removeContainer(podUid: string, containerId: string): Promise<void>;
  /** Removes our root: only when nothing runs in it. */
  removeAll(): Promise<void>;
}

export type PodResourceNeeds = (spec: PodSpec) => { cpuMilli: number; memoryBytes: number; ephemeralStorageBytes: number };

/** Everything the agent process is told at start; JSON in its first argument. */
export interface AgentOptions {
  nodeName: string;
  /** The address by which other machines reach this one. */
  nodeIp: string;
  /** Journal, images, pods, logs live below it. */
  dataDir: string;
  /** Unix socket of the API on this machine. */
  apiSocket: string;
  /** Unix socket that the agent serves. */
  agentSocket: string;
  /** Unix socket on which the peer thread tells the lease; left out: no lease is watched. */
  leaseSocket?: string;
  /** Name of this node's cgroup below each controller's root, for example `kontiki` or `kontiki-lab/peer-1`. */
  cgroupRoot: string;
  /** For pods whose RuntimeClass names no other. */
  runtime: RuntimeName;
  insecureRegistries: string[];
  /** Left out: none. */
  registryMirrors?: RegistryMirrors;
  /** When images that nobody needs are removed; left out: never. */
  imageGarbage?: GarbagePolicy;
  /** Kept for the system: subtracted from capacity to give allocatable. */
  systemReserved: { cpuMilli: number; memoryBytes: number };
  /** Overrides what the machine shows (several peers on one machine). */
  capacity?: { cpuMilli?: number; memoryBytes?: number };
  podsMax: number;
  /** When pods have to go; left out: never. */
  eviction?: EvictionSettings;
  /** How long pods that need the lease run on when it is lost; left out: not at all. */
  stopAfterLeaseLossMs?: number;
  /** Containers see their own limits in files of /proc; left out: the machine's. */
  lxcfs?: LxcfsSettings;
  /** Folder of static pods; left out: none. */
  staticPodPath?: string;
  labels: Record<string, string>;
  logLevel: 'debug' | 'info' | 'warn' | 'error';
}
