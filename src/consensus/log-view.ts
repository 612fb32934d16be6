/**
 * The log as the core sees it: the entries after the compacted base, all in memory, and five cursors over them.
 *
 *   base ≤ applied ≤ applying ≤ commit ≤ last        stable ≤ handed ≤ last
 *
 * `handed` is what was given to the disk, `stable` what the disk confirmed; `applying` is what was given to the state machine,
 * `applied` what it confirmed. Only what is stable here is ever applied here, so that the state machine never knows an entry
 * that the log on the same disk may lose. Memory is bounded by compaction (see `node.ts`).
 */
import { assert } from '../lib/assert.ts';
import type { Entry } from './types.ts';

/** What an entry weighs in bounds: its data and an allowance for the rest. */
export function entryBytes(entry: Entry): number {
  return entry.data.byteLength + 32;
}

/** What entries weigh together. */
export function weight(entries: readonly Entry[]): number {
  return entries.reduce((sum, entry) => sum + entryBytes(entry), 0);
}

/** How many entries may be with the state machine, unconfirmed. */
const applyingEntriesMax = 4096;

export type AppendOutcome =
  /** `last`: the last entry that now agrees with the sender; `cut`: the first of our entries that was thrown away for it. */
  { matched: true; last: number; cut: number | undefined } | { matched: false; hintIndex: number; hintTerm: number };

export class LogView {
  #baseIndex: number;
  #baseTerm: number;
  #entries: Entry[];
  #bytes: number;
  #stable: number;
  #handed: number;
  #commit: number;
  #applying: number;
  #applied: number;
  #unappliedBytes = 0;

  /** As loaded from disk. `commit` and `applied` are clipped to what the log holds. */
  constructor(base: { index: number; term: number }, entries: Entry[], commit: number, applied: number) {
    this.#baseIndex = base.index;
    this.#baseTerm = base.term;
    this.#entries = [...entries];
    this.#bytes = weight(entries);
    this.#stable = this.#handed = this.lastIndex;
    assert(applied >= base.index && applied <= this.lastIndex, `applied ${applied} lies outside the log`);
    this.#applied = this.#applying = applied;
    this.#commit = Math.min(Math.max(commit, applied), this.lastIndex);
    this.#unappliedBytes = weight(this.slice(applied + 1, this.lastIndex));
  }

  get baseIndex(): number {
    return this.#baseIndex;
  }
  /** The first entry still here, or the next to come when there is none. */
  get firstIndex(): number {
    return this.#baseIndex + 1;
  }
  get lastIndex(): number {
    return this.#baseIndex + this.#entries.length;
  }
  get lastTerm(): number {
    return this.#entries.at(-1)?.term ?? this.#baseTerm;
  }
  get stable(): number {
    return this.#stable;
  }
  get commit(): number {
    return this.#commit;
  }
  get applied(): number {
    return this.#applied;
  }
  /** Weight of all entries in memory. */
  get bytes(): number {
    return this.#bytes;
  }
  /** Weight of the entries that the state machine has not confirmed, committed or not. */
  get unappliedBytes(): number {
    return this.#unappliedBytes;
  }

  /** The term of an entry; undefined when it is compacted away or not there yet. */
  term(index: number): number | undefined {
    if (index === this.#baseIndex) return this.#baseTerm;
    return this.#entries[index - this.#baseIndex - 1]?.term;
  }

  /** Entries from..to, as many as fit in `bytesMax` but at least one if there is one. `from` must not be compacted. */
  slice(from: number, to: number, bytesMax = Number.POSITIVE_INFINITY): Entry[] {
    assert(from > this.#baseIndex, `entry ${from} is compacted`);
    const start = from - this.#baseIndex - 1;
    const entries = this.#entries.slice(start, Math.max(start, Math.min(to, this.lastIndex) - this.#baseIndex));
    let bytes = 0;
    const fit = entries.findIndex((entry, position) => {
      bytes += entryBytes(entry);
      return position > 0 && bytes > bytesMax;
    });
    return fit < 0 ? entries : entries.slice(0, fit);
  }

  /** Whether a log that ends in (lastIndex, lastTerm) holds all that this one may have promised. */
  isUpToDate(lastIndex: number, lastTerm: number): boolean {
    return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.lastIndex);
  }

  /** The last index up to `index` whose term is at most `term`: the best guess at where two logs still agree. It may be compacted. */
  lastPossibleMatch(index: number, term: number): number {
    let guess = Math.min(index, this.lastIndex);
    while (guess > this.#baseIndex && this.term(guess)! > term) guess--;
    return guess;
  }

  /** The last index such that all entries after it weigh no more than `bytesMax` together. */
  indexBeforeLast(bytesMax: number): number {
    let left = this.#bytes;
    const fit = this.#entries.findIndex((entry) => {
      if (left <= bytesMax) return true;
      left -= entryBytes(entry);
      return false;
    });
    return fit < 0 ? this.lastIndex : this.#baseIndex + fit;
  }

  /** Adds entries at the end. */
  append(entries: readonly Entry[]): void {
    for (const entry of entries) {
      assert(entry.index === this.lastIndex + 1, `entry ${entry.index} does not follow ${this.lastIndex}`);
      assert(entry.term >= this.lastTerm, `term ${entry.term} of entry ${entry.index} goes back from ${this.lastTerm}`);
      this.#entries.push(entry);
      this.#bytes += entryBytes(entry);
      this.#unappliedBytes += entryBytes(entry);
    }
  }

  /** What a follower does with a leader's append (dissertation 3.5). Never touches committed entries. */
  merge(prevIndex: number, prevTerm: number, entries: readonly Entry[]): AppendOutcome {
    let fresh = entries;
    let previous = prevIndex;
    if (prevIndex < this.#commit) {
      fresh = entries.slice(this.#commit - prevIndex);
      previous = this.#commit;
    } else if (this.term(prevIndex) !== prevTerm) {
      const hintIndex = this.lastPossibleMatch(prevIndex, prevTerm);
      return { matched: false, hintIndex, hintTerm: this.term(hintIndex)! };
    }
    const last = previous + fresh.length;
    const conflict = fresh.findIndex((entry) => this.term(entry.index) !== entry.term);
    if (conflict < 0) return { matched: true, last, cut: undefined };
    const from = fresh[conflict]!.index;
    const cut = from <= this.lastIndex ? from : undefined;
    if (cut !== undefined) this.#truncate(cut);
    this.append(fresh.slice(conflict));
    return { matched: true, last, cut };
  }

  #truncate(from: number): void {
    assert(from > this.#commit, `committed entry ${from} would be overwritten`);
    for (const entry of this.#entries.splice(from - this.#baseIndex - 1)) {
      this.#bytes -= entryBytes(entry);
      this.#unappliedBytes -= entryBytes(entry);
    }
    this.#stable = Math.min(this.#stable, from - 1);
    this.#handed = Math.min(this.#handed, from - 1);
  }

  /** Moves the commit index forward; an older value has no effect. True when it moved. */
  commitTo(index: number): boolean {
    if (index <= this.#commit) return false;
    assert(index <= this.lastIndex, `commit ${index} is past the last entry ${this.lastIndex}`);
    this.#commit = index;
    return true;
  }

  /** Entries that the disk has not been given yet. */
  takeUnhanded(): Entry[] {
    const entries = this.slice(Math.max(this.#handed, this.#baseIndex) + 1, this.lastIndex);
    this.#handed = this.lastIndex;
    return entries;
  }

  /** The disk holds everything up to `index`. */
  stableTo(index: number): void {
    assert(index <= this.#handed, `${index} is stable but only ${this.#handed} was handed out`);
    this.#stable = Math.max(this.#stable, index);
  }

  /** Whether `takeApplicable` would return something. */
  get hasApplicable(): boolean {
    return Math.min(this.#commit, this.#stable) > this.#applying && this.#applying - this.#applied < applyingEntriesMax;
  }

  /** Committed and stable entries for the state machine, each once. */
  takeApplicable(bytesMax: number): Entry[] {
    if (!this.hasApplicable) return [];
    const room = this.#applied + applyingEntriesMax;
    const entries = this.slice(this.#applying + 1, Math.min(this.#commit, this.#stable, room), bytesMax);
    this.#applying = entries.at(-1)!.index;
    return entries;
  }

  /** The state machine has applied everything up to `index`. */
  appliedTo(index: number): void {
    assert(index >= this.#applied && index <= this.#applying, `applied ${index} was not handed out`);
    this.#unappliedBytes -= weight(this.slice(this.#applied + 1, index));
    this.#applied = index;
  }

  /** Forgets entries up to `index`, which the state machine must have applied. */
  compact(index: number): void {
    if (index <= this.#baseIndex) return;
    assert(index <= this.#applied, `compaction to ${index} is past applied ${this.#applied}`);
    const term = this.term(index)!;
    this.#bytes -= weight(this.#entries.splice(0, index - this.#baseIndex));
    this.#baseIndex = index;
    this.#baseTerm = term;
  }

  /**
   * The state machine was replaced by a snapshot as of (index, term). When the log holds that entry it stays, else it starts
   * anew behind it. True when it started anew.
   */
  restored(index: number, term: number): boolean {
    assert(index > this.#applied, `snapshot ${index} is not ahead of applied ${this.#applied}`);
    if (this.term(index) === term) {
      this.commitTo(index);
      this.#unappliedBytes -= weight(this.slice(this.#applied + 1, index));
      this.#applied = index;
      this.#applying = Math.max(this.#applying, index);
      return false;
    }
    assert(index > this.#commit, `snapshot ${index} contradicts the committed log`);
    this.#baseIndex = index;
    this.#baseTerm = term;
    this.#entries = [];
    this.#bytes = this.#unappliedBytes = 0;
    this.#stable = this.#handed = this.#commit = this.#applied = this.#applying = index;
    return true;
  }
}
