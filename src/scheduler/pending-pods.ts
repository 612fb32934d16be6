/**
 * The pods that wait for a node, in three places: ready to be tried (highest priority first, then oldest), backing off after a failure (1 s
 * doubling to 10 s), and parked until something changes that may help them. Parked pods are tried again after 5 minutes whatever happens.
 * The idea is kube-scheduler's queue. Bounded by the number of pods without a node.
 */
import type { Clock } from '../lib/clock.ts';
import type { Pod } from '../machinery/types.ts';
import type { FilterName } from './types.ts';

export interface PendingPod {
  /** `namespace/name`. */
  key: string;
  pod: Pod;
  attempts: number;
  /** Order of arrival. */
  order: number;
  /** What stood in its way last time; empty when that is unknown. */
  failedBy: ReadonlySet<FilterName>;
}

const backoffMsMin = 1_000;
const backoffMsMax = 10_000;
const parkedMsMax = 300_000;

type Place = { in: 'active' } | { in: 'backoff'; untilMs: number } | { in: 'parked'; sinceMs: number; retryAtMs: number };

export class PendingPods {
  readonly #clock: Clock;
  readonly #entries = new Map<string, { pending: PendingPod; place: Place }>();
  /** A binary heap; entries that have left 'active' or were replaced are skipped when they come up. */
  readonly #heap: PendingPod[] = [];
  #order = 0;
  /** No entry leaves back-off or parking by itself before this. */
  #ripeAtMs = Number.POSITIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** A new pod, or a new state of one that waits. A change of what it asks for brings it out of parking. */
  set(key: string, pod: Pod, specChanged: boolean): void {
    const known = this.#entries.get(key);
    if (known && known.pending.pod.metadata.uid === pod.metadata.uid) {
      known.pending.pod = pod;
      if (specChanged && known.place.in === 'parked') this.#release(key, known.place.retryAtMs);
      return;
    }
    const pending = { key, pod, attempts: 0, order: this.#order++, failedBy: new Set<FilterName>() };
    this.#entries.set(key, { pending, place: { in: 'active' } });
    this.#push(pending);
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }

  /** The next pod to try. It must come back by `park` or `retry`, or be deleted. */
  pop(): PendingPod | undefined {
    this.#ripen();
    for (;;) {
      const pending = this.#heap[0];
      if (!pending) return undefined;
      this.#popHeap();
      const entry = this.#entries.get(pending.key);
      if (entry?.pending !== pending || entry.place.in !== 'active') continue;
      this.#entries.delete(pending.key);
      pending.attempts += 1;
      return pending;
    }
  }

  /** No node can take it: it waits for a change that helps against these filters. */
  park(pending: PendingPod, failedBy: ReadonlySet<FilterName>): void {
    const nowMs = this.#clock.monotonicMs();
    const retryAtMs = nowMs + backoffMs(pending.attempts);
    this.#entries.set(pending.key, {
      pending: { ...pending, failedBy },
      place: { in: 'parked', sinceMs: nowMs, retryAtMs },
    });
    this.#ripeAtMs = Math.min(this.#ripeAtMs, nowMs + parkedMsMax);
  }

  /** It failed for another reason than the nodes: it is tried again after its back-off. */
  retry(pending: PendingPod): void {
    const untilMs = this.#clock.monotonicMs() + backoffMs(pending.attempts);
    this.#entries.set(pending.key, { pending, place: { in: 'backoff', untilMs } });
    this.#ripeAtMs = Math.min(this.#ripeAtMs, untilMs);
  }

  /** Something changed that may cure these failures. */
  wake(cured: ReadonlySet<FilterName>): void {
    for (const [key, { pending, place }] of this.#entries) {
      if (place.in !== 'parked') continue;
      const helps = pending.failedBy.size === 0 || [...pending.failedBy].some((filter) => cured.has(filter));
      if (helps) this.#release(key, place.retryAtMs);
    }
  }

  /** Milliseconds until `pop` may give more than now; undefined when only a change can help. */
  nextMs(): number | undefined {
    let soonestMs: number | undefined;
    for (const { place } of this.#entries.values()) {
      if (place.in === 'active') return 0;
      soonestMs = Math.min(soonestMs ?? Number.POSITIVE_INFINITY, ripeAtMs(place));
    }
    return soonestMs === undefined ? undefined : Math.max(0, soonestMs - this.#clock.monotonicMs());
  }

  /** Out of parking: into back-off until then, or ready at once. */
  #release(key: string, notBeforeMs: number): void {
    const entry = this.#entries.get(key);
    if (!entry) return;
    if (notBeforeMs > this.#clock.monotonicMs()) {
      entry.place = { in: 'backoff', untilMs: notBeforeMs };
      this.#ripeAtMs = Math.min(this.#ripeAtMs, notBeforeMs);
    } else {
      this.#activate(entry);
    }
  }

  #activate(entry: { pending: PendingPod; place: Place }): void {
    entry.place = { in: 'active' };
    this.#push(entry.pending);
  }

  #ripen(): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs < this.#ripeAtMs) return;
    this.#ripeAtMs = Number.POSITIVE_INFINITY;
    for (const entry of this.#entries.values()) {
      if (entry.place.in === 'active') continue;
      const atMs = ripeAtMs(entry.place);
      if (atMs <= nowMs) this.#activate(entry);
      else this.#ripeAtMs = Math.min(this.#ripeAtMs, atMs);
    }
  }

  #push(pending: PendingPod): void {
    const heap = this.#heap;
    let index = heap.push(pending) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!before(pending, heap[parent] as PendingPod)) break;
      heap[index] = heap[parent] as PendingPod;
      index = parent;
    }
    heap[index] = pending;
  }

  #popHeap(): void {
    const heap = this.#heap;
    const last = heap.pop() as PendingPod;
    if (heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as PendingPod, heap[child] as PendingPod)) child += 1;
      if (!before(heap[child] as PendingPod, last)) break;
      heap[index] = heap[child] as PendingPod;
      index = child;
    }
    heap[index] = last;
  }
}

function ripeAtMs(place: Exclude<Place, { in: 'active' }>): number {
  return place.in === 'backoff' ? place.untilMs : place.sinceMs + parkedMsMax;
}

function before(a: PendingPod, b: PendingPod): boolean {
  const [priorityA, priorityB] = [a.pod.spec?.priority ?? 0, b.pod.spec?.priority ?? 0];
  return priorityA === priorityB ? a.order < b.order : priorityA > priorityB;
}

function backoffMs(attempts: number): number {
  return Math.min(backoffMsMax, backoffMsMin * 2 ** Math.min(20, Math.max(0, attempts - 1)));
}
