/** One node as filters and scores see it: its object, what it offers, and the sums over the pods on it. Sums change with each pod, in place. */
import type { Node } from '../machinery/types.ts';
import { type Amounts, bytesOf, isOther, milliOf, type PodNeeds } from './pod-needs.ts';

export interface Allocatable extends Amounts {
  pods: number;
  others: ReadonlyMap<string, number>;
}

export class NodeState {
  readonly node: Node;
  readonly name: string;
  readonly allocatable: Allocatable;
  /** Image names that the node holds, with their size. */
  readonly imageBytes: ReadonlyMap<string, number>;
  readonly requested: Amounts = { cpuMilli: 0, memoryBytes: 0, ephemeralStorageBytes: 0 };
  readonly assumed: Amounts = { cpuMilli: 0, memoryBytes: 0, ephemeralStorageBytes: 0 };
  /** Of huge pages and extended resources. */
  readonly requestedOthers = new Map<string, number>();
  readonly #pods = new Map<string, PodNeeds>();
  readonly #owners = new Map<string, number>();
  /** `protocol port` → addresses in use there; an address may be used by several pods that were forced onto the node. */
  readonly #ports = new Map<string, string[]>();

  constructor(node: Node) {
    this.node = node;
    this.name = node.metadata.name;
    const { cpu, memory, pods, 'ephemeral-storage': storage } = node.status?.allocatable ?? {};
    this.allocatable = {
      cpuMilli: cpu === undefined ? 0 : milliOf(cpu),
      memoryBytes: memory === undefined ? 0 : bytesOf(memory),
      ephemeralStorageBytes: storage === undefined ? 0 : bytesOf(storage),
      pods: pods === undefined ? 0 : bytesOf(pods),
      others: new Map(
        Object.entries(node.status?.allocatable ?? {}).flatMap(([name, amount]) =>
          isOther(name) ? [[name, bytesOf(amount)] as const] : [],
        ),
      ),
    };
    this.imageBytes = new Map(
      (node.status?.images ?? []).flatMap(({ names, sizeBytes }) => (names ?? []).map((name) => [name, sizeBytes ?? 0] as const)),
    );
  }

  get podCount(): number {
    return this.#pods.size;
  }

  pods(): Iterable<PodNeeds> {
    return this.#pods.values();
  }

  /** How many pods of this controller are here. */
  ownedBy(owner: string): number {
    return this.#owners.get(owner) ?? 0;
  }

  /** `key` is the pod's uid. */
  add(key: string, needs: PodNeeds): void {
    if (this.#pods.has(key)) this.remove(key);
    this.#pods.set(key, needs);
    change(this.requested, needs.requests, 1);
    change(this.assumed, needs.assumed, 1);
    this.#changeOthers(needs, 1);
    if (needs.owner) this.#owners.set(needs.owner, this.ownedBy(needs.owner) + 1);
    for (const { protocol, port, ip } of needs.hostPorts) {
      const slot = `${protocol} ${port}`;
      this.#ports.set(slot, [...(this.#ports.get(slot) ?? []), ip]);
    }
  }

  remove(key: string): void {
    const needs = this.#pods.get(key);
    if (!needs) return;
    this.#pods.delete(key);
    change(this.requested, needs.requests, -1);
    change(this.assumed, needs.assumed, -1);
    this.#changeOthers(needs, -1);
    if (needs.owner) {
      const left = this.ownedBy(needs.owner) - 1;
      if (left > 0) this.#owners.set(needs.owner, left);
      else this.#owners.delete(needs.owner);
    }
    for (const { protocol, port, ip } of needs.hostPorts) {
      const slot = `${protocol} ${port}`;
      const addresses = [...(this.#ports.get(slot) ?? [])];
      addresses.splice(addresses.indexOf(ip), 1);
      if (addresses.length > 0) this.#ports.set(slot, addresses);
      else this.#ports.delete(slot);
    }
  }

  #changeOthers({ others }: PodNeeds, sign: 1 | -1): void {
    for (const [name, amount] of others) {
      this.requestedOthers.set(name, (this.requestedOthers.get(name) ?? 0) + sign * amount);
    }
  }

  /** 0.0.0.0 is every address. */
  isPortTaken(protocol: string, port: number, ip: string): boolean {
    const addresses = this.#ports.get(`${protocol} ${port}`);
    return addresses?.some((taken) => taken === ip || taken === '0.0.0.0' || ip === '0.0.0.0') ?? false;
  }
}

function change(sum: Amounts, by: Amounts, sign: 1 | -1): void {
  sum.cpuMilli += sign * by.cpuMilli;
  sum.memoryBytes += sign * by.memoryBytes;
  sum.ephemeralStorageBytes += sign * by.ephemeralStorageBytes;
}
