/**
 * How many requests one peer works on at once, so that a flood of them neither fills its memory nor shuts others out. What finds no
 * seat waits a moment in a queue, and users take turns in it; what finds no place there is told to come back (429). Watches, logs and
 * streams hold no seat. The idea is Kubernetes' API priority and fairness (KEP-1040), with fixed levels: administrators are never
 * held up, agents have seats of their own, everybody else shares the rest.
 */
import { abortable, type Deferred, deferred } from '../../lib/deferred.ts';
import { failure, type StatusError } from '../../machinery/status.ts';
import { mastersGroup, nodesGroup } from '../authorization.ts';
import type { User } from '../types.ts';

export interface FairnessLimits {
  /** Requests under way at once, by level. */
  seats: Record<'nodes' | 'reading' | 'writing', number>;
  /** Requests that wait, of all users of a level. */
  waitingMax: number;
  /** Requests that wait, of one user. */
  waitingPerUserMax: number;
}

/** As many as the reference server takes by default; agents ask little at a time. */
export const defaultLimits: FairnessLimits = {
  seats: { nodes: 200, reading: 400, writing: 200 },
  waitingMax: 800,
  waitingPerUserMax: 200,
};

const readingVerbs = new Set(['get', 'list', 'head']);

/** Frees the seat. */
export type Leave = () => void;

export class Fairness {
  readonly #levels: Record<keyof FairnessLimits['seats'], Level>;

  constructor(limits: FairnessLimits = defaultLimits) {
    const level = (seats: number) => new Level(seats, limits);
    const { nodes, reading, writing } = limits.seats;
    this.#levels = { nodes: level(nodes), reading: level(reading), writing: level(writing) };
  }

  /** Resolves when it is this request's turn. Rejects with StatusError 429 when too many wait, or with the signal's reason. */
  async enter(user: User, verb: string, signal: AbortSignal): Promise<Leave> {
    if (user.groups.includes(mastersGroup)) return () => undefined;
    const level = user.groups.includes(nodesGroup) ? 'nodes' : readingVerbs.has(verb) ? 'reading' : 'writing';
    return this.#levels[level].enter(user.name, signal);
  }
}

class Level {
  readonly #limits: FairnessLimits;
  #free: number;
  /** By user, in the order of their turns. */
  readonly #waiting = new Map<string, Deferred<void>[]>();
  #waitingCount = 0;

  constructor(seats: number, limits: FairnessLimits) {
    this.#free = seats;
    this.#limits = limits;
  }

  async enter(user: string, signal: AbortSignal): Promise<Leave> {
    if (this.#free > 0) this.#free--;
    else await this.#wait(user, signal);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#leave();
    };
  }

  /** Resolves with a seat. */
  async #wait(user: string, signal: AbortSignal): Promise<void> {
    const { waitingMax, waitingPerUserMax } = this.#limits;
    const own = this.#waiting.get(user) ?? [];
    if (this.#waitingCount >= waitingMax || own.length >= waitingPerUserMax) throw tooMany();
    const turn = deferred<void>();
    own.push(turn);
    this.#waiting.set(user, own);
    this.#waitingCount++;
    try {
      await abortable(turn.promise, signal);
    } catch (error) {
      // The seat may have come in the same moment: then it goes to the next.
      if (!this.#forget(user, turn)) this.#leave();
      throw error;
    }
  }

  /** False when it does not wait any more. */
  #forget(user: string, turn: Deferred<void>): boolean {
    const own = this.#waiting.get(user) ?? [];
    const at = own.indexOf(turn);
    if (at < 0) return false;
    own.splice(at, 1);
    if (own.length === 0) this.#waiting.delete(user);
    this.#waitingCount--;
    return true;
  }

  /** Gives the seat to the user whose turn it is, who then stands last; without one it is free. */
  #leave(): void {
    const [next] = this.#waiting;
    if (!next) {
      this.#free++;
      return;
    }
    const [user, own] = next;
    const turn = own.shift();
    this.#waiting.delete(user);
    if (own.length > 0) this.#waiting.set(user, own);
    this.#waitingCount--;
    turn?.resolve();
  }
}

function tooMany(): StatusError {
  return failure(429, 'TooManyRequests', 'Too many requests, please try again later.', { retryAfterSeconds: 1 });
}
