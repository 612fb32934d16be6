/**
 * Takes in one snapshot: puts its items in order, feeds the state machine at its own pace, checks the sum at the end. When the items
 * stop, it waits: whoever offers the same snapshot, the sender of before or a new leader, goes on where the other one stopped.
 */
import { createHash } from 'node:crypto';
import { type Deferred, deferred } from '../lib/deferred.ts';
import { ConsensusError } from './errors.ts';
import type { SnapshotItem } from './frames.ts';
import { silenceMsMax, windowItems } from './snapshot-sender.ts';
import type { PeerId } from './types.ts';

/** A transfer that was heard so lately goes on; another one must wait. */
const freshMs = 2_000;

export interface SnapshotReceiverOptions {
  from: PeerId;
  transfer: number;
  /** Of the snapshot. */
  meta: { index: number; term: number };
  nowMs: () => number;
  /** All items of the present transfer before `next` are taken in. */
  acknowledge: (next: number) => void;
  /** The present transfer need not send the first `bytes`, which have this SHA-256. */
  resume: (bytes: number, digest: Uint8Array) => void;
}

export class SnapshotReceiver {
  from: PeerId;
  transfer: number;
  readonly #options: SnapshotReceiverOptions;
  #queue: SnapshotItem[] = [];
  /** Item 0, the beginning, was taken in before this object was made. */
  #expected = 1;
  #taken = 0;
  #ended = false;
  #arrived: Deferred<void> = deferred();
  #failure: ConsensusError | undefined;
  #heardMs: number;
  readonly #hash = createHash('sha256');
  /** Of the snapshot, given to the state machine. */
  #bytes = 0;
  /** Counts the transfers; the present one's items are acknowledged, and no others. */
  #adopted = 0;

  constructor(options: SnapshotReceiverOptions) {
    this.from = options.from;
    this.transfer = options.transfer;
    this.#options = options;
    this.#heardMs = options.nowMs();
  }

  /** Whether this is the snapshot that is being received. */
  isOf(meta: { index: number; term: number }): boolean {
    return meta.index === this.#options.meta.index && meta.term === this.#options.meta.term;
  }

  get isFresh(): boolean {
    return this.#options.nowMs() - this.#heardMs <= freshMs;
  }

  /** Another transfer of the same snapshot goes on from here. */
  adopt(from: PeerId, transfer: number): void {
    this.from = from;
    this.transfer = transfer;
    this.#adopted++;
    this.#heardMs = this.#options.nowMs();
    this.#queue = [];
    this.#expected = this.#taken = 1;
    this.#tellWhere();
  }

  /** An item that is not the next one is dropped; the answer says which one is awaited. */
  take(sequence: number, item: SnapshotItem): void {
    this.#heardMs = this.#options.nowMs();
    // The beginning again: its answer was lost. An acknowledgement alone would make the sender begin with the first byte.
    if (sequence === 0 && this.#adopted > 0) {
      if (this.#expected === 1) this.#tellWhere();
      return;
    }
    if (sequence !== this.#expected || this.#queue.length >= windowItems) {
      this.#options.acknowledge(this.#taken);
      return;
    }
    this.#expected++;
    this.#queue.push(item);
    this.#arrived.resolve();
  }

  /** To be read once. Throws 'SnapshotFailed' when items stop coming or the sum is wrong. */
  async *chunks(): AsyncGenerator<Uint8Array, void, void> {
    if (this.#adopted === 0) this.#acknowledgeOne();
    for (;;) {
      const item = await this.#next();
      const transfer = this.#adopted;
      switch (item.type) {
        case 'chunk':
          this.#hash.update(item.data);
          this.#bytes += item.data.byteLength;
          yield item.data;
          if (transfer === this.#adopted) this.#acknowledgeOne();
          break;
        case 'end':
          this.#ended = true;
          if (!this.#hash.copy().digest().equals(item.digest))
            throw new ConsensusError('SnapshotFailed', 'the snapshot does not fit its checksum');
          return;
        case 'begin':
          throw new ConsensusError('SnapshotFailed', 'the snapshot begins twice');
      }
    }
  }

  /** The state machine holds the snapshot. */
  finish(): void {
    this.#acknowledgeOne();
  }

  fail(reason: string): void {
    this.#failure ??= new ConsensusError('SnapshotFailed', `receiving a snapshot failed: ${reason}`);
    this.#arrived.resolve();
  }

  /** Once per tick. */
  tick(): void {
    if (!this.#ended && this.#queue.length === 0 && this.#options.nowMs() - this.#heardMs > silenceMsMax)
      this.fail('the leader sends nothing');
  }

  #tellWhere(): void {
    this.#options.resume(this.#bytes, this.#hash.copy().digest());
  }

  #acknowledgeOne(): void {
    this.#options.acknowledge(++this.#taken);
  }

  async #next(): Promise<SnapshotItem> {
    for (;;) {
      if (this.#failure) throw this.#failure;
      const item = this.#queue.shift();
      if (item) return item;
      this.#arrived = deferred();
      await this.#arrived.promise;
    }
  }
}
