/**
 * What a controller has done and its informer has not shown yet. Until everything expected was seen, or the wait is given up,
 * the copy is too old to act on: acting would create or delete the same thing twice. The idea is client-go's expectations.
 */
import type { Clock } from '../lib/clock.ts';

/** An event that does not come within this time was missed (listed over); the copy is as good as it gets. */
const patienceMs = 60_000;

interface Expectation {
  creations: number;
  deletions: Set<string>;
  sinceMs: number;
}

export class Expectations {
  readonly #clock: Clock;
  readonly #byKey = new Map<string, Expectation>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Call before asking for the creations: their events may come first. */
  expectCreations(key: string, count: number): void {
    const expectation = this.#of(key);
    expectation.creations += count;
    expectation.sinceMs = this.#clock.monotonicMs();
  }

  /** `uids` of what is about to be deleted. */
  expectDeletions(key: string, uids: readonly string[]): void {
    const expectation = this.#of(key);
    for (const uid of uids) expectation.deletions.add(uid);
    expectation.sinceMs = this.#clock.monotonicMs();
  }

  /** A creation was seen, or has failed. */
  creationSeen(key: string): void {
    const expectation = this.#byKey.get(key);
    if (expectation && expectation.creations > 0) expectation.creations -= 1;
  }

  /** A deletion was seen, or has failed. */
  deletionSeen(key: string, uid: string): void {
    this.#byKey.get(key)?.deletions.delete(uid);
  }

  /** True when the copy shows everything done for this key. */
  met(key: string): boolean {
    const expectation = this.#byKey.get(key);
    if (!expectation) return true;
    if (expectation.creations <= 0 && expectation.deletions.size === 0) return true;
    if (this.#clock.monotonicMs() - expectation.sinceMs < patienceMs) return false;
    this.#byKey.delete(key);
    return true;
  }

  /** Milliseconds after which `met` turns true by itself. */
  get patienceMs(): number {
    return patienceMs;
  }

  forget(key: string): void {
    this.#byKey.delete(key);
  }

  #of(key: string): Expectation {
    const known = this.#byKey.get(key);
    if (known) return known;
    const fresh: Expectation = { creations: 0, deletions: new Set(), sinceMs: this.#clock.monotonicMs() };
    this.#byKey.set(key, fresh);
    return fresh;
  }
}
