/**
 * Sends one snapshot to one follower as numbered items: begin, chunks, end. A window bounds what is under way; an
 * acknowledgement means that the follower's state machine has taken the item, so its speed is ours. Lost items are sent again
 * from the first unacknowledged one (go-back-n). A lost connection is outlasted; a follower that holds the first bytes of the same
 * snapshot, from another leader or an earlier attempt, says so in its answer to the beginning, and gets the rest.
 */
import { createHash } from 'node:crypto';
import { type Deferred, deferred } from '../lib/deferred.ts';
import { ConsensusError } from './errors.ts';
import type { SnapshotItem } from './frames.ts';
import type { SnapshotMeta } from './types.ts';

export const chunkBytesMax = 256 << 10;
/** Items under way. */
export const windowItems = 4;
const resendMs = 300;
/** Without any answer for this long the transfer has failed; the log keeps what follows the snapshot for so long. */
export const silenceMsMax = 30_000;

export interface SnapshotSenderOptions {
  term: number;
  nowMs: () => number;
  send: (sequence: number, item: SnapshotItem) => void;
}

export class SnapshotSender {
  readonly #options: SnapshotSenderOptions;
  readonly #failed = deferred<never>();
  #unacked: SnapshotItem[] = [];
  /** Number of the first item in #unacked. */
  #base = 0;
  #progress: Deferred<void> = deferred();
  #heardMs: number;
  #sentMs: number;
  #contradicted = false;
  #resume: { bytes: number; digest: Uint8Array } = { bytes: 0, digest: new Uint8Array(0) };

  constructor(options: SnapshotSenderOptions) {
    this.#options = options;
    this.#heardMs = this.#sentMs = options.nowMs();
    this.#failed.promise.catch(() => {});
  }

  /** Resolves when the follower has restored the snapshot. Rejects with 'SnapshotFailed'. */
  async run(meta: SnapshotMeta, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    this.#heardMs = this.#options.nowMs();
    const hash = createHash('sha256');
    await this.#push({ type: 'begin', term: this.#options.term, meta });
    while (this.#unacked.length > 0) await this.#moved();
    const { bytes, digest } = this.#resume;
    let skipped = 0;
    for await (const chunk of chunks) {
      const start = Math.min(bytes - skipped, chunk.byteLength);
      skipped += start;
      hash.update(chunk.subarray(0, start));
      if (start > 0 && skipped === bytes && !hash.copy().digest().equals(digest)) throw this.#anotherBeginning();
      hash.update(chunk.subarray(start));
      for (let at = start; at < chunk.byteLength; at += chunkBytesMax) {
        await this.#push({ type: 'chunk', data: chunk.subarray(at, at + chunkBytesMax) });
      }
    }
    if (skipped < bytes) throw this.#anotherBeginning();
    await this.#push({ type: 'end', digest: hash.digest() });
    while (this.#unacked.length > 0) await this.#moved();
  }

  acknowledged(next: number): void {
    this.#heardMs = this.#options.nowMs();
    const count = next - this.#base;
    if (count <= 0 || count > this.#unacked.length) return;
    this.#unacked.splice(0, count);
    this.#base = next;
    this.#progress.resolve();
    this.#progress = deferred();
  }

  /** The follower holds the first `bytes` of this snapshot, as far as `digest` proves; its answer to the beginning. */
  resumed(bytes: number, digest: Uint8Array): void {
    if (this.#base > 0 || this.#unacked.length === 0) return;
    this.#resume = { bytes, digest };
    this.acknowledged(1);
  }

  fail(reason: string): void {
    this.#failed.reject(new ConsensusError('SnapshotFailed', `sending a snapshot failed: ${reason}`));
  }

  /** What the follower holds is of no use: it must forget it and begin anew. */
  get isContradicted(): boolean {
    return this.#contradicted;
  }

  #anotherBeginning(): ConsensusError {
    this.#contradicted = true;
    return new ConsensusError('SnapshotFailed', 'the follower holds the beginning of another snapshot');
  }

  /** Once per tick. */
  tick(): void {
    const nowMs = this.#options.nowMs();
    if (this.#unacked.length === 0) return;
    if (nowMs - this.#heardMs > silenceMsMax) this.fail('the follower does not answer');
    if (nowMs - this.#sentMs < resendMs || nowMs - this.#heardMs < resendMs) return;
    this.#sentMs = nowMs;
    for (const [offset, item] of this.#unacked.entries()) this.#options.send(this.#base + offset, item);
  }

  #moved(): Promise<void> {
    return Promise.race([this.#progress.promise, this.#failed.promise]);
  }

  async #push(item: SnapshotItem): Promise<void> {
    while (this.#unacked.length >= windowItems) await this.#moved();
    if (this.#unacked.length === 0) this.#heardMs = this.#options.nowMs();
    this.#unacked.push(item);
    this.#sentMs = this.#options.nowMs();
    this.#options.send(this.#base + this.#unacked.length - 1, item);
  }
}
