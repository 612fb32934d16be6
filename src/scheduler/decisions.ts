/**
 * The latest decision on each pod, kept for people who ask why. Bounded twice: by pods and by node verdicts in all, since a decision in a
 * large cluster holds many; the pod that was decided on longest ago is forgotten first.
 */
import type { Decision } from './types.ts';

export interface RecordedDecision extends Decision {
  /** Wall time, milliseconds. */
  atMs: number;
  /** How often the scheduler has decided on this pod. */
  attempt: number;
  /** Set when the decision could not be carried out. */
  bindError?: string;
}

export interface DecisionBounds {
  podsMax?: number;
  verdictsMax?: number;
}

export class Decisions {
  readonly #byPod = new Map<string, RecordedDecision>();
  readonly #podsMax: number;
  readonly #verdictsMax: number;
  #verdicts = 0;

  constructor({ podsMax = 10_000, verdictsMax = 200_000 }: DecisionBounds = {}) {
    this.#podsMax = podsMax;
    this.#verdictsMax = verdictsMax;
  }

  get size(): number {
    return this.#byPod.size;
  }

  record(decision: RecordedDecision): void {
    const key = `${decision.pod.namespace}/${decision.pod.name}`;
    this.#forget(key);
    this.#byPod.set(key, decision);
    this.#verdicts += decision.nodes.length;
    for (const oldest of this.#byPod.keys()) {
      const within = this.#byPod.size <= this.#podsMax && this.#verdicts <= this.#verdictsMax;
      if (within || this.#byPod.size === 1) break;
      this.#forget(oldest);
    }
  }

  /** The binding failed; `uid` guards against a later pod of the same name. */
  bindFailed(pod: Decision['pod'], message: string): void {
    const decision = this.#byPod.get(`${pod.namespace}/${pod.name}`);
    if (decision?.pod.uid === pod.uid) decision.bindError = message;
  }

  get(namespace: string, name: string): RecordedDecision | undefined {
    return this.#byPod.get(`${namespace}/${name}`);
  }

  #forget(key: string): void {
    const decision = this.#byPod.get(key);
    if (!decision) return;
    this.#byPod.delete(key);
    this.#verdicts -= decision.nodes.length;
  }
}
