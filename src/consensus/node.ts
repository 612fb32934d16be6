/**
 * The driver: gives the core its ticks and messages, and carries out what it decides, with a real disk, network and state
 * machine. One turn handles all that arrived in one round of the event loop: proposals of a turn share one write, one fsync and
 * one frame to each follower. Messages leave before the disk is done unless they promise what is on it.
 *
 * A failed write, an entry that cannot be applied, or a broken invariant stops the node for good and is told by `onFatal`.
 */
import type { Clock, Timer } from '../lib/clock.ts';
import { abortable } from '../lib/deferred.ts';
import { errorMessage } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import type { Random } from '../lib/random.ts';
import { Applier } from './applier.ts';
import { bootstrapState, emptyState, forgottenState, RaftCore } from './core.ts';
import { ConsensusError } from './errors.ts';
import { decodeFrame, type LeaderRequest, type WireMessage } from './frames.ts';
import { LeaderRequests } from './leader-requests.ts';
import { type LogBatch, type LogStorage, settleRestore, storedAfter } from './log-batch.ts';
import { Outbox } from './outbox.ts';
import { Persister } from './persister.ts';
import type { Ready } from './ready.ts';
import { SnapshotTransfers } from './snapshots.ts';
import type {
  Consensus,
  ConsensusNetwork,
  ConsensusStatus,
  Forgotten,
  MembershipChange,
  PeerId,
  SnapshotMeta,
  StateMachine,
} from './types.ts';

export interface ConsensusNodeOptions {
  id: PeerId;
  /** The first peer of a new cluster: an empty disk makes it the only voter. Others wait to be added. */
  bootstrap: boolean;
  /** This peer has begun a log before: without one it does not start. */
  expectsLog?: boolean;
  /** This peer has dropped a log before. Has no effect any more once the log is that long again. */
  forgotten?: Forgotten | undefined;
  /** Opened; the caller closes it after `stop`. */
  storage: LogStorage;
  network: ConsensusNetwork;
  stateMachine: StateMachine;
  clock: Clock;
  random: Random;
  logger: Logger;
  /** Called once; the node is dead then, the process should end. */
  onFatal: (error: unknown) => void;
  /** Default 50. */
  tickMs?: number;
  /** Default 10. A follower waits one to two times this for its leader. */
  electionTicks?: number;
  /** Default 2. */
  heartbeatTicks?: number;
  /** Appends under way to one follower; default 64. */
  maxInflight?: number;
  /** Default 2 MiB. */
  proposalBytesMax?: number;
  /** Calls of this process that wait, and those of each other peer; default 10,000. */
  requestsMax?: number;
  /** How long a call waits for a leader, a commit or an answer; default 5000. */
  requestTimeoutMs?: number;
  /** The log is compacted when it is longer than this (default 10,000) or heavier than `logBytesMax` (default 16 MiB); half stays. */
  logEntriesMax?: number;
  logBytesMax?: number;
  /**
   * When the log cannot be compacted, because the state machine does not get durable, it grows up to this (default 128 MiB); then
   * proposals are refused and appends not taken. When `durable` stands still for `stuckMsMax` (default 60,000) meanwhile, the
   * node stops with 'StateMachineStuck'.
   */
  logFullBytes?: number;
  stuckMsMax?: number;
}

const defaults = {
  tickMs: 50,
  electionTicks: 10,
  heartbeatTicks: 2,
  maxInflight: 64,
  proposalBytesMax: 2 << 20,
  requestsMax: 10_000,
  requestTimeoutMs: 5000,
  logEntriesMax: 10_000,
  logBytesMax: 16 << 20,
  logFullBytes: 128 << 20,
  stuckMsMax: 60_000,
};

/** Entries of one append. */
const appendBytesMax = 512 << 10;
const committedBytesMax = 4 << 20;
const unappliedBytesMax = 64 << 20;

export class ConsensusNode implements Consensus {
  readonly #options: ConsensusNodeOptions & typeof defaults;
  readonly #outbox: Outbox;
  readonly #persister: Persister;
  readonly #applier: Applier;
  readonly #snapshots: SnapshotTransfers;
  readonly #requests: LeaderRequests;
  readonly #listeners: ((status: ConsensusStatus) => void)[] = [];
  #core: RaftCore | undefined;
  #timer: Timer | undefined;
  #turn: NodeJS.Immediate | undefined;
  #state: 'new' | 'running' | 'stopped' = 'new';
  #lastNews = '';
  #stuck: { index: number; sinceMs: number } | undefined;

  constructor(options: ConsensusNodeOptions) {
    const given = Object.entries(options).filter(([, value]) => value !== undefined);
    this.#options = { ...defaults, ...(Object.fromEntries(given) as typeof options & typeof defaults) };
    const { storage, network, stateMachine, clock, random, logger } = this.#options;
    const onFatal = (error: unknown) => this.#fail(error);
    this.#outbox = new Outbox(network, (to, message) => this.#requests.lost(to, message));
    this.#persister = new Persister(storage, onFatal);
    this.#applier = new Applier(stateMachine, (index) => this.#guard((core) => core.applied(index)), onFatal);
    this.#requests = new LeaderRequests({
      nowMs: () => clock.monotonicMs(),
      requestsMax: this.#options.requestsMax,
      requestTimeoutMs: this.#options.requestTimeoutMs,
      core: () => this.#running(),
      onFatal,
      send: (to, message) => this.#send(to, message),
      wake: () => this.#wake(),
    });
    this.#snapshots = new SnapshotTransfers({
      stateMachine,
      clock,
      random,
      logger,
      send: (to, message) => this.#send(to, message),
      baseIndex: () => this.#running().log.baseIndex,
      membershipAt: (index) => this.#running().membershipAt(index),
      snapshotSent: (to, index) => this.#guard((core) => core.snapshotSent(to, index)),
      offer: (from, term, meta) => {
        this.#running().step({ type: 'snapshot', from, to: this.#options.id, term, meta });
        this.#process();
      },
      prepareRestore: async (meta) => {
        await this.#applier.idle();
        await this.#persister.write({ restoring: meta });
      },
      restored: () => this.#endRestore((core) => core.restored()),
      restoreFailed: () => this.#endRestore((core) => core.restoreFailed()),
    });
  }

  /**
   * Loads the log and begins to take part. Rejects with 'LogCorrupt', 'LogMissing', 'StorageFailed', or 'StateMismatch' when the
   * state machine does not belong to this log.
   */
  async start(): Promise<void> {
    const {
      id,
      bootstrap,
      expectsLog,
      storage,
      network,
      stateMachine,
      random,
      electionTicks,
      heartbeatTicks,
      maxInflight,
      logger,
    } = this.#options;
    if (this.#state !== 'new') throw new ConsensusError('Stopped', 'a consensus node starts once');
    let stored = await storage.load();
    if (!stored) {
      if (expectsLog) throw new ConsensusError('LogMissing', 'the log of this peer is gone, and with it what it has promised');
      const { forgotten } = this.#options;
      const first = forgotten ? forgottenState(id, forgotten) : bootstrap ? bootstrapState(id) : emptyState();
      stored = { ...first, restoring: undefined };
      await storage.write({ hardState: stored.hardState, entries: stored.entries });
    }
    const durable = stateMachine.durable();
    const settle = settleRestore(stored, durable);
    if (settle) {
      await storage.write(settle);
      stored = storedAfter(stored, settle);
    }
    const { base, entries } = stored;
    const expected = durable.index === base.index ? base.term : entries[durable.index - base.index - 1]?.term;
    if (expected !== durable.term) {
      throw new ConsensusError(
        'StateMismatch',
        `the state machine stands at entry ${durable.index} of term ${durable.term}, the log does not have it`,
        {
          durable,
          firstIndex: base.index + 1,
          lastIndex: base.index + entries.length,
        },
      );
    }
    const fullBytes = this.#options.logFullBytes;
    const limits = {
      electionTicks,
      heartbeatTicks,
      maxInflight,
      appendBytesMax,
      unappliedBytesMax,
      committedBytesMax,
      fullBytes,
      muteBefore: this.#options.forgotten?.index ?? 0,
    };
    this.#core = new RaftCore({ id, state: stored, applied: durable.index, random, ...limits });
    this.#state = 'running';
    network.onFrame((from, frame) => this.#receive(from, frame));
    this.#armTimer();
    this.#wake();
    logger.info(
      { id, term: this.#core.term, firstIndex: base.index + 1, lastIndex: base.index + entries.length },
      'consensus started',
    );
  }

  /** Resolves when nothing is under way any more. Waiting calls reject with 'Stopped'. */
  async stop(): Promise<void> {
    this.#end(new ConsensusError('Stopped', 'consensus is stopped'));
    await Promise.all([this.#snapshots.stop(), this.#applier.stop(), this.#persister.idle()]);
  }

  async propose(data: Uint8Array, signal?: AbortSignal): Promise<{ index: number }> {
    const { proposalBytesMax } = this.#options;
    if (data.byteLength > proposalBytesMax) {
      throw new ConsensusError('ProposalTooLarge', `${data.byteLength} bytes are more than the bound of ${proposalBytesMax}`, {
        proposalBytesMax,
      });
    }
    return { index: await this.#ask({ type: 'propose', data }, signal) };
  }

  readIndex(signal?: AbortSignal): Promise<number> {
    return this.#ask({ type: 'read' }, signal);
  }

  async changeMembership(change: MembershipChange, signal?: AbortSignal): Promise<void> {
    await this.#ask({ type: 'change', change }, signal);
  }

  async transferLeadership(to: PeerId, signal?: AbortSignal): Promise<void> {
    await this.#ask({ type: 'transfer', to }, signal);
  }

  status(): ConsensusStatus {
    const core = this.#core;
    if (!core) throw new ConsensusError('Stopped', 'consensus has not started');
    const { id, role, term, leader, membership, progress, log } = core;
    const { commit: committed, applied, firstIndex, lastIndex } = log;
    return { id, role, term, leader, committed, applied, firstIndex, lastIndex, membership, progress };
  }

  onChange(listener: (status: ConsensusStatus) => void): void {
    this.#listeners.push(listener);
  }

  async #ask(request: LeaderRequest, signal: AbortSignal | undefined): Promise<number> {
    signal?.throwIfAborted();
    return abortable(this.#requests.submit(request), signal);
  }

  #running(): RaftCore {
    if (this.#state !== 'running' || !this.#core) throw new ConsensusError('Stopped', 'consensus does not run');
    return this.#core;
  }

  #send(to: PeerId, message: WireMessage): void {
    this.#outbox.add(to, message);
    this.#wake();
  }

  // Whatever touches the core and is not called by a client comes through here.
  #protect(action: (core: RaftCore) => void): void {
    if (this.#state !== 'running') return;
    try {
      action(this.#running());
    } catch (error) {
      this.#fail(error);
    }
  }

  #guard(action: (core: RaftCore) => void): void {
    this.#protect(action);
    this.#wake();
  }

  #armTimer(): void {
    const { clock, tickMs } = this.#options;
    this.#timer = clock.setTimer(tickMs, () => {
      this.#guard((core) => {
        core.tick();
        this.#requests.tick();
        this.#snapshots.tick();
        this.#compact(core);
        this.#checkStuck(core);
      });
      if (this.#state === 'running') this.#armTimer();
    });
  }

  #receive(from: PeerId, frame: Uint8Array): void {
    if (this.#state !== 'running') return;
    let messages: WireMessage[];
    try {
      messages = decodeFrame(frame, from, this.#options.id);
    } catch (error) {
      this.#options.logger.warn({ from, error }, 'dropped a frame that makes no sense');
      return;
    }
    this.#guard((core) => {
      for (const wire of messages) {
        if (wire.kind === 'raft') core.step(wire.message);
        else if (wire.kind === 'request' || wire.kind === 'answer' || wire.kind === 'refusal') this.#requests.receive(from, wire);
        else this.#snapshots.receive(from, wire);
      }
    });
  }

  #wake(): void {
    if (this.#state !== 'running') return;
    this.#turn ??= setImmediate(() => {
      this.#turn = undefined;
      this.#protect(() => this.#process());
    });
  }

  #process(): void {
    const core = this.#running();
    const ready = core.takeReady();
    this.#requests.turn(ready.readStates);
    for (const message of ready.messages) this.#outbox.add(message.to, { kind: 'raft', message });
    this.#outbox.flush();
    this.#persist(core, ready);
    this.#applier.enqueue(ready.committed);
    for (const { to, term } of ready.snapshotsToSend) this.#snapshots.start(to, term);
    if (ready.restore) this.#snapshots.restore(ready.restore.meta);
    this.#tellNews(core);
    this.#outbox.flush();
  }

  #persist(core: RaftCore, { sequence, hardState, entries, snapshot, messagesAfterPersist }: Ready): void {
    if (sequence === undefined) return;
    const batch: LogBatch | undefined = hardState && { hardState, entries, snapshot, ...(snapshot && { restoring: null }) };
    this.#persister.enqueue(batch, () =>
      this.#guard(() => {
        core.persisted(sequence);
        for (const message of messagesAfterPersist) this.#outbox.add(message.to, { kind: 'raft', message });
        // What others wait for does not wait for this peer's next turn.
        this.#outbox.flush();
      }),
    );
  }

  #endRestore(end: (core: RaftCore) => void): void {
    this.#guard((core) => {
      end(core);
      this.#process();
      this.#persister.enqueue({ restoring: null }, () => {});
    });
  }

  #compact(core: RaftCore): void {
    const { stateMachine, logEntriesMax, logBytesMax } = this.#options;
    const { log } = core;
    const limit = Math.min(stateMachine.durable().index, log.applied, this.#snapshots.floor);
    let to = limit - log.baseIndex > logEntriesMax ? limit - Math.floor(logEntriesMax / 2) : log.baseIndex;
    if (log.bytes > logBytesMax) to = Math.max(to, Math.min(limit, log.indexBeforeLast(logBytesMax / 2)));
    if (to <= log.baseIndex) return;
    const meta: SnapshotMeta = { index: to, term: log.term(to)!, membership: core.membershipAt(to) };
    core.compact(to);
    this.#persister.enqueue({ compactTo: meta }, () => {});
  }

  // A peer whose disk takes nothing must not go on as a member that looks alive.
  #checkStuck(core: RaftCore): void {
    const { stateMachine, clock, stuckMsMax, logFullBytes } = this.#options;
    const { index } = stateMachine.durable();
    const nowMs = clock.monotonicMs();
    if (!core.isFull || index !== this.#stuck?.index) this.#stuck = { index, sinceMs: nowMs };
    else if (nowMs - this.#stuck.sinceMs >= stuckMsMax) {
      throw new ConsensusError('StateMachineStuck', `the log is full and the state machine is durable only up to ${index}`, {
        durable: index,
        logFullBytes,
      });
    }
  }

  #tellNews(core: RaftCore): void {
    const news = JSON.stringify([core.role, core.term, core.leader, core.membership]);
    if (news === this.#lastNews) return;
    this.#lastNews = news;
    this.#options.logger.info({ role: core.role, term: core.term, leader: core.leader }, 'consensus changed');
    this.#requests.changed();
    const status = this.status();
    for (const listener of this.#listeners) listener(status);
  }

  #end(error: ConsensusError): void {
    if (this.#state === 'stopped') return;
    this.#state = 'stopped';
    this.#timer?.cancel();
    clearImmediate(this.#turn);
    this.#requests.stop(error);
  }

  #fail(error: unknown): void {
    if (this.#state === 'stopped') return;
    this.#options.logger.error({ error }, 'consensus failed');
    this.#end(new ConsensusError('Stopped', `consensus failed: ${errorMessage(error)}`, {}, error));
    void this.#snapshots.stop();
    this.#options.onFatal(error);
  }
}
