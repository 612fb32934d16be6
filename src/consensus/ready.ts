/**
 * What the core hands to its driver, and the record of what the driver's disk still owes. Each ready that must reach the disk
 * has a sequence number; the driver confirms them in order. Numbers, not log positions, because the same position may be
 * written, overwritten and written again while the first write is still on its way.
 */
import { assert } from '../lib/assert.ts';
import { type Message, type SnapshotOffer, waitsForDisk } from './messages.ts';
import type { ReadState } from './read-rounds.ts';
import type { Entry, PeerId, SnapshotMeta } from './types.ts';

/** Survives every crash. `vote` is for `term`; `commit` may be older than what was known. */
export interface HardState {
  term: number;
  vote: PeerId | undefined;
  commit: number;
}

/** Snapshots are offered by the driver, which has them. */
export type OutgoingMessage = Exclude<Message, SnapshotOffer>;

export interface Ready {
  /** Confirm with `persisted(sequence)` when all of the next three are durable, even if they are empty. Undefined: need not. */
  sequence: number | undefined;
  hardState: HardState | undefined;
  /** To append to the log on disk; the first replaces what stands at its index and all behind it. */
  entries: Entry[];
  /** The log starts anew behind this snapshot, which the state machine already holds; `entries` follow it. */
  snapshot: SnapshotMeta | undefined;
  /** May be sent before anything is durable. */
  messages: OutgoingMessage[];
  /** Must not be sent before this ready and all earlier ones are durable. */
  messagesAfterPersist: OutgoingMessage[];
  /** For the state machine, in order, once each. Confirm with `applied`. */
  committed: Entry[];
  readStates: ReadState[];
  /** Followers that need a snapshot. Tell the outcome with `snapshotSent`. */
  snapshotsToSend: SnapshotToSend[];
  /** A leader's snapshot to put into the state machine. Tell the outcome with `restored` or `restoreFailed`. */
  restore: { from: PeerId; meta: SnapshotMeta } | undefined;
}

interface Debt {
  sequence: number;
  /** The last entry that is stable once this is durable. */
  stableTo: number;
  term: number;
  vote: PeerId | undefined;
}

export class DiskDebts {
  #last = 0;
  #debts: Debt[] = [];

  get isEmpty(): boolean {
    return this.#debts.length === 0;
  }

  add(debt: Omit<Debt, 'sequence'>): number {
    this.#debts.push({ ...debt, sequence: ++this.#last });
    return this.#last;
  }

  /** Entries from `index` on were overwritten: writes under way do not make them stable. */
  truncate(index: number): void {
    for (const debt of this.#debts) debt.stableTo = Math.min(debt.stableTo, index - 1);
  }

  settle(sequence: number): Debt {
    const debt = this.#debts.shift();
    assert(debt?.sequence === sequence, `persisted(${sequence}) out of order`);
    return debt;
  }
}

/** `term`: in which this peer leads, or has led: it may follow another leader by the time that the snapshot is sent. */
export interface SnapshotToSend {
  to: PeerId;
  term: number;
}

/** Gathers what goes into the next Ready. */
export class Output {
  #messages: OutgoingMessage[] = [];
  #messagesAfterPersist: OutgoingMessage[] = [];
  #snapshotsToSend: SnapshotToSend[] = [];
  #readStates: ReadState[] = [];
  #restore: Ready['restore'];

  get hasPromises(): boolean {
    return this.#messagesAfterPersist.length > 0;
  }

  send(message: OutgoingMessage): void {
    if (waitsForDisk(message)) this.#messagesAfterPersist.push(message);
    else this.#messages.push(message);
  }

  sendSnapshot(snapshot: SnapshotToSend): void {
    this.#snapshotsToSend.push(snapshot);
  }

  confirmReads(states: readonly ReadState[]): void {
    this.#readStates.push(...states);
  }

  restore(from: PeerId, meta: SnapshotMeta): void {
    this.#restore = { from, meta };
  }

  take(): Pick<Ready, 'messages' | 'messagesAfterPersist' | 'snapshotsToSend' | 'readStates' | 'restore'> {
    const taken = {
      messages: this.#messages,
      messagesAfterPersist: this.#messagesAfterPersist,
      snapshotsToSend: this.#snapshotsToSend,
      readStates: this.#readStates,
      restore: this.#restore,
    };
    this.#messages = [];
    this.#messagesAfterPersist = [];
    this.#snapshotsToSend = [];
    this.#readStates = [];
    this.#restore = undefined;
    return taken;
  }
}
