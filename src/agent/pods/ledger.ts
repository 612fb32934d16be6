/**
 * Reservations of this machine's resources, one per pod, from admission until everything of the pod is gone. The ledger
 * decides admission here (the scheduler only proposes) and is what heartbeats report as reserved.
 */
import { larger, type PodNeeds } from './needs.ts';

export interface Capacity {
  cpuMilli: number;
  memoryBytes: number;
  ephemeralStorageBytes: number;
  pods: number;
}

export interface Shortage {
  /** As in `OutOfcpu`. */
  resource: 'cpu' | 'memory' | 'ephemeral-storage' | 'pods';
  requested: number;
  used: number;
  capacity: number;
}

export class Ledger {
  #capacity: Capacity;
  readonly #held = new Map<string, PodNeeds>();
  readonly #listeners = new Set<() => void>();

  constructor(allocatable: Capacity) {
    this.#capacity = allocatable;
  }

  setAllocatable(allocatable: Capacity): void {
    this.#capacity = allocatable;
  }

  get allocatable(): Capacity {
    return this.#capacity;
  }

  /** Sum of all reservations. */
  reserved(): Capacity {
    const sum: Capacity = { cpuMilli: 0, memoryBytes: 0, ephemeralStorageBytes: 0, pods: this.#held.size };
    for (const needs of this.#held.values()) {
      sum.cpuMilli += needs.cpuMilli;
      sum.memoryBytes += needs.memoryBytes;
      sum.ephemeralStorageBytes += needs.ephemeralStorageBytes;
    }
    return sum;
  }

  /** Holds `needs` for the pod, or says what is missing. A pod that already holds a reservation keeps it. */
  reserve(podUid: string, needs: PodNeeds): Shortage | undefined {
    if (this.#held.has(podUid)) return undefined;
    const used = this.reserved();
    const { cpuMilli, memoryBytes, ephemeralStorageBytes, pods } = this.#capacity;
    const checks: Shortage[] = [
      { resource: 'pods', requested: 1, used: used.pods, capacity: pods },
      { resource: 'cpu', requested: needs.cpuMilli, used: used.cpuMilli, capacity: cpuMilli },
      { resource: 'memory', requested: needs.memoryBytes, used: used.memoryBytes, capacity: memoryBytes },
      {
        resource: 'ephemeral-storage',
        requested: needs.ephemeralStorageBytes,
        used: used.ephemeralStorageBytes,
        capacity: ephemeralStorageBytes,
      },
    ];
    const shortage = checks.find(({ requested, used, capacity }) => requested > 0 && used + requested > capacity);
    if (!shortage) this.#held.set(podUid, needs);
    return shortage;
  }

  /**
   * Another reservation for a pod that has one. It holds the larger of both until `adopt` says what it is: what is given back is
   * free only when it is no longer used. Says what is missing of what would grow; the old reservation stands then.
   */
  resize(podUid: string, needs: PodNeeds): Shortage | undefined {
    const held = this.#held.get(podUid) ?? { cpuMilli: 0, memoryBytes: 0, ephemeralStorageBytes: 0 };
    const sum = this.reserved();
    const grown = (
      [
        ['memory', 'memoryBytes'],
        ['cpu', 'cpuMilli'],
      ] as const
    )
      .filter(([, field]) => needs[field] > held[field])
      .map(([resource, field]) => ({
        resource,
        requested: needs[field],
        used: sum[field] - held[field],
        capacity: this.#capacity[field],
      }));
    const never = grown.find(({ requested, capacity }) => requested > capacity);
    const shortage = never ?? grown.find(({ requested, used, capacity }) => used + requested > capacity);
    if (!shortage) this.#held.set(podUid, larger(held, needs));
    return shortage;
  }

  /** For pods that already run here: the reservation stands whatever the capacity says now. */
  adopt(podUid: string, needs: PodNeeds): void {
    this.#held.set(podUid, needs);
    this.#tell();
  }

  release(podUid: string): void {
    this.#held.delete(podUid);
    this.#tell();
  }

  /** Calls `listener` whenever there may be more room. Gives the way to end that. */
  onFreed(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
