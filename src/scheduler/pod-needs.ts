/** What a pod asks of a node, computed once: amounts, ports, images, owner. Pure. */
import { podAmounts } from '../machinery/pod-resources.ts';
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
  /** Huge pages and extended resources (`example.com/gpu`), by name; as `requests`, of most pods empty. */
  others: ReadonlyMap<string, number>;
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
    others: othersOf(pod, all),
    hostPorts: all.flatMap(hostPortsOf),
    images: containers.flatMap(({ image }) => (image ? [image] : [])),
    owner: pod.metadata.ownerReferences?.find(({ controller }) => controller)?.uid,
  };
}

/** Whether the resource is one that only some nodes have at all. */
export const isOther = (resource: string) => resource.includes('/') || resource.startsWith('hugepages-');

const none: ReadonlyMap<string, number> = new Map();

function othersOf(pod: Pod, containers: readonly Container[]): ReadonlyMap<string, number> {
  if (!containers.some(({ resources }) => Object.keys(resources?.requests ?? {}).some(isOther))) return none;
  const amounts = Object.entries(podAmounts(pod.spec!, 'requests', { overhead: true }));
  return new Map(amounts.flatMap(([name, amount]) => (isOther(name) ? [[name, bytesOf(amount)] as const] : [])));
}

function total(pod: Pod, cpuDefault: number, memoryDefault: number): Amounts {
  const { containers = [], initContainers = [], overhead } = pod.spec ?? {};
  const running: Amounts = { cpuMilli: 0, memoryBytes: 0, ephemeralStorageBytes: 0 };
  const held = heldBy(pod);
  const amounts = ({ name, resources }: Container) =>
    heldAmounts(amountsOf(resources?.requests, cpuDefault, memoryDefault), held?.get(name));
  for (const container of containers) add(running, amounts(container));
  // Init containers run one after another beside the sidecars that were started before them.
  const sidecars: Amounts = { cpuMilli: 0, memoryBytes: 0, ephemeralStorageBytes: 0 };
  const peak: Amounts = { cpuMilli: 0, memoryBytes: 0, ephemeralStorageBytes: 0 };
  for (const container of initContainers) {
    const needed = amounts(container);
    if (container.restartPolicy === 'Always') {
      add(sidecars, needed);
      raise(peak, sidecars);
    } else {
      add(needed, sidecars);
      raise(peak, needed);
    }
  }
  add(running, sidecars);
  raise(running, peak);
  add(running, amountsOf(overhead, 0, 0));
  return running;
}

interface Held {
  /** What the machine has promised, and what is in force there. */
  amounts: Resources[];
  /** The machine will never give what the pod asks for now. */
  infeasible: boolean;
}

/** By container, where a machine has taken it up. Undefined for most pods: nothing there differs from what they ask. */
function heldBy({ spec, status }: Pod): Map<string, Held> | undefined {
  const statuses = [...(status?.containerStatuses ?? []), ...(status?.initContainerStatuses ?? [])];
  const asked = new Map([...(spec?.containers ?? []), ...(spec?.initContainers ?? [])].map((c) => [c.name, c.resources]));
  const differs = statuses.some(({ name, allocatedResources: given, resources }) =>
    (['cpu', 'memory'] as const).some((unit) =>
      [given?.[unit], resources?.requests?.[unit]].some((amount) => amount && amount !== asked.get(name)?.requests?.[unit]),
    ),
  );
  if (!differs) return undefined;
  const infeasible =
    status?.conditions?.some(({ type, reason }) => type === 'PodResizePending' && reason === 'Infeasible') ?? false;
  return new Map(
    statuses.map(({ name, allocatedResources, resources }) => [
      name,
      { amounts: [allocatedResources, resources?.requests], infeasible },
    ]),
  );
}

/** While a resize is under way the larger of what is asked and what is held counts (KEP 1287). */
function heldAmounts(asked: Amounts, held: Held | undefined): Amounts {
  const known = held?.amounts.filter((amounts) => amounts !== undefined);
  if (!held || !known?.length) return asked;
  const amounts: Amounts = held.infeasible ? { ...asked, cpuMilli: 0, memoryBytes: 0 } : asked;
  for (const each of known) raise(amounts, amountsOf(each, 0, 0));
  return amounts;
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
