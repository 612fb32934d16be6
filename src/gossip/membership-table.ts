/**
 * The latest heartbeat of each peer, and when it came. Heartbeats may arrive late, twice and out of order: within one
 * incarnation (one run of the daemon) only a higher sequence number counts, and a higher incarnation replaces a lower one.
 */
import type { Heartbeat } from './types.ts';

/** Heartbeats of further peers are refused. */
export const membersMax = 1024;
/**
 * After so long a silence a lower incarnation is taken too: the peer's wall clock was set back before it started again.
 * No message of an earlier run is still on its way then.
 */
export const incarnationResetMs = 30_000;

export interface TableEntry {
  readonly heartbeat: Heartbeat;
  /** Local monotonic time at which it came. */
  readonly heardMs: number;
}

/** What a heartbeat was: refused, or taken; `missed` numbers lie between it and the one before. */
export type Receipt = { taken: false } | { taken: true; missed: number; first: boolean };

const refused: Receipt = { taken: false };

export class MembershipTable {
  readonly #entries = new Map<string, TableEntry>();

  get size(): number {
    return this.#entries.size;
  }

  get(peer: string): TableEntry | undefined {
    return this.#entries.get(peer);
  }

  peers(): string[] {
    return [...this.#entries.keys()];
  }

  receive(heartbeat: Heartbeat, nowMs: number): Receipt {
    const known = this.#entries.get(heartbeat.peer);
    if (!known && this.#entries.size >= membersMax) return refused;
    if (known && !replaces(heartbeat, known, nowMs)) return refused;
    this.#entries.set(heartbeat.peer, { heartbeat, heardMs: nowMs });
    const sameRun = known?.heartbeat.incarnation === heartbeat.incarnation;
    const missed = sameRun ? heartbeat.sequence - known.heartbeat.sequence - 1 : 0;
    return { taken: true, missed, first: !sameRun };
  }

  remove(peer: string): void {
    this.#entries.delete(peer);
  }
}

function replaces(heartbeat: Heartbeat, known: TableEntry, nowMs: number): boolean {
  const { incarnation, sequence } = known.heartbeat;
  if (heartbeat.incarnation === incarnation) return heartbeat.sequence > sequence;
  return heartbeat.incarnation > incarnation || nowMs - known.heardMs > incarnationResetMs;
}
