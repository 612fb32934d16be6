/**
 * What the leader knows of one follower's log, and how it sends to it:
 *
 *   probe      where the logs agree is a guess: one append at a time, the next after an answer or a heartbeat round
 *   replicate  they agree: appends follow each other without waiting, up to the window
 *   snapshot   what the follower needs is compacted away: nothing until the snapshot arrived or failed
 */
import { assert } from '../lib/assert.ts';

export type ProgressState = 'probe' | 'replicate' | 'snapshot';

/** Appends under way to one follower weigh no more than this, but for the last one. */
const windowBytesMax = 4 << 20;

export class Progress {
  state: ProgressState = 'probe';
  /** The last entry known to be on the follower's disk. */
  match = 0;
  /** The next entry to send; always past `match`. */
  next: number;
  /** The tick at which the follower was last heard. */
  heardTick: number;
  /** The commit index that the follower was last told by an append. */
  sentCommit = 0;
  /** An append must go out even if it carries nothing: it finds out whether an earlier one was lost. */
  forced = false;
  #probing = false;
  /** The last index and the weight of each append under way, oldest first. */
  #window: { last: number; bytes: number }[] = [];
  #windowBytes = 0;
  readonly #windowMax: number;

  constructor(next: number, tick: number, windowMax: number) {
    this.next = next;
    this.heardTick = tick;
    this.#windowMax = windowMax;
  }

  /** Whether an append may be sent now. */
  get ready(): boolean {
    if (this.state === 'probe') return !this.#probing;
    return this.state === 'replicate' && !this.#isFull;
  }

  get #isFull(): boolean {
    return this.#window.length >= this.#windowMax || this.#windowBytes >= windowBytesMax;
  }

  /** An append went out: its last entry (or the one before, when it is empty), and what its entries weigh. */
  sent(last: number, bytes: number, commit: number): void {
    this.forced = false;
    this.sentCommit = commit;
    if (this.state === 'probe') this.#probing = true;
    else if (bytes > 0) {
      assert(last >= this.next, 'append goes back');
      this.next = last + 1;
      this.#window.push({ last, bytes });
      this.#windowBytes += bytes;
    }
  }

  /** The follower holds everything up to `index`. True when that is news. */
  accepted(index: number): boolean {
    const news = index > this.match;
    this.match = Math.max(this.match, index);
    this.next = Math.max(this.next, index + 1);
    while (this.#window.length > 0 && this.#window[0]!.last <= index) this.#freeOldest();
    if (this.state === 'probe' && index >= this.match) {
      this.state = 'replicate';
      this.#probing = false;
      this.next = this.match + 1;
    }
    return news;
  }

  /** An append after entry `previous` did not fit; the logs agree up to `agreed` at best. False when the answer is outdated. */
  rejected(previous: number, agreed: number): boolean {
    if (this.state === 'snapshot' || previous <= this.match) return false;
    if (this.state === 'probe' && previous !== this.next - 1) return false;
    this.probe(Math.max(Math.min(previous, agreed + 1), this.match + 1));
    return true;
  }

  /** A heartbeat was answered: what was lost may be sent again. */
  alive(lastIndex: number): void {
    this.#probing = false;
    if (this.#isFull) this.#freeOldest();
    if (this.match < lastIndex) this.forced = true;
  }

  probe(next: number): void {
    this.state = 'probe';
    this.next = next;
    this.#probing = false;
    this.#clearWindow();
  }

  waitForSnapshot(): void {
    this.state = 'snapshot';
    this.#clearWindow();
  }

  #freeOldest(): void {
    this.#windowBytes -= this.#window.shift()!.bytes;
  }

  #clearWindow(): void {
    this.#window = [];
    this.#windowBytes = 0;
  }
}
