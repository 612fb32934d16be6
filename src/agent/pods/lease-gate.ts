/**
 * Pods that must not run in two places stop when this machine has lost its lease (lease-watch.ts), and wait for it before they
 * start: the others may start them elsewhere as soon as the machine counts as fenced.
 */
import type { Clock, Timer } from '../../lib/clock.ts';
import type { Pod } from '../../machinery/types.ts';

/** `Stop` or `Keep`; without it the pods of StatefulSets stop. */
export const leaseLossAnnotation = 'kontiki.io/on-lease-loss';

/** Pure. */
export function needsLease({ metadata }: Pick<Pod, 'metadata'>): boolean {
  const wish = metadata.annotations?.[leaseLossAnnotation];
  if (wish === 'Stop' || wish === 'Keep') return wish === 'Stop';
  return metadata.ownerReferences?.some(({ kind, controller }) => controller && kind === 'StatefulSet') ?? false;
}

export interface LeaseGateOptions {
  clock: Clock;
  /** Without a lease to watch all is as if it were held. */
  watched: boolean;
  /** How long what runs goes on after the loss. */
  stopAfterMs: number;
  /** `over` changed, or the lease came. */
  onChange: () => void;
}

/** A new agent finds pods running and does not know yet how the machine stands with the others: so long it waits to be told. */
const firstLeaseMs = 15_000;

export class LeaseGate {
  readonly #options: LeaseGateOptions;
  #held: boolean;
  #over = false;
  #timer: Timer | undefined;

  constructor(options: LeaseGateOptions) {
    this.#options = options;
    this.#held = !options.watched;
  }

  /** Pods that need the lease may start. */
  get held(): boolean {
    return this.#held;
  }

  /** Pods that need the lease must not run any more. */
  get over(): boolean {
    return this.#over;
  }

  start(): void {
    if (!this.#held) this.#endAfter(firstLeaseMs);
  }

  stop(): void {
    this.#timer?.cancel();
  }

  lost(): void {
    this.#held = false;
    this.#endAfter(this.#options.stopAfterMs);
  }

  regained(): void {
    this.#timer?.cancel();
    this.#held = true;
    this.#over = false;
    this.#options.onChange();
  }

  #endAfter(ms: number): void {
    this.#timer?.cancel();
    const end = () => {
      this.#over = true;
      this.#options.onChange();
    };
    if (ms <= 0) end();
    else this.#timer = this.#options.clock.setTimer(ms, end);
  }
}
