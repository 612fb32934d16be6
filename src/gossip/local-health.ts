/**
 * Whether this peer itself is slow. Its own ticks coming late mean that it may have been deaf meanwhile, so its suspicions
 * deserve less trust. After "Lifeguard: Local Health Awareness for More Accurate Failure Detection" (Dadgar et al., 2018).
 */

const scoreMax = 8;
/** A tick that is late by more than this share of its interval counts against this peer. */
const lateShare = 1;
/** After so many punctual ticks the score falls by one. */
const recoveryTicks = 4;

export class LocalHealth {
  readonly #intervalMs: number;
  #lastTickMs: number | undefined;
  #score = 0;
  #punctual = 0;

  /** `intervalMs`: how often `tick` should be called. */
  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  /** 1 when healthy, up to 9: by this factor timeouts are stretched. */
  get factor(): number {
    return 1 + this.#score;
  }

  /** How long ago the last tick was; 0 before the first. */
  silentMs(nowMs: number): number {
    return this.#lastTickMs === undefined ? 0 : nowMs - this.#lastTickMs;
  }

  /** Returns by how much the tick was late. */
  tick(nowMs: number): number {
    const lateMs = this.#lastTickMs === undefined ? 0 : nowMs - this.#lastTickMs - this.#intervalMs;
    this.#lastTickMs = nowMs;
    if (lateMs > this.#intervalMs * lateShare) {
      this.#score = Math.min(scoreMax, this.#score + Math.ceil(lateMs / (this.#intervalMs * 4)));
      this.#punctual = 0;
      return lateMs;
    }
    this.#punctual++;
    if (this.#score > 0 && this.#punctual >= recoveryTicks) {
      this.#score--;
      this.#punctual = 0;
    }
    return 0;
  }
}
