/** Takes in one snapshot: puts its items in order, feeds the state machine at its own pace, checks the sum at the end. */
import { createHash } from 'node:crypto';
import { type Deferred, deferred } from '../lib/deferred.ts';
import { ConsensusError } from './errors.ts';
import type { SnapshotItem } from './frames.ts';
import { silenceMsMax, windowItems } from './snapshot-sender.ts';
import type { PeerId } from './types.ts';

export interface SnapshotReceiverOptions {
  from: PeerId;
  transfer: number;
  nowMs: () => number;
  /** All items before `next` are taken in. */
  acknowledge: (next: number) => void;
}

export class SnapshotReceiver {
  readonly from: PeerId;
  readonly transfer: number;
  readonly #options: SnapshotReceiverOptions;
  #queue: SnapshotItem[] = [];
  /** Item 0, the beginning, was taken in before this object was made. */
  #expected = 1;
  #taken = 0;
  #ended = false;
  #arrived: Deferred<void> = deferred();
  #failure: ConsensusError | undefined;
  #heardMs: number;

  constructor(options: SnapshotReceiverOptions) {
    this.from = options.from;
    this.transfer = options.transfer;
    this.#options = options;
    this.#heardMs = options.nowMs();
  }

  /** An item that is not the next one is dropped; the answer says which one is awaited. */
  take(sequence: number, item: SnapshotItem): void {
    this.#heardMs = this.#options.nowMs();
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
    const hash = createHash('sha256');
    this.#acknowledgeOne();
    for (;;) {
      const item = await this.#next();
      switch (item.type) {
        case 'chunk':
          hash.update(item.data);
          yield item.data;
          this.#acknowledgeOne();
          break;
        case 'end':
          this.#ended = true;
          if (!hash.digest().equals(item.digest))
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
