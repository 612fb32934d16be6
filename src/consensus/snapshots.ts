/**
 * All transfers of snapshots of one peer: at most a few to followers, at most one from a leader. Bridges the core, which only
 * knows that a snapshot is needed, and the state machine, which has the bytes.
 */
import { assert } from '../lib/assert.ts';
import type { Clock } from '../lib/clock.ts';
import { errorMessage } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import type { Random } from '../lib/random.ts';
import { ConsensusError } from './errors.ts';
import type { SnapshotItem, WireMessage } from './frames.ts';
import { SnapshotReceiver } from './snapshot-receiver.ts';
import { SnapshotSender } from './snapshot-sender.ts';
import type { Membership, PeerId, SnapshotMeta, StateMachine } from './types.ts';

/** Snapshots on their way to followers at the same time; more wait and are tried again. */
const sendersMax = 2;
/** A failed transfer is reported, and so tried again, only after this time. */
const retryMs = 1000;

export interface SnapshotTransfersOptions {
  stateMachine: StateMachine;
  clock: Clock;
  random: Random;
  logger: Logger;
  send: (to: PeerId, message: WireMessage) => void;
  /** The last entry that is compacted away. */
  baseIndex: () => number;
  membershipAt: (index: number) => Membership;
  snapshotSent: (to: PeerId, index: number | undefined) => void;
  /** Gives the offer to the core. When the core wants the snapshot, it calls `restore` before this returns. */
  offer: (from: PeerId, term: number, meta: SnapshotMeta) => void;
  /** Resolves when the state machine is at rest and the disk knows what is about to happen. */
  prepareRestore: (meta: SnapshotMeta) => Promise<void>;
  restored: () => void;
  restoreFailed: () => void;
}

interface Sending {
  transfer: number;
  sender: SnapshotSender;
  abort: AbortController;
  /** Entries after this must not be compacted away meanwhile. */
  floor: number;
}

export class SnapshotTransfers {
  readonly #options: SnapshotTransfersOptions;
  readonly #sending = new Map<PeerId, Sending>();
  #receiver: SnapshotReceiver | undefined;
  #offered: { from: PeerId; transfer: number } | undefined;
  #failures: { to: PeerId; dueMs: number }[] = [];
  readonly #running = new Set<Promise<void>>();
  #stopped = false;

  constructor(options: SnapshotTransfersOptions) {
    this.#options = options;
  }

  /** The log must keep what follows this index. */
  get floor(): number {
    return Math.min(Number.POSITIVE_INFINITY, ...[...this.#sending.values()].map(({ floor }) => floor));
  }

  /** Starts sending to a follower, as the leader of `term`; the outcome goes to `snapshotSent`. */
  start(to: PeerId, term: number): void {
    if (this.#sending.has(to) || this.#sending.size >= sendersMax) this.#failLater(to);
    else this.#track(this.#send(to, term));
  }

  async #send(to: PeerId, term: number): Promise<void> {
    const { stateMachine, clock, random, logger, baseIndex, membershipAt, snapshotSent } = this.#options;
    const transfer = random.int(2 ** 31);
    const abort = new AbortController();
    const nowMs = () => clock.monotonicMs();
    const send = (sequence: number, item: SnapshotItem) =>
      this.#options.send(to, { kind: 'snapshotItem', transfer, sequence, item });
    const sender = new SnapshotSender({ term, nowMs, send });
    const sending: Sending = { transfer, sender, abort, floor: baseIndex() };
    this.#sending.set(to, sending);
    try {
      const { index, term: snapshotTerm, chunks } = await stateMachine.snapshot(abort.signal);
      sending.floor = Math.max(sending.floor, index);
      logger.info({ to, index }, 'sending a snapshot');
      await sender.run({ index, term: snapshotTerm, membership: membershipAt(index) }, chunks);
      logger.info({ to, index }, 'snapshot sent');
      if (!this.#stopped) snapshotSent(to, index);
    } catch (error) {
      if (!this.#stopped) logger.warn({ to, error }, 'a snapshot could not be sent');
      if (sender.isContradicted) {
        const reason = 'what is here of the snapshot is not its beginning';
        this.#options.send(to, { kind: 'snapshotAbort', transfer, reason });
      }
      this.#failLater(to);
    } finally {
      abort.abort(new ConsensusError('SnapshotFailed', 'the transfer is over'));
      this.#sending.delete(to);
    }
  }

  /** A message of another peer about a transfer. */
  receive(
    from: PeerId,
    wire: Extract<WireMessage, { kind: 'snapshotItem' | 'snapshotAck' | 'snapshotAbort' | 'snapshotResume' }>,
  ): void {
    const sending = this.#sending.get(from);
    switch (wire.kind) {
      case 'snapshotAck':
        if (sending?.transfer === wire.transfer) sending.sender.acknowledged(wire.next);
        return;
      case 'snapshotAbort':
        if (sending?.transfer === wire.transfer) sending.sender.fail(wire.reason);
        if (this.#receiver?.from === from && this.#receiver.transfer === wire.transfer) this.#receiver.fail(wire.reason);
        return;
      case 'snapshotResume':
        if (sending?.transfer === wire.transfer) sending.sender.resumed(wire.bytes, wire.digest);
        return;
      case 'snapshotItem':
        this.#receiveItem(from, wire.transfer, wire.sequence, wire.item);
    }
  }

  #receiveItem(from: PeerId, transfer: number, sequence: number, item: SnapshotItem): void {
    const receiver = this.#receiver;
    const refuse = (reason: string) => this.#options.send(from, { kind: 'snapshotAbort', transfer, reason });
    if (receiver?.from === from && receiver.transfer === transfer) receiver.take(sequence, item);
    else if (item.type !== 'begin') refuse('unknown transfer');
    else if (receiver?.isOf(item.meta)) {
      this.#options.logger.info({ from, index: item.meta.index }, 'going on with a snapshot that had stopped on its way');
      receiver.adopt(from, transfer);
    } else if (receiver) {
      // What a former leader still sends is as good as what the new one would: it goes on as long as it comes.
      if (!receiver.isFresh) receiver.fail('another transfer began');
      refuse('another transfer is under way');
    } else {
      this.#offered = { from, transfer };
      this.#options.offer(from, item.term, item.meta);
      if (this.#offered) refuse('not needed');
      this.#offered = undefined;
    }
  }

  /** The core wants the snapshot that was offered just now. */
  restore(meta: SnapshotMeta): void {
    const offered = this.#offered;
    assert(offered, 'the core wants a snapshot that nobody offered');
    this.#offered = undefined;
    const { clock, send } = this.#options;
    const receiver: SnapshotReceiver = new SnapshotReceiver({
      ...offered,
      meta,
      nowMs: () => clock.monotonicMs(),
      acknowledge: (next) => send(receiver.from, { kind: 'snapshotAck', transfer: receiver.transfer, next }),
      resume: (bytes, digest) => send(receiver.from, { kind: 'snapshotResume', transfer: receiver.transfer, bytes, digest }),
    });
    this.#receiver = receiver;
    this.#track(this.#restore(receiver, meta));
  }

  async #restore(receiver: SnapshotReceiver, meta: SnapshotMeta): Promise<void> {
    const { stateMachine, logger, send, prepareRestore, restored, restoreFailed } = this.#options;
    const { from } = receiver;
    logger.info({ from, index: meta.index }, 'receiving a snapshot');
    try {
      await prepareRestore(meta);
      await stateMachine.restore({ index: meta.index, term: meta.term }, receiver.chunks());
    } catch (error) {
      this.#receiver = undefined;
      if (this.#stopped) return;
      logger.warn({ from, error }, 'a snapshot could not be received');
      const { transfer } = receiver;
      send(receiver.from, { kind: 'snapshotAbort', transfer, reason: errorMessage(error).slice(0, 1000) || 'unknown' });
      restoreFailed();
      return;
    }
    this.#receiver = undefined;
    if (this.#stopped) return;
    logger.info({ from, index: meta.index }, 'snapshot received');
    restored();
    receiver.finish();
  }

  /** Once per tick. */
  tick(): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (const { sender } of this.#sending.values()) sender.tick();
    this.#receiver?.tick();
    const due = this.#failures.filter(({ dueMs }) => dueMs <= nowMs);
    if (due.length === 0) return;
    this.#failures = this.#failures.filter(({ dueMs }) => dueMs > nowMs);
    for (const { to } of due) this.#options.snapshotSent(to, undefined);
  }

  /** Ends all transfers and resolves when they are over. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const { sender, abort } of this.#sending.values()) {
      abort.abort(new ConsensusError('Stopped', 'consensus stops'));
      sender.fail('this peer stops');
    }
    this.#receiver?.fail('this peer stops');
    await Promise.all(this.#running);
  }

  #failLater(to: PeerId): void {
    this.#failures = [
      ...this.#failures.filter((failure) => failure.to !== to),
      { to, dueMs: this.#options.clock.monotonicMs() + retryMs },
    ];
  }

  #track(running: Promise<void>): void {
    this.#running.add(running);
    void running.finally(() => this.#running.delete(running));
  }
}
