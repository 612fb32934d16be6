/**
 * One simulated peer: the real core, on a disk that loses what was not synced and under a state machine that is durable later.
 * It stands in for the driver and does what the driver does, in an order and at times that the seed decides.
 */
import { crc32 } from 'node:zlib';
import { type LogState, type Position, RaftCore } from '../../src/consensus/core.ts';
import { type LogBatch, mergeBatches, type StoredLog, settleRestore, storedAfter } from '../../src/consensus/log-batch.ts';
import type { Message } from '../../src/consensus/messages.ts';
import type { Entry, PeerId, SnapshotMeta } from '../../src/consensus/types.ts';
import type { Random } from '../../src/lib/random.ts';
import { type Checker, Violation } from './checker.ts';
import type { Trace } from './trace.ts';

/** The state machine: a digest of all that was applied. */
export interface Image {
  index: number;
  term: number;
  digest: number;
}

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
}

/** How often things happened, so that a test can tell that they did. */
export interface Counts {
  acknowledged: number;
  reads: number;
  snapshots: number;
  crashes: number;
  memberChanges: number;
  transfers: number;
  compactions: number;
  leaderships: number;
}

interface PendingWrite {
  batch: LogBatch | undefined;
  done: () => void;
}

export const electionTicks = 10;
const limits = {
  electionTicks,
  heartbeatTicks: 2,
  maxInflight: 4,
  appendBytesMax: 200,
  unappliedBytesMax: 1 << 20,
  committedBytesMax: 400,
};

export class SimulatedPeer {
  readonly id: PeerId;
  readonly #outside: Outside;
  /** Undefined while the peer is down. */
  core: RaftCore | undefined;
  /** The process is stopped, as by a signal: it neither hears nor acts, then goes on as if nothing was. */
  pausedTicks = 0;
  #disk: StoredLog;
  #durable: Image = { index: 0, term: 0, digest: 0 };
  #machine: Image = this.#durable;
  #writes: PendingWrite[] = [];
  #toApply: Entry[] = [];
  #offered: Image | undefined;
  #restoring: { meta: SnapshotMeta; image: Image; prepared: boolean } | undefined;
  #proposals: (Position & { content: string })[] = [];
  #reads = new Map<number, number>();
  #nextRead = 0;
  #checked = 0;
  #reports: { to: PeerId; index: number | undefined; inTicks: number }[] = [];

  constructor(id: PeerId, state: LogState, outside: Outside) {
    this.id = id;
    this.#outside = outside;
    this.#disk = { ...state, restoring: undefined };
    this.start();
  }

  get machine(): Image {
    return this.#machine;
  }

  get leads(): boolean {
    return this.core?.role === 'leader';
  }

  start(): void {
    const { random } = this.#outside;
    const settle = settleRestore(this.#disk, this.#durable);
    if (settle) this.#disk = storedAfter(this.#disk, settle);
    const { base, entries } = this.#disk;
    const { index, term } = this.#durable;
    const expected = index === base.index ? base.term : entries[index - base.index - 1]?.term;
    if (expected !== term) throw new Violation(`${this.id}: the log on disk does not have ${index}/${term} of the state machine`);
    this.core = new RaftCore({ id: this.id, state: this.#disk, applied: index, random, ...limits });
    this.#machine = this.#durable;
    this.#checked = base.index;
  }

  /** Power off: of what was not synced, a part may have reached the disk. */
  crash(): void {
    const { random, counts } = this.#outside;
    counts.crashes++;
    this.pausedTicks = 0;
    this.#syncFirst(random.int(this.#writes.length + 1));
    this.core = undefined;
    this.#writes = [];
    this.#toApply = [];
    this.#restoring = this.#offered = undefined;
    this.#proposals = [];
    this.#reads.clear();
    this.#reports = [];
  }

  /** One tick of this peer's own clock, and whatever its disk and state machine get done meanwhile. */
  tick(clockRuns: boolean, calm: boolean): void {
    const { core } = this;
    if (!core) return;
    const { random, diskTicks } = this.#outside;
    if (clockRuns) core.tick();
    if (calm || random.int(diskTicks) === 0)
      this.#completeWrites(calm ? this.#writes.length : random.int(this.#writes.length + 1));
    if (calm || random.int(3) > 0) this.#apply(calm ? this.#toApply.length : random.int(this.#toApply.length + 1));
    if (this.#restoring?.prepared && (calm || random.int(4) === 0)) this.#endRestore(calm || random.int(5) > 0);
    if (random.int(6) === 0) this.#durable = this.#restoring ? this.#durable : this.#machine;
    if (random.int(60) === 0) this.#compact(core);
    this.#reports = this.#reports.filter((report) => {
      if (--report.inTicks > 0) return true;
      core.snapshotSent(report.to, report.index);
      return false;
    });
    this.carryOut();
  }

  receive(message: Message, image: Image | undefined): void {
    if (!this.core) return;
    this.#offered = image;
    this.core.step(message);
    if (image || this.#outside.random.int(2) === 0) this.carryOut();
    this.#offered = undefined;
  }

  propose(content: string): void {
    const position = this.core?.propose(Buffer.from(content));
    if (position) this.#proposals.push({ ...position, content: `normal:${content}` });
  }

  read(): void {
    const id = ++this.#nextRead;
    this.core?.readIndex(id);
    this.#reads.set(id, this.#outside.checker.acknowledged);
  }

  /** Does what the core wants. */
  carryOut(): void {
    const { core } = this;
    if (!core) return;
    const { checker, trace, send, random, counts } = this.#outside;
    const ready = core.takeReady();
    if (core.role === 'leader') checker.led(core);
    checker.stored(core, ready.entries);
    this.#checked = checker.committed(core, this.#checked);
    for (const message of ready.messages) {
      checker.sent(message);
      send(message);
    }
    const { sequence, hardState, entries, snapshot, messagesAfterPersist } = ready;
    if (sequence !== undefined) {
      const batch = hardState && { hardState, entries, snapshot, ...(snapshot && { restoring: null }) };
      this.#write(batch, () => {
        core.persisted(sequence);
        for (const message of messagesAfterPersist) {
          checker.sent(message);
          send(message);
        }
      });
    }
    this.#toApply.push(...ready.committed);
    for (const { id, index } of ready.readStates) {
      checker.read(index, this.#reads.get(id)!);
      this.#reads.delete(id);
      counts.reads++;
    }
    for (const to of ready.snapshotsToSend) {
      const { index, term } = this.#machine;
      const meta = { index, term, membership: core.membershipAt(index) };
      send({ type: 'snapshot', from: this.id, to, term: core.term, meta }, this.#machine);
      this.#reports.push({ to, index: random.int(2) ? index : undefined, inTicks: 5 + random.int(20) });
    }
    if (ready.restore) {
      const image = this.#offered;
      if (!image) throw new Violation(`${this.id} wants a snapshot that was not offered`);
      const restoring = { meta: ready.restore.meta, image, prepared: false };
      this.#restoring = restoring;
      this.#apply(this.#toApply.length);
      this.#write({ restoring: restoring.meta }, () => {
        restoring.prepared = true;
      });
    }
    this.#acknowledge(core);
    trace.add(this.id, core.term, core.log.lastIndex, core.log.commit, core.log.stable, this.#machine.index);
  }

  #acknowledge(core: RaftCore): void {
    const { checker, counts } = this.#outside;
    const { commit } = core.log;
    if (this.#proposals.length === 0 || this.#proposals[0]!.index > commit) return;
    for (const { index, term, content } of this.#proposals) {
      if (index > commit || core.log.term(index) !== term) continue;
      checker.acknowledge(index, term, content);
      counts.acknowledged++;
    }
    this.#proposals = this.#proposals.filter(({ index }) => index > commit);
  }

  #write(batch: LogBatch | undefined, done = () => {}): void {
    if (this.#outside.diskLies) {
      done();
      this.#writes.push({ batch, done: () => {} });
    } else this.#writes.push({ batch, done });
  }

  #syncFirst(count: number): void {
    const batches = this.#writes.slice(0, count).flatMap(({ batch }) => batch ?? []);
    if (batches.length > 0) this.#disk = storedAfter(this.#disk, batches.reduce(mergeBatches));
  }

  #completeWrites(count: number): void {
    this.#syncFirst(count);
    for (const { done } of this.#writes.splice(0, count)) done();
  }

  #apply(count: number): void {
    const { checker } = this.#outside;
    for (const entry of this.#toApply.splice(0, count)) {
      const digest = crc32(entry.data, (this.#machine.digest + entry.index) >>> 0);
      checker.applied(this.id, this.#machine.index, entry, digest);
      this.#machine = { index: entry.index, term: entry.term, digest };
      this.core!.applied(entry.index);
    }
  }

  #endRestore(succeeds: boolean): void {
    const { meta, image } = this.#restoring!;
    this.#restoring = undefined;
    if (succeeds) {
      this.#outside.checker.state(this.id, image.index, image.digest);
      this.#outside.counts.snapshots++;
      this.#machine = this.#durable = image;
      if (meta.index !== image.index || meta.term !== image.term) throw new Violation('a snapshot with the wrong name');
      this.core!.restored();
    } else this.core!.restoreFailed();
    this.carryOut();
    this.#write({ restoring: null });
  }

  #compact(core: RaftCore): void {
    const limit = Math.min(this.#durable.index, core.log.applied);
    const to = limit - this.#outside.random.int(10);
    if (to <= core.log.baseIndex) return;
    const compactTo = { index: to, term: core.log.term(to)!, membership: core.membershipAt(to) };
    core.compact(to);
    this.#outside.counts.compactions++;
    this.#write({ compactTo });
  }
}
