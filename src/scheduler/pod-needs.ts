/** What a pod asks of a node, computed once: amounts, ports, images, owner. Pure. */
import { quantityMilli, quantityValue } from '../machinery/quantity.ts';
import type { Container, Pod } from '../machinery/types.ts';

export interface Amounts {
  cpuMilli: number;
  memoryBytes: number;
  ephemeralStorageBytes: number;
}

export interface HostPort {
  ip: string;
  protocol: string;
  port: number;
}

export interface PodNeeds {
  pod: Pod;
  /** Sum of the containers, or the largest init container if that is more, plus overhead. */
  requests: Amounts;
  /** As `requests`, with a small amount for containers that ask for nothing, so that they count when load is spread. */
  assumed: Amounts;
  hostPorts: readonly HostPort[];
  images: readonly string[];
  /** uid of the controller; pods of one owner are spread. */
  owner: string | undefined;
}

/** What a container without a request is taken to use when nodes are compared. */
const assumedCpuMilli = 100;
const assumedMemoryBytes = 200 * 1024 * 1024;

type Resources = Record<string, string> | undefined;

export function needsOf(pod: Pod): PodNeeds {
  const { containers = [], initContainers = [] } = pod.spec ?? {};
  const all = [...containers, ...initContainers] as Container[];
  return {
    pod,
    requests: total(pod, 0, 0),
    assumed: total(pod, assumedCpuMilli, assumedMemoryBytes),
    hostPorts: all.flatMap(hostPortsOf),
    images: containers.flatMap(({ image }) => (image ? [image] : [])),
    owner: pod.metadata.ownerReferences?.find(({ controller }) => controller)?.uid,
  };
}

function total(pod: Pod, cpuDefault: number, memoryDefault: number): Amounts {
  const { containers = [], initContainers = [], overhead } = pod.spec ?? {};
  const running: Amounts = { cpuMilli: 0, memoryBytes: 0, ephemeralStorageBytes: 0 };
  for (const container of containers) add(running, amountsOf(container.resources?.requests, cpuDefault, memoryDefault));
  // Init containers run one after another beside the sidecars that were started before them.
  const sidecars: Amounts = { cpuMilli: 0, memoryBytes: 0, ephemeralStorageBytes: 0 };
  const peak: Amounts = { cpuMilli: 0, memoryBytes: 0, ephemeralStorageBytes: 0 };
  for (const container of initContainers) {
    const amounts = amountsOf(container.resources?.requests, cpuDefault, memoryDefault);
    if (container.restartPolicy === 'Always') {
      add(sidecars, amounts);
      raise(peak, sidecars);
    } else {
      add(amounts, sidecars);
      raise(peak, amounts);
    }
  }
  add(running, sidecars);
  raise(running, peak);
  add(running, amountsOf(overhead, 0, 0));
  return running;
}

function amountsOf(resources: Resources, cpuDefault: number, memoryDefault: number): Amounts {
  const { cpu, memory, 'ephemeral-storage': storage } = resources ?? {};
  return {
    cpuMilli: cpu === undefined ? cpuDefault : milliOf(cpu),
    memoryBytes: memory === undefined ? memoryDefault : bytesOf(memory),
    ephemeralStorageBytes: storage === undefined ? 0 : bytesOf(storage),
  };
}

function add(to: Amounts, more: Amounts): void {
  to.cpuMilli += more.cpuMilli;
  to.memoryBytes += more.memoryBytes;
  to.ephemeralStorageBytes += more.ephemeralStorageBytes;
}

function raise(to: Amounts, least: Amounts): void {
  to.cpuMilli = Math.max(to.cpuMilli, least.cpuMilli);
  to.memoryBytes = Math.max(to.memoryBytes, least.memoryBytes);
  to.ephemeralStorageBytes = Math.max(to.ephemeralStorageBytes, least.ephemeralStorageBytes);
}

function hostPortsOf(container: Container): HostPort[] {
  return (container.ports ?? []).flatMap(({ hostPort, hostIP, protocol }) =>
    hostPort ? [{ ip: hostIP || '0.0.0.0', protocol: protocol ?? 'TCP', port: hostPort }] : [],
  );
}

/** Exact parsing costs microseconds and clusters use few different amounts; forgotten all at once when there are too many. */
const parsedMax = 4_096;
const parsedMilli = new Map<string, number>();
const parsedBytes = new Map<string, number>();

function remembered(cache: Map<string, number>, text: string, parse: (text: string) => number): number {
  const known = cache.get(text);
  if (known !== undefined) return known;
  if (cache.size >= parsedMax) cache.clear();
  const value = parse(text);
  cache.set(text, value);
  return value;
}

export function milliOf(text: string): number {
  return remembered(parsedMilli, text, quantityMilli);
}

export function bytesOf(text: string): number {
  return remembered(parsedBytes, text, quantityValue);
}
