/**
 * How many heartbeats get lost on the way, from the gaps in their sequence numbers. With loss p, k in a row are lost with
 * probability p^k: so the silence that proves something is the k for which that is as unlikely as wanted.
 */

/** What is assumed before anything is known: a bad network, as firmly as if so many heartbeats had shown it. */
const assumedRate = 0.3;
const assumedCount = 4;
/** Later the last so many heartbeats count. */
const windowCount = 60;
/** A gap counts as at most so many: one long outage says little about the loss at other times. */
const missedMax = 5;

export class MessageLoss {
  #rate = assumedRate;
  #count = assumedCount;

  /** 0 to 1. */
  get rate(): number {
    return this.#rate;
  }

  /** A heartbeat came, after `missed` that did not. */
  received(missed: number): void {
    for (let i = 0; i < Math.min(missed, missedMax); i++) this.#learn(1);
    this.#learn(0);
  }

  /** How many heartbeats in a row must be missing so that chance explains it with at most this probability. */
  provingCount(probability: number): number {
    return Math.log(probability) / Math.log(Math.min(this.#rate, 0.9));
  }

  #learn(lost: 0 | 1): void {
    this.#count = Math.min(this.#count + 1, windowCount);
    this.#rate += (lost - this.#rate) / this.#count;
  }
}
