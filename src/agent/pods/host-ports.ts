/**
 * The ports of this machine that its pods hold, from admission until everything of a pod is gone. Two pods cannot hold one;
 * those of a pod with its own network are led to its address by the pod network.
 */
import type { Pod } from '../../machinery/types.ts';
import type { HostPortForward, PodNetwork } from '../types.ts';

type Port = Omit<HostPortForward, 'podIp'>;

interface Held {
  ports: Port[];
  /** Once the pod has one; never with the machine's own network, where the pod listens itself. */
  podIp: string | undefined;
}

const protocols = { TCP: 'tcp', UDP: 'udp', SCTP: 'sctp' } as const;

/** As `hostIP`: all addresses of the machine. */
export const everyAddress: ReadonlySet<string> = new Set(['', '0.0.0.0', '::']);

/** The ports of the machine that a pod asks for. Pure. */
export function hostPortsOf(pod: Pod): Port[] {
  const containers = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  return containers.flatMap(({ ports = [] }) =>
    ports.flatMap(({ hostPort, hostIP, containerPort, protocol }) => {
      if (!hostPort) return [];
      const hostIp = hostIP && !everyAddress.has(hostIP) ? { hostIp: hostIP } : {};
      return [{ protocol: protocols[protocol as 'TCP'] ?? 'tcp', hostPort, port: containerPort, ...hostIp }];
    }),
  );
}

export class HostPorts {
  readonly #network: Pick<PodNetwork, 'setHostPorts'>;
  readonly #held = new Map<string, Held>();
  /** The machine can have rules: its pod network has been started. */
  #live = false;
  /** The rules may not be what they should be. */
  #stale = true;

  constructor(network: Pick<PodNetwork, 'setHostPorts'>) {
    this.#network = network;
  }

  /** False when another pod holds one of them. */
  reserve(pod: Pod): boolean {
    const wanted = hostPortsOf(pod);
    const others = [...this.#held].filter(([uid]) => uid !== pod.metadata.uid).flatMap(([, { ports }]) => ports);
    if (wanted.some((port) => others.some((other) => collide(port, other)))) return false;
    if (wanted.length) this.#held.set(pod.metadata.uid!, { ports: wanted, podIp: undefined });
    return true;
  }

  /** For pods that already run here: they keep what they have. */
  adopt(pod: Pod, podIp: string | undefined): void {
    const ports = hostPortsOf(pod);
    if (ports.length) this.#held.set(pod.metadata.uid!, { ports, podIp: pod.spec?.hostNetwork ? undefined : podIp });
  }

  /** The pod has its address: from now on its ports lead there. */
  async lead(podUid: string, podIp: string): Promise<void> {
    const held = this.#held.get(podUid);
    if (!held || (held.podIp === podIp && !this.#stale)) return;
    held.podIp = podIp;
    await this.#write();
  }

  /** The pod is not taken up after all. */
  drop(podUid: string): void {
    this.#held.delete(podUid);
  }

  async release(podUid: string): Promise<void> {
    const held = this.#held.get(podUid);
    this.#held.delete(podUid);
    if (held?.podIp) this.#stale = true;
    if (this.#stale) await this.#write();
  }

  /** The pod network has been started: makes its rules what they should be, whatever an earlier agent left. */
  async start(): Promise<void> {
    this.#live = true;
    await this.#write();
  }

  async #write(): Promise<void> {
    this.#stale = true;
    if (!this.#live) return;
    const forwards = [...this.#held.values()].flatMap(({ ports, podIp }) =>
      podIp ? ports.map((port) => ({ ...port, podIp })) : [],
    );
    await this.#network.setHostPorts(forwards);
    this.#stale = false;
  }
}

function collide(a: Port, b: Port): boolean {
  const sameAddress = a.hostIp === undefined || b.hostIp === undefined || a.hostIp === b.hostIp;
  return a.protocol === b.protocol && a.hostPort === b.hostPort && sameAddress;
}
