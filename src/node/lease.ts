/**
 * Until when this peer may consider itself in contact with the quorum. It asks the leader for a grant twice a second; a grant
 * extends the lease to a fixed time after the *asking*, on this peer's own monotonic clock.
 *
 * The leader grants only when a round of its own with the quorum, begun after the request came, has shown that it still leads,
 * and never to a machine that it calls dead. So from the moment in which the leader calls a machine dead, no lease of that
 * machine lasts longer than `leaseMs` on the machine's clock. A new leader counts from its election at the earliest: its
 * predecessor could confirm no round after that. `fencedAfterMs` leaves room for clocks that run at different speeds.
 */
import type { Clock } from '../lib/clock.ts';
import { RepeatingTask } from '../lib/repeating-task.ts';

/** 4 s, less one per mill for clocks and some for timers that fire late. */
export const leaseMs = 3_800;
export const fencedAfterMs = 4_000;
const askIntervalMs = 500;
const confirmTimeoutMs = 1_000;
/** Requests whose answer may still come. */
const asksMax = 16;

const frameKind = { request: 1, grant: 2 } as const;
const frameBytes = 5;

/** Consensus, as far as leases need it. */
export interface LeaseConsensus {
  status(): { role: string; term: number; leader: string | undefined };
  readIndex(signal?: AbortSignal): Promise<number>;
}

export interface LeaseKeeperOptions {
  id: string;
  consensus: LeaseConsensus;
  /** False when it was not sent; the next request follows soon. */
  send: (to: string, frame: Uint8Array) => boolean;
  /** Whether this peer's detector calls that peer dead. */
  isDead: (peer: string) => boolean;
  clock: Clock;
  onError: (error: unknown) => void;
}

export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  readonly #task: RepeatingTask;
  /** When each request was made, by its number. */
  readonly #asked = new Map<number, { leader: string; atMs: number }>();
  #lastNumber = 0;
  #untilMs = Number.NEGATIVE_INFINITY;
  #ledTerm = -1;
  #ledSinceMs = 0;

  constructor(options: LeaseKeeperOptions) {
    this.#options = options;
    const { clock, onError } = options;
    this.#task = new RepeatingTask({ clock, intervalMs: askIntervalMs, run: () => this.#ask(), onError });
  }

  start(): void {
    this.#task.start();
  }

  stop(): Promise<void> {
    return this.#task.stop();
  }

  /** How long the lease still lasts; 0 when it is over. */
  remainingMs(): number {
    return Math.max(0, this.#untilMs - this.#options.clock.monotonicMs());
  }

  /** Since when this peer leads in its present term; undefined when it does not lead. To be called at each change. */
  ledSinceMs(): number | undefined {
    const { role, term } = this.#options.consensus.status();
    if (role !== 'leader') return undefined;
    if (this.#ledTerm !== term) {
      this.#ledTerm = term;
      this.#ledSinceMs = this.#options.clock.monotonicMs();
    }
    return this.#ledSinceMs;
  }

  /** From when on a machine that was called dead at `deadSinceMs` has surely lost its lease; undefined on a peer that does not lead. */
  fencedAtMs(deadSinceMs: number): number | undefined {
    const ledSinceMs = this.ledSinceMs();
    return ledSinceMs === undefined ? undefined : Math.max(deadSinceMs, ledSinceMs) + fencedAfterMs;
  }

  /** A frame of another peer: a request for a grant, or a grant. */
  receive(from: string, frame: Uint8Array): void {
    if (frame.byteLength !== frameBytes) return;
    const number = Buffer.from(frame).readUInt32BE(1);
    if (frame[0] === frameKind.request) void this.#grant(from, number).catch(this.#options.onError);
    else if (frame[0] === frameKind.grant) this.#granted(from, number);
  }

  async #ask(): Promise<void> {
    const { id, consensus, clock, send } = this.#options;
    const { leader } = consensus.status();
    if (leader === undefined) return;
    const atMs = clock.monotonicMs();
    if (leader === id) {
      if (await this.#confirm()) this.#extend(atMs);
      return;
    }
    const number = this.#nextNumber();
    this.#asked.set(number, { leader, atMs });
    for (const oldest of this.#asked.keys()) {
      if (this.#asked.size <= asksMax) break;
      this.#asked.delete(oldest);
    }
    send(leader, encode(frameKind.request, number));
  }

  async #grant(to: string, number: number): Promise<void> {
    const { isDead, send } = this.#options;
    if (isDead(to) || !(await this.#confirm())) return;
    // It may have been called dead meanwhile, and what counts for the fence is when the grant leaves.
    if (!isDead(to)) send(to, encode(frameKind.grant, number));
  }

  #granted(from: string, number: number): void {
    const asked = this.#asked.get(number);
    if (asked?.leader !== from) return;
    this.#asked.delete(number);
    this.#extend(asked.atMs);
  }

  #extend(fromMs: number): void {
    this.#untilMs = Math.max(this.#untilMs, fromMs + leaseMs);
  }

  /** Whether a quorum has said, after this call, that this peer leads. */
  async #confirm(): Promise<boolean> {
    const { consensus } = this.#options;
    const before = consensus.status();
    if (before.role !== 'leader') return false;
    try {
      await consensus.readIndex(AbortSignal.timeout(confirmTimeoutMs));
    } catch {
      // No quorum, or no longer the leader: no grant, which is all that follows from it.
      return false;
    }
    // A leader that steps down never leads in the same term again: so it was the leader throughout.
    const after = consensus.status();
    return after.role === 'leader' && after.term === before.term;
  }

  #nextNumber(): number {
    this.#lastNumber = (this.#lastNumber + 1) >>> 0;
    return this.#lastNumber;
  }
}

function encode(kind: number, number: number): Uint8Array {
  const frame = Buffer.alloc(frameBytes);
  frame[0] = kind;
  frame.writeUInt32BE(number, 1);
  return frame;
}
