/**
 * One simulated peer: the real core, on a disk that loses what was not synced and under the real store, which is durable later.
 * It stands in for the driver and does what the driver does, in an order and at times that the seed decides, and may lose its
 * power between any two steps.
 */
import { type LogState, RaftCore } from '../../src/consensus/core.ts';
import { type LogBatch, mergeBatches, type StoredLog, settleRestore, storedAfter } from '../../src/consensus/log-batch.ts';
import { decodeMembership } from '../../src/consensus/membership.ts';
import type { Message } from '../../src/consensus/messages.ts';
import type { Ready } from '../../src/consensus/ready.ts';
import type { Entry, Membership, PeerId, SnapshotMeta } from '../../src/consensus/types.ts';
import type { Random } from '../../src/lib/random.ts';
import type { TransactionResult } from '../../src/store/index.ts';
import { type Checker, Violation } from './checker.ts';
import { emptyImage, type Image, Machine } from './machine.ts';
import type { Trace } from './trace.ts';

/** The power fails at this step. */
export class PowerLoss extends Error {}

export interface Outside {
  random: Random;
  checker: Checker;
  trace: Trace;
  send: (message: Message, image?: Image) => void;
  counts: Counts;
  /** The time of a write, on average. */
  diskTicks: number;
  /** The disk says that it is done before it is. */
  diskLies: boolean;
  /** Snapshots break on their way now and then. */
  breaksSnapshots: boolean;
}

/** How often things happened, so that a test can tell that they did. */
export interface Counts {
  writes: number;
  reads: number;
  retries: number;
  snapshots: number;
  brokenSnapshots: number;
  crashes: number;
  powerLosses: number;
  disksLost: number;
  rots: number;
  clockStops: number;
  oneWayCuts: number;
  memberChanges: number;
  jointChanges: number;
  transfers: number;
  compactions: number;
  leaderships: number;
}

interface PendingWrite {
  batch: LogBatch | undefined;
  done: () => void;
}

interface Proposal {
  index: number;
  term: number;
  content: string;
  answer: (result: TransactionResult) => void;
}

/** What is on a peer's disk. */
export interface Disk {
  log: StoredLog;
  image: Image;
}

export const electionTicks = 10;
const limits = {
  electionTicks,
  heartbeatTicks: 2,
  maxInflight: 4,
  appendBytesMax: 400,
  unappliedBytesMax: 1 << 20,
  committedBytesMax: 800,
  fullBytes: 12_000,
};

export class SimulatedPeer {
  readonly id: PeerId;
  readonly #outside: Outside;
  /** Undefined while the peer is down. */
  core: RaftCore | undefined;
  /** The process is stopped, as by a signal: it neither hears nor acts, then goes on as if nothing was. */
  pausedTicks = 0;
  /** Ticks of its own clock for each tick of the world. */
  clockRate = 1;
  /** Its clock was set back: for so long nothing that waits for a time happens, though it hears and answers. */
  clockStopsTicks = 0;
  /** Steps until the power fails; 0: it does not. */
  stepsToPowerLoss = 0;
  #clock = 0;
  #disk: Disk;
  #machine: Machine | undefined;
  #writes: PendingWrite[] = [];
  #toApply: Entry[] = [];
  #offered: Image | undefined;
  #restoring: { meta: SnapshotMeta; image: Image; prepared: boolean } | undefined;
  #proposals: Proposal[] = [];
  #reads = new Map<number, { acknowledged: number; answer: (index: number) => void }>();
  #readers: { index: number; answer: () => void }[] = [];
  #nextRead = 0;
  #checked = 0;
  #reports: { to: PeerId; index: number | undefined; inTicks: number }[] = [];

  constructor(id: PeerId, disk: Disk, outside: Outside) {
    this.id = id;
    this.#outside = outside;
    this.#disk = disk;
  }

  /** A disk with this log and an empty store. */
  static disk(state: LogState): Disk {
    return { log: { ...state, restoring: undefined }, image: emptyImage };
  }

  /** A copy of the disk as it is now. */
  get disk(): Disk {
    return { ...this.#disk };
  }

  get appliedIndex(): number {
    return this.#machine?.index ?? this.#disk.image.index;
  }

  get stateHash(): string | undefined {
    return this.#machine?.stateHash;
  }

  get leads(): boolean {
    return this.core?.role === 'leader';
  }

  /** The memberships that this peer may find in force when it starts from its disk. */
  get membershipsOnDisk(): Membership[] {
    const { base, entries } = this.#disk.log;
    return [base.membership, ...entries.flatMap(({ kind, data }) => (kind === 'membership' ? [decodeMembership(data)] : []))];
  }

  async start(): Promise<void> {
    const { random, checker } = this.#outside;
    const { image } = this.#disk;
    const settle = settleRestore(this.#disk.log, image);
    if (settle) this.#disk.log = storedAfter(this.#disk.log, settle);
    const { base, entries } = this.#disk.log;
    const { index, term } = image;
    const expected = index === base.index ? base.term : entries[index - base.index - 1]?.term;
    if (expected !== term) throw new Violation(`${this.id}: the log on disk does not have ${index}/${term} of the state machine`);
    this.#machine = await Machine.open(this.id, image, checker);
    this.core = new RaftCore({ id: this.id, state: this.#disk.log, applied: index, random, ...limits });
    this.#checked = base.index;
  }

  /** Power off: of what was not synced, a part may have reached the disk. */
  crash(): void {
    const { random, counts } = this.#outside;
    counts.crashes++;
    this.pausedTicks = this.stepsToPowerLoss = this.clockStopsTicks = 0;
    this.#syncFirst(random.int(this.#writes.length + 1));
    this.core = undefined;
    this.#machine = undefined;
    this.#writes = [];
    this.#toApply = [];
    this.#restoring = this.#offered = undefined;
    this.#proposals = [];
    this.#reads.clear();
    this.#readers = [];
    this.#reports = [];
  }

  /** One tick of the world: what its clock, its disk and its state machine get done meanwhile. */
  async tick(calm: boolean): Promise<void> {
    const { core } = this;
    if (!core) return;
    const { random, diskTicks } = this.#outside;
    if (this.clockStopsTicks > 0) this.clockStopsTicks--;
    else this.#clock += calm ? 1 : this.clockRate;
    for (; this.#clock >= 1; this.#clock--) core.tick();
    if (calm || random.int(diskTicks) === 0)
      this.#completeWrites(calm ? this.#writes.length : 1 + random.int(this.#writes.length));
    if (calm || random.int(3) > 0) this.#apply(calm ? this.#toApply.length : random.int(this.#toApply.length + 1));
    if (this.#restoring?.prepared && (calm || random.int(8) === 0)) await this.#endRestore(calm || random.int(4) > 0);
    if (random.int(12) === 0 && !this.#restoring) this.#disk.image = this.#machine!.image();
    this.#step();
    if (random.int(60) === 0) this.#compact(core);
    this.#reports = this.#reports.filter((report) => {
      if (--report.inTicks > 0) return true;
      core.snapshotSent(report.to, report.index);
      return false;
    });
    this.carryOut();
  }

  /** The clock is set forward. */
  jump(ticks: number): void {
    for (let n = 0; n < ticks; n++) this.core?.tick();
  }

  receive(message: Message, image: Image | undefined): void {
    if (!this.core) return;
    this.#offered = image;
    this.core.step(message);
    if (image || this.#outside.random.int(2) === 0) this.carryOut();
    this.#offered = undefined;
  }

  propose(data: Uint8Array, answer: (result: TransactionResult) => void): void {
    const position = this.core?.propose(data);
    if (position) this.#proposals.push({ ...position, content: `normal:${Buffer.from(data).toString('latin1')}`, answer });
  }

  /** Answers with an index at which the state is linearizable. */
  read(answer: (index: number) => void): void {
    if (!this.core) return;
    const id = ++this.#nextRead;
    this.core.readIndex(id);
    this.#reads.set(id, { acknowledged: this.#outside.checker.acknowledged, answer });
  }

  whenApplied(index: number, answer: () => void): void {
    if (!this.core) return;
    if (this.appliedIndex >= index) answer();
    else this.#readers.push({ index, answer });
  }

  get(key: string): { value: string; modRevision: number } {
    return this.#machine!.get(key);
  }

  /** Does what the core wants. */
  carryOut(): void {
    const { core } = this;
    if (!core) return;
    const { checker, trace, counts } = this.#outside;
    const ready = core.takeReady();
    if (core.role === 'leader') checker.led(core);
    checker.stored(core, ready.entries);
    this.#checked = checker.committed(core, this.#checked);
    this.#step();
    for (const message of ready.messages) this.#send(message);
    this.#persist(core, ready);
    this.#toApply.push(...ready.committed);
    for (const { id, index } of ready.readStates) {
      const read = this.#reads.get(id)!;
      checker.read(index, read.acknowledged);
      this.#reads.delete(id);
      read.answer(index);
    }
    for (const { to, term } of ready.snapshotsToSend) this.#sendSnapshot(core, to, term);
    if (ready.restore) this.#beginRestore(ready.restore.meta);
    if (core.membership.votersOutgoing.length > 0 && ready.entries.some(({ kind }) => kind === 'membership') && this.leads) {
      counts.jointChanges++;
    }
    trace.add(this.id, core.term, core.log.lastIndex, core.log.commit, core.log.stable, this.appliedIndex);
  }

  // The power may fail here.
  #step(): void {
    if (this.stepsToPowerLoss > 0 && --this.stepsToPowerLoss === 0) {
      this.#outside.counts.powerLosses++;
      throw new PowerLoss();
    }
  }

  #send(message: Message, image?: Image): void {
    this.#outside.checker.sent(message);
    this.#outside.send(message, image);
    this.#step();
  }

  #persist(core: RaftCore, { sequence, hardState, entries, snapshot, messagesAfterPersist }: Ready): void {
    if (sequence === undefined) return;
    const batch = hardState && { hardState, entries, snapshot, ...(snapshot && { restoring: null }) };
    this.#write(batch, () => {
      core.persisted(sequence);
      this.#step();
      for (const message of messagesAfterPersist) this.#send(message);
    });
    this.#step();
  }

  #sendSnapshot(core: RaftCore, to: PeerId, leaderTerm: number): void {
    const { random } = this.#outside;
    const image = this.#machine!.image();
    const { index, term } = image;
    const meta = { index, term, membership: core.membershipAt(index) };
    this.#send({ type: 'snapshot', from: this.id, to, term: leaderTerm, meta }, image);
    this.#reports.push({ to, index: random.int(2) ? index : undefined, inTicks: 5 + random.int(20) });
  }

  #beginRestore(meta: SnapshotMeta): void {
    const image = this.#offered;
    if (!image) throw new Violation(`${this.id} wants a snapshot that was not offered`);
    const restoring = { meta, image, prepared: false };
    this.#restoring = restoring;
    this.#apply(this.#toApply.length);
    this.#write({ restoring: meta }, () => {
      restoring.prepared = true;
    });
  }

  async #endRestore(succeeds: boolean): Promise<void> {
    const { meta, image } = this.#restoring!;
    const { counts, breaksSnapshots } = this.#outside;
    this.#restoring = undefined;
    if (succeeds || !breaksSnapshots) {
      counts.snapshots++;
      if (meta.index !== image.index || meta.term !== image.term) throw new Violation('a snapshot with the wrong name');
      await this.#machine!.restore(image);
      this.#disk.image = image;
      this.#step();
      this.core!.restored();
      this.#answerReaders();
    } else {
      counts.brokenSnapshots++;
      await this.#machine!.restoreBroken(image);
      this.core!.restoreFailed();
    }
    this.carryOut();
    this.#write({ restoring: null });
  }

  #write(batch: LogBatch | undefined, done = () => {}): void {
    if (this.#outside.diskLies) {
      done();
      this.#writes.push({ batch, done: () => {} });
    } else this.#writes.push({ batch, done });
  }

  #syncFirst(count: number): PendingWrite[] {
    const synced = this.#writes.splice(0, count);
    const batches = synced.flatMap(({ batch }) => batch ?? []);
    if (batches.length > 0) this.#disk.log = storedAfter(this.#disk.log, batches.reduce(mergeBatches));
    return synced;
  }

  #completeWrites(count: number): void {
    const synced = this.#syncFirst(count);
    this.#step();
    for (const { done } of synced) done();
  }

  #apply(count: number): void {
    const { checker } = this.#outside;
    for (const entry of this.#toApply.splice(0, count)) {
      const result = this.#machine!.apply(entry);
      this.core!.applied(entry.index);
      const here = this.#proposals.filter(({ index }) => index === entry.index);
      if (here.length > 0) this.#proposals = this.#proposals.filter(({ index }) => index > entry.index);
      for (const { index, term, content, answer } of here) {
        if (term !== entry.term) continue;
        checker.acknowledge(index, term, content);
        if (result) answer(result);
      }
      this.#answerReaders();
      this.#step();
    }
  }

  #answerReaders(): void {
    const applied = this.appliedIndex;
    const ready = this.#readers.filter(({ index }) => index <= applied);
    this.#readers = this.#readers.filter(({ index }) => index > applied);
    for (const { answer } of ready) answer();
  }

  #compact(core: RaftCore): void {
    const limit = Math.min(this.#disk.image.index, core.log.applied);
    const to = limit - this.#outside.random.int(10);
    if (to <= core.log.baseIndex) return;
    const compactTo = { index: to, term: core.log.term(to)!, membership: core.membershipAt(to) };
    core.compact(to);
    this.#outside.counts.compactions++;
    this.#write({ compactTo });
  }
}
